"""Whether devices see their faults: by hand, by pandapower's branch currents, in an island."""

from dataclasses import replace

import numpy as np
import pandapower as pp
import pytest
from pandapower.shortcircuit import calc_sc

from grid.errors import BadInputError, Severity
from networks.faults.assumptions import Assumptions, ZeroSequence
from networks.faults.devices import GG, ProtectiveDevice, protects, smaller
from networks.faults.island import FormingInverter, island_short_circuit
from networks.faults.protection import propose_feeder_fuses, reach
from networks.faults.short_circuit import short_circuit

FUSE = ProtectiveDevice("F0", ("line", 0), "from_bus", "gG", 200.0)


def _codes(findings):
    return [finding.code for finding in findings]


def _only(net, devices, currents=None):
    currents = short_circuit(net)[0] if currents is None else currents
    reaches, findings = reach(net, devices, currents)
    return reaches, findings


def test_a_fuse_does_not_reach_the_end_of_a_long_line_and_a_smaller_one_does(feeder):
    net = feeder()
    currents, _ = short_circuit(net)
    (made,), findings = _only(net, [FUSE], currents)
    least = float(currents["ikss_ka"].sel(fault="1ph", case="min", bus=3)) * 1e3
    assert (made.worst_bus, made.worst_fault, made.zone) == (3, "1ph", (2, 3))
    assert made.least_a == pytest.approx(least, rel=1e-12)
    assert made.operates_a == 1250.0
    assert made.margin == pytest.approx(least / 1250.0)
    assert not made.reaches
    (finding,) = findings
    assert (finding.code, finding.subject, finding.severity) == (
        "protection.no_reach",
        "F0",
        Severity.ALARM,
    )
    assert "bus 3" in finding.message
    assert f"gG {made.suggested_a:g} A would" in finding.message
    (better,), none = _only(net, [replace(FUSE, rated_a=made.suggested_a)], currents)
    assert better.reaches
    assert none == []
    above = min(rating for rating in GG if rating > made.suggested_a)
    assert not _only(net, [replace(FUSE, rated_a=above)], currents)[0][0].reaches


def test_a_second_fuse_further_out_ends_the_first_one_s_zone_at_its_terminals(feeder):
    net = feeder()
    second = ProtectiveDevice("F1", ("line", 1), "from_bus", "gG", 63.0)
    reaches, findings = _only(net, [FUSE, second])
    assert [made.zone for made in reaches] == [(2,), (3,)]
    assert all(made.reaches for made in reaches)
    assert findings == []
    # At the far end of its line it protects what begins behind it.
    behind = ProtectiveDevice("F2", ("line", 0), "to_bus", "gG", 63.0)
    reaches, _ = _only(net, [FUSE, behind])
    assert [made.zone for made in reaches] == [(2,), (2, 3)]


def test_a_ring_is_told_to_be_one_and_what_hangs_on_it_is_judged(feeder):
    net = feeder()
    pp.create_bus(net, 0.4)
    for ends in ((1, 3), (3, 4)):
        pp.create_line_from_parameters(net, *ends, 0.05, 0.206, 0.08, 830.0, 0.27)
    tail = ProtectiveDevice("F3", ("line", 3), "from_bus", "gG", 63.0)
    currents, _ = short_circuit(net, Assumptions(end_temperature_celsius=80.0), faults=("2ph",))
    (ring, end), findings = _only(net, [FUSE, tail], currents)
    assert (ring.zone, end.zone) == ((), (4,))
    assert np.isnan(ring.margin)
    assert not ring.reaches
    assert end.reaches
    assert "protection.meshed" in _codes(findings)
    # Opening the ring with a switch makes it radial again.
    pp.create_switch(net, 3, 2, et="l", closed=False)
    (ring, _), findings = _only(net, [FUSE, tail], currents)
    assert ring.zone == (2, 3)
    assert "protection.meshed" not in _codes(findings)


