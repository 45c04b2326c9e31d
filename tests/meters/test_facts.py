"""Metering facts: dated, without gaps, and exact from the register to the network."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid import interval
from grid.errors import BadInputError, Severity
from meters.facts import (
    FOREVER_S,
    Exchange,
    Installation,
    MoveIn,
    Ratio,
    Seal,
    Summation,
    exchanges,
    expiring,
    in_order,
    party_of,
)
from meters.primary import add_phases, primary_wh
from meters.reading import MISSING

START = interval.parse("2026-05-01T00:00Z")
DAY = 86_400


def installed(meter: str = "M-1", from_s: int = START, until_s: int = FOREVER_S, **facts: object):
    return Installation("UP-1", meter, from_s, until_s, **facts)  # type: ignore[arg-type]


def counted(*registers: int, step_s: int = 900) -> tuple[np.ndarray, np.ndarray]:
    """Return four equal registers and their edges."""
    edges = START + step_s * np.arange(len(registers), dtype=np.int64)
    return np.tile(np.array(registers, np.int64), (4, 1)), edges


def energy(registers: np.ndarray, edges: np.ndarray, *installations: Installation) -> list[int]:
    found = primary_wh(registers, edges, installations)
    assert (found == found[0]).all()
    return found[0].tolist()


def test_ratios_and_multiplier_make_primary_energy() -> None:
    """200/5 A, 20000/100 V and a multiplier of 1/2: 4000 Wh for each Wh counted."""
    one = installed(current=Ratio(200, 5), voltage=Ratio(20_000, 100), multiplier=Ratio(1, 2))
    assert one.factor == 4000
    assert energy(*counted(1000, 1002, 1002, 1009), one) == [8000, 0, 28_000]


@given(
    st.lists(st.integers(0, 10**6), min_size=2, max_size=60),
    st.tuples(st.integers(1, 4000), st.integers(1, 5000)),
    st.integers(0, 58),
)
@settings(max_examples=200, deadline=None)
def test_intervals_add_up_to_the_converted_register_in_any_part_of_time(
    rises: list[int], ratio: tuple[int, int], cut: int
) -> None:
    registers, edges = counted(*(10**9 + np.cumsum([0, *rises])).tolist())
    one = installed(current=Ratio(*ratio), first=(10**9,) * 4)
    found = energy(registers, edges, one)
    assert sum(found) == Fraction(sum(rises) * ratio[0], ratio[1]).__floor__()
    exact = [Fraction(rise * ratio[0], ratio[1]) for rise in rises]
    assert all(abs(wh - part) < 1 for wh, part in zip(found, exact, strict=True))
    cut = min(cut, len(rises) - 1)
    assert energy(registers[:, cut:], edges[cut:], one) == found[cut:]


def test_an_exchange_within_an_interval_is_made_of_both_meters() -> None:
    change_s = START + 900 + 300
    old = installed(until_s=change_s, current=Ratio(100, 5), last=(107,) * 4)
    new = installed("M-2", change_s, current=Ratio(200, 5), first=(3,) * 4)
    assert energy(*counted(100, 105, 5, 6), new, old) == [100, 2 * 20 + 2 * 40, 40]
    assert exchanges([new, old]) == [Exchange("UP-1", change_s, "M-1", (107,) * 4, "M-2", (3,) * 4)]


def test_an_exchange_at_an_edge_counts_each_meter_for_itself() -> None:
    change_s = START + 900
    old = installed(until_s=change_s, last=(110,) * 4)
    new = installed("M-2", change_s, first=(0,) * 4)
    for shown in (110, 0, MISSING):
        assert energy(*counted(100, shown, 7), old, new) == [10, 7]


def test_a_ratio_that_changes_without_a_read_leaves_its_interval_missing() -> None:
    change_s = START + 900 + 300
    old, new = installed(until_s=change_s), installed(from_s=change_s, multiplier=Ratio(10))
    assert energy(*counted(0, 10, 20, 30), old, new) == [10, MISSING, 100]
    at_edge = replace(old, until_s=START + 900), replace(new, from_s=START + 900)
    assert energy(*counted(0, 10, 20, 30), *at_edge) == [10, 100, 100]


def test_a_register_that_is_missing_or_fell_leaves_its_intervals_missing() -> None:
    assert energy(*counted(0, MISSING, 20, 15, 25), installed()) == [MISSING, MISSING, MISSING, 10]


def test_what_is_beyond_64_bits_is_refused() -> None:
    with pytest.raises(BadInputError, match="beyond 2\\^62 Wh"):
        energy(*counted(0, 10**16), installed(current=Ratio(1_000_000, 1)))


@pytest.mark.parametrize(
    ("installations", "message"),
    [
        ([], "no installation is known"),
        (
            [installed(until_s=START + DAY), installed("M-1", START + 2 * DAY)],
            "UP-1: M-1 ends 2026-05-02T00:00Z, M-1 begins 2026-05-03T00:00Z: nothing is known",
        ),
        (
            [installed(until_s=START + 2 * DAY), installed("M-1", START + DAY)],
            "UP-1: M-1 ends 2026-05-03T00:00Z, M-1 begins 2026-05-02T00:00Z: they overlap",
        ),
        ([installed(), installed("M-2", START + DAY)], "M-1 ends its end, M-2 begins"),
        (
            [installed(until_s=START + DAY), installed("M-2", START + DAY, first=(0,) * 4)],
            "UP-1 2026-05-02T00:00Z: M-1 was exchanged for M-2, and the registers of both",
        ),
        ([installed(until_s=START)], "must be after its beginning, 2026-05-01T00:00Z"),
        ([installed(phases=2)], "2 phases, must be 1 or 3"),
        ([installed(), replace(installed(), usage_point="UP-2")], "installations of UP-1 and UP-2"),
    ],
)
def test_gaps_and_overlaps_are_refused_with_what_is_wrong(
    installations: list[Installation], message: str
) -> None:
    with pytest.raises(BadInputError) as caught:
        in_order(installations)
    assert message in str(caught.value)


def test_an_interval_outside_of_what_is_known_is_refused() -> None:
    registers, edges = counted(0, 1, 2)
    for one in (installed(from_s=START + 900), installed(until_s=START + 900)):
        with pytest.raises(BadInputError, match="but it is known how it is metered from"):
            primary_wh(registers, edges, [one])


@pytest.mark.parametrize("parts", [(0, 1), (1, 0), (-5, 1), (10**7, 1)])
def test_a_ratio_is_of_two_positive_numbers(parts: tuple[int, int]) -> None:
    with pytest.raises(BadInputError, match="must be within 1 to 1000000"):
        Ratio(*parts)


@pytest.mark.parametrize(
    ("summation", "taken", "given_"),
    [
        (Summation.VECTORIAL, [5, 0], [0, 4]),
        (Summation.ARITHMETIC, [9, 3], [4, 7]),
        (Summation.FERRARIS, [5, 0], [0, 0]),
    ],
)
def test_three_phases_add_up_as_the_meter_does(
    summation: Summation, taken: list[int], given_: list[int]
) -> None:
    import_wh = np.array([[5, 3, 1], [4, 0, 1], [0, 0, 1]], np.int64)
    export_wh = np.array([[0, 0, 1], [0, 7, MISSING], [4, 0, 1]], np.int64)
    found = add_phases(import_wh, export_wh, summation)
    assert [one.tolist() for one in found] == [[*taken, MISSING], [*given_, MISSING]]


def test_who_has_the_usage_point_changes_at_an_interval() -> None:
    starts = START + 900 * np.arange(4, dtype=np.int64)
    registers = (0, 0, 0, 0)
    ins = [MoveIn("UP-1", "P-2", START + 1800, registers), MoveIn("UP-1", "P-1", START, registers)]
    assert party_of(starts, ins) == ["P-1", "P-1", "P-2", "P-2"]
    assert party_of(starts, ins[:1]) == ["", "", "P-2", "P-2"]
    assert party_of(starts, []) == [""] * 4
    for at_s, message in ((START + 1000, "moves in within an interval"), (START, "at once")):
        with pytest.raises(BadInputError, match=message):
            party_of(starts, [*ins, MoveIn("UP-1", "P-3", at_s, registers)])


def test_what_expires_is_listed_by_urgency() -> None:
    soon = installed("M-1", verified_until_s=START + 20 * DAY)
    past = installed("M-2", verified_until_s=START - DAY)
    later = installed("M-3", verified_until_s=START + 900 * DAY)
    gone = installed("M-4", START - 9 * DAY, START, verified_until_s=START - DAY)
    open_ = installed("M-5", seals=(Seal("S-1", START, START + DAY),))
    sealed = installed("M-6", seals=(*open_.seals, Seal("S-2", START + DAY)))
    found = expiring(
        [later, soon, gone, past, open_, sealed], now_s=START + 2 * DAY, before_s=START + 30 * DAY
    )
    assert [(one.code, one.subject, one.severity) for one in found] == [
        ("facts.verification", "M-2", Severity.ALARM),
        ("facts.seal", "M-5", Severity.WARNING),
        ("facts.verification", "M-1", Severity.WARNING),
    ]
    assert found[0].message == "UP-1 M-2: verification expired 2026-04-30T00:00Z"
    assert not any("S-1" in one.message for one in found)
