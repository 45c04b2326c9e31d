"""Events in a file, as OpenADR 3 writes them.

One event object, a list of them, or ``{"events": [...]}``: ``programID``, ``eventName``,
``intervalPeriod`` with ``start`` and ``duration``, and ``intervals`` whose ``payloads`` hold one of
``IMPORT_CAPACITY_LIMIT`` and ``EXPORT_CAPACITY_LIMIT`` in kW. An interval without a period of its
own follows the one before it and lasts as long as the event says. Other members are passed over;
what would change the meaning of the limits is refused (OpenADR 3.1, Definition, event and
intervalPeriod).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from grid import interval
from grid.errors import BadInputError
from grid.store.events import EventKind

PAYLOADS: Final[Mapping[str, EventKind]] = {
    "IMPORT_CAPACITY_LIMIT": EventKind.IMPORT_LIMIT,
    "EXPORT_CAPACITY_LIMIT": EventKind.EXPORT_LIMIT,
}
BYTES_MAX: Final = 1_000_000
EVENTS_MAX: Final = 100
INTERVALS_MAX: Final = 1000
POWER_MAX_KW: Final = 1e6
_DURATION = re.compile(
    r"P(?:([0-9]{1,4})D)?(?:T(?:([0-9]{1,5})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,7})S)?)?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class FileEvent:
    """An event of a file.

    Attributes
    ----------
    kind : EventKind
    start_s, end_s : int
        Seconds UTC.
    powers_w : tuple of int
        The limit in each of the site's intervals.
    program, name : str
        ``programID`` and ``eventName``.
    """

    kind: EventKind
    start_s: int
    end_s: int
    powers_w: tuple[int, ...]
    program: str
    name: str


def read(path: Path, step_s: int) -> list[FileEvent]:
    """Return the events of a file, all of them or none.

    Parameters
    ----------
    step_s : int
        Length of the site's intervals.

    Raises
    ------
    BadInputError
        Naming file, event, member, value and limit.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path.name}: {error.strerror or error}") from error
    return parse(content, step_s, path.name)


def parse(content: bytes, step_s: int, name: str = "events.json") -> list[FileEvent]:
    """Return the events of a text; as :func:`read`."""
    if len(content) > BYTES_MAX:
        raise BadInputError(f"{name} has {len(content)} bytes, may have {BYTES_MAX}")
    try:
        told = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{name} is no JSON: {error}") from error
    if isinstance(told, dict) and "events" in told:
        told = told["events"]
    listed = told if isinstance(told, list) else [told]
    if not 1 <= len(listed) <= EVENTS_MAX:
        raise BadInputError(f"{name} has {len(listed)} events, must have 1 to {EVENTS_MAX}")
    return [_event(one, step_s, f"{name} event {n + 1}") for n, one in enumerate(listed)]


