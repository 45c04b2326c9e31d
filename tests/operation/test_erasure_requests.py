"""An erasure takes two persons, its time, and nothing that is open; a person asks for their own."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from grid import interval, site_file
from grid.console.cli import main
from grid.errors import BadInputError
from grid.operation import billing, erasure, erasure_requests, record
from grid.operation.erasure_requests import ASKED_DAYS, ObstacleKind, examine, waiting
from grid.operation.purge_list import LIST_FILE
from grid.store import Store, control, invoices, log, people
from grid.store import erasure_requests as kept
from tests.operation.erasure_world import (
    EMAIL,
    END_S,
    FIRST_S,
    GONE,
    TEXT,
    Lived,
    files_of,
    found_of,
)
from tests.operation.month_site import STEP_S

SITE = site_file.parse(TEXT)
CLERK, ROOT = "a@example.org", "root@example.org"


@pytest.fixture
def folder(erasable: Lived, tmp_path: Path) -> Path:
    """The street before anybody was erased, for one test."""
    shutil.copytree(erasable.copy, tmp_path / "it")
    return tmp_path / "it"


def _at(store: Store, at_s: int) -> None:
    with store.write() as tx:
        control.put_meta(tx, "clock_s", str(at_s))


def _ask_own(store: Store) -> None:
    with store.write() as tx:
        erasure_requests.ask_own(tx, SITE, GONE, by=EMAIL)


def _waiting(store: Store) -> list[tuple[str, bool]]:
    with store.read() as tx:
        return [(one.asked_by, one.is_own) for one in waiting(tx)]


def _approve(folder: Path, store: Store, by: str) -> erasure.Outcome:
    with store.read() as tx:
        (asked,) = waiting(tx)
    return erasure.approve(folder, store, SITE, asked, by)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("retention_days = 2", "P-3: is kept until 2026-07-"),
        ("clock", "P-3: stands for UP-3, let it move out first"),
        ("dispute", "of its time has a dispute that is open"),
        ("invoice", "amounts of its time wait for the invoices of 2026-07"),
        ("community", "community: is the community"),
        ("nobody", "P-99: is no party of the site"),
        ("reason", "P-3: needs a reason"),
        ("twice", "another person approves"),
    ],
)
def test_an_erasure_that_may_not_be_is_refused_and_erases_nothing(
    erasable: Lived, tmp_path: Path, change: str, told: str
) -> None:
    shutil.copytree(erasable.copy, tmp_path / "it")
    text = TEXT.replace("retention_days = 2", "retention_days = 20") if "ret" in change else TEXT
    site = site_file.parse(text)
    party = {"community": "community", "nobody": "P-99"}.get(change, GONE)
    with closing(Store.at(tmp_path / "it")) as store:
        with store.write() as tx:
            if change == "clock":
                control.put_meta(tx, "clock_s", str(END_S - STEP_S))
            if change == "invoice":
                late = "UPDATE posting SET month = '2026-07' WHERE start_s = ?"
                tx.exec_driver_sql(late, (FIRST_S + STEP_S,))
            if change == "dispute":
                control.put_meta(tx, "clock_s", str(END_S + 2 * interval.DAY_S))
                (one,) = invoices.invoices(tx, party=GONE)
                billing.dispute(tx, site, one.number, 0, party=GONE, reason="no", by=EMAIL)
        asks = {"party": party, "by": "a@example.org", "reason": "asked for it"}
        if change == "reason":
            asks["reason"] = " "
        if change == "twice":
            assert erasure.erase(tmp_path / "it", store, site, **asks).name is None
        with pytest.raises(BadInputError, match=told):
            erasure.erase(tmp_path / "it", store, site, **asks)
        with store.read() as tx:
            assert control.secrets(tx, record.PARTY_SECRET)[GONE] == erasable.secret
    assert not (tmp_path / "it" / LIST_FILE).exists()


def test_all_that_is_in_the_way_is_told_and_from_when_on_nothing_is(folder: Path) -> None:
    with closing(Store.at(folder)) as store:
        _at(store, END_S - STEP_S)
        with store.read() as tx:
            case = examine(tx, SITE, GONE)
            (one,) = invoices.invoices(tx, party=GONE)
            # Who has not moved out has no day.
            assert examine(tx, SITE, "P-1").from_s is None
        assert [(one.kind, one.about) for one in case.obstacles] == [(ObstacleKind.STANDS, "UP-3")]
        assert case.from_s == one.made_s + 2 * interval.DAY_S > END_S + 2 * interval.DAY_S
        _at(store, END_S + 2 * interval.DAY_S)
        with store.write() as tx:
            billing.dispute(tx, SITE, one.number, 0, party=GONE, reason="no", by=EMAIL)
            tx.exec_driver_sql("UPDATE posting SET month = '2026-08' WHERE start_s = ?", (FIRST_S,))
            case = examine(tx, SITE, GONE)
        assert [(one.kind, one.about) for one in case.obstacles] == [
            (ObstacleKind.DISPUTE, one.number),
            (ObstacleKind.NOT_INVOICED, "2026-08"),
            (ObstacleKind.KEPT, interval.label(one.made_s + 2 * interval.DAY_S)),
        ]
        assert case.months == ("2026-06",)


def test_a_request_of_the_administration_lapses_and_a_persons_own_waits_for_years(
    folder: Path,
) -> None:
    with closing(Store.at(folder)) as store:
        with store.read() as tx:
            now_s = control.clock_s(tx)
        with store.write() as tx:
            erasure_requests.ask(tx, SITE, GONE, reason="its wish", by=CLERK)
        _ask_own(store)
        assert _waiting(store) == [(CLERK, False), (EMAIL, True)]
        _at(store, now_s + ASKED_DAYS * interval.DAY_S)
        assert len(_waiting(store)) == 2
        _at(store, now_s + ASKED_DAYS * interval.DAY_S + 1)
        assert _waiting(store) == [(EMAIL, True)]
        _at(store, now_s + 3650 * interval.DAY_S)
        assert _waiting(store) == [(EMAIL, True)]


def test_a_persons_own_request_is_granted_by_one_administrator_and_leaves_no_byte(
    erasable: Lived, folder: Path
) -> None:
    with closing(Store.at(folder)) as store:
        _at(store, END_S - STEP_S)
        _ask_own(store)
        with pytest.raises(BadInputError, match="stands for UP-3"):
            _approve(folder, store, ROOT)
        _at(store, END_S + 60 * interval.DAY_S)
        # A lapsed request of the administration is there too, and tells of the person.
        with store.write() as tx:
            kept.ask(tx, GONE, reason="Aydin wants it", by=CLERK, at_s=END_S)
        done = _approve(folder, store, ROOT)
        assert (done.name, done.asked_by, done.approved_by) == ("erased-1", "erased-1", ROOT)
        assert _waiting(store) == []
        with store.read() as tx:
            assert kept.done(tx) == [
                kept.Done("erased-1", "erased-1", ROOT, END_S + 60 * interval.DAY_S)
            ]
            assert EMAIL not in {one.email for one in people.people(tx)}
            acts = [(act["kind"], act["user"]) for act in control.actions(tx)]
        # What the person did is gone, its asking too.
        assert acts[0] == ("erasure", ROOT)
        assert "erasure.ask" not in {kind for kind, _ in acts}
    assert found_of(erasable, files_of(folder)) == []


def test_who_asked_is_not_told_from_the_log_and_a_persons_own_looks_like_any(
    erasable: Lived, folder: Path
) -> None:
    with closing(Store.at(folder)) as store:
        with store.write() as tx:
            erasure_requests.ask(tx, SITE, GONE, reason="its wish", by=CLERK)
        _ask_own(store)
        with store.write() as tx:
            erasure_requests.withdraw_own(tx, SITE, GONE, by=EMAIL)
        with store.read() as tx:
            added = list(log.entries(tx))[len(erasable.entries) :]
    bodies = [json.loads(one)["body"] for one in added]
    told = [{name: body[name] for name in body if name != "commitments"} for body in bodies]
    assert told == [
        {"action": "erasure.ask"},
        {"action": "erasure.ask"},
        {"action": "erasure.withdraw"},
    ]
    assert all(len(body["commitments"]) == 1 for body in bodies)
    assert not any(word.encode() in one for one in added for word in (GONE, EMAIL, CLERK))


def test_a_persons_own_request_approves_none_and_is_approved_by_no_login_of_theirs(
    erasable: Lived, folder: Path
) -> None:
    with closing(Store.at(folder)) as store:
        with store.write() as tx:
            people.create(
                tx, email="p3b@example.org", name="x", password_hash="x", at_s=0, party=GONE,
                roles=["administrator", "prosumer"],
            )  # fmt: skip
            erasure_requests.ask(tx, SITE, GONE, reason="its wish", by=CLERK)
        _ask_own(store)
        with store.read() as tx:
            assert control.secrets(tx, record.PARTY_SECRET)[GONE] == erasable.secret
        with store.write() as tx:
            office, own = waiting(tx)
            erasure_requests.withdraw(tx, SITE, office, by=ROOT)
            with pytest.raises(BadInputError, match="takes it back itself"):
                erasure_requests.withdraw(tx, SITE, own, by=ROOT)
        for by, told in ((EMAIL, "another person approves"), ("p3b@example.org", "belongs to it")):
            with pytest.raises(BadInputError, match=told):
                _approve(folder, store, by)
        with store.read() as tx:
            assert control.secrets(tx, record.PARTY_SECRET)[GONE] == erasable.secret
    assert not (folder / LIST_FILE).exists()


def test_a_request_taken_back_can_be_neither_approved_nor_taken_back_again(folder: Path) -> None:
    with closing(Store.at(folder)) as store:
        _ask_own(store)
        with store.read() as tx:
            (asked,) = waiting(tx)
        with pytest.raises(BadInputError, match="its own request waits already"):
            _ask_own(store)
        with store.write() as tx:
            erasure_requests.withdraw_own(tx, SITE, GONE, by=EMAIL)
            with pytest.raises(BadInputError, match="no own request waits"):
                erasure_requests.withdraw_own(tx, SITE, GONE, by=EMAIL)
        with pytest.raises(BadInputError, match="waits no more"):
            erasure.approve(folder, store, SITE, asked, ROOT)
        assert _waiting(store) == []
    assert not (folder / LIST_FILE).exists()


def test_by_command_a_clerk_asks_and_only_an_administrator_approves(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["agreement", "erase", GONE, "--dir", str(folder), "--reason", "its wish", "--by"]
    assert main([*command, CLERK]) == 0
    assert main([*command, "b@example.org"]) != 0
    assert "b@example.org: has no role that may do this" in capsys.readouterr().err
    assert not (folder / LIST_FILE).exists()
    assert main([*command, ROOT]) == 0
    assert "erased-1 stands where it stood" in capsys.readouterr().out
