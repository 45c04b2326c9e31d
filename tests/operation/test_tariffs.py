"""Two people change a tariff of a running site: what was settled stays, what comes is by it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from grid import interval
from grid.console.cli import main
from grid.errors import BadInputError, GridError
from grid.operation import audit, tariff_previews, tariffs
from grid.operation.agreements import change_terms
from grid.site import Tariff
from grid.store import control, log, market, people, series, tariff_changes
from grid.store.tariff_changes import ChangeState
from tests.operation import replay_site
from tests.operation.month_site import STEP_S, Month, begin
from trading.ledger.entry import decode
from trading.replay.derivation import Replayed, replay
from trading.replay.log import records
from trading.replay.terms import CHANGE
from trading.tariff_preview import always
from trading.tariffs.clock import segment_at
from trading.tariffs.fee import fixed_fee
from trading.tariffs.month import charge_nano, month_use

ZONE = "Asia/Baku"
DAY = date(2026, 6, 29)
BEFORE = 8
COUNT = BEFORE + 72
START_S = interval.day_bounds(DAY, ZONE)[0] - BEFORE * STEP_S
A, B = "a@example.org", "b@example.org"
FILE = """
[[tariff]]
id = "home"
name = "New"
valid_from = 2026-06-29
fixed_fee = "1.00"
vat_percent = 18
[[tariff.block]]
up_to_kwh = 0
price = "0.123"
"""


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Month]:
    """A street two hours before the day of the change."""
    text = replay_site.STREETS["auction"][0]
    made = begin(tmp_path / "street", text, START_S, COUNT, seed=3)
    yield made
    made.room.signer.close()
    made.room.store.close()


def _new(street: Month, day: date = DAY) -> Tariff:
    return replace(tariffs.read(FILE, "new.toml"), valid_from=day)


def _propose(street: Month, day: date = DAY) -> int:
    with street.room.store.write() as tx:
        return tariffs.propose(tx, street.site, _new(street, day), A).id


def _replayed(street: Month, folder: Path) -> Replayed:
    audit.export(street.room.store, folder, openings=True)
    size = int((folder / "checkpoint").read_text().split("\n")[1])
    return replay(records(folder, size))


def test_a_version_holds_from_its_day_on_and_replay_follows_it(
    street: Month, tmp_path: Path
) -> None:
    def act(one: Month) -> None:
        number = _propose(one)
        with one.room.store.write() as tx:
            tariffs.approve(tx, one.site, number, B)

    street.at[START_S + 4 * STEP_S] = act
    for at_s in range(START_S, START_S + COUNT * STEP_S, STEP_S):
        street.cycle(at_s)
    day_s = START_S + BEFORE * STEP_S
    with street.room.store.read() as tx:
        supplied = [
            (at_s >= day_s, line.price)
            for at_s, _, line in market.postings(tx)
            if str(line.kind) == "supply"
        ]
        told = [decode(one).body for one in log.contents(tx, ["action"])]
    assert {price for since, price in supplied if since} == {123_000}
    assert 123_000 not in {price for since, price in supplied if not since}
    assert len([since for since, _ in supplied if not since]) > 10
    assert [one["change"]["name"] for one in told if one["action"] == CHANGE] == ["New"]
    done = _replayed(street, tmp_path / "out")
    assert (done.difference, done.stopped) == (None, None)
    assert done.derived["postings"] > 300


def test_the_same_person_does_not_activate_what_they_proposed(street: Month) -> None:
    number = _propose(street)
    with street.room.store.write() as tx:
        for act in (tariffs.approve, tariffs.reject):
            with pytest.raises(BadInputError, match="takes a second person"):
                act(tx, street.site, number, " A@Example.org")
        with pytest.raises(BadInputError, match=f"only {A} takes it back"):
            tariffs.withdraw(tx, street.site, number, B)
        tariffs.withdraw(tx, street.site, number, A)
        with pytest.raises(BadInputError, match="it is withdrawn"):
            tariffs.approve(tx, street.site, number, B)
        assert tariffs.in_force(tx, street.site) == street.site.tariff


def test_of_many_who_activate_at_once_one_does(street: Month) -> None:
    number = _propose(street)

    def approve(n: int) -> bool:
        try:
            with street.room.store.write() as tx:
                tariffs.approve(tx, street.site, number, f"b{n}@example.org")
        except GridError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(approve, range(8))) == 1
    with street.room.store.read() as tx:
        told = [decode(one).body["action"] for one in log.contents(tx, ["action"])]
        assert tariff_changes.get(tx, number).state is ChangeState.ACTIVE
    assert told.count(CHANGE) == 1


def test_a_day_that_has_begun_takes_no_version_and_a_proposal_lapses_with_it(
    street: Month,
) -> None:
    today = DAY - timedelta(days=1)
    for day in (today, today - timedelta(days=30), today + timedelta(days=500)):
        with pytest.raises(BadInputError, match="a version begins from the day after"):
            _propose(street, day)
    number = _propose(street)
    with street.room.store.write() as tx:
        control.put_meta(tx, "clock_s", str(START_S + BEFORE * STEP_S))
        one = tariff_changes.get(tx, number)
        assert tariffs.has_lapsed(street.site, one, START_S + BEFORE * STEP_S)
        with pytest.raises(BadInputError, match="a version begins from the day after"):
            tariffs.approve(tx, street.site, number, B)


def test_an_agreement_may_choose_a_new_tariff_from_its_day_on(street: Month) -> None:
    other = replace(_new(street, DAY + timedelta(days=1)), id="other")
    with street.room.store.write() as tx:
        number = tariffs.propose(tx, street.site, other, A).id

        def choose(day: date) -> str:
            made = change_terms(
                tx, street.site, usage_point="UP-1", day=day, by="clerk", tariff="other"
            )
            return str(made.terms[-1].tariff)

        with pytest.raises(BadInputError, match="'other' is not known"):
            choose(DAY + timedelta(days=1))
        tariffs.approve(tx, street.site, number, B)
        with pytest.raises(BadInputError, match="its first version is of 2026-06-30"):
            choose(DAY)
        assert choose(DAY + timedelta(days=1)) == "other"


def test_a_preview_is_each_household_charged_by_itself(street: Month) -> None:
    for at_s in range(START_S, START_S + COUNT * STEP_S, STEP_S):
        street.cycle(at_s)
    new = _new(street, DAY + timedelta(days=9))
    with street.room.store.read() as tx:
        found = tariff_previews.past_preview(tx, street.site, new)
        told = series.get_intervals(
            tx, list(found.usage_points), found.from_s, found.until_s, time_zone=ZONE
        )
    assert not found.whole
    assert found.preview.months == ("2026-06",)
    assert found.missing == (0,) * 5
    for tariff, amounts in (
        (street.site.tariff[0], found.preview.old_nano),
        (always(new), found.preview.new_nano),
    ):
        for row, imported in enumerate(told["import_wh"].values.tolist()):
            energy = [
                (segment_at(tariff, found.from_s + STEP_S * n, ZONE, {}), wh)
                for n, wh in enumerate(imported)
            ]
            fee = fixed_fee(tariff, date(2026, 6, 1), date(2026, 7, 1))
            assert amounts[row, 0] == charge_nano(tariff, month_use(energy)) + fee


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must have one"),
        (FILE + FILE, "must have one"),
        (FILE + '[[party]]\nid = "x"\nname = "X"\nkind = "household"\n', "must have one"),
        (FILE.replace("0.123", "-1"), "new.toml:10"),
        (FILE.replace('"home"', "7"), "new.toml:3"),
        ("a = " + "[" * 20_000, "new.toml:"),
        ("a = " + "9" * 9_000, "new.toml:"),
    ],
)
def test_a_file_that_is_no_version_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        tariffs.read(text, "new.toml")


def test_an_altered_file_is_refused_or_says_what_it_says(street: Month) -> None:
    draw = random.Random(7)
    with street.room.store.write() as tx:
        for _ in range(400):
            text = list(FILE)
            for _ in range(draw.randint(1, 3)):
                text[draw.randrange(len(text))] = draw.choice("0123456789.[]\"'=-ex_\n ")
            try:
                new = tariffs.read("".join(text), "new.toml")
                number = tariffs.propose(tx, street.site, new, A).id
            except GridError:
                continue
            assert tariff_changes.get(tx, number).tariff == new


def test_a_number_that_the_ledger_cannot_hold_is_refused(street: Month) -> None:
    text = FILE.replace("up_to_kwh = 0", "up_to_kwh = 0x" + "f" * 20)
    with street.room.store.write() as tx, pytest.raises(BadInputError):
        tariffs.propose(tx, street.site, tariffs.read(text, "new.toml"), A)


def test_a_version_that_takes_too_much_of_the_log_is_refused(street: Month) -> None:
    text = FILE.replace("New", "\U0001f4a1" * 9_000)
    with street.room.store.write() as tx, pytest.raises(BadInputError, match="at most 30000"):
        tariffs.propose(tx, street.site, tariffs.read(text, "new.toml"), A)


def test_commands_change_a_tariff(street: Month, tmp_path: Path, capsys) -> None:
    for at_s in range(START_S, START_S + 4 * STEP_S, STEP_S):
        street.cycle(at_s)
    with street.room.store.write() as tx:
        for name in (A, B):
            people.create(
                tx, email=name, name=name, password_hash="x", roles=["billing"], at_s=START_S
            )
    file = tmp_path / "new.toml"
    file.write_text(FILE)
    to = ["--dir", str(tmp_path / "street"), "--json"]

    def run(*words: str) -> tuple[int, dict[str, object]]:
        status = main(["tariff", *words, *to])
        said = capsys.readouterr().out.splitlines()
        return status, json.loads(said[-1]) if said else {}

    status, shown = run("preview", str(file))
    assert status == 0
    assert [one["usage_point"] for one in shown["usage_points"]] == [f"UP-{n}" for n in range(1, 6)]
    assert run("propose", str(file), "--by", A)[1]["state"] == "proposed"
    assert run("approve", "1", "--by", A)[0] == 1
    assert run("approve", "1", "--by", B)[1]["state"] == "active"
    listed = run("list")[1]
    assert ("home", "2026-06-29", "New") in [tuple(one.values()) for one in listed["tariffs"]]
    assert listed["changes"][0]["decided_by"] == B
