"""Hosting capacities on a network: each bus once, the least ones named."""

import math

import pytest

from grid.errors import BadInputError
from networks.drawing.hosting_map import HEADER, classes, hosting_map
from tests.networks.drawing.conftest import SVG, read


@pytest.fixture(scope="module")
def capacities(drawn_case):
    """Return (model, kW by bus, limiting elements) with one bus unknown and one of nothing."""
    model, _, _ = drawn_case("semiurb4")
    kw = {int(bus): 5.0 + 3.0 * n for n, bus in enumerate(model.bus)}
    least, unknown = int(model.bus[7]), int(model.bus[9])
    kw[least], kw[unknown] = 0.0, None
    why = {bus: f"line {bus} <loading>" for bus in kw}
    return model, kw, why


@pytest.mark.parametrize("on", ["map", "one-line"])
def test_each_bus_is_drawn_once_and_the_larger_the_more_it_can_take(drawn_case, capacities, on):
    model, kw, why = capacities
    limits = drawn_case("semiurb4")[2]
    picture = hosting_map(model, kw, why, limits=limits, on=on)
    found = read(picture)
    size = {}
    for bus in model.bus.tolist():
        group = found.of(f"hosting-bus-{bus}")
        (dot,) = group.iter(f"{SVG}circle")
        size[bus] = float(dot.get("r"))
        assert f"line {bus} <loading>" in group.find(f"{SVG}title").text
    known = sorted((value, bus) for bus, value in kw.items() if value is not None)
    radii = [size[bus] for _, bus in known]
    assert radii == sorted(radii)
    assert len(set(radii)) == 5
    assert [one.get("id") for one in found.groups("none")] == [f"hosting-bus-{model.bus[9]}"]
    assert found.clashes() == []
    texts = [text for text, _ in found.label_boxes()]
    assert any(text.startswith("least ") and text.endswith(": 0.0 kW") for text in texts)


def test_the_table_equals_what_was_given(drawn_case, capacities):
    model, kw, why = capacities
    picture = hosting_map(model, kw, why, limits=drawn_case("semiurb4")[2])
    assert picture.table == (
        HEADER,
        *(
            (bus, name, kw[bus], why[bus])
            for bus, name in zip(model.bus.tolist(), model.bus_name, strict=True)
        ),
    )
    assert picture == hosting_map(model, kw, why, limits=drawn_case("semiurb4")[2])


def test_classes_hold_about_as_many_buses_each():
    values = [float(n) for n in range(1, 101)]
    steps = classes(values)
    counts = [sum(steps.of(value) == n for value in values) for n in range(5)]
    assert len(steps.edges) == 4
    assert min(counts) >= 15
    assert classes([]).edges == ()
    assert classes([3.0, 3.0]).edges == ()
    assert classes([0.0, 0.0, 12.0]).of(0.0) == 0


def test_without_a_map_it_stands_on_the_one_line_diagram(drawn_case):
    model, _, limits = drawn_case("ties out")
    picture = hosting_map(model, {1: 12.0}, {}, limits=limits)
    assert len(read(picture).groups("source")) == 1
    assert read(picture).groups("north") == []
    with pytest.raises(BadInputError, match="draw it as a one-line"):
        hosting_map(model, {1: 12.0}, {}, limits=limits, on="map")
    with pytest.raises(BadInputError, match="on 'map' or 'one-line'"):
        hosting_map(model, {1: 12.0}, {}, limits=limits, on="globe")


@pytest.mark.parametrize("kw", [-1.0, math.inf])
def test_what_is_no_capacity_is_refused(drawn_case, kw):
    model, _, limits = drawn_case("ties out")
    with pytest.raises(BadInputError, match="bus 1: hosting_kw is"):
        hosting_map(model, {1: kw}, {}, limits=limits)
    with pytest.raises(BadInputError, match="bus 999 is not in the network"):
        hosting_map(model, {999: 1.0}, {}, limits=limits)
