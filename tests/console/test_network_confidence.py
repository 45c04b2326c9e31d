"""The operator sees how well the state of the network is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from flask.testing import FlaskClient

from grid import interval
from grid.site import Site
from grid.store import Store, datasets

SignIn = Callable[..., FlaskClient]

NOW = interval.parse("2026-05-27T14:00+04:00")


@pytest.fixture
def estimate(store: Store) -> Callable[..., None]:
    """Return what stores the estimate of the newest interval."""

    def put(silent: int, verdict: str = "clean", hidden: int | None = None) -> None:
        with store.write() as tx:
            state = datasets.require_dataset(tx, "network", NOW - 900)
            vm, sd = state["vm_pu"].values.copy(), np.full(state.sizes["bus"], 0.002)
            sd[3] = 0.005
            if hidden is not None:
                vm[hidden], sd[hidden] = np.nan, np.inf
            content = state.assign(
                vm_pu=("bus", vm),
                vm_sd_pu=("bus", sd),
                silent=((), silent),
                verdict=((), verdict),
            ).assign_coords(bus=np.arange(len(vm)))
            datasets.put_dataset(tx, "estimate", NOW - 900, content)

    return put


def _page(sign_in: SignIn) -> str:
    return sign_in("operator").get("/operator/network").get_data(as_text=True)


def test_the_page_says_of_how_many_meters_and_how_exactly(
    sign_in: SignIn, estimate: Callable[..., None], site: Site
) -> None:
    estimate(2)
    page, points = _page(sign_in), len(site.usage_point)
    assert f"Estimated from {points - 2} of {points} usage points." in page
    assert "Voltages are known to within ±0.98 % (95 %)." in page
    assert "What is usual stands in for the others." in page
    assert "± 0.0098 pu" in page


def test_a_bus_of_which_nothing_is_known_is_not_said_to_be_dead(
    sign_in: SignIn, estimate: Callable[..., None]
) -> None:
    before = _page(sign_in).count('class="bus dead')
    estimate(0, hidden=4)
    page = _page(sign_in)
    assert "1 buses cannot be told" in page
    assert page.count('class="bus dead') == before
    assert '<g class="bus unknown' in page


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        ("identified", "a wrong measurement was left out"),
        ("detected, not identifiable", "a measurement is wrong; which one cannot be told"),
    ],
)
def test_a_wrong_measurement_is_told(
    sign_in: SignIn, estimate: Callable[..., None], verdict: str, text: str
) -> None:
    estimate(0, verdict)
    assert text in _page(sign_in)


def test_a_state_that_was_not_estimated_claims_no_confidence(sign_in: SignIn) -> None:
    page = _page(sign_in)
    assert "Voltages are known" not in page
    assert "± 95 %" not in page
