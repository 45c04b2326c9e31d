"""The store keeps what it acknowledged, once, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from grid import interval
from grid.errors import BadInputError, Finding, Severity, StoreError
from grid.store import Store, agreements, books, control, datasets, field, log, market, series
from grid.store.schema import metadata
from meters.device import Setpoint
from meters.reading import MeterRead, RegisterRow
from trading.book import Order, Side
from trading.ledger import merkle

START = interval.parse("2026-05-27T00:00+04:00")
ZONE = "Asia/Baku"


def _series(values: list[int], start_s: int = START, quality: int = 1) -> xr.Dataset:
    array = np.array([values], np.int64)
    dims = ("usage_point", "interval")
    return xr.Dataset(
        {
            **{name: (dims, array.copy()) for name in series.REGISTERS},
            "quality": (dims, np.full(array.shape, quality, np.uint16)),
        },
        coords={"usage_point": ["UP-1"], "interval": interval.starts(start_s, len(values), 900)},
    )


def test_migrations_end_in_the_declared_schema(store: Store) -> None:
    with store.read() as tx:
        assert compare_metadata(MigrationContext.configure(tx), metadata) == []


def test_a_store_of_an_earlier_version_is_brought_up_to_date(store: Store) -> None:
    with store.write() as tx:
        control.put_meta(tx, "site", "x")
        config = store._config()
        config.attributes["connection"] = tx
        command.downgrade(config, "0001")
        assert compare_metadata(MigrationContext.configure(tx), metadata) != []
    with Store(store.url).read() as tx:
        assert compare_metadata(MigrationContext.configure(tx), metadata) == []
        assert control.get_meta(tx, "site") == "x"


def test_a_site_of_an_earlier_version_keeps_its_parties_and_their_limits(store: Store) -> None:
    text = """
    [[party]]
    id = "P-1"
    name = "Aygün"
    kind = "household"
    [[usage_point]]
    id = "UP-1"
    party = "P-1"
    tariff = "home"
    [[tariff]]
    id = "home"
    fixed_fee = "1.50"
    """
    with store.write() as tx:
        config = store._config()
        config.attributes["connection"] = tx
        command.downgrade(config, "0014")
        control.put_meta(tx, "site_toml", text)
        tx.exec_driver_sql("INSERT INTO limit_price VALUES ('UP-1', 70000, NULL)")
        tx.exec_driver_sql("INSERT INTO month_total VALUES ('UP-1', '2026-05', 4200, 0, true)")
    with Store(store.url).read() as tx:
        (one,) = agreements.listed(tx)
        assert (one.party, one.from_s, one.terms[0].tariff) == ("P-1", 0, "home")
        assert one.terms[0].trades
        assert agreements.parties(tx)["P-1"].name == "Aygün"
        assert market.limits(tx) == {one.id: (70_000, None)}
        account = market.month_accounts(tx, "2026-05")[one.id, "home"]
        assert (account.supplied.total_wh, account.fee_nano) == (4200, 1_500_000_000)


def test_a_store_of_another_schema_is_refused(store: Store) -> None:
    with store.write() as tx:
        tx.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="has schema 9999"):
        Store(store.url)


def test_a_failed_transaction_leaves_no_trace(store: Store) -> None:
    with pytest.raises(BadInputError), store.write() as tx:  # noqa: PT012  the body is the point
        control.put_meta(tx, "site", "x")
        raise BadInputError
    with store.read() as tx:
        assert control.get_meta(tx, "site") is None


def test_empty_slots_fill_in_place_and_changed_slots_make_a_version(store: Store) -> None:
    with store.write() as tx:
        assert series.put_intervals(tx, _series([1, -1, 3]), time_zone=ZONE, cycle_s=1) == []
        assert series.put_intervals(tx, _series([-1, 2, -1]), time_zone=ZONE, cycle_s=2) == []
        assert {v for _, v, _ in series.versions(tx, "UP-1", "2026-05-27")} == {1}
        changed = series.put_intervals(tx, _series([1, 9, 3]), time_zone=ZONE, cycle_s=3)
        assert changed == [("UP-1", START + 900)]
        assert {v for _, v, _ in series.versions(tx, "UP-1", "2026-05-27")} == {1, 2}
        assert series.put_intervals(tx, _series([1, 9, 3]), time_zone=ZONE, cycle_s=4) == []
        got = series.get_intervals(tx, ["UP-1"], START - 900, START + 3600, time_zone=ZONE)
    assert got["import_wh"].values.tolist() == [[-1, 1, 9, 3, -1]]
    assert got["quality"].values.tolist() == [[0, 1, 1, 1, 0]]


@pytest.mark.parametrize(("day", "count"), [("2026-03-29", 92), ("2026-10-25", 100)])
def test_days_with_92_and_100_quarter_hours_come_back_whole(
    store: Store, day: str, count: int
) -> None:
    zone = "Europe/Berlin"
    start_s, end_s = interval.day_bounds(interval.parse_date(day), zone)
    values = list(range(count))
    with store.write() as tx:
        series.put_intervals(tx, _series(values, start_s), time_zone=zone, cycle_s=1)
        got = series.get_intervals(tx, ["UP-1"], start_s, end_s, time_zone=zone)
    assert got["export_wh"].values[0].tolist() == values


def test_a_read_of_the_moment_wins_over_the_load_profile_and_raw_reads_stay(store: Store) -> None:
    now = RegisterRow(START, (10, 0, 0, 0))
    late = RegisterRow(START, (11, 0, 0, 0))
    with store.write() as tx:
        field.put_reads(tx, [MeterRead("M-1", now, (), 230.0, b"a" * 32)], cycle_s=START)
        again = MeterRead("M-1", RegisterRow(START + 900, (20, 0, 0, 0)), (late,), None, b"b" * 32)
        field.put_reads(tx, [again], cycle_s=START + 900)
        got = field.boundaries(tx, ["M-1", "M-2"], START, 2, 900)
        assert got["import_wh"].values.tolist() == [[10, 20, -1], [-1, -1, -1]]
        assert not got["from_profile"].values.any()
        assert len(field.raw_reads(tx, "M-1", START, START + 900)) == 3


def test_voltages_stand_in_the_interval_that_they_end(store: Store) -> None:
    rows = [
        MeterRead("M-1", RegisterRow(START + 900 * n, (n, 0, 0, 0)), (), 230.0 + n, b"a" * 32)
        for n in (0, 1, 3)
    ]
    mute = MeterRead("M-2", RegisterRow(START + 900, (1, 0, 0, 0)), (), None, b"b" * 32)
    with store.write() as tx:
        field.put_reads(tx, [*rows, mute], cycle_s=START)
        got = field.voltages(tx, ["M-2", "M-1"], START, 3, 900)
    assert np.isnan(got[0]).all()
    assert got[1, [0, 2]].tolist() == [231.0, 233.0]
    assert np.isnan(got[1, 1])


def test_datasets_come_back_equal(store: Store) -> None:
    content = _series([1, 2, 3]).assign(power_kw=("interval", np.array([0.5, np.nan, 2.0])))
    content.attrs["source"] = "new plan"
    with store.write() as tx:
        datasets.put_dataset(tx, "plan", START, content)
        xr.testing.assert_identical(datasets.require_dataset(tx, "plan", START), content)
        with pytest.raises(StoreError, match="no plan is stored"):
            datasets.require_dataset(tx, "plan", START + 900)


def test_a_stage_commits_once(store: Store) -> None:
    with store.write() as tx:
        control.mark_done(tx, START, "read")
    with pytest.raises(StoreError), store.write() as tx:
        control.mark_done(tx, START, "read")
    with store.read() as tx:
        assert control.done(tx, START) == {"read"}


def test_findings_are_stored_once_and_acknowledged_once(store: Store) -> None:
    one = Finding("meter.silent", "M-1", "2026-05-27T00:00Z", Severity.ALARM, "M-1 is silent")
    with store.write() as tx:
        control.put_findings(tx, START, [one, one])
        control.put_findings(tx, START + 900, [one])
        (row,) = control.findings(tx, open_only=True)
        control.acknowledge(tx, row["id"], "operator@example.org", START, "seen")
        assert control.findings(tx, open_only=True) == []
        with pytest.raises(StoreError, match="acknowledged before"):
            control.acknowledge(tx, row["id"], "other@example.org", START, "")


def test_setpoints_and_orders_come_back_as_they_were(store: Store) -> None:
    wish = Setpoint("BAT-1", "storage", charge_w=1500)
    order = Order("O-1", "P-1", "UP-1", START, Side.BUY, 84_000, 250, 7)
    with store.write() as tx:
        control.put_setpoints(tx, START, [wish], "intended")
        control.put_setpoints(tx, START, [wish], "confirmed")
        (row,) = control.setpoints(tx, START)
        assert (row["charge_w"], row["state"]) == (1500, "confirmed")
        books.put_orders(tx, [order], received_s=START - 900)
        assert books.orders(tx, START) == [order]
        assert books.next_sequence(tx) == 8


def test_entries_and_checkpoints_are_kept_in_order(store: Store) -> None:
    with store.write() as tx:
        for n in range(3):
            log.append(
                tx,
                sequence=n,
                kind="genesis",
                label="",
                cycle_s=0,
                content=bytes([n]),
                leaf_hash=bytes(32),
            )
        log.put_checkpoint(tx, 3, START, "note")
        assert list(log.entries(tx)) == [b"\0", b"\1", b"\2"]
        assert log.last_content(tx) == b"\2"
        assert [row["size"] for row in log.checkpoints(tx)] == [3]
    with pytest.raises(StoreError), store.write() as tx:
        log.append(
            tx, sequence=2, kind="genesis", label="", cycle_s=0, content=b"", leaf_hash=bytes(32)
        )


def test_a_ledger_of_an_earlier_version_gets_the_hashes_of_its_tiles(store: Store) -> None:
    leaves = [merkle.leaf_hash(str(number).encode()) for number in range(700)]
    with store.write() as tx:
        for number, leaf in enumerate(leaves):
            log.append(
                tx,
                sequence=number,
                kind="plan",
                label="",
                cycle_s=0,
                content=b"",
                leaf_hash=leaf,
            )
        kept = tx.exec_driver_sql("SELECT * FROM tile_hash ORDER BY level, number").fetchall()
        assert [tuple(row[:2]) for row in kept] == [(1, 0), (1, 1)]
        config = store._config()
        config.attributes["connection"] = tx
        command.downgrade(config, "0014")
        command.upgrade(config, "head")
        again = tx.exec_driver_sql("SELECT * FROM tile_hash ORDER BY level, number").fetchall()
        assert [tuple(map(bytes, row[2:])) for row in again] == [
            tuple(map(bytes, row[2:])) for row in kept
        ]
        assert log.StoredTree(tx).root() == merkle.root(leaves)


@pytest.mark.parametrize("missing", ["tile_hash", "ledger_entry"])
def test_a_tree_with_a_hole_has_no_root(store: Store, missing: str) -> None:
    with store.write() as tx:
        for number in range(600):
            log.append(
                tx,
                sequence=number,
                kind="plan",
                label="",
                cycle_s=0,
                content=b"",
                leaf_hash=bytes(32),
            )
        where = "number = 1" if missing == "tile_hash" else "sequence = 590"
        tx.exec_driver_sql(f"DELETE FROM {missing} WHERE {where}")
        with pytest.raises(StoreError, match="hashes, must have"):
            log.StoredTree(tx).root()


def test_entries_that_replace_the_key_are_found_without_a_search(store: Store) -> None:
    with store.write() as tx:
        for number in range(2000):
            kind, content = ("key", b"new") if number in (7, 1500) else ("plan", b"plan")
            log.append(
                tx,
                sequence=number,
                kind=kind,
                label="",
                cycle_s=0,
                content=content,
                leaf_hash=bytes(32),
            )
        assert log.key_contents(tx) == [b"new", b"new"]
        if store.is_sqlite:
            query = "SELECT content FROM ledger_entry WHERE kind = 'key' ORDER BY sequence"
            plan = tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}").fetchall()
            assert "ix_ledger_entry_key" in plan[0][-1]


def test_an_erased_secret_is_gone(store: Store) -> None:
    with store.write() as tx:
        control.put_secrets(tx, {"a": b"1" * 32, "b": b"2" * 32})
    store.erase_secret("a")
    with store.read() as tx:
        assert control.secrets(tx, "") == {"b": b"2" * 32}
