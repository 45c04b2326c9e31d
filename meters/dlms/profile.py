"""Which objects a make of DLMS meter has: ``meters/profiles/NAME.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache
from importlib.resources import files
from typing import Any

from grid import ids, interval
from grid.errors import BadInputError
from meters import obis
from meters.dlms import cosem
from meters.dlms.xdlms import Attribute
from meters.reading import CHANNELS

_KEYS = {
    *("title", "protocol", "clock", "load_profile", "voltage", "standard_zone"),
    *("client_wport", "register", "invocation_counter", "disconnect", "event_log", "event_code"),
    "general_blocks",
    "security_setup",
}

_OPTIONAL = ("invocation_counter", "disconnect", "event_log", "event_code", "security_setup")


@dataclass(frozen=True, slots=True)
class Profile:
    """The objects that are read, and the client that may read them.

    Attributes
    ----------
    name, title : str
    clock : Attribute
        The time of the Clock.
    registers : tuple of Attribute
        Values of the four energy registers, in channel order.
    load_profile : bytes
        Logical name of the ProfileGeneric.
    voltage : Attribute or None
        Value of a phase voltage.
    client_wport : tuple of (str, int)
        Wrapper port of the client for each way to authenticate.
    zone : tzinfo or None
        For meters that leave their deviation unspecified.
    invocation_counter : bytes or None
        Logical name of the Data that shows the client's counter to everybody.
    disconnect, event_log, event_code, security_setup : bytes
        Logical names of the Disconnect control, the standard event log and its code, and the
        Security setup that takes new keys.
    general_blocks : bool
        Propose general block transfer, for meters that do it better than data blocks.
    """

    name: str
    title: str
    clock: Attribute
    registers: tuple[Attribute, ...]
    load_profile: bytes
    voltage: Attribute | None
    client_wport: tuple[tuple[str, int], ...]
    zone: tzinfo | None
    invocation_counter: bytes | None = obis.INVOCATION_COUNTER
    disconnect: bytes = obis.DISCONNECT
    event_log: bytes = obis.EVENT_LOG
    event_code: bytes = obis.EVENT_CODE
    general_blocks: bool = False
    security_setup: bytes = obis.SECURITY_SETUP


@lru_cache(maxsize=64)
def load_profile(name: str) -> Profile:
    """Return the profile `name` of ``meters/profiles``.

    Raises
    ------
    BadInputError
        When there is none, or it has an unknown key or a wrong value.
    """
    ids.check(name, "meter profile")
    source = files("meters").joinpath("profiles", f"{name}.toml")
    if not source.is_file():
        raise BadInputError(f"meter profile {name!r} does not exist")
    return parse_profile(name, source.read_text(encoding="utf-8"))


def parse_profile(name: str, text: str) -> Profile:
    """Return the profile written in `text`; see :func:`load_profile`."""
    where = f"meter profile {name}"
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{where}: {error}") from error
    if table.get("protocol") != "dlms":
        raise BadInputError(f'{where} has no protocol = "dlms"')
    _only(table, _KEYS, where)
    registers = _table(table, "register", where)
    _only(registers, set(CHANNELS), f"{where} [register]")
    ports = _table(table, "client_wport", where)
    _only(ports, {"none", "lls", "hls-gmac"}, f"{where} [client_wport]")
    for auth, port in ports.items():
        if type(port) is not int or not 0 < port < 0x10000:
            raise BadInputError(f"{where}: client_wport.{auth} is {port!r}, must be 1 to 65535")
    zone = table.get("standard_zone")
    voltage = table.get("voltage")
    general_blocks = table.get("general_blocks", False)
    if type(general_blocks) is not bool:
        raise BadInputError(f"{where}: general_blocks is {general_blocks!r}, must be true or false")
    return Profile(
        name=name,
        title=str(table.get("title", name)),
        clock=Attribute(cosem.CLOCK, _code(table, "clock", where), 2),
        registers=tuple(
            Attribute(cosem.REGISTER, _code(registers, channel, where), 2) for channel in CHANNELS
        ),
        load_profile=_code(table, "load_profile", where),
        voltage=voltage and Attribute(cosem.REGISTER, _code(table, "voltage", where), 2),
        client_wport=tuple(ports.items()),
        zone=None if zone is None else interval.zone(str(zone)),
        general_blocks=general_blocks,
        **{key: _code(table, key, where) for key in _OPTIONAL if key in table},
    )


def _only(table: dict[str, Any], known: set[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise BadInputError(f"{where}: unknown key {key!r}; known: {', '.join(sorted(known))}")


def _table(table: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    part = table.get(key)
    if not isinstance(part, dict):
        raise BadInputError(f"{where}: [{key}] is missing")
    return part


def _code(table: dict[str, Any], key: str, where: str) -> bytes:
    text = table.get(key)
    if not isinstance(text, str):
        raise BadInputError(f"{where}: {key} is {text!r}, must be an OBIS code in quotes")
    return obis.parse(text)