def test_a_breaker_before_the_transformer_sees_what_pandapower_gives_the_branch(feeder):
    net = feeder()
    breaker = ProtectiveDevice(
        "Q0", ("trafo", 0), "hv_bus", "definite", 10.0, pickup_a=20.0, delay_s=0.3, breaking_ka=4.0
    )
    currents, _ = short_circuit(net, faults=("3ph",))
    (made,), findings = _only(net, [breaker], currents)
    calc_sc(net, fault="3ph", case="min", branch_results=True, return_all_currents=True, bus=3)
    theirs = float(net.res_trafo_sc["ikss_hv_ka"].loc[(0, 3)]) * 1e3
    assert made.zone == (1, 2, 3)
    assert made.least_a == pytest.approx(theirs, rel=1e-6)
    assert made.operates_a == pytest.approx(24.0)
    # 250 MVA at 20 kV is 7.2 kA, more than it breaks.
    assert made.greatest_ka == pytest.approx(250 / np.sqrt(3) / 20)
    assert "protection.breaking" in _codes(findings)
    # Through a delta the phase most loaded carries 2/√3 of two phases, 1/√3 of a fault to earth.
    both, _ = short_circuit(net, faults=("2ph", "1ph"))
    (made,), _ = _only(net, [breaker], both)
    two, one = (
        float(both["ikss_ka"].sel(fault=f, case="min", bus=3)) * 1e3 / 50 for f in ("2ph", "1ph")
    )
    assert made.least_a == pytest.approx(min(two * 2 / np.sqrt(3), one / np.sqrt(3)), rel=1e-9)


def test_an_inverter_s_island_does_not_blow_the_fuse_that_the_grid_blows(feeder):
    net = feeder((0.1, 0.1))
    (grid,), findings = _only(net, [FUSE])
    assert grid.reaches
    assert findings == []
    inverter = FormingInverter(bus=1, sn_mva=0.1, k=1.5)
    currents, told = island_short_circuit(net, inverter)
    limit_a = 1.5 * 100e3 / np.sqrt(3) / 400
    low = currents.sel(bus=[1, 2, 3])
    assert low["ikss_ka"].to_numpy() * 1e3 == pytest.approx(np.full((3, 2, 3), limit_a))
    assert bool(low["limited"].all())
    (island,), findings = _only(net, [FUSE], currents)
    assert island.least_a == pytest.approx(limit_a)
    assert not island.reaches
    assert island.margin < 0.2
    assert _codes(findings) == ["protection.no_reach"]
    assert "faults.inverter_limited" in _codes(told)
    assert bool(net.ext_grid["in_service"].all())


def test_a_long_line_and_not_the_inverter_limits_a_fault_far_away(feeder):
    net = feeder((0.1, 3.0))
    currents, _ = island_short_circuit(net, FormingInverter(1, 0.25, 3.0), faults=("3ph",))
    at = currents.sel(fault="3ph", case="min")
    # An ideal source of 0.9 times 400 V behind 3.1 km of warm cable.
    z = 3.1 * abs(complex(0.206 * (1 + 0.004 * 60), 0.08))
    assert float(at["ikss_ka"].sel(bus=3)) == pytest.approx(0.9 * 0.4 / np.sqrt(3) / z, rel=1e-3)
    assert not bool(at["limited"].sel(bus=3))
    assert bool(at["limited"].sel(bus=1))
    # What the high side of the transformer gets is the limit by the ratio of voltages.
    assert float(at["ikss_ka"].sel(bus=0)) <= 3.0 * 0.25 / np.sqrt(3) / 20 + 1e-12


def test_an_island_far_from_the_source_has_its_devices_turned_round(feeder):
    net = feeder()
    currents, _ = island_short_circuit(net, FormingInverter(3, 0.1, 2.0))
    (made,), _ = _only(net, [FUSE], currents)
    # The fuse at the busbar's end is now behind its line: its zone is the busbar and what it feeds.
    assert made.zone == (0, 1)


def test_a_rating_above_the_cable_s_is_told_of(feeder):
    net = feeder((0.01, 0.01))
    (made,), findings = _only(net, [replace(FUSE, rated_a=250.0)])
    assert made.reaches
    # 250 A are below the cable's 270 A, but 1.6 times 250 A are more than 1.45 times 270 A.
    assert _codes(findings) == ["protection.overload"]
    assert protects(FUSE, 270.0)
    assert not protects(replace(FUSE, rated_a=250.0), 270.0)


