"""The one-line diagram: everything once, in its place, and nothing over something else."""

import dataclasses
import re

import numpy as np
import pytest

from grid.errors import BadInputError
from networks.drawing.facts import HEADER, BusNote, HeadFlow
from networks.drawing.one_line import one_line
from networks.drawing.places import places
from networks.drawing.scheme import scheme
from networks.drawing.stored import store, stored
from networks.drawing.words import Words
from networks.flow.year import nominal_flow
from tests.networks.drawing.conftest import CASES, SVG, read, view_box


@pytest.fixture(scope="module")
def drawn(drawn_case):
    kept = {}

    def get(name):
        if name not in kept:
            model, state, limits = drawn_case(name)
            kept[name] = one_line(model, state, limits=limits)
        return kept[name]

    return get


@pytest.mark.parametrize("name", CASES)
def test_every_bus_and_branch_is_drawn_once(drawn_case, drawn, name):
    model, _, _ = drawn_case(name)
    found = read(drawn(name))
    ids = [one.get("id") for one in found.root.iter() if one.get("id")]
    assert len(ids) == len(set(ids))
    switch = model.equipment.switch
    expected = {f"one-line-bus-{bus}" for bus in model.bus}
    expected |= {f"one-line-line-{index}" for index in model.line.index}
    expected |= {f"one-line-trafo-{index}" for index in model.trafo.index}
    expected |= {f"one-line-switch-{index}" for index in switch.index[switch.kind == 0]}
    assert {one for one in ids if one not in ("one-line-title", "one-line-desc")} == expected


@pytest.mark.parametrize("name", CASES)
def test_no_two_labels_cover_each_other_and_all_are_on_the_sheet(drawn, name):
    picture = drawn(name)
    found = read(picture)
    assert found.clashes() == []
    width, height = view_box(picture)
    boxes = found.label_boxes()
    assert len(boxes) > 10
    assert all(a >= 0 and b >= 0 and c <= width and d <= height for _, (a, b, c, d) in boxes)


@pytest.mark.parametrize("name", CASES)
def test_no_two_buses_stand_in_one_place(drawn_case, name):
    model, _, _ = drawn_case(name)
    here = places(scheme(model))
    at = np.array([here.x, here.y]).T
    gap = np.abs(at[:, None] - at[None])
    close = (gap[..., 0] < 20) & (gap[..., 1] < 20)
    assert close.sum() == len(at)
    assert all(0 < x < here.width and 0 < y < here.height for x, y in at)


@pytest.mark.parametrize("name", CASES)
def test_each_branch_runs_from_its_bus_to_its_bus(drawn_case, name):
    model, _, _ = drawn_case(name)
    drawn = scheme(model)
    here = places(drawn)
    for branch, route in zip(drawn.branches, here.route, strict=True):
        for bus, (x, y) in ((branch.a, route.points[0]), (branch.b, route.points[-1])):
            top, bottom = here.bar[bus] or (here.y[bus], here.y[bus])
            assert x == here.x[bus], branch
            assert top <= y <= bottom, branch


def test_the_source_stands_leftmost_and_power_goes_to_the_right(drawn_case):
    model, _, _ = drawn_case("rural3")
    drawn = scheme(model)
    here = places(drawn)
    (head,) = drawn.head
    assert here.x[head] == min(here.x)
    trafo = next(one for one in drawn.branches if one.kind == "trafo")
    assert here.x[trafo.a] < here.x[trafo.b]
    assert sum(x <= here.x[trafo.b] for x in here.x) == 2
    assert len(here.feeders) == sum(
        one.kind == "line" and trafo.b in (one.a, one.b) for one in drawn.branches
    )


def test_nothing_moves_when_something_is_switched(drawn_case):
    before, _, _ = drawn_case("ties out")
    after, _, _ = drawn_case("lines out")
    assert places(scheme(before)) == places(scheme(after))


def test_the_same_input_gives_the_same_bytes(drawn_case, drawn):
    model, state, limits = drawn_case("rings")
    again = one_line(scheme(model), state, limits=limits)
    assert again == drawn("rings")


def test_dead_buses_and_what_is_out_are_marked(drawn_case, drawn):
    model, state, _ = drawn_case("lines out")
    found = read(drawn("lines out"))
    dead = set(model.bus[model.node < 0].tolist())
    assert len(dead) == 20
    marked = {
        int(one.get("id").rpartition("-")[2])
        for one in found.groups("bus")
        if "dead" in one.get("class").split()
    }
    assert marked == dead
    out = {one.get("id") for one in found.groups("out")}
    off = model.line.index[~model.switching.line_on]
    assert out == {f"one-line-line-{index}" for index in off}
    assert all(any(p.get("class") == "cross" for p in one) for one in found.groups("out"))
    unserved = float(state["unserved_kw"][0])
    texts = [text.replace("\u202f", "") for text, _ in found.label_boxes()]
    assert f"✕ without voltage: 20 buses, {unserved:.1f} kW" in texts


