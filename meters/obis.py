"""OBIS codes (IEC 62056-61): the six numbers that name what a meter shows."""

from __future__ import annotations

import re

from grid.errors import BadInputError

_WRITTEN = re.compile(
    r"([0-9]{1,3})-([0-9]{1,3}):([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})(?:[.*]([0-9]{1,3}))?",
    re.ASCII,
)
_DOTTED = re.compile(r"([0-9]{1,3})" + r"\.([0-9]{1,3})" * 5, re.ASCII)


def parse(text: str) -> bytes:
    """Return the six bytes of a code such as ``1-0:1.8.0`` or ``1.0.1.8.0.255``.

    A code without its last group means 255, the current value.

    Raises
    ------
    BadInputError
        When the text is no OBIS code, or a group is above 255.
    """
    match = _WRITTEN.fullmatch(text) or _DOTTED.fullmatch(text)
    if match is None:
        raise BadInputError(f"{text!r} is not an OBIS code such as 1-0:1.8.0")
    groups = [255 if group is None else int(group) for group in match.groups()]
    if max(groups) > 255:
        raise BadInputError(f"OBIS code {text!r} has a group above 255")
    return bytes(groups)


def label(code: bytes) -> str:
    """Return the written form of six bytes, ``1-0:1.8.0``; the last group only when not 255."""
    if len(code) != 6:
        raise BadInputError(f"OBIS code {code.hex()} has {len(code)} bytes, must have 6")
    a, b, c, d, e, f = code
    return f"{a}-{b}:{c}.{d}.{e}" + ("" if f == 255 else f"*{f}")


CLOCK = parse("0-0:1.0.0")
DEVICE_NAME = parse("0-0:42.0.0")
INVOCATION_COUNTER = parse("0-0:43.1.0")
ASSOCIATION = parse("0-0:40.0.0")
SECURITY_SETUP = parse("0-0:43.0.0")
DISCONNECT = parse("0-0:96.3.10")
EVENT_CODE = parse("0-0:96.11.0")
EVENT_LOG = parse("1-0:99.98.0")
MAXIMUM_DEMAND = parse("1-0:1.6.0")
DEMAND = parse("1-0:1.4.0")
LOAD_PROFILE = parse("1-0:99.1.0")
VOLTAGE_L1 = parse("1-0:32.7.0")
ENERGY = (parse("1-0:1.8.0"), parse("1-0:2.8.0"), parse("1-0:3.8.0"), parse("1-0:4.8.0"))
"""Import and export of active and reactive energy, as ``meters.reading.CHANNELS``."""
