"""What a trade pays for the network: borders of zones, losses, and less of the grid fee nearby."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from grid import interval
from grid.operation import audit, topology_entries
from grid.operation.check import check
from grid.site import Site
from grid.site_file import SiteFileError
from grid.store import control, datasets, invoices, market
from tests.operation.month_site import STEP_S, Month, begin
from tests.operation.replay_site import SHORT, altered, rewritten
from tests.operation.test_line_limits import FIRST_S, TEXT
from tests.operation.test_month import VIENNA
from trading.accounts import CLEARING_SURPLUS, GRID_OPERATOR, LOSSES, balances
from trading.replay.derivation import Replayed, replay
from trading.replay.log import records

ZONES = """
[[market.zone]]
id = "north"
buses = [2, 9]
fee = "0.0040"
[[market.zone]]
id = "south"
buses = [4, 5, 6, 11, 13]
fee = "0.0020"
"""
"""UP-1 is in the north, UP-3 to UP-5 in the south, UP-2 between them in neither."""


def _checked(text: str, folder: Path) -> Site:
    return check(text.replace('profile = "standard"', 'profile = "cosem"'), base_dir=folder)


def _market(text: str, more: str) -> str:
    return text.replace("minimum_group = 1\n", f"minimum_group = 1\n{more}", 1)


BUSINESSES = _market(TEXT, f"loss_fees = true\n{ZONES}").replace('"household"', '"business"')


class Flowing(Month):
    """A month whose network states are power flows of its readings."""

    def _store(self, tx: Any, start_s: int, slot: int) -> None:
        kilo = {"import_wh": self.truth[:, slot : slot + 1, 0]}
        kilo["export_wh"] = self.truth[:, slot : slot + 1, 1]
        none = 0 * kilo["import_wh"]
        dims = ("usage_point", "interval")
        told = {**kilo, "import_varh": none, "export_varh": none}
        readings = xr.Dataset(
            {name: (dims, values) for name, values in told.items()},
            coords={"interval": interval.starts(start_s, 1, STEP_S)},
        )
        if start_s not in datasets.instants(tx, "network", start_s, start_s + 1):
            datasets.put_dataset(tx, "network", start_s, self.room.flow(readings).isel(interval=0))
        super()._store(tx, start_s, slot)


def _lived(folder: Path, text: str, count: int, *, start_s: int = FIRST_S) -> Month:
    """Let a street trade in each interval; its loads are large enough for losses to cost."""
    street = Flowing(**vars(begin(folder, text, start_s, count, seed=1)))
    street.truth *= 12
    street.told[:] = street.truth
    for slot in range(2, count - 16, 5):
        street.told[slot % 5 + 1, slot] = [123, 0]
        after = 4 if slot % 2 else 14
        street.later.setdefault(start_s + (slot + after) * STEP_S, []).append((slot % 5 + 1, slot))
    for number in range(count):
        at_s = start_s + number * STEP_S
        for n, price in ((1, "0.0500"), (3, "0.0510")):
            street.order(f"P-{n}", at_s - 1, at_s + STEP_S, "sell", price, 2000 + number)
        for n, price in ((2, "0.0900"), (4, "0.0800"), (5, "0.0700")):
            street.order(f"P-{n}", at_s - 1, at_s + STEP_S, "buy", price, 1500)
        street.cycle(at_s)
    street.room.signer.close()
    return street


def _replayed(folder: Path) -> Replayed:
    size = int((folder / "checkpoint").read_text().split("\n")[1])
    return replay(records(folder, size))


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> tuple[Month, Path]:
    """A street of businesses over the end of a month, and its ledger opened."""
    folder = tmp_path_factory.mktemp("businesses")
    text = BUSINESSES
    for old, new in SHORT:
        text = text.replace(old, new)
    end_s = interval.month_bounds(FIRST_S, "Asia/Baku")[1]
    lived = _lived(folder / "site", text, 40, start_s=end_s - 16 * STEP_S)
    audit.export(lived.room.store, folder / "out", openings=True)
    return lived, folder / "out"


def test_each_trade_pays_the_borders_on_its_way_once_and_the_rest_is_rent(
    street: tuple[Month, Path],
) -> None:
    lived, _ = street
    border = {"UP-1": 4000, "UP-2": 0, "UP-3": 2000, "UP-4": 2000, "UP-5": 2000}
    zone = {"UP-1": "north", "UP-2": "", "UP-3": "south", "UP-4": "south", "UP-5": "south"}
    with lived.room.store.read() as tx:
        rows = market.trades(tx, 0, 2**40)
        posted = [(start, line) for start, _, line in market.postings(tx)]
    assert {row["regional"] for row in rows} == {False, True}
    assert any(row["loss_fee"] for row in rows)
    owed: Counter[tuple[int, str]] = Counter()
    for row in rows:
        crosses = zone[row["buyer"]] != zone[row["seller"]]
        assert row["zone_fee"] == crosses * (border[row["buyer"]] + border[row["seller"]])
        assert row["regional"] == crosses
        rent = row["price"] - row["sell_price"] - row["zone_fee"] - row["loss_fee"]
        assert rent >= 0
        assert row["loss_fee"] % 100 == 0
        start, energy_wh = row["start_s"], row["energy_wh"]
        owed[start, GRID_OPERATOR] += energy_wh * (row["zone_fee"] + 12_000)
        owed[start, LOSSES] += energy_wh * row["loss_fee"]
        owed[start, CLEARING_SURPLUS] += energy_wh * rent
    for start in {start for start, _ in posted}:
        lines = [line for at, line in posted if at == start]
        assert sum(balances(lines).values()) == 0
        fees = [
            one
            for one in lines
            if str(one.kind) in ("grid_fee", "zone_fee", "loss_fee", "clearing_surplus")
        ]
        got = balances(fees)
        for account in (GRID_OPERATOR, LOSSES, CLEARING_SURPLUS):
            assert got.get(account, 0) == owed[start, account], account


def test_the_statement_shows_the_fees_as_lines_beside_a_month_without_them(
    street: tuple[Month, Path],
) -> None:
    lived, _ = street
    with lived.room.store.read() as tx:
        one = next(found for found in invoices.invoices(tx) if found.party == "P-2")
    kinds = [line["kind"] for line in one.document["lines"]]
    assert {"purchase", "grid_fee", "zone_fee", "loss_fee"} <= set(kinds)
    exact = Decimal(one.document["exact"])
    assert sum(Decimal(line["amount"]) for line in one.document["lines"]) == exact
    assert Decimal(one.document["without_trading"]) - exact == Decimal(one.document["gain"])


def test_replay_with_line_limits_and_fees_reproduces_every_entry(
    street: tuple[Month, Path],
) -> None:
    lived, out = street
    found = _replayed(out)
    assert (found.difference, found.stopped) == (None, None)
    with lived.room.store.read() as tx:
        assert found.derived["trades"] == len(market.rows(tx)["trade"])
    assert found.derived["statements"] == 5
    assert found.checked["correction"] > 3


def test_without_openings_what_is_public_of_the_network_is_checked(
    street: tuple[Month, Path], tmp_path: Path
) -> None:
    lived, out = street
    audit.export(lived.room.store, tmp_path / "public")
    found = _replayed(tmp_path / "public")
    assert (found.difference, found.derived) == (None, {})

    def apply(entry, openings):
        if "topology" in entry.body:
            entry.body["topology"]["limit_wh"].pop()
        return entry.body, []

    rewritten(lived.site, out, tmp_path / "short", apply)
    difference = _replayed(tmp_path / "short").difference
    assert difference is not None
    assert (difference.what, difference.value) == (
        "topology",
        "limit_wh has 14 buses, must have 15",
    )


def test_a_log_from_before_lines_were_told_is_replayed_as_far_as_it_goes(
    street: tuple[Month, Path], tmp_path: Path
) -> None:
    lived, out = street

    def apply(entry, openings):
        entry.body.pop("topology_sha256", None)
        if str(entry.body.get("action", "")).startswith("topology"):
            return {"action": "person.seen"}, []
        return entry.body, openings

    rewritten(lived.site, out, tmp_path / "out", apply)
    found = _replayed(tmp_path / "out")
    assert (found.difference, found.why) == (None, "the log does not hold the feeder's lines")
    assert found.stopped is not None


def test_what_stands_in_clear_names_nobody_and_tells_no_losses(street: tuple[Month, Path]) -> None:
    _, out = street
    size = int((out / "checkpoint").read_text().split("\n")[1])
    told = [one for one in records(out, size) if one.body.get("action", "").startswith("topology")]
    assert told[0].body.keys() == {"action", "topology"}
    assert told[0].body["topology"].keys() == {"limit_wh", "parent", "zone"}
    assert len(told) > 2
    for one in told[1:]:
        assert one.body == {"action": "topology.losses"}
        assert one.commitments == 1


def _moved(payload: dict[str, Any]) -> None:
    payload["bus"] = 2


def _cheaper(payload: dict[str, Any]) -> None:
    payload["loss_fee"] = [0] * len(payload["loss_fee"])


@pytest.mark.parametrize(
    ("kind", "subject", "change"),
    [("place", "UP-2", _moved), ("losses", "lines", _cheaper)],
    ids=["place", "loss fee"],
)
def test_an_altered_place_or_loss_fee_is_named(
    street: tuple[Month, Path],
    tmp_path: Path,
    kind: str,
    subject: str,
    change: Callable[[dict[str, Any]], None],
) -> None:
    lived, out = street
    apply, found = altered(
        kind,
        lambda one: one.label.subject == subject and any(one.payload.get("loss_fee", [1])),
        change,
    )
    rewritten(lived.site, out, tmp_path / "out", apply)
    assert len(found) == 1
    difference = _replayed(tmp_path / "out").difference
    assert difference is not None
    assert difference.kind == "clearing"
    assert "trade" in difference.what


def _limit(body: dict[str, Any]) -> None:
    body["topology"]["limit_wh"] = [100] * len(body["topology"]["limit_wh"])


def _fee(body: dict[str, Any]) -> None:
    body["terms"]["market"]["zone"][0]["fee"] = "1000"


@pytest.mark.parametrize(
    ("member", "change", "what"),
    [("topology", _limit, "topology_sha256"), ("terms", _fee, "trade")],
    ids=["limit", "zone fee"],
)
def test_an_altered_limit_or_zone_fee_is_named(
    street: tuple[Month, Path],
    tmp_path: Path,
    member: str,
    change: Callable[[dict[str, Any]], None],
    what: str,
) -> None:
    lived, out = street

    def apply(entry, openings):
        if member in entry.body:
            change(entry.body)
        return entry.body, openings

    rewritten(lived.site, out, tmp_path / "out", apply)
    difference = _replayed(tmp_path / "out").difference
    assert difference is not None
    assert difference.kind == "clearing"
    assert what in difference.what


def test_an_altered_limit_whose_hash_was_altered_with_it_is_named_by_what_was_traded(
    street: tuple[Month, Path], tmp_path: Path
) -> None:
    lived, out = street

    def apply(entry, openings):
        if "topology" in entry.body:
            _limit(entry.body)
        if "topology_sha256" in entry.body:
            kept = topology_entries.Topology(
                parent=tuple(made["parent"]), limit_wh=(100,) * len(made["parent"]),
                zone=tuple(made["zone"]),
            )  # fmt: skip
            entry.body["topology_sha256"] = kept.sha256
        return entry.body, openings

    with lived.room.store.read() as tx:
        made = topology_entries.told(tx).lines()
    rewritten(lived.site, out, tmp_path / "out", apply)
    difference = _replayed(tmp_path / "out").difference
    assert difference is not None
    assert (difference.kind, "trade" in difference.what) == ("clearing", True)


def test_a_switch_that_is_opened_between_is_told_before_the_next_book(tmp_path: Path) -> None:
    street = begin(tmp_path / "site", BUSINESSES, FIRST_S, 8, seed=1)
    street.cycle(FIRST_S)
    street.cycle(FIRST_S + STEP_S)
    with street.room.store.read() as tx:
        before = topology_entries.told(tx)
    # The far end of the north hangs on the hub by another line now.
    line = street.room.model.line
    place = next(
        n
        for n, pair in enumerate(zip(line.from_node, line.to_node, strict=True))
        if set(map(int, pair)) == {2, 9}
    )
    line.from_node[place], line.to_node[place] = 3, 2
    street.cycle(FIRST_S + 2 * STEP_S)
    with street.room.store.read() as tx:
        after = topology_entries.told(tx)
    assert (before.parent[2], after.parent[2]) == (9, 3)
    head, _ = audit.export(street.room.store, tmp_path / "out", openings=True)
    told = [one for one in records(tmp_path / "out", head.size) if "topology" in one.body]
    assert [one.body["topology"]["parent"][2] for one in told] == [9, 3]
    assert _replayed(tmp_path / "out").difference is None
    street.room.signer.close()


@pytest.mark.parametrize(
    ("more", "line", "said"),
    [
        (ZONES, 'fee = "0.0040"', "fee may not be charged to household P-1"),
        ("loss_fees = true\n", "loss_fees = true", "loss_fees may not be charged to household P-1"),
        (ZONES.replace("[2, 9]", "[2, 99]"), "buses = [2, 99]", "bus 99 is not in the network"),
        (ZONES.replace("[2, 9]", "[2, 4]"), "", "bus 4 is in zones twice"),
        (
            ZONES.replace("2, 9", ", ".join(f"{bus}" for bus in (1, 2, 9))).replace("0.0040", "0"),
            'fee = "0.0020"',
            "fee may not be charged to household P-1",
        ),
    ],
)
def test_what_the_law_or_the_network_does_not_allow_is_refused_with_its_line(
    tmp_path: Path, more: str, line: str, said: str
) -> None:
    text = _market(TEXT, more)
    with pytest.raises(SiteFileError) as caught:
        _checked(text, tmp_path)
    errors = [one for one in caught.value.errors if said in one]
    assert errors, caught.value.errors
    if line:
        assert errors[0].startswith(f"SITE.toml:{text.splitlines().index(line) + 1}: ")


def test_businesses_may_be_charged_and_an_auction_without_lines_cannot_charge(
    tmp_path: Path,
) -> None:
    assert _checked(BUSINESSES, tmp_path).market.loss_fees
    with pytest.raises(SiteFileError, match="by a mechanism with line limits"):
        _checked(BUSINESSES.replace("with_line_limits", "uniform_price"), tmp_path)
    with pytest.raises(SiteFileError, match="must be a multiple of"):
        _checked(BUSINESSES.replace('"0.0040"', '"0.00405"'), tmp_path)


def test_while_a_household_stands_for_a_connection_nobody_is_charged(tmp_path: Path) -> None:
    street = _lived(tmp_path / "site", BUSINESSES.replace('"business"', '"household"'), 4)
    with street.room.store.read() as tx:
        told = topology_entries.told(tx)
        rows = market.trades(tx, 0, 2**40)
    assert set(told.zone) == {""}
    assert told.loss_fee == ()
    assert told.of("UP-1").zone == "north"
    assert rows
    assert {row["zone_fee"] + row["loss_fee"] for row in rows} == {0}


def test_in_austria_energy_of_the_zone_pays_less_of_the_grid_fee_than_that_of_the_next(
    tmp_path: Path,
) -> None:
    """-57 % of 0.070 is 0.0301, -28 % is 0.0504; shared in March, and replayed."""
    zones = ZONES.replace('fee = "0.0040"\n', "").replace('fee = "0.0020"\n', "")
    text = _market(VIENNA, zones)
    for old, new in SHORT:
        text = text.replace(old, new)
    _checked(text, tmp_path)
    end_s = interval.day_bounds(interval.parse_date("2026-03-31"), "Europe/Vienna")[1]
    start_s = end_s - 64 * STEP_S
    street = begin(tmp_path / "site", text, start_s, 100, seed=3)
    for slot in range(4, 60, 7):
        street.told[slot % 5 + 1, slot] = [123, 0]
        street.later.setdefault(start_s + (slot + 4) * STEP_S, []).append((slot % 5 + 1, slot))
    for number in range(100):
        street.cycle(start_s + number * STEP_S)
    with street.room.store.read() as tx:
        lines = [line for _, _, line in market.postings(tx)]
        bills = invoices.invoices(tx)
    fees = {line.price for line in lines if line.kind == "grid_fee"}
    assert fees == {30_100, 50_400}
    assert {
        str(line.credit) for line in lines if line.kind == "grid_fee" and not line.reversal
    } == {"grid_operator"}
    shown = {
        line["price_per_kwh"]
        for one in bills
        for line in one.document["lines"]
        if line["kind"] == "grid_fee"
    }
    assert shown == {"0.0301", "0.0504"}
    audit.export(street.room.store, tmp_path / "out", openings=True)
    found = _replayed(tmp_path / "out")
    assert (found.difference, found.stopped) == (None, None)
    assert found.derived["statements"] == 5
    street.room.signer.close()


def test_what_was_traded_and_does_not_hold_in_ac_is_told_with_its_limit(tmp_path: Path) -> None:
    """The lines carry it, but the voltage at the seller rises above a limit set that tight."""
    text = TEXT.replace("[field]", "voltage_max_pu = 1.0005\n[field]", 1)
    found = []
    for name, one in (("tight", text), ("wide", TEXT)):
        street = _lived(tmp_path / name, one, 3)
        with street.room.store.read() as tx:
            found.append([f for f in control.findings(tx) if f["code"] == "market.network"])
    assert "vm_pu bus" in found[0][0]["message"]
    assert found[1] == []
