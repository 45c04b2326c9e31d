"""The network page: its picture, its map, and the tables that say the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from xml.etree import ElementTree

import numpy as np
import pytest
import xarray as xr
from flask import Flask
from flask.testing import FlaskClient

from grid.console.operator_diagram import Diagram, diagram
from grid.site import Site
from grid.store import Store, datasets
from networks.drawing.stored import store as layout_of
from networks.drawing.style import STYLE
from networks.flow.year import nominal_flow
from networks.model import NetworkModel
from networks.sources.source import load

SignIn = Callable[..., FlaskClient]
RURAL, RINGS = "simbench:1-LV-rural1--0-sw", "simbench:1-MV-rural--0-sw"
AT_S = 1_779_874_200  # 2026-05-27T09:30Z, of the village's last interval before 14:00 in Baku


@pytest.fixture
def asked(app: Flask) -> Iterator[None]:
    """Words are those of whoever asks."""
    with app.test_request_context():
        yield


def _layout(lines: list[tuple[int, int]], trafos: list[tuple[int, int]], count: int) -> xr.Dataset:
    """Return a layout as it was stored before maps: names and ends."""
    columns: dict[str, tuple[str, object]] = {
        "bus_name": ("bus", np.array([f"LV Bus {n}" for n in range(count)]))
    }
    for kind, pairs in (("line", lines), ("trafo", trafos)):
        ends = np.array(pairs, np.int64).reshape(-1, 2)
        columns[f"{kind}_from"], columns[f"{kind}_to"] = (kind, ends[:, 0]), (kind, ends[:, 1])
    return xr.Dataset(columns, coords={"bus": np.arange(count)})


def _drawn(layout: xr.Dataset, site: Site, vm: np.ndarray | None = None) -> Diagram:
    state = None if vm is None else xr.Dataset({"vm_pu": ("bus", vm)})
    drawn = diagram(layout, state, site)
    assert drawn is not None
    return drawn


def _put(store: Store, model: NetworkModel, at_s: int) -> None:
    state = nominal_flow(model).isel(interval=0, drop=False)
    with store.write() as tx:
        datasets.put_dataset(tx, "layout", 0, layout_of(model))
        datasets.put_dataset(tx, "network", at_s, state)


@pytest.mark.usefixtures("asked")
def test_an_older_layout_is_drawn_too_but_has_no_map(site: Site) -> None:
    drawn = _drawn(_layout([(1, 2), (2, 3), (3, 1), (4, 5)], [(0, 1)], 6), site)
    root = ElementTree.fromstring(drawn.svg)
    ids = [one.get("id") for one in root.iter() if one.get("id")]
    assert len([one for one in ids if "-bus-" in str(one)]) == 6
    assert len([one for one in ids if "-line-" in str(one)]) == 4
    assert not drawn.placed
    assert not drawn.known
    assert {bus.state for bus in drawn.buses} == {"unknown"}
    assert diagram(None, None, site) is None


@pytest.mark.usefixtures("asked")
def test_voltages_are_judged_by_the_sites_limits(site: Site) -> None:
    low, high = site.network.voltage_min_pu, site.network.voltage_max_pu
    vm = np.array([1.0, low - 0.01, low + 0.001, 1.0, high - 0.001, high + 0.01, np.nan])
    drawn = _drawn(_layout([(n, n + 1) for n in range(6)], [], 7), site, vm)
    states = [bus.state for bus in drawn.buses]
    assert states == ["normal", "low", "near-low", "normal", "near-high", "high", "dead"]
    assert f"lowest {low - 0.01:.4f} pu" in drawn.svg
    assert f"highest {high + 0.01:.4f} pu" in drawn.svg


@pytest.mark.usefixtures("asked")
def test_a_state_of_another_network_is_not_shown(site: Site) -> None:
    drawn = _drawn(_layout([(0, 1)], [], 2), site, np.array([1.0, 1.0, 1.0]))
    assert not drawn.known
    assert [bus.vm_pu for bus in drawn.buses] == [None, None]


@pytest.mark.usefixtures("asked")
def test_devices_have_their_signs_and_estimates_their_ring(site: Site) -> None:
    drawn = diagram(layout_of(load(RURAL)), None, site, estimated=["UP-4"])
    assert drawn is not None
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", drawn.svg)
    assert {"PV EV", "W", "B G"} <= set(texts)
    assert drawn.svg.count('class="ring"') == 1
    assert [bus.points for bus in drawn.buses if bus.estimated] == ["UP-4"]


@pytest.mark.usefixtures("asked")
def test_the_same_state_is_drawn_once(site: Site) -> None:
    layout = layout_of(load(RURAL))
    vm = np.full(15, 1.0)
    first = _drawn(layout, site, vm)
    assert _drawn(layout, site, vm.copy()).svg is first.svg
    vm[3] = 0.97
    assert _drawn(layout, site, vm).svg != first.svg


def test_the_page_shows_the_diagram_or_the_map_and_both_poll_their_own(
    sign_in: SignIn, store: Store
) -> None:
    model = load(RINGS)
    _put(store, model, AT_S)
    client = sign_in("operator")
    for view, kind in (("one-line", "one-line"), ("map", "map")):
        page = client.get(f"/operator/network?view={view}").text
        assert f'class="drawing {kind}"' in page
        assert f"/operator/network/live?view={view}" in page
        assert page.count('class="views"') == 1
        assert re.search(rf'view={view}" aria-current="page"', page)
        live = client.get(f"/operator/network/live?view={view}")
        assert f'class="drawing {kind}"' in live.text
        again = client.get(
            f"/operator/network/live?view={view}", headers={"If-None-Match": live.headers["ETag"]}
        )
        assert again.status_code == 304
        assert page.count('id="network-bus-') == len(model.bus)
        assert 'href="#tables"' in page
        assert 'id="tables"' in page
        rows = page[page.index('id="tables"') :]
        assert all(f">{name}<" in rows or f">{name} <" in rows for name in model.bus_name)
        assert rows.count(">opened<") == 6
    assert client.get("/operator/network?view=globe").status_code == 400


def test_hostile_names_stay_text_on_the_page(sign_in: SignIn, store: Store) -> None:
    hostile = '</title><script>alert(1)</script><b onclick="x">'
    layout = _layout([(0, 1)], [], 2)
    layout["bus_name"] = ("bus", np.array([hostile, f"{hostile}2"]))
    with store.write() as tx:
        datasets.put_dataset(tx, "layout", 0, layout)
        state = xr.Dataset({"vm_pu": ("bus", np.array([1.0, 0.7]))})
        datasets.put_dataset(tx, "network", AT_S, state)
    page = sign_in("operator").get("/operator/network").text
    assert "<script>alert" not in page
    assert "<b onclick" not in page
    assert "&lt;script&gt;alert" in page


def test_the_style_of_pictures_is_one_and_may_be_kept(app: Flask) -> None:
    answer = app.test_client().get("/drawing.css")
    assert answer.mimetype == "text/css"
    assert answer.text == STYLE
    assert answer.headers["Cache-Control"] == "no-cache"
    tag = answer.headers["ETag"]
    same = app.test_client().get("/drawing.css", headers={"If-None-Match": tag})
    assert same.status_code == 304


@pytest.mark.parametrize(("language", "words"), [("az", "Xəritə"), ("ru", "Карта")])
def test_the_picture_speaks_the_readers_language(
    sign_in: SignIn, store: Store, language: str, words: str
) -> None:
    _put(store, load(RINGS), AT_S)
    client = sign_in("operator")
    with client.session_transaction() as session:
        session["language"] = language
    page = client.get("/operator/network?view=map").text
    assert words in page
    svg = re.search(r"<svg xmlns.*?</svg>", page, re.S)
    assert svg
    told = re.sub(r"<[^>]*>", " ", svg[0])
    assert not re.search(
        r"\b(lowest|highest|open|buses|feeder|Public grid|without voltage)\b", told
    )
