"""Who is erased is gone from the store, its files, exports and restored copies; proofs hold."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from grid import interval, site_file
from grid.console.cli import main
from grid.errors import BadInputError, Severity, StoreError
from grid.operation import (
    agreements,
    audit,
    billing,
    commission,
    cycle,
    erasure,
    ordering,
    record,
)
from grid.operation.purge_list import KEY_FILE, LIST_FILE, PurgeList
from grid.operation.signer import FOLDER
from grid.quantities import NANO
from grid.site_file import SITE_FILE
from grid.store import Store, Transaction, contracts, control, invoices, log, market, people, series
from grid.store import erasure as stored
from grid.store import erasure_tables as tables
from grid.store.schema import metadata, opening
from tests.operation.month_site import STEP_S, Month, begin
from tests.operation.test_month import BAKU
from tests.operation.test_privacy import _numbers, _reachable
from trading import verify
from trading.accounts import ERASED
from trading.contracts import BilateralContract
from trading.ledger import canonical
from trading.ledger.commitment import Label, commit

ZONE = "Asia/Baku"
FIRST_S = interval.day_bounds(interval.parse_date("2026-06-29"), ZONE)[0]
"""A day and a half of June, in which everybody is at home, and July from the evening before."""
END_S = interval.day_bounds(interval.parse_date("2026-07-01"), ZONE)[0]
GONE = "P-3"
NAME = "Aydin Rzayev"
EMAIL = "p3@example.org"
TEXT = (
    BAKU.replace('id = "P-3"\nname = "Household 3"', f'id = "P-3"\nname = "{NAME}"')
    .replace("late_until_days = 20", "late_until_days = 1\nretention_days = 2")
    .replace("minimum_group = 1", "minimum_group = 2")
)


@dataclass
class Lived:
    """A street after two days, a copy from before its erasure, and what was true."""

    street: Month
    folder: Path
    copy: Path
    secret: bytes
    entries: list[bytes]
    packed: list[bytes]


def _lives(folder: Path) -> Month:
    (folder).mkdir(exist_ok=True)
    (folder / SITE_FILE).write_text(TEXT)
    last_s = END_S + interval.DAY_S + 40 * STEP_S
    count = (last_s - FIRST_S) // STEP_S
    street = begin(folder, TEXT, FIRST_S, count, seed=3)
    with street.room.store.write() as tx:
        for email, roles, party in (
            (EMAIL, ["prosumer"], GONE),
            ("a@example.org", ["billing"], None),
            ("b@example.org", ["billing"], None),
            ("root@example.org", ["administrator"], None),
        ):
            people.create(
                tx, email=email, name=NAME if party else "Clerk", password_hash="x", roles=roles,
                at_s=FIRST_S, party=party,
            )  # fmt: skip
        for seller, number in ((GONE, 1), ("P-5", 2)):
            made = BilateralContract(number, "P-2", seller, 70_000, END_S, None, 10)
            contracts.propose(tx, made, "P-2", FIRST_S)
        agreements.move_out(
            tx, street.site, usage_point="UP-3", day=interval.parse_date("2026-07-01"),
            by="a@example.org",
        )  # fmt: skip
    for at_s in range(FIRST_S, last_s, STEP_S):
        start_s = at_s + 2 * STEP_S
        if start_s < END_S and (at_s // STEP_S) % 4 == 0:
            for n in (1, 3, 5):
                street.order(f"P-{n}", at_s, start_s, "sell", f"0.0{50 + n}", 100 + n)
            for n in (2, 4):
                street.order(f"P-{n}", at_s, start_s, "buy", f"0.0{60 + n}", 80 + n)
            with street.room.store.write() as tx:
                ordering.amend(
                    tx, street.site, f"{GONE}-{start_s}", {"energy_wh": 90}, party=GONE, at_s=at_s
                )
        street.cycle(at_s)
    return street


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """The street as it lived, its retention time passed."""
    folder = tmp_path_factory.mktemp("erasure") / "street"
    street = _lives(folder)
    store = street.room.store
    with store.write() as tx:
        control.put_meta(tx, "clock_s", str(END_S + 6 * interval.DAY_S))
    with store.read() as tx:
        secret = control.secrets(tx, record.PARTY_SECRET)[GONE]
        entries = list(log.entries(tx))
        query = "SELECT energy FROM interval_day WHERE usage_point = 'UP-3' AND start_s < ?"
        packed = [bytes(row[0]) for row in tx.exec_driver_sql(query, (END_S,))]
    street.room.signer.close()
    store.close()
    copy = folder.parent / "backup"
    shutil.copytree(folder, copy)
    return Lived(street, folder, copy, secret, entries, packed)


@pytest.fixture(scope="module")
def lived(before: Lived) -> Lived:
    """The street with one person erased, on the command line, by two users."""
    told = [str(before.folder)]
    for by in ("a@example.org", "root@example.org"):
        command = ["agreement", "erase", GONE, "--by", by, "--reason", "Aydin wants it"]
        assert main([*command, "--dir", *told]) == 0
    return before


def _files(folder: Path) -> bytes:
    """Return every byte of a folder, that of the database's journals too."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def _gone(lived: Lived, content: bytes) -> list[str]:
    """Return what of the person is in some bytes."""
    marks = {"secret": lived.secret, "secret in hex": lived.secret.hex().encode()}
    marks |= {"name": NAME.encode(), "login": EMAIL.encode(), "identifier": b'"P-3"'}
    marks |= {"account": b"party:P-3", "reason": b"Aydin wants it"}
    marks |= {f"day {n}": one for n, one in enumerate(lived.packed)}
    return [name for name, mark in marks.items() if mark in content]


