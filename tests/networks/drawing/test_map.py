"""The map: true to scale, nothing over something else, and no map without coordinates."""

import dataclasses
import math
import re

import pytest

from grid.errors import BadInputError
from networks.drawing.map import network_map
from networks.drawing.map_places import is_placed, map_places, metres_per_degree, scale_bar
from networks.drawing.scheme import scheme
from tests.networks.drawing.conftest import SVG, read, view_box

PLACED = ("rural1", "rural3", "semiurb4", "rings", "rings with an outage", "two sources")


@pytest.fixture(scope="module")
def drawn(drawn_case):
    kept = {}

    def get(name):
        if name not in kept:
            model, state, limits = drawn_case(name)
            kept[name] = network_map(model, state, limits=limits)
        return kept[name]

    return get


def test_a_degree_is_as_long_as_tables_of_the_ellipsoid_say():
    """WGS 84: at the equator 111 320 m and 110 574 m, at 45 degrees 78 847 m and 111 132 m."""
    assert metres_per_degree(0.0) == pytest.approx((111_319.5, 110_574.3), abs=0.1)
    assert metres_per_degree(45.0) == pytest.approx((78_846.8, 111_131.8), abs=0.1)


def test_distances_on_the_map_are_those_on_the_ground(drawn_case):
    """By the haversine formula on a sphere, which is within half a percent of the ellipsoid."""
    model, _, _ = drawn_case("two sources")
    drawn = scheme(model)
    here = map_places(drawn)
    count = range(len(drawn.bus))
    north, south = (end(count, key=lambda n: drawn.y[n]) for end in (max, min))
    west, east = (end(count, key=lambda n: drawn.x[n]) for end in (min, max))
    assert here.at[north][1] < here.at[south][1]
    assert here.at[west][0] < here.at[east][0]
    for a, b in ((north, south), (west, east)):
        (x0, x1), (y0, y1) = (
            [math.radians(values[n]) for n in (a, b)] for values in (drawn.x, drawn.y)
        )
        half = (
            math.sin((y1 - y0) / 2) ** 2
            + math.cos(y0) * math.cos(y1) * math.sin((x1 - x0) / 2) ** 2
        )
        ground_m = 2 * 6_371_008.8 * math.asin(math.sqrt(half))
        drawn_m = math.dist(here.at[a], here.at[b]) / here.metre_px
        assert drawn_m == pytest.approx(ground_m, rel=5e-3)


@pytest.mark.parametrize("metre_px", [0.003, 0.11, 2.7])
def test_the_scale_bar_is_as_long_as_it_says(metre_px):
    px, text = scale_bar(metre_px)
    size, unit = text.split()
    metres = float(size) * (1000 if unit == "km" else 1)
    assert px == pytest.approx(metres * metre_px)
    assert size.strip("0.") in ("1", "2", "5")
    assert 80 < px <= 220


@pytest.mark.parametrize("name", PLACED)
def test_every_element_once_no_label_over_another(drawn_case, drawn, name):
    model, _, _ = drawn_case(name)
    picture = drawn(name)
    found = read(picture)
    ids = [one.get("id") for one in found.root.iter() if one.get("id")]
    assert len(ids) == len(set(ids))
    assert len(found.groups("bus")) == len(model.bus)
    assert len(found.groups("branch")) == len(scheme(model).branches)
    assert found.clashes() == []
    width, height = view_box(picture)
    assert all(
        a >= 0 and b >= 0 and c <= width and d <= height for _, (a, b, c, d) in found.label_boxes()
    )
    assert len(found.groups("north")) == len(found.groups("scale-bar")) == 1


@pytest.mark.parametrize("name", PLACED)
def test_no_bus_covers_another_and_the_map_says_which_were_moved(drawn_case, drawn, name):
    model, _, _ = drawn_case(name)
    here = map_places(scheme(model))
    close = [
        (p, q) for n, p in enumerate(here.at) for q in here.at[n + 1 :] if math.dist(p, q) < 11.0
    ]
    assert close == []
    told = re.search(r"drawn beside their place: (\d+)", drawn(name).description)
    assert (int(told[1]) if told else 0) == here.moved


def test_the_map_has_the_states_and_the_table_of_the_one_line_diagram(drawn_case, drawn):
    from networks.drawing.one_line import one_line

    model, state, limits = drawn_case("rings with an outage")
    lines, picture = one_line(model, state, limits=limits), drawn("rings with an outage")
    assert picture.table == lines.table
    found, other = read(picture), read(lines)
    for one in (*found.groups("bus"), *found.groups("branch")):
        same = other.of(one.get("id").replace("map-", "one-line-"))
        assert one.get("class") == same.get("class")
        assert one.find(f"{SVG}title").text == same.find(f"{SVG}title").text
    assert len(found.groups("dead")) > 7
    texts = [text for text, _ in found.label_boxes()]
    assert any(text.startswith("✕ without voltage: 7 buses, ") for text in texts)
    assert "open" in texts


def test_the_same_input_gives_the_same_bytes(drawn_case, drawn):
    model, state, limits = drawn_case("rings")
    assert network_map(model, state, limits=limits) == drawn("rings")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("two transformers", r"1,746 km apart at 110 kV"),
        ("ties out", r"1,263 km apart at 12\.66 kV"),
    ],
)
def test_a_schematic_is_not_drawn_as_a_map(drawn_case, name, why):
    model, _, limits = drawn_case(name)
    assert not is_placed(scheme(model))
    with pytest.raises(BadInputError, match=why):
        network_map(model, limits=limits)
    nowhere = dataclasses.replace(scheme(model), geographic=False)
    with pytest.raises(BadInputError, match="no geographic coordinates; draw it as a one-line"):
        network_map(nowhere, limits=limits)
