"""A street whose market heeds its lines: no more is traded over one than it carries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grid import interval
from grid.errors import BadInputError
from grid.operation import topology_entries
from grid.operation.market_feeder import _tree
from grid.store import market
from tests.operation.month_site import STEP_S, begin, toml
from trading.accounts import CLEARING_SURPLUS, balances

TEXT = toml(
    zone="Asia/Baku",
    currency="AZN",
    households=5,
    market_text="""
[market]
mechanism = "with_line_limits"
profile = "azerbaijan_sandbox"
feed_in = "0.050"
shortfall = "0.160"
surplus = "0.040"
grid_fee = "0.012"
battery_use_fee = "0.010"
minimum_group = 1
""",
    tariffs="""
[[tariff]]
id = "home"
name = "Blocks"
fixed_fee = "1.00"
[[tariff.block]]
up_to_kwh = 0
price = "0.100"
""",
)
FIRST_S = interval.parse("2026-06-10T00:00+04:00")


def _lived(folder: Path, percent: str):
    text = TEXT.replace("[field]", f"loading_max_percent = {percent}\n[field]")
    street = begin(folder, text, FIRST_S, 40, seed=1)
    start_s = FIRST_S + STEP_S
    for n, price in ((1, "0.0500"), (3, "0.0510")):
        street.order(f"P-{n}", FIRST_S - 1, start_s, "sell", price, 2000)
    for n, price in ((2, "0.0900"), (4, "0.0800"), (5, "0.0700")):
        street.order(f"P-{n}", FIRST_S - 1, start_s, "buy", price, 1500)
    for number in range(5):
        street.cycle(FIRST_S + number * STEP_S)
    return street, start_s


def test_lines_with_room_let_the_whole_volume_trade_at_one_price(tmp_path: Path) -> None:
    street, start_s = _lived(tmp_path / "site", "100.0")
    with street.room.store.read() as tx:
        rows = market.trades(tx, start_s, start_s + 1)
        assert sum(row["energy_wh"] for row in rows) == 4000
        assert {row["price"] for row in rows} == {row["sell_price"] for row in rows}
    street.room.signer.close()


def test_a_line_that_is_full_parts_the_prices_and_its_rent_has_an_account(tmp_path: Path) -> None:
    street, start_s = _lived(tmp_path / "site", "1.0")
    with street.room.store.read() as tx:
        topology = topology_entries.told(tx)
        rows = market.trades(tx, start_s, start_s + 1)
        lines = [line for _, _, line in market.postings(tx, start_s=start_s)]
    feeder = topology.feeder(street.site.market)
    moved = np.zeros(len(feeder.parent), np.int64)
    for row in rows:
        for point, sign in ((row["buyer"], 1), (row["seller"], -1)):
            node = topology.of(point).bus
            while feeder.parent[node] >= 0:
                moved[node] += sign * row["energy_wh"]
                node = int(feeder.parent[node])
    assert 0 < sum(row["energy_wh"] for row in rows) < 4000
    assert (np.abs(moved) <= feeder.import_wh).all()
    assert any(row["price"] > row["sell_price"] for row in rows)
    rent = sum(row["energy_wh"] * (row["price"] - row["sell_price"]) for row in rows)
    assert rent > 0
    assert balances(lines)[CLEARING_SURPLUS] == rent
    assert balances(lines).get("market", 0) == 0
    street.room.signer.close()


def test_a_meshed_network_is_refused_with_what_to_do(tmp_path: Path) -> None:
    street = begin(tmp_path / "site", TEXT, FIRST_S, 4, seed=1)
    line = street.room.model.line
    # One more line between the far ends of two others makes a ring.
    ring = replace(
        line,
        from_node=np.append(line.from_node, line.to_node[-1]),
        to_node=np.append(line.to_node, line.to_node[1]),
        rated_to_ka=np.append(line.rated_to_ka, 1.0),
    )
    meshed = replace(street.room.model, line=ring)
    with pytest.raises(BadInputError, match="is meshed at node"):
        _tree(meshed, "ring")
    street.room.signer.close()