def test_every_table_is_declared_free_of_persons_or_personal_once() -> None:
    declared = [*tables.FREE, *tables.BY_TIME, *tables.COUNTERS, *tables.BY_PARTY, *tables.APART]
    # Orders go with their time and, where none was traded in, with their party.
    declared.remove("market_order")
    declared.remove("order_amendment")
    assert sorted(declared) == sorted(metadata.tables)
    for rule in (tables.BY_TIME, tables.COUNTERS, tables.BY_PARTY):
        for table, column in rule.items():
            assert column in metadata.tables[table].c, table


def test_no_byte_of_the_person_is_in_the_files_and_all_were_before(lived: Lived) -> None:
    assert len(lived.packed) == 2
    found = _gone(lived, _files(lived.copy))
    assert set(found) >= {"secret", "name", "login", "identifier", "account", "day 0", "day 1"}
    assert _gone(lived, _files(lived.folder)) == []


def test_no_row_of_any_table_names_the_person(lived: Lived) -> None:
    with closing(Store.at(lived.folder)) as store, store.read() as tx:
        for table in metadata.sorted_tables:
            for row in tx.execute(table.select()):
                for value in row:
                    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
                    words = text.replace('"', " ").replace(":", " ").replace("-", " P-").split()
                    assert NAME not in text, table.name
                    assert EMAIL not in text, table.name
                    assert GONE not in text.replace('"', " ").replace(":", " ").split(), words[:9]


def test_contracts_of_the_person_and_amendments_of_that_time_are_gone_and_others_stay(
    before: Lived, lived: Lived
) -> None:
    counts = []
    for folder in (before.copy, lived.folder):
        with closing(Store.at(folder)) as store, store.read() as tx:
            held = [len(contracts.of_party(tx, party)) for party in (GONE, "P-2", "P-5")]
            amended = len(market.rows(tx)["order_amendment"])
        counts.append((*held, amended > 0))
    assert counts == [(1, 2, 1, True), (0, 1, 1, False)]