def test_open_switches_are_drawn_open_and_closed_ones_are_not(drawn_case, drawn):
    model, _, _ = drawn_case("rings")
    switch = model.equipment.switch
    open_ = switch.element[~model.switching.closed & (switch.kind == 1)]
    found = read(drawn("rings"))
    assert {one.get("id") for one in found.groups("open")} == {
        f"one-line-line-{index}" for index in open_
    }
    for one in found.groups("open"):
        assert [part.get("class") for part in one].count("blade") == 1
        assert one.find(f"{SVG}title").text.count("open") == 1
    closed = model.switched(closed=switch.index[~model.switching.closed].tolist())
    drawn_closed = one_line(closed, limits=drawn_case("rings")[2])
    assert read(drawn_closed).groups("open") == []
    assert "blade" not in drawn_closed.svg


def test_couplers_between_busbars_are_drawn_closed_and_open(drawn_case):
    model, _, limits = drawn_case("rings")
    switch = model.equipment.switch
    joints = switch.index[switch.kind == 0].tolist()
    found = read(one_line(model, limits=limits))
    for index in joints:
        group = found.of(f"one-line-switch-{index}")
        assert any(part.get("class") == "closed" for part in group)
    opened = read(one_line(model.switched(opened=joints[:1]), limits=limits))
    group = opened.of(f"one-line-switch-{joints[0]}")
    assert any(part.get("class") == "blade" for part in group)


def test_states_follow_the_limits_and_signs_tell_them_too(drawn_case, drawn):
    model, state, limits = drawn_case("two transformers")
    vm = state["vm_pu"].to_numpy()[0]
    found = read(drawn("two transformers"))
    for bus, value in zip(model.bus, vm, strict=True):
        kinds = found.of(f"one-line-bus-{bus}").get("class").split()
        assert ("low" in kinds) == (value < limits.voltage_min_pu)
        if "low" in kinds:
            signs = [part.text for part in found.of(f"one-line-bus-{bus}").iter(f"{SVG}text")]
            assert signs == ["▼"]
    load = state["trafo_loading_percent"].to_numpy()[0]
    for index, value in zip(model.trafo.index, load, strict=True):
        kinds = found.of(f"one-line-trafo-{index}").get("class").split()
        assert ("over" in kinds) == (value > limits.loading_max_percent)
    texts = [text for text, _ in found.label_boxes()]
    assert f"▼ lowest {vm.min():.4f} pu" in texts
    assert f"▲ {load.max():.0f} %" in texts


def test_a_voltage_just_beyond_a_limit_does_not_read_as_on_it(drawn_case):
    model, state, limits = drawn_case("rural1")
    low = state.copy(deep=True)
    low["vm_pu"].values[0, 2:4] = 0.9496, 0.93
    texts = [text for text, _ in read(one_line(model, low, limits=limits)).label_boxes()]
    assert "▼ 0.9496" in texts


def test_all_well_is_grey(drawn_case):
    model, state, limits = drawn_case("rural1")
    wide = dataclasses.replace(limits, loading_max_percent=300.0)
    found = read(one_line(model, state, limits=wide))
    kinds = {kind for one in found.groups("bus") for kind in one.get("class").split()}
    assert kinds == {"bus", "normal", "has"}
    kinds = {kind for one in found.groups("branch") for kind in one.get("class").split()}
    assert kinds == {"branch", "line", "trafo", "normal"}


@pytest.mark.parametrize("name", ["rural1", "rings with an outage", "lines out"])
def test_the_table_says_what_the_power_flow_says(drawn_case, drawn, name):
    model, state, _ = drawn_case(name)
    table = drawn(name).table
    assert table[0] == HEADER
    rows = [dict(zip(HEADER, row, strict=True)) for row in table[1:]]
    buses = [row for row in rows if row["kind"] == "bus"]
    assert [row["index"] for row in buses] == model.bus.tolist()
    vm = state["vm_pu"].to_numpy()[0]
    assert [row["vm_pu"] for row in buses] == [None if v != v else v for v in vm.tolist()]
    for kind in ("line", "trafo"):
        load = state[f"{kind}_loading_percent"].to_numpy()[0]
        some = [row for row in rows if row["kind"] == kind]
        live = getattr(model, kind).from_node >= 0
        assert [row["loading_percent"] for row in some] == [
            value if on else None for value, on in zip(load.tolist(), live, strict=True)
        ]
    assert {row["state"] == "dead" for row in buses} == set((model.node < 0).tolist())


HOSTILE = "</title><script>alert(1)</script>\"'&\u202e\x00=cmd|' /C calc'!A0"


