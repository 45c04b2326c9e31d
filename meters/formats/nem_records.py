"""The fields of NEM12 and NEM13 records: what each may hold, and its value.

After AEMO's Meter Data File Format specification: market time is UTC+10 all year;
energy from the market into a connection is "export" there (suffixes ``E``, ``Q``) and
our import, energy into the market ``B``, ``K`` and our export.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from grid.errors import BadInputError
from meters.formats.blocks import NOTHING, Ints
from meters.vee.quality import Quality

MARKET_OFFSET_S: Final = 36_000
INTERVALS_MIN: Final = (5, 15, 30)
"""What a channel of energy may have; others may have any whole part of an hour."""

_NMI: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,15}", re.ASCII)
_SUFFIX: Final = re.compile(r"[A-Za-z0-9]{2}", re.ASCII)
_FLAG: Final = re.compile(rb"(?:[ANV]|[EFS](?:[0-9]{2})?)")
_VALUES: Final = re.compile(rb"(?:(?:[0-9]{1,9}(?:\.[0-9]{0,6})?|\.[0-9]{1,6})?(?:,|$))*")
_VALUE: Final = re.compile(rb"(?:[0-9]{1,9}(?:\.[0-9]{0,6})?|\.[0-9]{1,6})?")
_DATE: Final = re.compile(rb"[0-9]{8}")
_STAMP: Final = re.compile(rb"[0-9]{8}(?:[0-9]{4}|[0-9]{6})?")
_READ: Final = re.compile(rb"(?=.{1,15}$)[0-9]+(?:\.[0-9]*)?")
_REASON: Final = re.compile(rb"[0-9]{0,3}")
MICRO: Final = 1_000_000

_SCALE: Final = {
    "wh": (1, MICRO),
    "kwh": (1, 1_000),
    "mwh": (1, 1),
    "gwh": (1_000, 1),
    "varh": (1, MICRO),
    "kvarh": (1, 1_000),
    "mvarh": (1, 1),
}
"""By unit: millionths of it × up / down are Wh or varh."""

_REGISTER: Final = {
    ("E", "wh"): "import_wh",
    ("B", "wh"): "export_wh",
    ("Q", "varh"): "import_varh",
    ("K", "varh"): "export_varh",
}

_LINEAR: Final = frozenset({"17", "54", "69"})


class Scale(NamedTuple):
    """What a channel adds to, and what a millionth of its unit is in Wh or varh."""

    register: str
    up: int
    down: int


def text(field: bytes) -> str:
    """Return a field for a message."""
    return repr(field[:40].decode("ascii", "replace"))


def nmi(field: bytes) -> str:
    """Return a National Metering Identifier, or another short identifier in its place."""
    found = field.decode("ascii", "replace")
    if not _NMI.fullmatch(found):
        raise BadInputError(f"NMI {text(field)}: must be 1 to 16 letters and digits")
    return found


def suffix(field: bytes) -> str:
    """Return a channel's two characters."""
    found = field.decode("ascii", "replace")
    if not _SUFFIX.fullmatch(found):
        raise BadInputError(f"NMISuffix {text(field)}: must be two letters or digits")
    return found.upper()


def channels(field: bytes) -> list[str]:
    """Return the suffixes of an NMI configuration such as ``E1B1Q1``; none when it is free text."""
    found = field.decode("ascii", "replace").upper()
    if len(found) % 2 or not found.isascii() or not found.isalnum():
        return []
    return [found[at : at + 2] for at in range(0, len(found), 2)]


def scale(letter: str, unit: str) -> Scale:
    """Return what a channel of that first letter and unit adds to; to no register, 1 / 1."""
    lower = unit.lower()
    kind = "varh" if lower.endswith("varh") else "wh"
    register = _REGISTER.get((letter, kind), "") if lower in _SCALE else ""
    return Scale(register, *(_SCALE[lower] if register else (1, 1)))


def flag(field: bytes, *, variable: bool = False) -> bytes:
    """Return a quality method: ``A``, ``N``, ``E52`` …, and ``V`` where it may vary."""
    if not _FLAG.fullmatch(field) or (field == b"V" and not variable):
        most = "A, N, V, or E, F, S" if variable else "A, N, or E, F, S"
        raise BadInputError(f"QualityMethod {text(field)}: must be {most} with a method")
    return field