def test_the_ledger_is_the_same_byte_for_byte_and_every_proof_verifies(
    lived: Lived, tmp_path: Path
) -> None:
    with closing(Store.at(lived.folder)) as store:
        site, _ = cycle.facts(lived.folder, store)
        with store.read() as tx:
            now = list(log.entries(tx))
        assert now[: len(lived.entries)] == lived.entries
        added = [json.loads(entry)["body"]["action"] for entry in now[len(lived.entries) :]]
        assert added == ["erasure.ask", "erasure"]
        out = tmp_path / "out"
        with store.write() as tx:
            erased = tx.exec_driver_sql("SELECT count(*) FROM opening WHERE content = ''").scalar()
            record.checkpoint(tx, lived.street.room.signer.sign, control.clock_s(tx))
        lived.street.room.signer.close()
        _, key = audit.export(store, out, openings=True)
        report = verify.verify(out, verify.parse_key(key, 1), partial=True)
        assert report["commitments"] - report["openings"] == erased > 1000
        audit.prove(store, 5)
        with store.read() as tx:
            findings = audit.compare(tx, site.time_zone)
            assert market.postings_sum(tx) == 0
        assert {one.severity for one in findings} == {Severity.INFO}
        assert {one.code for one in findings} == {"audit.erased"}
    assert _gone(lived, _files(tmp_path / "out")) == []


def test_what_was_lost_without_an_erasure_is_still_an_alarm(lived: Lived, tmp_path: Path) -> None:
    shutil.copytree(lived.folder, tmp_path / "it")
    with closing(Store.at(tmp_path / "it")) as store, store.write() as tx:
        entry = tx.exec_driver_sql(
            "SELECT sequence FROM ledger_entry WHERE kind = 'settlement' ORDER BY sequence DESC"
        ).scalars()
        sequence = next(n for n in entry if log.openings(tx, sequence=n))
        tx.execute(opening.delete().where(opening.c.sequence == sequence))
        codes = {one.code for one in audit.compare(tx, ZONE) if one.severity is Severity.ALARM}
        assert "audit.settlement" in codes


def test_of_the_persons_time_sums_stay_and_all_that_came_after(lived: Lived) -> None:
    with closing(Store.at(lived.folder)) as store, store.read() as tx:
        assert invoices.invoices(tx, month="2026-06") == []
        assert len(market.month_accounts(tx, "2026-07")) == 6
        day = series.get_intervals(
            tx, ["UP-1", "UP-3"], END_S, END_S + interval.DAY_S, time_zone=ZONE
        )
        assert (day["import_wh"].values >= 0).all()
        lines = [line for _, _, line in market.postings(tx, account=ERASED)]
        assert lines
        held = agreements.store.listed(tx, ["UP-3"])
        assert [str(one.party) for one in held] == ["erased-1", "community"]
        assert commission.parse(control.get_meta(tx, "site_toml") or "").party
    assert "erased-1" in (lived.folder / SITE_FILE).read_text()


def test_billing_and_settling_go_on_after_an_erasure(lived: Lived, tmp_path: Path) -> None:
    shutil.copytree(lived.folder, tmp_path / "it")
    store = commission.open_store(tmp_path / "it")
    site, _ = cycle.facts(tmp_path / "it", store)
    with closing(store), store.write() as tx:
        for party in agreements.store.parties(tx):
            if party != "community":
                billing.draft(tx, site, party, "2026-07")
        assert billing.month_names(tx, "2026-07")


