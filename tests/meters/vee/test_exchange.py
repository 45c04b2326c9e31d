"""Rollover, meter exchange and tampering, told apart by serial number and event log."""

import numpy as np
import pytest
from vee_days import START_S, codes, energy, judges, kinds, reference, registers, run

from grid.errors import BadInputError, Severity
from meters.vee import Quality
from meters.vee.facts import EventKind, Facts, MeterEvent, Tenure

V = Quality.VALID


def exchange(at_s, last, first, *, digits=(5, 5), meter="E-17"):
    """Two devices, the second from `at_s` on."""
    return (
        Tenure(meter, "A1", None, START_S + at_s, digits[0], last=last),
        Tenure(meter, "B2", START_S + at_s, None, digits[1], first=first),
    )


def test_rollover_dip_and_exchange_are_told_apart():
    rolled, found = run(registers([[99_990, 99_999, 3, 20]]), digits=5)
    assert energy(rolled) == [9, 4, 17]
    assert codes(found) == ["vee.rollover"]
    # A register of tenths of a kWh that falls by 0.1.
    dip, found = run(registers([[50_000, 50_100, 50_000, 50_100]]), digits=5)
    assert "vee.dip" in codes(found)
    assert judges(dip) == ["", "dip→linear", ""]
    devices = exchange(1350, (50_050, 0, 0, 0), (7, 0, 0, 0))
    changed, found = run(
        registers([[50_000, 50_020, 40, 60]]), digits=5, facts=Facts(tenures=devices)
    )
    assert energy(changed) == [20, 30 + 33, 20]
    assert kinds(changed) == [V] * 3
    assert judges(changed) == ["", "exchange", ""]
    assert codes(found) == ["vee.exchange"]
    assert found[0].severity is Severity.INFO


def test_exchange_splits_a_gap_and_counts_both_sides_exactly():
    devices = exchange(4500, (50_500, 0, 0, 0), (1_000, 0, 0, 0))
    of = registers([[50_000, 50_100, -1, -1, -1, -1, -1, 1_060, 1_090]])
    result, _ = run(of, digits=5, facts=Facts(tenures=devices))
    values = energy(result)
    assert sum(values[1:5]) == 400
    assert sum(values[5:7]) == 60
    assert kinds(result) == [V, *[Quality.SCALED] * 6, V]
    inside = exchange(4000, (50_500, 0, 0, 0), (1_000, 0, 0, 0))
    result, _ = run(of, digits=5, facts=Facts(tenures=inside))
    assert sum(energy(result)) == 100 + 400 + 60 + 30


def test_exchange_without_written_registers_is_estimated():
    devices = exchange(2700, None, None)
    of = registers([[50_000, 50_100, 50_200, 50_300, 40, 140]])
    result, found = run(of, reference(of, [[70] * 5]), digits=5, facts=Facts(tenures=devices))
    assert energy(result) == [100, 100, 70, 70, 100]
    assert "vee.dip" not in codes(found)


def test_each_device_rolls_over_at_its_own_digits_and_multiplier():
    old = Tenure("E-17", "A1", None, START_S + 1800, 4, 10, last=(30, 0, 0, 0))
    new = Tenure("E-17", "B2", START_S + 1800, None, 3, first=(990, 0, 0, 0))
    of = registers([[99_900, 10, 990, 5, 15]])
    result, found = run(of, facts=Facts(tenures=(old, new)))
    assert energy(result) == [110, 20, 15, 10]
    assert codes(found).count("vee.rollover") == 2


def test_two_exchanges_in_one_interval_add_up():
    devices = (
        Tenure("E-17", "A1", None, START_S + 1000, 6, last=(510, 0, 0, 0)),
        Tenure(
            "E-17", "B2", START_S + 1000, START_S + 1400, 6,
            first=(5, 0, 0, 0), last=(8, 0, 0, 0),
        ),
        Tenure("E-17", "C3", START_S + 1400, None, 6, first=(0, 0, 0, 0)),
    )  # fmt: skip
    result, _ = run(registers([[480, 500, 4, 10]]), facts=Facts(tenures=devices))
    assert energy(result) == [20, 10 + 3 + 4, 6]


def test_a_meter_that_was_not_exchanged_is_not_touched_by_one_that_was():
    rows = [[50_000, 50_020, 40, 60], [0, 10, -1, 30]]
    devices = exchange(1350, (50_050, 0, 0, 0), (7, 0, 0, 0))
    both, _ = run(registers(rows), digits=5, facts=Facts(tenures=devices))
    alone, _ = run(registers(rows[1:], meters=["E-18"]), digits=5)
    assert both.isel(meter=[1]).identical(alone)


def test_tamper_event_at_a_dip_becomes_a_case():
    of = registers([[50_000, 50_020, 49_900, 49_960]])
    for at_s, told in ((899, "vee.dip"), (900, "vee.tamper"), (1800, "vee.tamper")):
        events = (MeterEvent("E-17", START_S + at_s, EventKind.TAMPER),)
        result, found = run(of, facts=Facts(events=events))
        assert told in codes(found)
        case = next(item for item in found if item.code == told)
        assert case.severity is Severity.ALARM
        assert judges(result)[1] == f"{told[4:]}→linear"
    assert "fell from 50020 to 49900 Wh, its log tells of tampering at" in case.message
    other = (MeterEvent("E-18", START_S + 900, EventKind.TAMPER),)
    assert "vee.dip" in codes(run(of, facts=Facts(events=other))[1])


def test_tenures_that_cannot_be_are_refused():
    with pytest.raises(BadInputError, match="must be after"):
        Tenure("E-17", "A1", START_S, START_S, 6)
    with pytest.raises(BadInputError, match="19 digits"):
        Tenure("E-17", "A1", None, None, 19)
    with pytest.raises(BadInputError, match=r"beyond 10\*\*18"):
        Tenure("E-17", "A1", None, None, 18, 10)


def test_an_exchange_outside_of_the_window_changes_nothing():
    of = registers([[0, 10, 20]])
    plain, _ = run(of)
    devices = exchange(-(10**6), (99, 0, 0, 0), (0, 0, 0, 0))
    result, found = run(of, facts=Facts(tenures=devices))
    assert found == []
    assert result.identical(plain)
    assert np.array_equal(result["rule"].values, [[0, 0]])
