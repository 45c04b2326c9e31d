"""Register maps of meters: ``meters/profiles/NAME.toml``.

A profile is checked when it is loaded, so that a value is never read with a
guessed type, byte order or unit.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any

from grid.errors import BadInputError
from grid.ids import check
from meters.modbus.layout import Layout, Raw
from meters.modbus.registers import INTEGERS, SIZES, decode
from meters.modbus.spans import MAX_READ, Span, words_of
from meters.reading import CHANNELS

QUANTITIES = ("voltage_v", "power_w", "frequency_hz", *CHANNELS)
"""What a profile may map."""

_MAX_ENERGY_WH = 10**15
_KEYS = {
    "title",
    "function",
    "byte_order",
    "word_order",
    "block",
    "gap",
    "not_implemented",
    "register",
}


@dataclass(frozen=True, slots=True)
class Register:
    """Where a quantity stands: value in registers × `scale` / `divide` = value in its unit.

    `absent` is the integer that means "not implemented", None for that of the type.
    """

    address: int
    type: str
    scale: int
    divide: int = 1
    absent: int | None = None

    @property
    def span(self) -> Span:
        """First register and number of registers."""
        return self.address, SIZES[self.type]

    def value(self, raw: Raw) -> float | None:
        """Return a raw value in its unit."""
        return None if raw is None else raw * self.scale / self.divide

    def energy(self, raw: Raw) -> int | None:
        """Return a raw value in whole Wh or varh; see :meth:`Profile.energy`."""
        if raw is None or raw < 0:
            return None
        if isinstance(raw, int):
            energy = raw * self.scale // self.divide
            return energy if energy <= _MAX_ENERGY_WH else None
        most = raw * self.scale / self.divide
        return round(most) if most <= _MAX_ENERGY_WH else None


@dataclass(frozen=True, slots=True)
class Profile:
    """The register map of one make of meter.

    Attributes
    ----------
    name, title : str
    function : int
        3 (holding registers) or 4 (input registers).
    little_words : bool
        The least significant register comes first.
    block : int
        Most registers that the meter gives in one request.
    gap : int
        Most registers between two values that are read along with them; 0
        where a meter refuses what lies between.
    register : mapping of str to Register
        By quantity, a name of :data:`QUANTITIES`.
    layout : Layout
        The requests of a poll, and how their answers are taken apart.
    channels : tuple of Register or None
        In the order of :data:`meters.reading.CHANNELS`.
    """

    name: str
    title: str
    function: int
    little_words: bool
    block: int
    gap: int
    register: Mapping[str, Register]
    layout: Layout = field(init=False, repr=False, compare=False)
    channels: tuple[Register | None, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        channels = tuple(map(self.register.get, CHANNELS))
        object.__setattr__(self, "channels", channels)
        layout = Layout(
            self.register, block=self.block, gap=self.gap, little_words=self.little_words
        )
        object.__setattr__(self, "layout", layout)

    def raws(self, content: Mapping[int, bytes]) -> dict[str, Raw]:
        """Return all quantities of the answers to a poll, by name.

        Parameters
        ----------
        content : mapping of int to bytes
            Registers by the address of the first, from
            :meth:`meters.modbus.client.Client.read_groups`.
        """
        raws = self.layout.raws(content)
        if raws is None:
            # A block was refused and read in smaller ones.
            words = words_of(content)
            raws = {quantity: self.raw(quantity, words) for quantity in self.register}
        return raws

    def raw(self, quantity: str, words: Mapping[int, int]) -> Raw:
        """Return a quantity as its registers hold it; None where it is absent or not finite."""
        register = self.register.get(quantity)
        if register is None:
            return None
        first, size = register.span
        raw = decode(
            register.type,
            [words[address] for address in range(first, first + size)],
            little_words=self.little_words,
            absent=register.absent,
        )
        return raw if raw is not None and math.isfinite(raw) else None

    def value(self, quantity: str, words: Mapping[int, int]) -> float | None:
        """Return a quantity in its unit; None where it is absent or not finite."""
        register = self.register.get(quantity)
        return None if register is None else register.value(self.raw(quantity, words))

    def energy(self, channel: str, words: Mapping[int, int]) -> int | None:
        """Return a cumulative register in whole Wh or varh; None where it is no counter.

        Exact where the register is integral; what is less than 1 Wh is not
        counted yet. A value that is absent, not finite, negative or above
        10^15 is no counter.
        """
        register = self.register.get(channel)
        return None if register is None else register.energy(self.raw(channel, words))


@lru_cache(maxsize=64)
def load_profile(name: str) -> Profile:
    """Return the profile `name` of ``meters/profiles``.

    Raises
    ------
    BadInputError
        When there is none, or it has an unknown key or a value out of range.
    """
    check(name, "meter profile")
    source = files("meters").joinpath("profiles", f"{name}.toml")
    if not source.is_file():
        raise BadInputError(f"meter profile {name!r} does not exist")
    return parse_profile(name, source.read_text(encoding="utf-8"))


def parse_profile(name: str, text: str) -> Profile:
    """Return the profile written in `text`; see :func:`load_profile`."""
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"meter profile {name}: {error}") from error
    where = f"meter profile {name}"
    _only(table, where, _KEYS)
    _one_of(table, where, "byte_order", ("big",))
    registers = table["register"] if isinstance(table.get("register"), dict) else {}
    _only(registers, f"{where} [register]", set(QUANTITIES))
    absent = _absent(table, where)
    register = {
        quantity: _register(facts, f"{where} [register.{quantity}]", absent)
        for quantity, facts in registers.items()
    }
    _check_energy(register, where)
    return Profile(
        name=name,
        title=str(_required(table, where, "title")),
        function=_one_of(table, where, "function", (3, 4)),
        little_words=_one_of(table, where, "word_order", ("big", "little")) == "little",
        block=_whole(table, where, "block", 4, MAX_READ),
        gap=_whole({"gap": MAX_READ, **table}, where, "gap", 0, MAX_READ),
        register=register,
    )


def _absent(table: Mapping[str, Any], where: str) -> dict[str, int]:
    """Return the maker's own "not implemented" values, by type."""
    facts = table.get("not_implemented", {})
    where = f"{where} [not_implemented]"
    if not isinstance(facts, dict):
        raise BadInputError(f"{where}: must be a table")
    _only(facts, where, set(INTEGERS))
    for kind in facts:
        bits = 16 * SIZES[kind]
        signed, _ = INTEGERS[kind]
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        _whole(facts, where, kind, low, high)
    return facts


