"""What each reading makes of incidents: told to the stage by hand, cycle after cycle."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from sqlalchemy import select

from grid.errors import Finding, Severity
from grid.interval import label
from grid.operation import outage_facts, outages
from grid.operation.demo_site import DEFAULT_DAY, demo_site
from grid.operation.network_estimates import KIND, network_estimates
from grid.operation.room import Room
from grid.site import Protocol, Site
from grid.site_file import parse
from grid.store import Store, control, datasets, field, incidents
from grid.store.schema import metadata
from meters.reading import MeterRead, RegisterRow
from networks.model import NetworkModel
from networks.outages.feeder_tree import feeder_tree
from networks.sources.source import load

STEP_S = 900
T = 1_780_000_200 // STEP_S * STEP_S
FUSE, LATERAL, NEXT = 46, 68, 49
"""Eight customers behind a line, three behind one below it, one more behind the line before."""


@pytest.fixture(scope="module")
def site() -> Site:
    return parse(demo_site(day=DEFAULT_DAY, seed=1))


@pytest.fixture(scope="module")
def model(site: Site) -> NetworkModel:
    return load(site.network.source, source_voltage_pu=site.network.source_voltage_pu)


class Reader:
    """Tells the stage what meters said; a room of its own each time, as after a restart."""

    def __init__(self, directory: Path, site: Site, model: NetworkModel) -> None:
        self.site, self.model = site, model
        self.store = Store(f"sqlite:///{directory / 'khazri.sqlite3'}", create=True)
        self._directory = directory
        self.at_s = T
        self.told: list[Finding] = []
        tree = feeder_tree(model)
        self._below = {
            above.index: {
                int(bus)
                for bus, where in zip(model.bus, model.node, strict=True)
                if where in set(tree.below(node))
            }
            for node, above in enumerate(tree.above)
            if above is not None and above.kind == "line"
        }

    @property
    def room(self) -> Room:
        urls = {str(m.id): f"dlms://h{n}:4059/1" for n, m in enumerate(self.site.meter)}
        room = Room(
            self._directory, self.site, self.store, SimpleNamespace(meters=urls, devices={}), T
        )
        room.__dict__["model"] = self.model
        return room

    def behind(self, line: int) -> set[str]:
        return {str(p.id) for p in self.site.usage_point if p.bus in self._below[line]}

    def read(
        self,
        silent: Collection[str] = (),
        *,
        gasps: Mapping[str, int] | None = None,
        captured: Mapping[str, Collection[int]] | None = None,
        again: bool = False,
    ) -> list[Finding]:
        """Run the stage of one cycle; usage points stand for their meters."""
        at_s, reads, findings = self.at_s, [], []
        for number, meter in enumerate(self.site.meter):
            if meter.usage_point in silent:
                text = f"{meter.id} {label(at_s)} gave no complete answer"
                findings.append(
                    Finding("meter.silent", meter.id, label(at_s), Severity.WARNING, text)
                )
                continue
            rows = (captured or {}).get(str(meter.usage_point), ())
            profile = tuple(RegisterRow(s, (number, 0, 0, 0)) for s in rows)
            now = RegisterRow(at_s, (number, 0, 0, 0))
            reads.append(MeterRead(meter.id, now, profile, 230.0, b"x"))
        of = {str(m.usage_point): str(m.id) for m in self.site.meter}
        with self.store.write() as tx:
            last = field.last_reads(tx, at_s)
            field.put_reads(tx, reads, cycle_s=at_s)
            incidents.put_gasps(tx, [(of[p], s) for p, s in (gasps or {}).items()], at_s)
            told = outages.watch(self.room, tx, at_s, reads, findings, last)
            if again:
                before = self.rows(tx)
                outages.watch(self.room, tx, at_s, reads, findings, last)
                assert self.rows(tx) == before, "the same reading changed what it had made"
            control.put_findings(tx, at_s, told)
            control.mark_done(tx, at_s, "read")
        self.at_s += STEP_S
        return told

    @staticmethod
    def rows(tx):
        names = ("incident", "interruption")
        return [list(tx.execute(select(metadata.tables[name]))) for name in names]

    def found(self) -> list[incidents.Incident]:
        with self.store.read() as tx:
            return incidents.incidents(tx)

    def interrupted(self, number: int = 1) -> list[incidents.Interrupted]:
        with self.store.read() as tx:
            return incidents.interruptions(tx, [number])


@pytest.fixture
def reader(tmp_path: Path, site: Site, model: NetworkModel) -> Iterator[Reader]:
    made = Reader(tmp_path, site, model)
    made.read()
    yield made
    made.store.close()


def _codes(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(one.code, str(one.severity)) for one in findings]


def _without_profile(site: Site) -> set[str]:
    return {str(m.usage_point) for m in site.meter if m.protocol is Protocol.MODBUS}


def test_silent_meters_among_neighbours_that_answer_are_no_incident(reader: Reader) -> None:
    points = [str(point.id) for point in reader.site.usage_point]
    alone = {points[0], points[30], points[60]}
    for _ in range(4):
        told = reader.read(alone, again=True)
        assert _codes(told) == [("meter.silent", "warning")] * 3
    assert reader.found() == []


def test_an_outage_is_told_once_and_its_silent_meters_are_not(reader: Reader) -> None:
    dead = reader.behind(FUSE)
    elsewhere = next(str(p.id) for p in reader.site.usage_point if p.bus == reader.model.lv_bus)
    told = reader.read(dead | {elsewhere}, again=True)
    assert _codes(told) == [("outage.located", "alarm"), ("meter.silent", "warning")]
    assert "8 customers without supply (0 last gasps, 8 silent)" in told[0].message
    told = reader.read(dead | {elsewhere}, again=True)
    assert _codes(told) == [("meter.silent", "warning")]
    told = reader.read({elsewhere}, again=True)
    assert ("outage.ended", "info") in _codes(told)
    (one,) = reader.found()
    assert (one.kind, one.element, one.end_s) == ("line", FUSE, T + 3 * STEP_S)
    assert {row.usage_point for row in reader.interrupted()} == dead


def test_silence_dates_an_outage_to_the_first_missing_interval_and_a_gasp_to_the_second(
    reader: Reader,
) -> None:
    dead = reader.behind(FUSE)
    reader.read(dead)
    assert reader.found()[0].start_s == T
    reader.read()
    gasp_s = reader.at_s - 421
    reader.read(dead, gasps={min(dead): gasp_s})
    one = reader.found()[0]
    assert one.start_s == gasp_s
    assert {row.start_s for row in reader.interrupted(one.id)} == {gasp_s}
    with reader.store.read() as tx:
        mask = outage_facts.dark(tx, reader.site, T, 4)
    assert mask is not None
    lost = np.array([str(m.usage_point) in dead for m in reader.site.meter])
    assert not mask[~lost].any()
    # The first interval may have had supply in part, and so may that of the gasp.
    assert mask[lost].all(axis=0).tolist() == [False, True, False, True]
    assert mask[lost].any(axis=0).tolist() == [False, True, False, True]


def test_a_gasp_of_a_meter_that_answers_or_answered_since_tells_nothing(reader: Reader) -> None:
    point = min(reader.behind(FUSE))
    assert reader.read(gasps={point: reader.at_s - 60}) == []
    assert _codes(reader.read({point})) == [("meter.silent", "warning")]
    assert reader.found() == []


def test_one_gasp_is_enough_for_one_customer(reader: Reader) -> None:
    (alone,) = reader.behind(27)
    told = reader.read({alone}, gasps={alone: reader.at_s - 100})
    assert _codes(told) == [("outage.located", "alarm")]
    (one,) = reader.found()
    assert one.content["section"][-1] == [
        "service",
        reader.site.usage_point[[str(p.id) for p in reader.site.usage_point].index(alone)].bus,
        alone,
    ]
    assert [row.usage_point for row in reader.interrupted()] == [alone]


def test_meters_that_captured_all_along_were_not_without_supply(reader: Reader) -> None:
    dead = reader.behind(LATERAL)
    told = reader.read(dead)
    assert _codes(told)[0][0].startswith("outage.")
    reader.read(dead)
    rows = range(T + STEP_S, T + 4 * STEP_S, STEP_S)
    with_profile = dead - _without_profile(reader.site)
    assert with_profile
    told = reader.read(captured=dict.fromkeys(with_profile, rows))
    assert "no outage, its meters had supply and were silent" in told[0].message
    (one,) = reader.found()
    assert one.state == incidents.DISMISSED
    assert reader.interrupted() == []


def test_profiles_say_when_silence_began(reader: Reader) -> None:
    dead = reader.behind(FUSE)
    reader.read(dead)
    reader.read(dead)
    with_profile = dead - _without_profile(reader.site)
    reader.read(captured=dict.fromkeys(with_profile, (T + STEP_S,)))
    (one,) = reader.found()
    assert (one.start_s, one.end_s) == (T + STEP_S, T + 3 * STEP_S)
    assert {(row.start_s, row.end_s) for row in reader.interrupted()} == {
        (T + STEP_S, T + 3 * STEP_S)
    }
    assert one.state == incidents.LOCATED


def test_an_outage_that_grows_upstream_stays_one_incident(reader: Reader) -> None:
    lateral, dead = reader.behind(LATERAL), reader.behind(FUSE)
    reader.read(lateral)
    assert reader.found()[0].element == LATERAL
    told = reader.read(dead, again=True)
    assert told == [], "who was told of the incident is not told of it again"
    (one,) = reader.found()
    assert one.element == FUSE
    starts = {row.usage_point: row.start_s for row in reader.interrupted()}
    assert set(starts) == dead
    assert {starts[p] for p in lateral} == {T}
    assert {starts[p] for p in dead - lateral} == {T + STEP_S}


def test_two_incidents_that_have_one_cause_become_one(reader: Reader) -> None:
    lower = reader.behind(LATERAL)
    upper, cleared = reader.behind(NEXT), reader.behind(46)
    other = upper - cleared
    assert other
    reader.read(lower)
    several = lower | other
    reader.read(several, gasps={min(other): reader.at_s - 60})
    assert len(reader.found()) == 2
    reader.read(upper)
    (one,) = reader.found()
    assert one.element == NEXT
    assert {row.usage_point for row in reader.interrupted(one.id)} == upper
    assert "absorbed" in {note["what"] for note in one.content["timeline"]}


def test_a_customer_fed_otherwise_leaves_the_element_as_it_was(reader: Reader) -> None:
    dead, last = reader.behind(FUSE), reader.behind(LATERAL)
    gasps = dict.fromkeys(dead, reader.at_s)
    reader.read(dead, gasps=gasps)
    reader.read(last)
    (one,) = reader.found()
    assert one.element == FUSE
    with reader.store.read() as tx:
        before, after = (incidents.open_elements(tx, reader.at_s - n * STEP_S) for n in (2, 1))
    assert before[0].section == (("line", FUSE),)
    assert set(before[0].usage_points) == dead
    assert after[0].section == (("line", LATERAL),)
    assert set(after[0].usage_points) == last


def test_a_meter_that_stays_silent_alone_is_taken_for_fed_after_an_hour(reader: Reader) -> None:
    dead = reader.behind(FUSE)
    lost = min(reader.behind(27))
    reader.read(dead, gasps=dict.fromkeys(dead - {lost}, reader.at_s))
    back_s = reader.at_s
    for _ in range(4):
        reader.read({lost})
        assert reader.found()[0].end_s is None
    reader.read({lost})
    (one,) = reader.found()
    assert one.end_s == back_s
    assert {row.end_s for row in reader.interrupted()} == {back_s}
    told = reader.read({lost})
    assert _codes(told) == [("meter.silent", "warning")]


def test_a_suspicion_counts_once_profiles_confirm_it(reader: Reader) -> None:
    two = reader.behind(69)
    assert len(two) == 2
    told = reader.read(two)
    assert _codes(told) == [("outage.suspected", "warning")]
    reader.read(two)
    assert _count(reader) == 0
    reader.read()
    assert reader.found()[0].state == incidents.LOCATED
    assert _count(reader) == 2


def _count(reader: Reader) -> int:
    with reader.store.read() as tx:
        found = outage_facts.reliability(tx, reader.site, T, reader.at_s, now_s=reader.at_s)
    return found.interruptions


def _estimated(reader: Reader, start_s: int) -> xr.Dataset:
    with reader.store.write() as tx:
        network_estimates(reader.room, tx, start_s + STEP_S, start_s, set())
        return datasets.require_dataset(tx, KIND, start_s)


def test_where_nothing_is_fed_the_state_is_dead_and_not_estimated(reader: Reader) -> None:
    everyone = {str(point.id) for point in reader.site.usage_point}
    reader.read(everyone, gasps=dict.fromkeys(everyone, reader.at_s - STEP_S))
    (one,) = reader.found()
    assert one.state == incidents.LOCATED
    state = _estimated(reader, reader.at_s - 2 * STEP_S)
    fed = np.isin(state["bus"].values, [reader.model.slack_bus])
    for name in ("vm_pu", "vm_sd_pu"):
        assert np.isnan(state[name].values[~fed]).all(), name


def test_a_customer_whose_service_is_open_draws_nothing_and_others_are_estimated(
    reader: Reader,
) -> None:
    name = sorted(reader.behind(FUSE))[0]
    reader.read({name}, gasps={name: reader.at_s - STEP_S})
    (one,) = reader.found()
    assert one.kind == "service"
    state = _estimated(reader, reader.at_s - 2 * STEP_S)
    # Nothing is known of the others yet; what is dark is known to be 0 and seen through.
    with reader.store.read() as tx:
        (there,) = incidents.open_elements(tx, reader.at_s - 2 * STEP_S + 1)
    assert set(there.usage_points) == {name}
    assert not np.isnan(state["vm_sd_pu"].values).any(), "no bus is dead"