@lru_cache(maxsize=256)
def quality(method: bytes) -> Quality:
    """Return what a quality method says in our words.

    ``A`` is valid and ``N`` missing. Estimates and substitutes, final or not, are by
    their method: linear (17, 54, 69), or else like other days, which takes in what was
    agreed, calculated or taken from a check meter.
    """
    word = method.decode("ascii")
    if word == "A":
        return Quality.VALID
    if word in ("N", "V"):
        return Quality.MISSING
    return Quality.ESTIMATED_LINEAR if word[1:] in _LINEAR else Quality.ESTIMATED_LIKE_DAY


@lru_cache(maxsize=4096)
def day_start(field: bytes) -> int:
    """Return the instant at which a day of market time begins."""
    try:
        if not _DATE.fullmatch(field):
            raise ValueError
        day = date(int(field[:4]), int(field[4:6]), int(field[6:]))
        if not 1980 <= day.year <= 2199:
            raise ValueError
    except ValueError as error:
        raise BadInputError(
            f"IntervalDate {text(field)}: must be a day YYYYMMDD of 1980 to 2199"
        ) from error
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) - MARKET_OFFSET_S


def instant(field: bytes, name: str) -> int:
    """Return the instant of a date and time of market time, to the second or minute or day."""
    found = field.strip()
    try:
        if not _STAMP.fullmatch(found):
            raise ValueError
        padded = found.ljust(14, b"0")
        parts = [int(padded[:4]), *(int(padded[at : at + 2]) for at in range(4, 14, 2))]
        moment = datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]  # as many as matched
        if not 1980 <= moment.year <= 2199:
            raise ValueError
    except ValueError as error:
        raise BadInputError(
            f"{name} {text(field)}: must be YYYYMMDD[hhmm[ss]] of 1980 to 2199"
        ) from error
    return int(moment.timestamp()) - MARKET_OFFSET_S


def optional_instant(field: bytes, name: str) -> None:
    """Check a date and time that may be left out."""
    if field.strip():
        instant(field, name)


def reason(field: bytes) -> None:
    """Check a reason code."""
    if not _REASON.fullmatch(field):
        raise BadInputError(f"ReasonCode {text(field)}: must be up to 3 digits")


def interval_s(field: bytes, register: str) -> int:
    """Return an interval length in seconds."""
    minutes = int(field) if field.isdigit() and len(field) <= 2 else 0
    if register and minutes not in INTERVALS_MIN:
        raise BadInputError(f"IntervalLength {text(field)}: must be 5, 15 or 30 minutes")
    if not minutes or 60 % minutes:
        raise BadInputError(f"IntervalLength {text(field)}: must be a whole part of an hour")
    return 60 * minutes


def micro(fields: list[bytes]) -> Ints:
    """Return interval values in millionths of their unit, NOTHING where empty.

    A float64 holds each of them: at most 15 digits, and rounded once.
    """
    if not _VALUES.fullmatch(b",".join(fields)):
        at, bad = next((i, f) for i, f in enumerate(fields, 1) if not _VALUE.fullmatch(f))
        raise BadInputError(
            f"IntervalValue{at} {text(bad)}: must be a decimal of at most 9 digits before "
            "and 6 after the point, not negative"
        )
    empty = b"" in fields
    numbers = map(float, [one or b"0" for one in fields] if empty else fields)
    values = np.rint(np.fromiter(numbers, np.float64, len(fields)) * MICRO).astype(np.int64)
    if empty:
        values[[at for at, one in enumerate(fields) if not one]] = NOTHING
    return values


def quantity_micro(field: bytes) -> int:
    """Return an accumulated quantity in millionths of its unit; a correction is negative."""
    if not _VALUE.fullmatch(field.removeprefix(b"-")) or not field.strip(b"-"):
        raise BadInputError(
            f"Quantity {text(field)}: must be a decimal of at most 9 digits before and 6 after "
            "the point"
        )
    return round(float(field) * MICRO)


def register_read(field: bytes, name: str) -> None:
    """Check what a register showed."""
    if not _READ.fullmatch(field):
        raise BadInputError(f"{name} {text(field)}: must be a decimal of at most 15 characters")