def _event(told: Any, step_s: int, where: str) -> FileEvent:
    one = _object(told, where)
    if one.get("objectType", "EVENT") != "EVENT":
        raise BadInputError(f"{where}: objectType is {one['objectType']!r}, must be EVENT")
    descriptors = one.get("payloadDescriptors") or []
    if not isinstance(descriptors, list):
        raise BadInputError(f"{where}: payloadDescriptors must be a list")
    for descriptor in descriptors:
        units = _object(descriptor, f"{where} payloadDescriptors").get("units")
        if units not in (None, "KW"):
            raise BadInputError(f"{where}: units are {units!r}, must be KW")
    period = one.get("intervalPeriod")
    usual = None if period is None else _period(period, f"{where} intervalPeriod", None)
    intervals = one.get("intervals")
    if not isinstance(intervals, list) or not 1 <= len(intervals) <= INTERVALS_MAX:
        raise BadInputError(f"{where}: intervals must be a list of 1 to {INTERVALS_MAX}")
    program, name = (
        _text(one.get(key, ""), f"{where} {key}") for key in ("programID", "eventName")
    )
    if not program:
        raise BadInputError(f"{where}: programID is missing")
    begins = []
    powers: list[int] = []
    kinds = set()
    next_s: int | None = None
    for number, told_of in enumerate(intervals):
        at = f"{where} interval {number + 1}"
        inner = _object(told_of, at)
        start_s, length_s = _span(inner, at, usual, next_s)
        if length_s <= 0 or length_s % step_s or length_s > INTERVALS_MAX * step_s:
            raise BadInputError(
                f"{at}: lasts {length_s} s, must be whole intervals of {step_s} s, at most "
                f"{INTERVALS_MAX}"
            )
        kind, power_w = _payload(inner, at)
        begins.append(start_s)
        kinds.add(kind)
        powers += [power_w] * (length_s // step_s)
        next_s = start_s + length_s
    if len(kinds) > 1:
        raise BadInputError(f"{where}: limits import and export both; write two events")
    end_s = begins[0] + len(powers) * step_s
    return FileEvent(kinds.pop(), begins[0], end_s, tuple(powers), program, name)


def _span(
    inner: Mapping[str, Any], where: str, usual: tuple[int, int] | None, next_s: int | None
) -> tuple[int, int]:
    """Return start and length of an interval, which follows the one before it."""
    own = inner.get("intervalPeriod")
    if own is not None:
        start_s, length_s = _period(own, where, usual)
        if next_s is not None and start_s != next_s:
            raise BadInputError(
                f"{where}: starts at {interval.label(start_s)}, must follow the one before it at "
                f"{interval.label(next_s)}"
            )
        return start_s, length_s
    if usual is None:
        raise BadInputError(f"{where}: there is no intervalPeriod for it")
    return usual[0] if next_s is None else next_s, usual[1]


def _period(told: Any, where: str, usual: tuple[int, int] | None) -> tuple[int, int]:
    """Return start and length of a period, seconds."""
    one = _object(told, where)
    if _duration(one.get("randomizeStart") or "PT0S", where) != 0:
        raise BadInputError(f"{where}: randomizeStart is {one['randomizeStart']!r}, must be PT0S")
    start_s = interval.parse(_text(one.get("start"), f"{where} start"))
    if one.get("duration") is None and usual is not None:
        return start_s, usual[1]
    return start_s, _duration(one.get("duration"), where)


def _duration(told: Any, where: str) -> int:
    text = _text(told, f"{where} duration")
    found = _DURATION.fullmatch(text)
    if not found or not any(found.groups()):
        raise BadInputError(f"{where}: duration is {text[:20]!r}, must be like PT15M, PT2H or P1D")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return 86_400 * days + 3600 * hours + 60 * minutes + seconds


def _payload(member: Mapping[str, Any], where: str) -> tuple[EventKind, int]:
    payloads = member.get("payloads")
    if not isinstance(payloads, list) or len(payloads) != 1:
        raise BadInputError(f"{where}: must have one payload")
    one = _object(payloads[0], where)
    kind = PAYLOADS.get(str(one.get("type")))
    if kind is None:
        known = " or ".join(PAYLOADS)
        raise BadInputError(f"{where}: payload is {str(one.get('type'))[:40]!r}, must be {known}")
    values = one.get("values")
    value = values[0] if isinstance(values, list) and len(values) == 1 else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise BadInputError(f"{where}: values must be one number of kW")
    if not 0.0 <= value <= POWER_MAX_KW:
        told = str(value)[:20]
        raise BadInputError(f"{where}: {told} kW must be within 0 to {POWER_MAX_KW:g}")
    return kind, round(1000 * value)


def _object(told: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(told, dict):
        raise BadInputError(f"{where}: must be an object, is {str(told)[:40]!r}")
    return told


def _text(told: Any, where: str) -> str:
    if not isinstance(told, str):
        raise BadInputError(f"{where} must be a text, is {str(told)[:40]!r}")
    return told
