"""The chain of SunSpec models in a device, and values read from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from meters.modbus import models
from meters.modbus.client import Client
from meters.modbus.errors import ILLEGAL_ADDRESS, ILLEGAL_VALUE, ModbusError, RefusedError
from meters.modbus.registers import SIZES, decode
from meters.modbus.spans import MAX_READ

MAX_MODELS = 64
_ADDRESSES = 0x10000
_READ = 3


class Found(NamedTuple):
    """A model in the chain: `length` registers follow its ID and length at `address`."""

    model: int
    address: int
    length: int


class Device:
    """Where the models of a unit stand, and the registers read so far.

    Attributes
    ----------
    unit : int
    found : tuple of Found
        Every model, in the order of the chain.
    """

    def __init__(self, unit: int, found: Sequence[Found]) -> None:
        self.unit = unit
        self.found = tuple(found)
        self._words: dict[int, int] = {}
        self._bases: dict[int, int] = {}
        for one in found:
            self._bases.setdefault(one.model, one.address)

    def has(self, model: int) -> bool:
        """Return whether the device has `model`."""
        return model in self._bases

    def address(self, model: int, name: str) -> int:
        """Return the register address of a point."""
        return self._base(model) + models.MODELS[model].points[name].offset

    async def read(self, client: Client, *wanted: int) -> None:
        """Read the points of models anew, each model in one request.

        Raises
        ------
        ModbusError
            When the device does not have one of the models.
        """
        spans = [(self._base(model), models.MODELS[model].needed) for model in wanted]
        self._words = await client.read_spans(self.unit, _READ, spans)

    def raw(self, model: int, name: str) -> int | None:
        """Return a value as its register holds it; None when not implemented."""
        point = models.MODELS[model].points[name]
        first = self._base(model) + point.offset
        value = decode(point.type, [self._words[first + word] for word in range(SIZES[point.type])])
        assert not isinstance(value, float)
        return value

    def required(self, model: int, name: str) -> int:
        """Return a value as its register holds it.

        Raises
        ------
        ModbusError
            When it is not implemented.
        """
        value = self.raw(model, name)
        if value is None:
            raise ModbusError(f"does not implement {name} of SunSpec model {model}")
        return value

    def scale(self, model: int, name: str) -> int:
        """Return a scale factor, -10 to 10.

        Raises
        ------
        ModbusError
            When it is not implemented or out of range.
        """
        value = self.required(model, name)
        if not -10 <= value <= 10:
            raise ModbusError(f"has {name} of SunSpec model {model} at {value}, outside -10 to 10")
        return value

    def _base(self, model: int) -> int:
        if model not in self._bases:
            raise ModbusError(f"does not have SunSpec model {model}")
        return self._bases[model]


async def discover(client: Client, unit: int) -> Device:
    """Find the marker of a unit and walk its model chain.

    The marker is looked for at 40000, 0 and 50000. Headers are read ahead in
    blocks; where a device refuses, one by one. A model that is not known is
    passed over by its length.

    Raises
    ------
    ModbusError
        When there is no marker or end, a length is impossible, there are more
        than 64 models, or a model is too short for its points.
    """
    words: dict[int, int] = {}

    async def header(address: int) -> tuple[int, int]:
        if address + 2 > _ADDRESSES:
            raise ModbusError("has a SunSpec chain that runs past the last register")
        if address not in words or address + 1 not in words:
            words.update(await _ahead(client, unit, address))
        return words[address], words[address + 1]

    found: list[Found] = []
    address = 2 + await _base(header)
    for _ in range(MAX_MODELS):
        model, length = await header(address)
        if model == models.END:
            return Device(unit, found)
        if model == 0 or length == 0 or address + 2 + length > _ADDRESSES:
            raise ModbusError(f"has SunSpec model {model} with the impossible length {length}")
        if model in models.MODELS and length + 2 < models.MODELS[model].needed:
            raise ModbusError(f"has SunSpec model {model} with only {length} registers")
        found.append(Found(model, address, length))
        address += 2 + length
    raise ModbusError(f"has a SunSpec chain of more than {MAX_MODELS} models")


async def _base(header: Callable[[int], Awaitable[tuple[int, int]]]) -> int:
    """Return where the marker stands."""
    refusal: RefusedError | None = None
    answered = False
    for base in models.BASES:
        try:
            if await header(base) == models.MARKER:
                return base
            answered = True
        except RefusedError as error:
            refusal = refusal or error
    if refusal is not None and not answered:
        raise refusal
    raise ModbusError("has no SunSpec marker at register 40000, 0 or 50000")


async def _ahead(client: Client, unit: int, address: int) -> dict[int, int]:
    count = min(MAX_READ, _ADDRESSES - address)
    try:
        words = await client.read(unit, _READ, address, count)
    except RefusedError as error:
        if error.exception_code not in (ILLEGAL_ADDRESS, ILLEGAL_VALUE):
            raise
        words = await client.read(unit, _READ, address, 2)
    return dict(zip(range(address, address + len(words)), words, strict=True))
