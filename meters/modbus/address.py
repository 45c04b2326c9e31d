"""Who is asked: a unit id behind a gateway or on a serial line, by one url."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from grid.errors import BadInputError
from meters.modbus.client import FramingName
from meters.transport import Endpoint
from meters.transport import parse_url as parse_station

SCHEMES: dict[str, FramingName] = {"modbus": "tcp", "modbus-rtu": "rtu", "modbus+serial": "rtu"}
_RTU_UNITS = 247


@dataclass(frozen=True, slots=True, order=True)
class UnitAddress:
    """A unit behind a gateway or on a serial line."""

    framing: FramingName
    endpoint: Endpoint
    unit: int


@lru_cache(maxsize=1 << 16)
def parse_url(url: str) -> UnitAddress:
    """Return who is asked at a url.

    The forms are ``modbus://HOST:PORT/UNIT``, ``modbus-rtu://HOST:PORT/UNIT``
    (RTU frames over TCP) and ``modbus+serial:///dev/NAME/UNIT?baud=9600``.

    Raises
    ------
    BadInputError
        When the text has another form, or the unit is not 1 to 255, on a line
        1 to 247.
    """
    wrong = BadInputError(
        "url must be modbus://HOST:PORT/UNIT with a unit of 1 to 255, or modbus-rtu://HOST:PORT/"
        f"UNIT or modbus+serial:///dev/NAME/UNIT?baud=9600 with a unit of 1 to {_RTU_UNITS}"
    )
    scheme = url.partition(":")[0]
    if scheme not in SCHEMES:
        raise wrong
    try:
        station = parse_station(url)
    except BadInputError as error:
        said = str(error)
        raise (error if said.startswith("serial line") else wrong) from error
    framing = SCHEMES[scheme]
    if not 1 <= station.number <= (255 if framing == "tcp" else _RTU_UNITS):
        raise wrong
    return UnitAddress(framing, station.endpoint, station.number)