def _known(folder: Path) -> tuple[list[dict[str, Any]], dict[tuple[str, int], dict[str, int]]]:
    """Return the public entries, and readings that are left by usage point and interval."""
    with closing(Store.at(folder)) as store, store.read() as tx:
        entries = [json.loads(one) for one in log.entries(tx)]
        names = [f"UP-{n}" for n in range(6)]
        left = series.get_intervals(tx, names, FIRST_S, END_S, time_zone=ZONE)
    known = {}
    for place, name in enumerate(names):
        for slot in range((END_S - FIRST_S) // STEP_S):
            read = {r: int(left[r].values[place, slot]) for r in series.REGISTERS}
            if read["import_wh"] >= 0:
                known[name, slot] = read
    return entries, known


def _subtracted(folder: Path) -> dict[int, int]:
    """Return what the public sums less the readings that are left come to, by interval."""
    entries, known = _known(folder)
    found = {}
    for entry in entries:
        if entry["kind"] != "readings" or entry["body"]["version"]:
            continue
        slot = (interval.parse(entry["interval"]) - FIRST_S) // STEP_S
        others = [known.get((f"UP-{n}", slot)) for n in range(6) if n != 3]
        if all(others):
            head = entry["body"]["head_import_wh"] - entry["body"]["head_export_wh"]
            net = sum(one["import_wh"] - one["export_wh"] for one in others if one)
            found[slot] = head - net - entry["body"]["loss_wh"]
    return found


def test_sums_less_the_neighbours_find_nothing_and_did_before(lived: Lived) -> None:
    truth = lived.street.truth[3, :, 0] - lived.street.truth[3, :, 1]
    found = _subtracted(lived.copy)
    assert len(found) > 180
    assert all(truth[slot] == net for slot, net in found.items())
    assert _subtracted(lived.folder) == {}


def _month_wh(folder: Path) -> int:
    """Return what a month's public sums, less all invoices and readings left, come to in Wh."""
    with closing(Store.at(folder)) as store, store.read() as tx:
        entries = [json.loads(one) for one in log.entries(tx)]
        total = 0
        for entry in entries:
            if entry["kind"] == "readings" and entry["body"]["version"] == 0:
                body = entry["body"]
                if interval.parse(entry["interval"]) < END_S:
                    total += body["head_import_wh"] - body["head_export_wh"] - body["loss_wh"]
        for (number, _), account in market.month_accounts(tx, "2026-06").items():
            held = {one.id: one for one in agreements.store.listed(tx)}
            if held[number].usage_point != "UP-3":
                total -= account.metered.total_wh - account.export_wh
    return total


def test_a_months_sums_and_accounts_leave_more_than_one_unknown(lived: Lived) -> None:
    slots = (END_S - FIRST_S) // STEP_S
    net = lived.street.truth[:, :slots, 0].sum(axis=1) - lived.street.truth[:, :slots, 1].sum(
        axis=1
    )
    assert _month_wh(lived.folder) not in (net[3], -net[3])


def _invoiced(folder: Path) -> set[int]:
    """Return every amount of the person's invoices, in nano-currency, that is not a round one."""
    with closing(Store.at(folder)) as store, store.read() as tx:
        made = invoices.invoices(tx, party=GONE)
    lines = [line for one in made for line in one.document["lines"]]
    amounts = {round(Decimal(line["amount"]) * NANO) for line in lines}
    # A fixed fee is public.
    return {abs(one) for one in amounts | {one.total_nano for one in made}} - {NANO, 0}


def test_arithmetic_on_prices_and_sums_finds_neither_a_reading_nor_an_amount(lived: Lived) -> None:
    entries, _ = _known(lived.folder)
    here: dict[str, set[int]] = {}
    for entry in entries:
        here.setdefault(entry["interval"], set()).update(_numbers(entry["body"]))
    prices = {
        int(Decimal(one) * 10**6) for one in ("0.09", "0.11", "0.05", "0.16", "0.04", "0.012")
    }
    slots = range((END_S - FIRST_S) // STEP_S)
    reached = [_reachable(here[interval.label(FIRST_S + n * STEP_S)] | prices) for n in slots]
    met = others = 0
    for slot in slots:
        for wh in lived.street.truth[3, slot]:
            met += wh > 20 and int(wh) in reached[slot]
            others += wh > 20 and int(wh) in reached[(slot + 37) % len(slots)]
    assert met <= 1.5 * others + 10, (met, others)
    with closing(Store.at(lived.folder)) as store, store.read() as tx:
        left = [line for _, version, line in market.postings(tx) if not version]
        left += [line for start, _, line in market.postings(tx) if start < END_S]
    amounts = _invoiced(lived.copy)
    assert len(amounts) > 2
    sums = {line.amount_nano for line in left} | prices
    assert left
    assert not amounts & _reachable(sums)
    # With what is kept of it before the erasure the same arithmetic is not even needed.
    with closing(Store.at(lived.copy)) as store, store.read() as tx:
        found = {_month_total(tx, one) for one in ("P-1", "P-3")}
    assert amounts & found


def _month_total(tx: Transaction, party: str) -> int:
    return abs(sum(one.total_nano for one in invoices.invoices(tx, party=party, month="2026-06")))


def test_a_search_over_every_wh_finds_no_reading_of_the_person(lived: Lived) -> None:
    entries, _ = _known(lived.folder)
    committed = {
        bytes.fromhex(one) for entry in entries for one in entry["body"].get("commitments", ())
    }
    with closing(Store.at(lived.folder)) as store, store.read() as tx:
        keys = [*control.secrets(tx, "").values(), bytes(32)]
        salts = {bytes.fromhex(json.loads(r["content"])["salt"]) for r in log.openings(tx)}
    keys += [path.read_bytes() for path in lived.folder.rglob("*.key")]
    keys = [key for key in keys if len(key) == 32]
    for slot in (0, 50, 120):
        wh = {"export_wh": int(lived.street.truth[3, slot, 1]), "export_varh": 0, "import_varh": 0}
        payload = {**wh, "import_wh": 1234567, "quality": "1.0.0"}
        label = Label(interval.label(FIRST_S + slot * STEP_S), "reading", "UP-3")
        about = [label.interval, label.kind, label.subject, 0, payload]
        head, tail = canonical.encode(about).split(b"1234567")
        tried = [b"", bytes(16), *list(salts)[:40]]
        tried += [commit(key, label, payload)[1].salt for key in keys]
        for salt in tried:
            assert _search(salt + head, tail, committed) == []
        # With the salt that is gone the same search succeeds.
        salt = commit(lived.secret, label, payload)[1].salt
        assert _search(salt + head, tail, committed) == [int(lived.street.truth[3, slot, 0])]


def _search(head: bytes, tail: bytes, committed: set[bytes]) -> list[int]:
    begun = hashlib.sha256(b"khazri/commitment/v1\n" + head)
    found = []
    for wh in range(5001):
        guess = begun.copy()
        guess.update(b"%d%s" % (wh, tail))
        if guess.digest() in committed:
            found.append(wh)
    return found


def test_a_restored_copy_is_purged_at_its_opening_and_tells_its_ledger_once(
    lived: Lived, tmp_path: Path
) -> None:
    back = tmp_path / "back"
    shutil.copytree(lived.copy, back)
    for name in (LIST_FILE, KEY_FILE):
        shutil.copy(lived.folder / name, back)
    assert _gone(lived, _files(back))
    for _ in range(2):
        commission.open_store(back).close()
    assert _gone(lived, _files(back)) == []
    with closing(Store.at(back)) as store, store.read() as tx:
        told = [json.loads(one)["body"].get("action") for one in log.entries(tx)]
        assert told.count("erasure") == 1
        assert {one.severity for one in audit.compare(tx, ZONE)} == {Severity.INFO}


def test_a_copy_from_while_the_person_lived_there_is_the_communitys_after(
    lived: Lived, tmp_path: Path
) -> None:
    back = tmp_path / "back"
    shutil.copytree(lived.copy, back)
    with closing(Store.at(back)) as store, store.write() as tx:
        follows = "SELECT id FROM agreement WHERE party = 'community' AND usage_point = 'UP-3'"
        tx.exec_driver_sql(f"DELETE FROM agreement_terms WHERE agreement IN ({follows})")
        tx.exec_driver_sql(f"DELETE FROM agreement WHERE id IN ({follows})")
        tx.exec_driver_sql("UPDATE agreement SET until_s = NULL WHERE usage_point = 'UP-3'")
    for name in (LIST_FILE, KEY_FILE):
        shutil.copy(lived.folder / name, back)
    with closing(commission.open_store(back)) as store, store.read() as tx:
        assert agreements.holders(tx, END_S - 1)["UP-3"] == "erased-1"
        assert agreements.holders(tx, END_S)["UP-3"] == "community"


def test_a_restored_ledger_behind_what_was_signed_is_purged_and_not_forked(
    lived: Lived, tmp_path: Path
) -> None:
    back = tmp_path / "back"
    shutil.copytree(lived.copy, back)
    for name in (LIST_FILE, KEY_FILE):
        shutil.copy(lived.folder / name, back)
    with closing(Store.at(back)) as store, store.write() as tx:
        size = log.size(tx)
        tx.exec_driver_sql(f"DELETE FROM opening WHERE sequence = {size - 1}")
        tx.exec_driver_sql(f"DELETE FROM ledger_entry WHERE sequence = {size - 1}")
    assert (back / FOLDER).exists()
    with closing(commission.open_store(back)) as store, store.read() as tx:
        assert log.size(tx) == size - 1
        assert GONE not in agreements.store.parties(tx)


def test_the_list_names_nobody_and_without_its_key_no_store_is_opened(
    lived: Lived, tmp_path: Path
) -> None:
    line = (lived.folder / LIST_FILE).read_text()
    assert f'"{GONE}"' not in line
    assert hashlib.sha256(GONE.encode()).hexdigest() not in line
    assert os.stat(lived.folder / KEY_FILE).st_mode & 0o077 == 0
    back = tmp_path / "back"
    shutil.copytree(lived.folder, back)
    (back / KEY_FILE).unlink()
    with pytest.raises(StoreError, match=r"purged\.key is gone"):
        commission.open_store(back)


def test_an_erasure_that_is_cut_off_after_its_line_is_made_good(
    lived: Lived, tmp_path: Path
) -> None:
    back = tmp_path / "back"
    shutil.copytree(lived.copy, back)
    with closing(Store.at(back)) as store, store.read() as tx:
        held = [one for one in agreements.store.listed(tx) if one.party == GONE]
        stays = [stored.Stay(str(one.usage_point), one.from_s, one.until_s or 0) for one in held]
    PurgeList(back).add(GONE, 0, stays)
    with (back / LIST_FILE).open("ab") as torn:
        torn.write(b'{"at_s": 1, "num')
    commission.open_store(back).close()
    assert _gone(lived, _files(back)) == []
    assert PurgeList(back).add("P-9", 0, []).number == 2
    assert [one.number for one in PurgeList(back).entries] == [1, 2]


def test_what_a_reader_kept_in_the_files_goes_at_the_next_opening(
    lived: Lived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = tmp_path / "back"
    shutil.copytree(lived.copy, back)
    for name in (LIST_FILE, KEY_FILE):
        shutil.copy(lived.folder / name, back)

    def read_meanwhile(store: Store) -> None:
        raise StoreError("the store is read by another process")

    with monkeypatch.context() as patched:
        patched.setattr(Store, "write_anew", read_meanwhile)
        with pytest.raises(StoreError, match="is read by another process"):
            commission.open_store(back)
    commission.open_store(back).close()
    assert _gone(lived, _files(back)) == []


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
    before: Lived, tmp_path: Path, change: str, told: str
) -> None:
    shutil.copytree(before.copy, tmp_path / "it")
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
            assert control.secrets(tx, record.PARTY_SECRET)[GONE] == before.secret
    assert not (tmp_path / "it" / LIST_FILE).exists()


def test_a_party_that_begins_like_another_is_another() -> None:
    found = stored._named(["P-3"]).sub("erased-1", '"P-3" P-31 XP-3 P-3-a party:P-3')
    assert found == '"erased-1" P-31 XP-3 P-3-a party:erased-1'
    text = '[[party]]\nid = "home"\nname = "H"\n[[usage_point]]\nparty = "home"\ntariff = "home"\n'
    told = erasure.unnamed(text, "home", "erased-1")
    assert told.count('"home"') == 1
    assert 'tariff = "home"' in told
