"""OpenADR 3 events in files: what they mean, and what is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid import interval
from grid.errors import BadInputError
from grid.operation.event_files import parse, read
from grid.store.events import EventKind

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "event.json"


def _told(**changes: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(EXAMPLE.read_text())
    return {**told, **changes}


def _during(duration: str, start: str = "2026-03-12T17:00:00Z", **more: str) -> dict[str, Any]:
    return _told(intervalPeriod={"start": start, "duration": duration, **more})


def _parse(told: Any) -> Any:
    return parse(json.dumps(told).encode(), 900)


def _limit(kw: Any, kind: str = "IMPORT_CAPACITY_LIMIT", **more: Any) -> dict[str, Any]:
    return {"payloads": [{"type": kind, "values": [kw]}], **more}


def test_the_example_is_two_hours_of_two_limits() -> None:
    (one,) = read(EXAMPLE, 900)
    assert one.kind is EventKind.IMPORT_LIMIT
    assert interval.label(one.start_s) == "2026-03-12T13:00Z"
    assert one.end_s - one.start_s == 7200
    assert one.powers_w == (20_000,) * 4 + (25_000,) * 4
    assert (one.program, one.name) == ("evening-peak", "feeder 7, 12 March")


def test_intervals_may_have_periods_of_their_own_and_others_follow_them() -> None:
    own = {"start": "2026-03-12T17:00:00Z", "duration": "PT30M", "randomizeStart": "PT0S"}
    intervals = [_limit(5, "EXPORT_CAPACITY_LIMIT", intervalPeriod=own)]
    intervals.append(_limit(0.5, "EXPORT_CAPACITY_LIMIT"))
    period = {"start": "2026-03-12T16:00:00Z", "duration": "PT15M"}
    found = _parse({"events": [_told(intervals=intervals, intervalPeriod=period, extra=[1])]})
    assert found[0].kind is EventKind.EXPORT_LIMIT
    assert interval.label(found[0].start_s) == "2026-03-12T17:00Z"
    assert found[0].powers_w == (5000, 5000, 500)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ([], "has 0 events, must have 1 to 100"),
        ([7], "event 1: must be an object"),
        (_told(objectType="PROGRAM"), "objectType is 'PROGRAM', must be EVENT"),
        (_told(programID=""), "programID is missing"),
        (_told(eventName=7), "eventName must be a text"),
        (_told(payloadDescriptors=[{"units": "AMPS"}]), "units are 'AMPS', must be KW"),
        (_told(intervals=[]), "intervals must be a list of 1 to 1000"),
        (_told(intervalPeriod=None), "there is no intervalPeriod"),
        (_during("PT1H", "2026-03-12T17:00:00"), "no time zone"),
        (_during("1h"), "like PT15M"),
        (_during("PT20M"), "lasts 1200 s"),
        (_during("P9999Y"), "duration"),
        (_during("PT1H", randomizeStart="PT5M"), "randomizeStart is 'PT5M', must be PT0S"),
        (_told(intervals=[_limit(5, "PRICE")]), "payload is 'PRICE', must be IMPORT"),
        (_told(intervals=[_limit("5")]), "must be one number of kW"),
        (_told(intervals=[_limit(True)]), "must be one number of kW"),
        (_told(intervals=[_limit(-1)]), "-1 kW must be within 0"),
        (_told(intervals=[_limit(float("nan"))]), "must be one number of kW"),
        (_told(intervals=[_limit(10**400)]), "must be within 0"),
        (
            _told(intervals=[_limit(1), _limit(1, "EXPORT_CAPACITY_LIMIT")]),
            "import and export both",
        ),
        (
            _told(
                intervals=[
                    _limit(1),
                    _limit(1, intervalPeriod={"start": "2026-03-12T20:00:00Z", "duration": "PT1H"}),
                ]
            ),
            "must follow the one before it at 2026-03-12T14:00Z",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(told: Any, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        _parse(told)


def test_what_is_no_json_or_too_long_is_refused(tmp_path: Path) -> None:
    for content, message in (
        (b"{", "is no JSON"), (b"\xff", "is no JSON"), (b"[" * 10**6, "is no JSON"),
        (b" " * 1_000_001, "has 1000001 bytes, may have 1000000"),
    ):  # fmt: skip
        with pytest.raises(BadInputError, match=message):
            parse(content, 900)
    with pytest.raises(BadInputError, match=r"none\.json: No such file"):
        read(tmp_path / "none.json", 900)


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=9,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(_told())), _JSON)
def test_a_strange_member_is_understood_or_refused_and_nothing_else(key: str, value: Any) -> None:
    try:
        found = _parse(_told(**{key: value}))
    except BadInputError:
        return
    assert found[0].end_s - found[0].start_s == 900 * len(found[0].powers_w)
