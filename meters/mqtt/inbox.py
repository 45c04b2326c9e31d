"""Messages to samples with a memory: what is new, stuck, stale, strange; still no socket.

It holds one small state per sensor of the site and nothing per topic or message,
so that no flood makes it grow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from grid import interval
from grid.errors import Finding, Severity
from grid.site_sensors import Sensor
from meters.mqtt.mapping import Message, PayloadError, SensorSample, TimeError, read
from meters.vee import Quality

FINDING_S = 900
"""One finding of a kind is made of a sensor in so many seconds; the others are counted."""
_SHOWN = 60


@dataclass(slots=True)
class _State:
    """What is known of a sensor.

    Attributes
    ----------
    at_s, value : of the newest sample.
    since_s : int
        Since when the value has not changed.
    fresh_s : int
        Instant of the newest sample that was not retained.
    """

    fresh_s: int
    at_s: int = -1
    value: float | None = None
    since_s: int = -1
    stale: bool = False


def covers(wanted: str, topic: str) -> bool:
    """Return whether a topic filter lets a topic through (MQTT 5, section 4.7)."""
    levels, parts = wanted.split("/"), topic.split("/")
    if topic.startswith("$") and levels[0] in ("+", "#"):
        return False
    if levels[-1] == "#":
        levels.pop()
        parts = parts[: len(levels)]
    return len(levels) == len(parts) and all(
        level in ("+", part) for level, part in zip(levels, parts, strict=True)
    )


class Inbox:
    """Samples of a site's sensors from their messages.

    Parameters
    ----------
    sensors : iterable of Sensor
        With distinct ids.
    now_s : int
        Seconds UTC from which a sensor that says nothing is waited for.

    Attributes
    ----------
    counts : Counter
        ``messages``, ``samples``, ``duplicates``, ``crowded`` (a second one of the
        same second by a sensor without a clock), ``late``, ``retained``, ``refused``,
        ``unknown``, ``suspect``, ``missing``.
    """

    def __init__(self, sensors: Iterable[Sensor], *, now_s: int) -> None:
        self._by_topic: dict[str, list[Sensor]] = {}
        self._state: dict[str, _State] = {}
        self._sensors: list[Sensor] = []
        for sensor in sensors:
            self._by_topic.setdefault(sensor.topic, []).append(sensor)
            self._state[sensor.id] = _State(fresh_s=now_s)
            self._sensors.append(sensor)
        self._told: dict[tuple[str, str], int] = {}
        self._findings: list[Finding] = []
        self.counts: Counter[str] = Counter()

    def filters(self, beside: Sequence[str]) -> list[str]:
        """Return what to subscribe to: `beside`, and the sensors' topics that it does not cover.

        A broker may send a message once for each filter that lets it through.
        """
        rest = (topic for topic in self._by_topic if not any(covers(one, topic) for one in beside))
        return [*beside, *sorted(rest)]

    def restore(self, sensor: str, *, at_s: int, value: float | None, since_s: int) -> None:
        """Take up what was stored of a sensor: its newest value and since when it is so."""
        state = self._state[sensor]
        state.at_s, state.value, state.since_s = at_s, value, since_s

    def take(self, message: Message) -> list[SensorSample]:
        """Return what a message adds to what is known of the sensors of its topic."""
        self.counts["messages"] += 1
        sensors = self._by_topic.get(message.topic)
        if sensors is None:
            self.counts["unknown"] += 1
            topic = ascii(message.topic[:_SHOWN])
            self._tell("unknown", "mqtt", message.at_s, f"no sensor is mapped to {topic}")
            return []
        found = (self._one(sensor, message) for sensor in sensors)
        return [sample for sample in found if sample is not None]

    def _one(self, sensor: Sensor, message: Message) -> SensorSample | None:
        try:
            sample = read(sensor, message)
        except PayloadError as error:
            self.counts["refused"] += 1
            kind = "clock" if isinstance(error, TimeError) else "payload"
            self._tell(kind, sensor.id, message.at_s, f"{sensor.topic} {error}")
            return None
        if message.retained:
            self.counts["retained"] += 1
        return None if sample is None else self._known(sensor, sample)

    def _known(self, sensor: Sensor, sample: SensorSample) -> SensorSample | None:
        """Return the sample with what the ones before it say of it, ``None`` of a repeated one."""
        state = self._state[sensor.id]
        if sample.at_s == state.at_s:
            if sample.value == state.value or not sensor.time:
                self.counts["duplicates" if sample.value == state.value else "crowded"] += 1
                self._heard(state, sample)
                return None
            state.value, state.since_s = sample.value, sample.at_s
        elif sample.at_s < state.at_s:
            self.counts["late"] += 1
        else:
            # What a sensor showed through a silence nobody knows: the run begins anew.
            silent = sample.at_s - state.at_s > sensor.stale_after_s
            if sample.value != state.value or silent or state.since_s < 0:
                state.since_s = sample.at_s
            state.at_s, state.value = sample.at_s, sample.value
            sample = self._stuck(sensor, state, sample)
        self._heard(state, sample)
        self.counts["samples"] += 1
        if sample.quality is Quality.MISSING:
            self.counts["missing"] += 1
        elif sample.quality is Quality.SUSPECT:
            self.counts["suspect"] += 1
            self._strange(sensor, sample)
        return sample

    @staticmethod
    def _heard(state: _State, sample: SensorSample) -> None:
        if not sample.retained and sample.at_s > state.fresh_s:
            state.fresh_s, state.stale = sample.at_s, False

    def _stuck(self, sensor: Sensor, state: _State, sample: SensorSample) -> SensorSample:
        limit_s = sensor.suspect_after_s
        for_s = sample.at_s - state.since_s
        if sample.value is None or limit_s == 0 or for_s < limit_s:
            return sample
        text = f"has shown exactly {sample.value:g} for {for_s} s, limit is {limit_s} s"
        self._tell("stuck", sensor.id, sample.received_s, text)
        return replace(sample, quality=Quality.SUSPECT)

    def _strange(self, sensor: Sensor, sample: SensorSample) -> None:
        low, high = sensor.bounds
        if sample.value is not None and not low <= sample.value <= high:
            unit = sensor.quantity.unit
            text = f"shows {sample.value:g} {unit}, must be within {low:g} to {high:g}"
            self._tell("range", sensor.id, sample.received_s, text)

    def stale(self, now_s: int) -> list[SensorSample]:
        """Return a missing sample for each sensor that has just been silent for too long.

        It stands where the last sample stopped being true, so that nobody holds it on.
        """
        samples = []
        for sensor in self._sensors:
            state = self._state[sensor.id]
            end_s = state.fresh_s + sensor.stale_after_s
            if state.stale or now_s <= end_s:
                continue
            state.stale = True
            last = "never" if state.at_s < 0 else interval.label(state.fresh_s)
            text = f"is silent: heard {last}, limit is {sensor.stale_after_s} s"
            self._tell("stale", sensor.id, now_s, text)
            self.counts["missing"] += 1
            samples.append(SensorSample(sensor.id, end_s, None, Quality.MISSING, False, now_s))
        return samples

    def findings(self) -> list[Finding]:
        """Return the findings made since this was last asked, in their order."""
        found, self._findings = self._findings, []
        return found

    def _tell(self, kind: str, subject: str, at_s: int, text: str) -> None:
        # By our clock, which a sensor's own times cannot turn back.
        quarter_s = interval.floor(at_s, FINDING_S)
        key = (f"sensor.{kind}", subject)
        if self._told.get(key) == quarter_s:
            self.counts["findings not told"] += 1
            return
        self._told[key] = quarter_s
        at = interval.label(quarter_s)
        self._findings.append(Finding(key[0], subject, at, Severity.WARNING, f"{subject} {text}"))