def test_hostile_names_stay_text(drawn_case):
    model, state, limits = drawn_case("rural1")
    named = scheme(model)
    branches = tuple(dataclasses.replace(one, name=HOSTILE) for one in named.branches)
    named = dataclasses.replace(
        named, bus_name=(HOSTILE,) * len(named.bus), branches=branches, source=HOSTILE
    )
    notes = {int(model.bus[0]): BusNote(HOSTILE, (HOSTILE,))}
    for standalone in (False, True):
        picture = one_line(
            named, state, limits=limits, notes=notes, title=HOSTILE, standalone=standalone
        )
        found = read(picture)
        assert {one.tag.removeprefix(SVG) for one in found.root.iter()} <= {
            "svg", "title", "desc", "style", "rect", "g", "path", "circle", "text",
        }  # fmt: skip
        assert "<script" not in picture.svg
        assert "\u202e" not in picture.svg
        assert "\x00" not in picture.svg
        assert found.of("one-line-title").text.startswith("</title><script>")
        assert not re.search(r"\son[a-z]+=|javascript:|https?://(?!www\.w3\.org/2000/svg)|url\(",
                             picture.svg)  # fmt: skip


def test_a_table_gives_a_spreadsheet_no_formula(drawn_case):
    model, _, limits = drawn_case("rural1")
    named = scheme(model)
    named = dataclasses.replace(named, bus_name=("=1+1", *named.bus_name[1:]))
    first = one_line(named, limits=limits).csv().splitlines()[1]
    assert first.split(",")[2] == "'=1+1"


def test_in_a_page_there_is_no_style_and_alone_there_is(drawn_case):
    model, state, limits = drawn_case("rural1")
    inside = one_line(model, state, limits=limits, prefix="here")
    assert "<style" not in inside.svg
    assert " style=" not in inside.svg
    root = read(inside).root
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "here-title here-desc"
    assert root.find(f"{SVG}title").text == inside.title
    assert root.find(f"{SVG}desc").text == inside.description
    assert all(
        one.get("id").startswith("here-") for one in root.iter() if one.get("id") is not None
    )
    alone = one_line(model, state, limits=limits, standalone=True)
    assert alone.svg.count("<style>") == 1
    assert "prefers-color-scheme: dark" in alone.svg
    assert [one.get("class") for one in read(alone).root.iter(f"{SVG}g")].count("legend") == 1
    with pytest.raises(ValueError, match="cannot begin an id"):
        one_line(model, limits=limits, prefix='"><script>')


def test_devices_estimates_and_the_head_are_labelled_in_the_readers_words(drawn_case):
    model, state, limits = drawn_case("rural1")
    first, second = (int(bus) for bus in model.bus[:2])
    notes = {
        first: BusNote("UP-1", ("PV", "B")),
        second: BusNote("UP-2", estimated=True),
    }
    words = Words(gives="отдаёт", public_grid="Внешняя сеть", lowest="наименьшее")
    picture = one_line(
        model, state, limits=limits, notes=notes, head=HeadFlow(12.34, 0.0), words=words
    )
    found = read(picture)
    texts = [text for text, _ in found.label_boxes()]
    assert {"PV B", "≈", "Внешняя сеть", "отдаёт 12.3 kW"} <= set(texts)
    assert any(text.startswith("наименьшее ") for text in texts)
    assert len(found.groups("has")) == 2
    (ring,) = [one for one in found.root.iter(f"{SVG}circle") if one.get("class") == "ring"]
    assert ring is not None
    away = one_line(model, state, limits=limits, head=HeadFlow(0, 0, available=False))
    assert "✕ without voltage" in [text for text, _ in read(away).label_boxes()]


def test_an_unobservable_voltage_is_unknown_and_an_estimate_has_its_margin(drawn_case):
    model, state, limits = drawn_case("rural1")
    one = state.isel(interval=0)
    deviation = np.full(len(model.bus), 0.001)
    deviation[3] = np.inf
    vm = one["vm_pu"].to_numpy().copy()
    vm[3] = np.nan
    one = one.assign(vm_pu=("bus", vm), vm_sd_pu=("bus", deviation))
    picture = one_line(model, one, limits=limits)
    found = read(picture)
    assert "unknown" in found.of(f"one-line-bus-{model.bus[3]}").get("class").split()
    assert "± 0.0020 pu" in found.of(f"one-line-bus-{model.bus[2]}").find(f"{SVG}title").text
    assert found.groups("dead") == []
    row = dict(zip(HEADER, picture.table[4], strict=True))
    assert (row["vm_pu"], row["margin_pu"]) == (None, None)


def test_a_state_of_another_network_is_refused(drawn_case):
    model, _, limits = drawn_case("rural1")
    _, other, _ = drawn_case("semiurb4")
    with pytest.raises(BadInputError, match="vm_pu has 44 values, must be 15"):
        one_line(model, other, limits=limits)


@pytest.mark.parametrize("name", CASES)
def test_a_stored_scheme_is_drawn_as_the_network_itself(drawn_case, name):
    model, _, _ = drawn_case(name)
    assert stored(store(model)) == scheme(model)


def test_an_island_has_its_forming_source(drawn_case):
    model, _, limits = drawn_case("rural1")
    island = model.islanded(int(model.bus[5]))
    picture = one_line(island, nominal_flow(island), limits=limits)
    assert "Forming source" in [text for text, _ in read(picture).label_boxes()]
    assert len(read(picture).groups("source")) == 1
