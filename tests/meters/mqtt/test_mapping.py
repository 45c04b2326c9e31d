"""Messages of sensors become samples, or are refused by name; nothing else can happen."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid import interval
from grid.ids import SensorId
from grid.site_sensors import PayloadForm, Sensor
from meters.mqtt.inbox import Inbox, covers
from meters.mqtt.mapping import (
    AHEAD_S,
    BEHIND_S,
    MAX_PAYLOAD,
    Message,
    PayloadError,
    SensorSample,
    TimeError,
    decode,
    read,
)
from meters.vee import Quality

NOW_S = interval.parse("2026-05-29T12:00Z")


def _sensor(**facts: Any) -> Sensor:
    given_facts = {"kind": "temperature_celsius", "topic": "city/t", "location": "square"} | facts
    return Sensor(id=SensorId("S-1"), **given_facts)


PLAIN = _sensor()
STATE = _sensor(kind="street_light_on", payload=PayloadForm.BOOLEAN)
JSON = _sensor(payload=PayloadForm.JSON, value="/d/0/t", time="/at")
WHOLE = _sensor(payload=PayloadForm.JSON)
FORMS = (PLAIN, STATE, JSON, WHOLE)


def _message(payload: bytes | str, *, retained: bool = False, at_s: int = NOW_S) -> Message:
    raw = payload.encode() if isinstance(payload, str) else payload
    return Message("city/t", raw, retained, at_s)


def _timed(value: object, at: object) -> Message:
    return _message(json.dumps({"d": [{"t": value}], "at": at}))


GOOD = [
    (PLAIN, "21.5", 21.5, None),
    (PLAIN, " -3\n", -3.0, None),
    (PLAIN, "1.5e1", 15.0, None),
    (PLAIN, "-0", 0.0, None),
    (PLAIN, "unavailable", None, None),
    (PLAIN, "", None, None),
    (STATE, "ON", 1.0, None),
    (STATE, "false", 0.0, None),
    (STATE, "1", 1.0, None),
    (_sensor(kind="door_open"), "open", 1.0, None),
    (WHOLE, "21.5", 21.5, None),
    (WHOLE, '"21.5"', 21.5, None),
    (WHOLE, "null", None, None),
    (WHOLE, "NaN", None, None),
    (JSON, '{"d": [{"t": 7}], "at": 1780056000}', 7.0, 1780056000),
    (JSON, '{"d": [{"t": 7}], "at": 1780056000999}', 7.0, 1780056000),
    (JSON, '{"d": [{"t": 7}], "at": "2026-05-29T16:00:00+04:00"}', 7.0, NOW_S),
    (_sensor(payload=PayloadForm.JSON, value="/a~1b/m~0n"), '{"a/b": {"m~n": 1}}', 1.0, None),
]
BAD = [
    (PLAIN, "21,5", "must be a number"),
    (PLAIN, "21.5 C", "must be a number"),
    (PLAIN, "0x10", "must be a number"),
    (PLAIN, "1e999", "must be a finite number"),
    (PLAIN, "inf", "must be a number"),
    (PLAIN, "1_000", "must be a number"),
    (PLAIN, "٣", "must be a number"),
    (PLAIN, "true", "must be a number"),
    (PLAIN, b"\xff\xfe", "byte 0 is not UTF-8"),
    (PLAIN, b"1" * (MAX_PAYLOAD + 1), f"limit is {MAX_PAYLOAD}"),
    (STATE, "2", "must be a state"),
    (WHOLE, "true", "must be a number"),
    (WHOLE, "Infinity", "is not JSON"),
    (WHOLE, "1e999", "must be a finite number"),
    (WHOLE, "9" * 400, "must be a finite number"),
    (WHOLE, "[" * 4000, "is not JSON"),
    (WHOLE, "[21.5]", "has a list where a number must be"),
    (JSON, '{"d": [{"t": 7, "t": 8}], "at": 1780056000}', "each name once"),
    (JSON, '{"d": [], "at": 1780056000}', "has nothing at /d/0/t"),
    (JSON, '{"d": [{"t": 7}]}', "has nothing at /at"),
    (JSON, '{"d": [{"t": 7}], "at": "2026-05-29T12:00"}', "no ISO 8601 time with a zone"),
    (JSON, '{"d": [{"t": 7}], "at": 12}', "neither seconds nor milliseconds"),
    (JSON, '{"d": [{"t": 7}], "at": true}', "is no time"),
]


@pytest.mark.parametrize(("sensor", "payload", "value", "at_s"), GOOD)
def test_a_payload_of_each_form_gives_its_value_and_time(
    sensor: Sensor, payload: str, value: float | None, at_s: int | None
) -> None:
    assert decode(sensor, payload.encode()) == (value, at_s)


@pytest.mark.parametrize(("sensor", "payload", "reason"), BAD)
def test_a_payload_of_another_form_is_refused_with_its_reason(
    sensor: Sensor, payload: str | bytes, reason: str
) -> None:
    with pytest.raises(PayloadError, match=reason):
        decode(sensor, payload if isinstance(payload, bytes) else payload.encode())


_JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)
_LIKELY = st.fixed_dictionaries({"d": st.just([{"t": 1}]) | _JSON_VALUES, "at": _JSON_VALUES})
_PAYLOADS = (
    st.binary(max_size=200)
    | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | (_JSON_VALUES | _LIKELY).map(lambda value: json.dumps(value).encode())
    | st.floats().map(lambda value: repr(value).encode())
    | st.builds(
        lambda year, rest: f'{{"d": [{{"t": 1}}], "at": "{year:04}{rest}"}}'.encode(),
        st.integers(0, 9999),
        st.sampled_from(["-01-01T00:00+23:59", "-12-31T23:59-23:59", "-W01-1T00:00Z", "0101T00Z"]),
    )
)


@given(st.sampled_from(FORMS), _PAYLOADS, st.booleans())
def test_no_payload_raises_anything_but_its_own_refusal(
    sensor: Sensor, payload: bytes, retained: bool
) -> None:
    try:
        sample = read(sensor, _message(payload, retained=retained))
    except PayloadError as refusal:
        reason = str(refusal)
    else:
        reason = ""
    if reason:
        assert len(reason) < 200
        assert reason.isascii()
        return
    if sample is None:
        assert retained
        return
    assert NOW_S - BEHIND_S <= sample.at_s <= NOW_S + AHEAD_S
    assert sample.retained == retained
    if sample.value is None:
        assert sample.quality is Quality.MISSING
    else:
        assert math.isfinite(sample.value)
        inside = sensor.bounds[0] <= sample.value <= sensor.bounds[1]
        assert sample.quality is (Quality.VALID if inside else Quality.SUSPECT)


def test_a_sensor_whose_clock_is_ahead_or_long_behind_is_refused() -> None:
    for at_s in (NOW_S - BEHIND_S, NOW_S + AHEAD_S):
        sample = read(JSON, _timed(7, at_s))
        assert sample is not None
        assert sample.at_s == at_s
    for at_s in (NOW_S - BEHIND_S - 1, NOW_S + AHEAD_S + 1):
        with pytest.raises(TimeError, match="must be within"):
            read(JSON, _timed(7, at_s))


def _take(inbox: Inbox, *messages: Message) -> list[SensorSample]:
    return [sample for message in messages for sample in inbox.take(message)]


def test_a_retained_message_is_marked_and_never_makes_a_sensor_fresh() -> None:
    inbox = Inbox([PLAIN], now_s=NOW_S)
    assert _take(inbox, _message("21", retained=True, at_s=NOW_S + 800)) == []
    (stale,) = inbox.stale(NOW_S + 901)
    assert (stale.value, stale.quality) == (None, Quality.MISSING)
    timed = Inbox([JSON], now_s=NOW_S - 901)
    raw = json.dumps({"d": [{"t": 7}], "at": NOW_S}).encode()
    (kept,) = _take(timed, Message("city/t", raw, True, NOW_S))
    assert kept.retained
    assert len(timed.stale(NOW_S)) == 1


def test_a_duplicate_adds_nothing_and_a_late_message_keeps_its_own_time() -> None:
    inbox = Inbox([JSON], now_s=NOW_S - 60)
    first, late = _timed(7, NOW_S), _timed(6, NOW_S - 30)
    samples = _take(inbox, first, first, late, _timed(8, NOW_S))
    assert [(one.at_s, one.value) for one in samples] == [
        (NOW_S, 7.0),
        (NOW_S - 30, 6.0),
        (NOW_S, 8.0),
    ]
    assert (inbox.counts["duplicates"], inbox.counts["late"]) == (1, 1)


def test_a_sensor_without_a_clock_gives_one_sample_a_second() -> None:
    inbox = Inbox([PLAIN], now_s=NOW_S)
    samples = _take(inbox, _message("1"), _message("2"), _message("3", at_s=NOW_S + 1))
    assert [one.value for one in samples] == [1.0, 3.0]
    assert inbox.counts["crowded"] == 1


def test_a_value_that_never_changes_becomes_suspect_and_a_change_makes_it_valid() -> None:
    sensor = _sensor(stuck_after_s=3600)
    inbox = Inbox([sensor], now_s=NOW_S)
    messages = [_message("21.5", at_s=NOW_S + 600 * n) for n in range(8)]
    samples = _take(inbox, *messages, _message("21.6", at_s=NOW_S + 4800))
    assert [one.quality for one in samples] == [
        *[Quality.VALID] * 6,
        *[Quality.SUSPECT] * 2,
        Quality.VALID,
    ]
    (finding,) = inbox.findings()
    assert finding.code == "sensor.stuck"
    assert "has shown exactly 21.5 for 3600 s, limit is 3600 s" in finding.message


def test_a_silence_is_no_proof_of_being_stuck() -> None:
    inbox = Inbox([_sensor(stuck_after_s=3600)], now_s=NOW_S)
    samples = _take(inbox, _message("21.5"), _message("21.5", at_s=NOW_S + 7200))
    assert [one.quality for one in samples] == [Quality.VALID, Quality.VALID]


def test_what_was_stored_before_a_restart_counts_for_being_stuck() -> None:
    inbox = Inbox([_sensor(stuck_after_s=3600)], now_s=NOW_S)
    inbox.restore("S-1", at_s=NOW_S - 60, value=21.5, since_s=NOW_S - 3600)
    (sample,) = _take(inbox, _message("21.5"))
    assert sample.quality is Quality.SUSPECT


def test_a_value_out_of_range_is_kept_as_suspect_with_a_finding() -> None:
    inbox = Inbox([_sensor(range=(-30.0, 50.0))], now_s=NOW_S)
    (sample,) = _take(inbox, _message("51"))
    assert (sample.value, sample.quality) == (51.0, Quality.SUSPECT)
    (finding,) = inbox.findings()
    assert finding.message == "S-1 shows 51 celsius, must be within -30 to 50"


def test_a_silent_sensor_is_stale_once_until_it_speaks_again() -> None:
    inbox = Inbox([PLAIN], now_s=NOW_S)
    _take(inbox, _message("21"))
    assert inbox.stale(NOW_S + 900) == []
    (gap,) = inbox.stale(NOW_S + 1000)
    assert (gap.at_s, gap.value, gap.quality) == (NOW_S + 900, None, Quality.MISSING)
    assert inbox.stale(NOW_S + 2000) == []
    _take(inbox, _message("21", at_s=NOW_S + 3000))
    assert len(inbox.stale(NOW_S + 4000)) == 1


def test_a_refusal_is_told_once_a_quarter_hour_with_its_topic_and_the_rest_is_counted() -> None:
    inbox = Inbox([PLAIN], now_s=NOW_S)
    for n in range(1000):
        inbox.take(_message("junk", at_s=NOW_S + n))
    first, second = inbox.findings()
    assert (first.code, first.subject, first.interval) == (
        *("sensor.payload", "S-1"),
        "2026-05-29T12:00Z",
    )
    assert first.message == "S-1 city/t has 'junk', must be a number"
    assert second.interval == "2026-05-29T12:15Z"
    assert inbox.counts["refused"] == 1000


def test_topics_nobody_mapped_are_counted_without_growing_anything() -> None:
    inbox = Inbox([PLAIN], now_s=NOW_S)
    for n in range(10_000):
        assert inbox.take(Message(f"city/{n}", b"1", False, NOW_S)) == []
    assert inbox.counts["unknown"] == 10_000
    assert len(inbox.findings()) == 1


def test_one_message_feeds_every_sensor_of_its_topic() -> None:
    parts = [
        Sensor(
            SensorId(f"S-{n}"),
            kind,
            "city/t",
            location="x",
            payload=PayloadForm.JSON,
            value=f"/{kind}",
        )
        for n, kind in enumerate(("temperature_celsius", "humidity_percent"))
    ]
    inbox = Inbox(parts, now_s=NOW_S)
    raw = b'{"temperature_celsius": 21, "humidity_percent": "40"}'
    samples = _take(inbox, _message(raw))
    assert [(one.sensor, one.value) for one in samples] == [("S-0", 21.0), ("S-1", 40.0)]


@pytest.mark.parametrize(
    ("wanted", "topic", "covered"),
    [
        ("city/#", "city/a/b", True),
        ("city/#", "city", True),
        ("city/+/t", "city/a/t", True),
        ("city/+", "city/a/b", False),
        ("city/a", "city/a/b", False),
        ("+/a", "city/b", False),
        ("#", "$SYS/load", False),
    ],
)
def test_a_topic_is_subscribed_to_once_however_many_filters_cover_it(
    wanted: str, topic: str, covered: bool
) -> None:
    assert covers(wanted, topic) is covered
    inbox = Inbox([_sensor(topic=topic)], now_s=NOW_S)
    assert inbox.filters([wanted]) == ([wanted] if covered else [wanted, topic])
