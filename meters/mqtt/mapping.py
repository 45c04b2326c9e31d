"""One message of a sensor to one value and its time; no socket, no state.

What is not as the site file says is refused with the topic and the reason; the
payload itself is never shown beyond its first characters.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from grid import interval
from grid.errors import BadInputError, PeerError
from grid.site_sensors import PayloadForm, Sensor
from meters.vee import Quality

MAX_PAYLOAD = 4096
"""Bytes of a payload; a longer one is refused unread."""
AHEAD_S = 60
"""How far the clock of a sensor may be ahead of ours."""
BEHIND_S = 7 * interval.DAY_S
"""How old a sample may be when it comes."""

_NUMBER = re.compile(
    r"[+-]?([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE][+-]?[0-9]{1,3})?", re.ASCII
)
_STATES = {
    **dict.fromkeys(("1", "true", "on", "yes", "open"), 1.0),
    **dict.fromkeys(("0", "false", "off", "no", "closed"), 0.0),
}
_UNKNOWN = ("", "null", "nan", "none", "unknown", "unavailable")
_INDEX = re.compile(r"0|[1-9][0-9]{0,5}", re.ASCII)
_YEAR_2000_S, _YEAR_2200_S = 946_684_800, 7_258_118_400
_SHOWN = 40


class PayloadError(PeerError):
    """A message is not what the site file says of its sensor."""


class TimeError(PayloadError):
    """A message is of a time at which its sensor cannot have measured it."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it came.

    Attributes
    ----------
    topic : str
    payload : bytes
    retained : bool
        The broker kept it from before we asked: nobody knows how old it is.
    at_s : int
        Seconds UTC of its arrival.
    """

    topic: str
    payload: bytes
    retained: bool
    at_s: int


@dataclass(frozen=True, slots=True)
class SensorSample:
    """What a sensor measured at one instant.

    Attributes
    ----------
    sensor : str
    at_s : int
        Seconds UTC, by the sensor's own clock where it tells one.
    value : float or None
        In the unit of the sensor's kind; ``None`` when it is missing.
    quality : Quality
        ``VALID``, ``SUSPECT`` or ``MISSING``.
    retained : bool
        It came out of the broker's memory and says nothing of now.
    received_s : int
    """

    sensor: str
    at_s: int
    value: float | None
    quality: Quality
    retained: bool
    received_s: int


def read(sensor: Sensor, message: Message) -> SensorSample | None:
    """Return the sample in a message, ``None`` when its instant cannot be known.

    That is so for a retained message without a time of its own. A value beyond
    the sensor's range is kept, as suspect; one beyond what its kind can be, too.

    Raises
    ------
    PayloadError
        When the payload has another form, no such value, or no number in it;
        :class:`TimeError` when its time is ahead of our clock by more than
        `AHEAD_S`, or older than `BEHIND_S`.
    """
    value, at_s = decode(sensor, message.payload)
    if at_s is None:
        if message.retained:
            return None
        at_s = message.at_s
    elif not message.at_s - BEHIND_S <= at_s <= message.at_s + AHEAD_S:
        limits = f"must be within {BEHIND_S} s before to {AHEAD_S} s after"
        raise TimeError(f"is of {interval.label(at_s)}, {limits} {interval.label(message.at_s)}")
    low, high = sensor.bounds
    if value is None:
        quality = Quality.MISSING
    else:
        quality = Quality.VALID if low <= value <= high else Quality.SUSPECT
    return SensorSample(sensor.id, at_s, value, quality, message.retained, message.at_s)


def decode(sensor: Sensor, payload: bytes) -> tuple[float | None, int | None]:
    """Return the value and the time that a payload states, ``None`` what it leaves open.

    Raises
    ------
    PayloadError
        When it is longer than `MAX_PAYLOAD`, or not of the sensor's form.
    """
    if len(payload) > MAX_PAYLOAD:
        raise PayloadError(f"has {len(payload)} bytes, limit is {MAX_PAYLOAD}")
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PayloadError(f"byte {error.start} is not UTF-8") from None
    if sensor.payload is not PayloadForm.JSON:
        return _value(sensor, text), None
    content = _json(text)
    value = _value(sensor, _at(content, sensor.value))
    return value, _time(_at(content, sensor.time)) if sensor.time else None


def _value(sensor: Sensor, said: Any) -> float | None:
    """Return a value as the sensor's kind counts it."""
    if isinstance(said, bool):
        said = "on" if said else "off"
    if said is None or (isinstance(said, str) and said.strip().lower() in _UNKNOWN):
        return None
    if isinstance(said, str):
        return _of_text(sensor, said.strip())
    if not isinstance(said, int | float):
        raise PayloadError(f"has {_shown(said)} where a number must be")
    return _finite(said)


def _of_text(sensor: Sensor, text: str) -> float:
    states = sensor.quantity.on_off or sensor.payload is PayloadForm.BOOLEAN
    if states and (state := _STATES.get(text.lower())) is not None:
        return state
    if sensor.payload is PayloadForm.BOOLEAN or not _NUMBER.fullmatch(text):
        wanted = "a state such as on or off" if states else "a number"
        raise PayloadError(f"has {_shown(text)}, must be {wanted}")
    return _finite(text)


def _finite(said: str | int | float) -> float:
    try:
        value = float(said)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise PayloadError(f"has {_shown(said)}, must be a finite number")
    return value + 0.0  # -0.0 and 0.0 are one value


def _json(text: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) < len(pairs):
            raise ValueError
        return members

    def constant(name: str) -> None:
        return None if name == "NaN" else _refuse_constant(name)

    try:
        return json.loads(text, object_pairs_hook=once, parse_constant=constant)
    except (ValueError, RecursionError):
        raise PayloadError(f"{_shown(text)} is not JSON, each name once") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _at(content: Any, pointer: str) -> Any:
    """Return what a JSON pointer (RFC 6901) leads to."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(content, dict) and name in content:
            content = content[name]
        elif isinstance(content, list) and _INDEX.fullmatch(name) and int(name) < len(content):
            content = content[int(name)]
        else:
            raise PayloadError(f"has nothing at {pointer}")
    return content


def _time(said: Any) -> int:
    """Return the seconds UTC of an ISO 8601 text, of Unix seconds or of milliseconds."""
    if isinstance(said, str) and not _NUMBER.fullmatch(said.strip()):
        try:
            return interval.parse(said.strip())
        except (BadInputError, OverflowError):
            raise TimeError(f"time {_shown(said)} is no ISO 8601 time with a zone") from None
    if isinstance(said, bool) or not isinstance(said, str | int | float):
        raise TimeError(f"time {_shown(said)} is no time")
    seconds = _finite(said)
    if seconds >= 1000 * _YEAR_2000_S:
        seconds /= 1000
    if not _YEAR_2000_S <= seconds < _YEAR_2200_S:
        raise TimeError(f"time {_shown(said)} is neither seconds nor milliseconds since 1970")
    return int(seconds)


def _shown(said: Any) -> str:
    if isinstance(said, int) and said.bit_length() > 128:
        return "a number of many digits"
    if isinstance(said, dict | list):
        return "an object" if isinstance(said, dict) else "a list"
    return ascii(said[:_SHOWN] if isinstance(said, str) else said)[: 2 * _SHOWN]