def test_without_earth_fault_data_the_reach_says_that_it_is_not_the_whole(feeder):
    net = feeder((0.01, 0.01), zero_sequence=False)
    (made,), findings = _only(net, [FUSE])
    assert made.worst_fault == "2ph"
    assert _codes(findings) == ["protection.earth_unknown"]


def test_proposed_fuses_of_a_simbench_feeder_are_marked_and_cover_every_line(rural):
    devices = propose_feeder_fuses(rural)
    assert sorted(device.branch[1] for device in devices) == [2, 6, 9, 10]
    assert all(device.proposed and device.rated_a == 200.0 for device in devices)
    stated = Assumptions(250.0, 200.0, 0.1, 80.0, 1.2, ZeroSequence(4.0, 4.0))
    currents, _ = short_circuit(rural, stated)
    reaches, findings = reach(rural, devices, currents)
    assert sum(len(made.zone) for made in reaches) == len(rural.line)
    assert all(made.reaches for made in reaches)
    assert findings == []
    # A source at the bus of the transformer's other end leaves the feeders as they are.
    for made in reaches:
        least = currents["ikss_ka"].sel(case="min", bus=list(made.zone)).min()
        assert made.least_a == pytest.approx(float(least) * 1e3)


def test_fuses_of_the_cigre_feeders_do_not_reach_and_each_suggestion_would(cigre):
    currents, _ = short_circuit(cigre, Assumptions(zero_sequence=ZeroSequence(4.0, 4.0)))
    devices = propose_feeder_fuses(cigre)
    reaches, findings = reach(cigre, devices, currents)
    assert len(reaches) == 3
    assert not any(made.reaches for made in reaches)
    assert _codes(findings).count("protection.no_reach") == 3
    smaller_ones = [replace(m.device, rated_a=m.suggested_a) for m in reaches]
    again, _ = reach(cigre, smaller_ones, currents)
    assert all(made.reaches for made in again)


def test_lines_that_no_device_protects_are_told_of(feeder):
    net = feeder()
    second = ProtectiveDevice("F1", ("line", 1), "from_bus", "gG", 63.0)
    _, findings = _only(net, [second])
    (finding,) = findings
    assert finding.code == "protection.none"
    assert "line 0 'cable 1'" in finding.message


def test_a_device_s_currents_are_those_of_its_standard():
    assert FUSE.operates_a == 1250.0
    assert replace(FUSE, rated_a=32.0, within_s=0.4).operates_a == 275.0
    # Where no current at 0.4 s is published, the gate at 0.1 s is on the safe side.
    assert replace(FUSE, within_s=0.4).operates_a == 3420.0
    small = ProtectiveDevice("Q1", ("line", 0), "from_bus", "C", 16.0, within_s=0.4)
    assert small.operates_a == 160.0
    assert small.breaks_ka is None
    assert smaller(small, 155.0) == 13.0
    assert smaller(small, 20.0) is None
    assert FUSE.breaks_ka == 50.0
    for gates in GG.values():
        assert gates.max_5_s_a < (gates.at_400_ms_a or gates.max_100_ms_a) <= gates.max_100_ms_a


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rated_a": 199.0}, "no gG fuse-link is rated 199 A"),
        ({"kind": "gX"}, "kind 'gX' must be one of"),
        ({"end": "hv_bus"}, "'hv_bus' is no end of a 'line'"),
        ({"within_s": 60.0}, "within_s is 60"),
        ({"kind": "definite"}, "pickup_a is None"),
        ({"kind": "definite", "pickup_a": 50.0, "delay_s": 9.0}, "delay_s is 9"),
    ],
)
def test_a_device_that_cannot_be_is_refused(change, words):
    with pytest.raises(BadInputError, match=words):
        replace(FUSE, **change)


def test_two_devices_at_one_place_and_a_branch_that_is_not_there_are_refused(feeder):
    net = feeder()
    currents, _ = short_circuit(net)
    with pytest.raises(BadInputError, match="another has its name or its place"):
        reach(net, [FUSE, replace(FUSE, name="F9")], currents)
    with pytest.raises(BadInputError, match="no line 7"):
        reach(net, [replace(FUSE, branch=("line", 7))], currents)
    with pytest.raises(BadInputError, match="the maximum and the minimum"):
        reach(net, [FUSE], currents.sel(case=["min"]))
