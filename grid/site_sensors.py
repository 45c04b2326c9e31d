"""The sensors of a site that speak MQTT, and the broker they speak to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address

from grid.ids import SensorId, UsagePointId
from grid.site_facts import Fault, outside, refuse

TOPIC_LENGTH = 256
POINTER_LENGTH, POINTER_DEPTH = 256, 16
_HOUR_S, _DAY_S = 3600, 86_400
_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}", re.ASCII)
_BAD_ESCAPE = re.compile(r"~(?![01])")


@dataclass(frozen=True, slots=True)
class Quantity:
    """What one kind of sensor measures.

    Attributes
    ----------
    unit : str
    low, high : float
        Beyond them no instrument of the kind can be right.
    stuck_after_s : int
        A value that stays exactly the same for longer is suspect; 0: it may stay for ever,
        as a lamp that is off or the dark of a night.
    on_off : bool
        Whether it is a state: 1 or 0.
    """

    unit: str
    low: float
    high: float
    stuck_after_s: int = 0
    on_off: bool = False


QUANTITIES: dict[str, Quantity] = {
    "temperature_celsius": Quantity("celsius", -60.0, 70.0, 12 * _HOUR_S),
    "water_temperature_celsius": Quantity("celsius", -5.0, 120.0),
    "humidity_percent": Quantity("percent", 0.0, 100.0, _DAY_S),
    "pressure_hpa": Quantity("hpa", 300.0, 1_100.0, _DAY_S),
    "pm25_ug_m3": Quantity("ug_m3", 0.0, 2_000.0, 12 * _HOUR_S),
    "pm10_ug_m3": Quantity("ug_m3", 0.0, 5_000.0, 12 * _HOUR_S),
    "no2_ug_m3": Quantity("ug_m3", 0.0, 5_000.0, _DAY_S),
    "ozone_ug_m3": Quantity("ug_m3", 0.0, 2_000.0, _DAY_S),
    "co2_ppm": Quantity("ppm", 250.0, 20_000.0, 12 * _HOUR_S),
    "noise_db": Quantity("db", 0.0, 160.0, 6 * _HOUR_S),
    "illuminance_lux": Quantity("lux", 0.0, 200_000.0, 2 * _DAY_S),
    "irradiance_w_m2": Quantity("w_m2", -10.0, 1_800.0, 2 * _DAY_S),
    "wind_speed_m_s": Quantity("m_s", 0.0, 120.0, 2 * _DAY_S),
    "rain_mm": Quantity("mm", 0.0, 1_000.0),
    "water_level_m": Quantity("m", -100.0, 1_000.0),
    "street_light_w": Quantity("w", 0.0, 5_000.0),
    "street_light_percent": Quantity("percent", 0.0, 100.0),
    "street_light_on": Quantity("on", 0.0, 1.0, on_off=True),
    "door_open": Quantity("open", 0.0, 1.0, on_off=True),
}
"""Kinds of sensor; the last word of each is its unit."""


class PayloadForm(StrEnum):
    """How a sensor writes its messages."""

    NUMBER = "number"
    BOOLEAN = "boolean"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Sensor:
    """A sensor: what it measures, where, and how its messages are read.

    `value` and `time` are JSON pointers (RFC 6901); without `time` a message is as of its
    arrival. `range` narrows what its kind allows; `stuck_after_s` below 0 is the kind's own.
    """

    id: SensorId
    kind: str
    topic: str
    usage_point: UsagePointId | None = None
    location: str = ""
    payload: PayloadForm = PayloadForm.NUMBER
    value: str = ""
    time: str = ""
    stale_after_s: int = 900
    stuck_after_s: int = -1
    range: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        name = f"sensor {self.id}"
        limits = {"stale_after_s": (1, 30 * _DAY_S), "stuck_after_s": (-1, 400 * _DAY_S)}
        faults = outside(self, name, **limits)
        if self.kind not in QUANTITIES:
            message = f"kind is {self.kind!r}, must be one of {', '.join(QUANTITIES)}"
            faults.append(("kind", f"{name}: {message}"))
        elif fault := _outside_kind(self.range, QUANTITIES[self.kind]):
            faults.append(("range", f"{name}: {fault}"))
        if (self.usage_point is None) == (self.location == ""):
            faults.append(("usage_point", f"{name}: has a usage_point or else a location"))
        if fault := topic_fault(self.topic, wildcards=False):
            faults.append(("topic", f"{name}: topic {fault}"))
        refuse(faults + self._pointer_faults(name))

    def _pointer_faults(self, name: str) -> list[Fault]:
        faults: list[Fault] = []
        for key, text in (("value", self.value), ("time", self.time)):
            if text and self.payload is not PayloadForm.JSON:
                faults.append((key, f"{name}: {key} is for payload = 'json'"))
            elif fault := _pointer_fault(text):
                faults.append((key, f"{name}: {key} {fault}"))
        return faults

    @property
    def quantity(self) -> Quantity:
        """What it measures."""
        return QUANTITIES[self.kind]

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and highest value that is not suspect."""
        return (self.range[0], self.range[1]) if self.range else self.limits

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and highest value that its kind can have."""
        return self.quantity.low, self.quantity.high

    @property
    def suspect_after_s(self) -> int:
        """Seconds after which an unchanged value is suspect; 0: never."""
        return self.quantity.stuck_after_s if self.stuck_after_s < 0 else self.stuck_after_s


@dataclass(frozen=True, slots=True)
class Mqtt:
    """The MQTT broker of a site's sensors.

    `password_file` and `ca_file` are paths from the site's folder; without `ca_file` the
    machine's certificate authorities are trusted. `subscribe` are topic filters beside the
    sensors' own topics: what nothing is mapped to is counted and named, not stored.
    """

    host: str
    port: int = 1883
    tls: bool = False
    ca_file: str = ""
    user: str = ""
    password_file: str = ""
    subscribe: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        faults = outside(self, "[mqtt]", port=(1, 65_535))
        if not _HOST.fullmatch(self.host):
            faults.append(("host", f"[mqtt]: host {self.host!r} is not a host name or address"))
        if self.password_file and not self.user:
            faults.append(("password_file", "[mqtt]: a password_file needs a user"))
        if self.ca_file and not self.tls:
            faults.append(("ca_file", "[mqtt]: a ca_file needs tls = true"))
        if self.password_file and not self.tls and not _is_loopback(self.host):
            message = f"the password would go to {self.host} in clear: set tls = true"
            faults.append(("password_file", f"[mqtt]: {message}"))
        for topic in self.subscribe:
            if fault := topic_fault(topic, wildcards=True):
                faults.append(("subscribe", f"[mqtt]: {fault}"))
        refuse(faults)


def _outside_kind(span: tuple[float, ...], quantity: Quantity) -> str:
    if not span:
        return ""
    if len(span) != 2 or not quantity.low <= span[0] < span[1] <= quantity.high:
        limits = f"[LOW, HIGH] within {quantity.low:g} to {quantity.high:g}"
        return f"range is {list(span)}, must be {limits}"
    return ""


def topic_fault(topic: str, *, wildcards: bool) -> str:
    """Return what is wrong with a topic, or with a topic filter; empty when nothing is."""
    if not topic or len(topic.encode(errors="replace")) > TOPIC_LENGTH or not topic.isprintable():
        return f"{topic[:40]!r} must be 1 to {TOPIC_LENGTH} printable bytes"
    levels = topic.split("/")
    if not wildcards:
        return f"{topic!r} must have no + or #" if "+" in topic or "#" in topic else ""
    whole = all(level in ("+", "#") or not set(level) & {"+", "#"} for level in levels)
    if not whole or "#" in levels[:-1]:
        return f"{topic!r} must have + for a whole level and # for the last"
    return ""


def _pointer_fault(text: str) -> str:
    if not text:
        return ""
    if len(text) > POINTER_LENGTH or not text.startswith("/") or _BAD_ESCAPE.search(text):
        return f"{text[:40]!r} is not a JSON pointer such as /data/temperature"
    if text.count("/") > POINTER_DEPTH:
        return f"{text[:40]!r} has {text.count('/')} steps, must be within {POINTER_DEPTH}"
    return ""


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
