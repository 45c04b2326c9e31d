"""Who is erased is gone from the store, its files and exports; proofs hold, life goes on."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

from grid import interval
from grid.errors import Severity
from grid.operation import agreements, audit, billing, commission, cycle, erasure, record
from grid.site_file import SITE_FILE
from grid.store import Store, contracts, control, invoices, log, market, series
from grid.store import erasure_tables as tables
from grid.store.erased_openings import named
from grid.store.schema import metadata, opening
from tests.operation.erasure_world import EMAIL, END_S, GONE, NAME, ZONE, Lived, files_of, found_of
from trading import verify
from trading.accounts import ERASED


def test_every_table_is_declared_free_of_persons_or_personal_once() -> None:
    declared = [*tables.FREE, *tables.BY_TIME, *tables.COUNTERS, *tables.BY_PARTY, *tables.APART]
    # Orders go with their time and, where none was traded in, with their party.
    declared.remove("market_order")
    declared.remove("order_amendment")
    assert sorted(declared) == sorted(metadata.tables)
    for rule in (tables.BY_TIME, tables.COUNTERS, tables.BY_PARTY):
        for table, column in rule.items():
            assert column in metadata.tables[table].c, table


def test_no_byte_of_the_person_is_in_the_files_and_all_were_before(erased: Lived) -> None:
    assert len(erased.packed) == 2
    found = found_of(erased, files_of(erased.copy))
    assert set(found) >= {"secret", "name", "login", "identifier", "account", "day 0", "day 1"}
    assert found_of(erased, files_of(erased.folder)) == []


def test_no_row_of_any_table_names_the_person(erased: Lived) -> None:
    with closing(Store.at(erased.folder)) as store, store.read() as tx:
        for table in metadata.sorted_tables:
            for row in tx.execute(table.select()):
                for value in row:
                    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
                    words = text.replace('"', " ").replace(":", " ").replace("-", " P-").split()
                    assert NAME not in text, table.name
                    assert EMAIL not in text, table.name
                    assert GONE not in text.replace('"', " ").replace(":", " ").split(), words[:9]


def test_contracts_of_the_person_and_amendments_of_that_time_are_gone_and_others_stay(
    erasable: Lived, erased: Lived
) -> None:
    counts = []
    for folder in (erasable.copy, erased.folder):
        with closing(Store.at(folder)) as store, store.read() as tx:
            held = [len(contracts.of_party(tx, party)) for party in (GONE, "P-2", "P-5")]
            amended = len(market.rows(tx)["order_amendment"])
        counts.append((*held, amended > 0))
    assert counts == [(1, 2, 1, True), (0, 1, 1, False)]


def test_the_ledger_is_the_same_byte_for_byte_and_every_proof_verifies(
    erased: Lived, tmp_path: Path
) -> None:
    with closing(Store.at(erased.folder)) as store:
        site, _ = cycle.facts(erased.folder, store)
        with store.read() as tx:
            now = list(log.entries(tx))
        assert now[: len(erased.entries)] == erased.entries
        added = [json.loads(entry)["body"]["action"] for entry in now[len(erased.entries) :]]
        assert added == ["erasure.ask", "erasure"]
        out = tmp_path / "out"
        with store.write() as tx:
            lost = tx.exec_driver_sql("SELECT count(*) FROM opening WHERE content = ''").scalar()
            record.checkpoint(tx, erased.street.room.signer.sign, control.clock_s(tx))
        erased.street.room.signer.close()
        _, key = audit.export(store, out, openings=True)
        report = verify.verify(out, verify.parse_key(key, 1), partial=True)
        assert report["commitments"] - report["openings"] == lost > 1000
        audit.prove(store, 5)
        with store.read() as tx:
            findings = audit.compare(tx, site.time_zone)
            assert market.postings_sum(tx) == 0
        assert {one.severity for one in findings} == {Severity.INFO}
        assert {one.code for one in findings} == {"audit.erased"}
    assert found_of(erased, files_of(tmp_path / "out")) == []


def test_what_was_lost_without_an_erasure_is_still_an_alarm(erased: Lived, tmp_path: Path) -> None:
    shutil.copytree(erased.folder, tmp_path / "it")
    with closing(Store.at(tmp_path / "it")) as store, store.write() as tx:
        entry = tx.exec_driver_sql(
            "SELECT sequence FROM ledger_entry WHERE kind = 'settlement' ORDER BY sequence DESC"
        ).scalars()
        sequence = next(n for n in entry if log.openings(tx, sequence=n))
        tx.execute(opening.delete().where(opening.c.sequence == sequence))
        codes = {one.code for one in audit.compare(tx, ZONE) if one.severity is Severity.ALARM}
        assert "audit.settlement" in codes


def test_of_the_persons_time_sums_stay_and_all_that_came_after(erased: Lived) -> None:
    with closing(Store.at(erased.folder)) as store, store.read() as tx:
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
    assert "erased-1" in (erased.folder / SITE_FILE).read_text()


def test_billing_and_settling_go_on_after_an_erasure(erased: Lived, tmp_path: Path) -> None:
    shutil.copytree(erased.folder, tmp_path / "it")
    store = commission.open_store(tmp_path / "it")
    site, _ = cycle.facts(tmp_path / "it", store)
    with closing(store), store.write() as tx:
        for party in agreements.store.parties(tx):
            if party != "community":
                billing.draft(tx, site, party, "2026-07")
        assert billing.month_names(tx, "2026-07")


def test_a_party_that_begins_like_another_is_another() -> None:
    found = named(["P-3"]).sub("erased-1", '"P-3" P-31 XP-3 P-3-a party:P-3')
    assert found == '"erased-1" P-31 XP-3 P-3-a party:erased-1'
    text = '[[party]]\nid = "home"\nname = "H"\n[[usage_point]]\nparty = "home"\ntariff = "home"\n'
    told = erasure.unnamed(text, "home", "erased-1")
    assert told.count('"home"') == 1
    assert 'tariff = "home"' in told
