"""A fixed tap is the one that trying all by pandapower gives; a changer steps when it should."""

import numpy as np
import pandapower as pp
import pytest

from grid.errors import BadInputError
from grid.site import Network
from networks.flow.judge import judge
from networks.injection import INPUTS
from networks.operating.changer import TapChanger, follow, trafos_beside
from networks.operating.taps import fixed_tap

FACTORS = [0.2, 0.5, 1.0, 1.6, 1.2, 0.1]
BAND = Network(source="x", voltage_min_pu=0.96, voltage_max_pu=1.04)


def test_the_fixed_tap_is_the_one_that_trying_all_by_runpp_gives(rural, day):
    series = day(rural, FACTORS)
    made = fixed_tap(rural, series, BAND, 0)
    best = []
    for trial in made.trials:
        court = judge(rural.switched(taps={0: trial.position}))
        vm_pu = np.array(
            [
                court.run([series[name].to_numpy()[step] for name in INPUTS]).res_bus.vm_pu
                for step in range(len(FACTORS))
            ]
        )
        outside = ((vm_pu < 0.96) | (vm_pu > 1.04)).any(axis=1).sum() * 0.25
        assert trial.violation_hours == pytest.approx(outside)
        assert trial.vm_pu_lowest == pytest.approx(vm_pu.min(), abs=1e-8)
        assert trial.vm_pu_highest == pytest.approx(vm_pu.max(), abs=1e-8)
        margin = min(vm_pu.min() - 0.96, 1.04 - vm_pu.max())
        best.append((outside, -round(margin, 9), abs(trial.position)))
    assert len(made.trials) == 5
    assert made.trials[int(np.argmin([rank[0] for rank in best]))].violation_hours == min(best)[0]
    assert made.position == made.trials[best.index(min(best))].position
    assert len({rank[0] for rank in best}) > 1


def test_a_changer_ends_where_pandapowers_ends(mv, day):
    """At constant load: pandapower's own tap controllers, one for each of the two transformers."""
    for factor in (0.0, 1.5):
        series = day(mv, [factor] * 3, step_s=3600)
        changer = TapChanger((0, 1), 2, target_pu=1.03, band_pu=0.01)
        ours = follow(mv, series, changer)
        net = mv.pandapower_net()
        net.load["scaling"] *= factor
        net.sgen["in_service"] = net.storage["in_service"] = False
        for trafo in (0, 1):
            pp.control.DiscreteTapControl(net, trafo, 1.02, 1.04)
        pp.runpp(net, run_control=True, calculate_voltage_angles=True)
        assert ours.position.tolist() == [int(net.trafo.tap_pos.loc[0])] * 3
        assert ours.vm_pu[0] == pytest.approx(float(net.res_bus.vm_pu.loc[2]), abs=1e-7)
        assert ours.operations == abs(ours.position[0])
        assert ours.findings == ()


@pytest.mark.parametrize(("seconds", "steps"), [(50, 0), (60, 1), (70, 1)])
def test_a_step_waits_for_the_delay(rural, day, seconds, steps):
    """Intervals of 10 s: high load for some seconds, then none."""
    high = seconds // 10
    series = day(rural, [0.0] * 3 + [2.0] * high + [0.0] * 3, step_s=10)
    changer = TapChanger((0,), rural.lv_bus, 1.015, 0.014, delay_s=60.0)
    outside = _outside(rural, series, changer)
    assert outside.tolist() == [False] * 3 + [True] * high + [False] * 3
    made = follow(rural, series, changer)
    assert made.operations == steps
    moved = np.flatnonzero(np.diff(made.position, prepend=made.position[0]))
    assert moved[:1].tolist() == ([3 + 5] if steps else [])


def _outside(model, series, changer):
    """Return in which intervals the voltage is outside the dead band at the present position."""
    from networks.flow.year import chunks

    vm_pu = next(iter(chunks(model, series)))[1]["vm_pu"].sel(bus=changer.bus).to_numpy()
    return np.abs(vm_pu - changer.target_pu) > changer.band_pu


def test_time_outside_starts_anew_when_the_voltage_comes_back(rural, day):
    changer = TapChanger((0,), rural.lv_bus, 1.015, 0.014, delay_s=60.0)
    broken = day(rural, ([2.0] * 5 + [0.0]) * 4, step_s=10)
    assert follow(rural, broken, changer).operations == 0
    whole = day(rural, [2.0] * 24, step_s=10)
    assert follow(rural, whole, changer).operations >= 1


def test_further_steps_of_one_correction_follow_faster(mv, day):
    """60 s to the first step, 20 s to each of the others."""
    changer = TapChanger((0, 1), 2, 1.07, 0.009, delay_s=60.0, next_s=20.0)
    made = follow(mv, day(mv, [0.0] * 14, step_s=10), changer)
    moved = np.flatnonzero(np.diff(made.position, prepend=0))
    assert len(moved) == made.operations >= 2
    assert (10 * (moved + 1)).tolist() == [60 + 20 * number for number in range(len(moved))]


def test_a_changer_at_its_end_is_told(rural, day):
    changer = TapChanger((0,), rural.lv_bus, 1.15, 0.014)
    made = follow(rural, day(rural, [1.0] * 4), changer)
    assert made.position.tolist() == [-2] * 4
    assert [one.code for one in made.findings] == ["network.tap_at_end"]
    assert "trafo 0 2026-01-01T00:00Z" in made.findings[0].message
    assert made.outside_hours == pytest.approx(1.0)


def test_a_dead_band_narrower_than_a_step_is_refused(rural, day):
    with pytest.raises(BadInputError, match=r"trafo 0: a step moves bus \d+ by 0\.02"):
        follow(rural, day(rural, [2.5] * 2), TapChanger((0,), rural.lv_bus, 1.01, 0.001))


def test_what_cannot_be_tapped_is_named(cigre, rural, day):
    with pytest.raises(BadInputError, match="trafo 0: has one tap position, 0"):
        fixed_tap(cigre, day(cigre, [1.0]), BAND, 0)
    with pytest.raises(BadInputError, match="trafo 7 is not in the network"):
        fixed_tap(rural, day(rural, [1.0]), BAND, 7)
    with pytest.raises(BadInputError, match=r"band_pu is 0\.5"):
        TapChanger((0,), 0, 1.0, 0.5)


def test_parallel_transformers_are_found(mv, cigre):
    assert list(trafos_beside(mv, 0)) == [0, 1]
    assert list(trafos_beside(cigre, 0)) == [0]
