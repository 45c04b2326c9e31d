"""The ranking of the next meter is what installing it would show."""

import numpy as np
import pytest

from networks.estimation.estimate import estimate
from networks.estimation.placement import ranking
from networks.estimation.problem import Accuracy
from networks.estimation.trial import show, trial
from networks.sources.source import load

ACCURACY = Accuracy(floor_kw=0.001)


@pytest.fixture(scope="module")
def tried():
    return trial(load("simbench:1-LV-semiurb4--0-sw", source_voltage_pu=1.0))


def test_the_best_next_meter_lowers_the_deviation_by_what_was_promised(tried):
    shown = show(tried, 120, 0.2, 3, ACCURACY)
    complete = show(tried, 120, 1.0, 3, ACCURACY)
    got = estimate(tried.model, shown.measured, shown.expected, ACCURACY)
    ranked = ranking(got.problem, got.solution, ACCURACY)
    names = shown.measured["point"].values.tolist()
    unmetered = shown.measured["absorbed_kw"].isnull().all("interval").to_numpy()
    assert set(ranked["point"].values) == {
        n for n, bare in zip(names, unmetered, strict=True) if bare
    }
    assert (np.diff(ranked["vm_sd_pu"]) >= 0).all()

    def installed(name):
        measured = shown.measured.copy(deep=True)
        row = names.index(name)
        for column in ("absorbed_kw", "injected_kw", "absorbed_kvar", "injected_kvar", "vm_pu"):
            measured[column][:, row] = complete.measured[column][:, row]
        again = estimate(tried.model, measured, shown.expected, ACCURACY)
        return float(np.sqrt((again.state["vm_sd_pu"] ** 2).mean()))

    before = float(np.sqrt((got.state["vm_sd_pu"] ** 2).mean()))
    first, last = str(ranked["point"].values[0]), str(ranked["point"].values[-1])
    best, worst = installed(first), installed(last)
    assert best < worst < before
    assert before == pytest.approx(ranked.attrs["vm_sd_pu"], rel=0.05)
    assert best == pytest.approx(float(ranked["vm_sd_pu"][0]), rel=0.05)
    assert worst == pytest.approx(float(ranked["vm_sd_pu"][-1]), rel=0.05)