def _register(facts: Any, where: str, absent: Mapping[str, int]) -> Register:
    if not isinstance(facts, dict):
        raise BadInputError(f"{where}: must be a table")
    _only(facts, where, {"address", "type", "scale", "divide"})
    kind = _one_of(facts, where, "type", tuple(SIZES))
    return Register(
        address=_whole(facts, where, "address", 0, 0x10000 - SIZES[kind]),
        type=kind,
        scale=_whole({"scale": 1, **facts}, where, "scale", 1, 10**6),
        divide=_whole({"divide": 1, **facts}, where, "divide", 1, 10**6),
        absent=absent.get(kind),
    )


def _check_energy(registers: Mapping[str, Register], where: str) -> None:
    for channel in CHANNELS[:2]:
        if channel not in registers:
            raise BadInputError(f"{where}: [register.{channel}] is missing")
    taken: dict[int, str] = {}
    for quantity, register in registers.items():
        first, size = register.span
        for address in range(first, first + size):
            other = taken.setdefault(address, quantity)
            if other != quantity:
                raise BadInputError(
                    f"{where}: {quantity} and {other} overlap at register {address:#06x}"
                )


def _only(table: Mapping[str, Any], where: str, known: set[str]) -> None:
    for key in table:
        if key not in known:
            raise BadInputError(f"{where}: unknown key {key!r}")


def _required(table: Mapping[str, Any], where: str, key: str) -> Any:
    if key not in table:
        raise BadInputError(f"{where}: {key!r} is missing")
    return table[key]


def _one_of(table: Mapping[str, Any], where: str, key: str, allowed: tuple[Any, ...]) -> Any:
    value = _required(table, where, key)
    if isinstance(value, bool) or value not in allowed:
        raise BadInputError(f"{where}: {key} is {value!r}, must be one of {list(allowed)}")
    return value


def _whole(table: Mapping[str, Any], where: str, key: str, low: int, high: int) -> int:
    value = _required(table, where, key)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BadInputError(f"{where}: {key} is {value!r}, must be a whole number {low} to {high}")
    return value
