"""A member's battery trades in a running site: by consent, by the plan, and as the log tells."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from sqlalchemy import update

from dispatch.plan import LAST_GOOD_PLAN, NEW_PLAN, PlanInput, per_kwh
from dispatch.solve import solve
from grid import interval
from grid.errors import BadInputError, Finding
from grid.ids import AssetId
from grid.operation import agreements, audit, billing, market, offering, ordering, record, settling
from grid.store import agreements as held
from grid.store import batteries, books, control, datasets
from grid.store import market as store
from grid.store.schema import market_order
from tests.operation.month_site import STEP_S, Month, begin
from tests.operation.replay_site import SHORT, altered, rewritten
from tests.operation.test_month import BAKU
from trading.batteries import Moved
from trading.battery_accounts import BatteryMove
from trading.book import Side
from trading.ledger.entry import Kind
from trading.replay.derivation import Derivation, Replayed, replay
from trading.replay.log import Record, records

BATTERIES = "".join(
    f"""
[[battery]]
id = "BAT-{n}"
usage_point = "UP-{n}"
power_kw = 1.0
energy_kwh = 2.0
min_energy_kwh = 0.2
initial_energy_kwh = 1.0
wear = "0.006"
"""
    for n in (1, 2)
)
"""UP-1 has a roof, UP-2 has none."""
LAST_DAY = date(2026, 6, 30)
START_S, _ = interval.day_bounds(LAST_DAY, "Asia/Baku")
BEFORE, COUNT = 4, 62
AHEAD = 32
PRICES = "".join(
    f'[[grid.price]]\nfrom_time = "{at}"\nbuy = "{buy}"\nsell = "{sell}"\n'
    for at, buy, sell in (
        ("00:00", "0.075", "0.030"),
        ("09:00", "0.140", "0.120"),
        ("11:00", "0.060", "0.030"),
    )
)
"""First a kWh in a battery is worth more than others' surplus, in the end less than retail."""


def _text() -> str:
    text = BAKU.replace("2026-06-24", "2026-06-30") + BATTERIES
    for old, new in SHORT:
        text = text.replace(old, new)
    text = text.replace("guaranteed = true\n", "")
    head, rest = text.index("[[grid.price]]"), text.index("[[tariff]]")
    return text[:head] + PRICES + text[rest:]


class Planned(Month):
    """A street whose plan is made, and whose agents offer by it, in every cycle."""

    def cycle(self, at_s: int) -> None:
        with self.room.store.write() as tx:
            control.put_meta(tx, "clock_s", str(at_s))
        if at_s in self.at:
            self.at.pop(at_s)(self)
        self._read(at_s)
        market.seal(self.room, at_s)
        market.clear(self.room, at_s)
        self.plan(at_s)
        offering.offer(self.room, at_s)
        settling.settle_intervals(self.room, at_s)
        billing.bill(self.room, at_s)
        with self.room.store.write() as tx:
            record.checkpoint(tx, self.room.signer.sign, at_s)

    def plan(self, at_s: int, source: str = NEW_PLAN) -> None:
        """Store a forecast that knows the truth, and the optimum by it."""
        first = (at_s - self.room.first_cycle_s) // STEP_S
        net = (self.truth[:, :, 0] - self.truth[:, :, 1]) * 3600 / STEP_S / 1000
        net = np.pad(net, ((0, 0), (0, AHEAD)), mode="edge")[:, first : first + AHEAD]
        names = [f"load:{point.id}" for point in self.site.usage_point]
        forecast = xr.Dataset({"mean_kw": (("series", "interval"), net)}, {"series": names})
        site, zeros = self.site, np.zeros(AHEAD)
        prices = [market.prices_at(self.room, at_s + n * STEP_S) for n in range(AHEAD)]
        demand = net.sum(axis=0)
        given = PlanInput(
            start_s=at_s, interval_s=STEP_S, battery=site.battery, solar=(), wind=(), genset=(),
            shedding=(), grid=site.grid, demand_kw=demand - demand.min(),
            solar_available_kw=np.zeros((0, AHEAD)), wind_available_kw=np.zeros((0, AHEAD)),
            sheddable_kw=np.zeros((0, AHEAD)),
            buy_price=np.array([per_kwh(buy) for buy, _ in prices]),
            sell_price=np.array([per_kwh(sell) for _, sell in prices]),
            end_value_per_kwh=0.055, grid_available=np.ones(AHEAD, bool),
            battery_energy_kwh=np.array([one.initial_energy_kwh for one in site.battery]),
            genset_on=np.zeros(0, bool), genset_intervals_in_state=np.zeros(0, np.int64),
            reserve_kw=zeros,
        )  # fmt: skip
        with self.room.store.write() as tx:
            datasets.put_dataset(tx, "forecast", at_s, forecast)
            datasets.put_dataset(tx, "plan", at_s, solve(given).schedule)
            facts = {"status": "optimal", "source": source, "objective": 0.0, "gap": 0.0}
            control.put_plan(tx, at_s, {**facts, "rounds": 1, "cuts": 0}, {})


def _begun(folder: Path, count: int) -> Planned:
    street = Planned(**vars(begin(folder, _text(), START_S - BEFORE * STEP_S, count, seed=5)))
    with street.room.store.write() as tx:
        control.put_secrets(tx, {"draw": b"0" * 32})
    return street


def _consent(street: Month, point: str, day: date, *, battery: bool) -> None:
    with street.room.store.write() as tx:
        agreements.change_terms(
            tx, street.site, usage_point=point, day=day, by="member", battery=battery
        )


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> tuple[Planned, Path]:
    """A street over a sunny day; the battery of UP-1 trades, that of UP-2 does not."""
    folder = tmp_path_factory.mktemp("batteries")
    street = _begun(folder / "site", COUNT)
    street.truth[:, :, 1] *= 4
    street.told[:] = street.truth
    for slot in range(BEFORE + 2, COUNT - 16, 5):
        street.told[slot % 5 + 1, slot] = [123, 0]
        after = 4 if slot % 2 else 14
        at_s = street.room.first_cycle_s + (slot + after) * STEP_S
        street.later.setdefault(at_s, []).append((slot % 5 + 1, slot))
    _consent(street, "UP-1", LAST_DAY, battery=True)
    for number in range(COUNT):
        street.cycle(street.room.first_cycle_s + number * STEP_S)
    street.room.signer.close()
    audit.export(street.room.store, folder / "out", openings=True)
    return street, folder / "out"


def _replayed(folder: Path) -> Replayed:
    size = int((folder / "checkpoint").read_text().split("\n")[1])
    return replay(records(folder, size))


def test_a_battery_trades_from_the_day_of_consent_and_only_that_battery(
    street: tuple[Planned, Path],
) -> None:
    lived, _ = street
    with lived.room.store.read() as tx:
        orders = [
            one.order
            for start_s in range(START_S - BEFORE * STEP_S, START_S + COUNT * STEP_S, STEP_S)
            for one in books.received(tx, start_s)
            if one.order.battery
        ]
    assert {one.battery for one in orders} == {"BAT-1"}
    assert {one.usage_point for one in orders} == {"UP-1"}
    assert {one.side for one in orders} == set(Side)
    assert min(one.start_s for one in orders) >= START_S
    assert all(one.agent and one.energy_wh <= 250 for one in orders)


def test_it_buys_keeps_sells_and_serves_and_never_more_than_it_holds(
    street: tuple[Planned, Path],
) -> None:
    lived, _ = street
    with lived.room.store.read() as tx:
        moves = batteries.moves(tx, 0, 2**40)
        accounts = batteries.accounts(tx)
    total = {
        name: sum(getattr(one.moved, name) for _, one in moves)
        for name in ("bought_wh", "sold_wh", "kept_wh", "used_wh")
    }
    assert all(total.values()), total
    assert all(0 <= one.stored_wh <= 1_800 for _, one in moves)
    ((_, stored),) = accounts.items()
    assert stored == moves[-1][1].stored_wh
    taken, given = total["bought_wh"] + total["kept_wh"], total["sold_wh"] + total["used_wh"]
    lost = taken - given - stored
    assert 0.05 * taken <= lost <= 0.10 * taken + 2 * len(moves)


def test_what_it_traded_is_on_the_trades_and_the_month_sums_to_zero(
    street: tuple[Planned, Path],
) -> None:
    lived, _ = street
    with lived.room.store.read() as tx:
        moves = batteries.moves(tx, 0, 2**40)
        ids = batteries.order_ids(tx, 0, 2**40)
        rows = store.trades(tx, 0, 2**40)
        assert store.postings_sum(tx) == 0
        account = store.month_accounts(tx, "2026-06")
        one = next(kept for kept in held.listed(tx) if kept.party == "P-1")
    bought = sum(row["energy_wh"] for row in rows if row["buy_order"] in ids)
    sold = sum(row["energy_wh"] for row in rows if row["sell_order"] in ids)
    assert bought == sum(each.moved.bought_wh for _, each in moves)
    assert sold == sum(each.moved.sold_wh for _, each in moves)
    june = sum(
        each.moved.bought_wh + each.moved.sold_wh + each.moved.kept_wh + each.moved.used_wh
        for start_s, each in moves
        if start_s < START_S + (COUNT - BEFORE - 2) * STEP_S
    )
    assert account[one.id, "home"].battery_wh == june


def test_the_log_replays_with_every_battery(street: tuple[Planned, Path]) -> None:
    _, out = street
    found = _replayed(out)
    assert found.difference is None, found.difference
    assert found.stopped is None, found.why
    assert found.derived["settlements"] > COUNT - 4


def _less_room(payload: dict[str, Any]) -> None:
    payload["terms"][-1]["batteries"][0]["room_wh"] = 40


def _consent_gone(payload: dict[str, Any]) -> None:
    payload["terms"][-1].pop("batteries")


@pytest.mark.parametrize(
    ("kind", "which", "change", "words"),
    [
        ("order", lambda told, ids: told["id"] in ids, lambda told: told.pop("battery"), "posting"),
        ("order", lambda told, ids: told["id"] in ids, lambda told: told.update(energy_wh=251),
         "_wh"),
        ("agreement", lambda told, _: told["party"] == "P-1" and len(told["terms"]) > 1, _less_room,
         "must be within 0 to 40"),
        ("agreement", lambda told, _: told["party"] == "P-1" and len(told["terms"]) > 1,
         _consent_gone, "without consent"),
    ],
)  # fmt: skip
def test_an_altered_battery_is_named(
    street: tuple[Planned, Path], tmp_path: Path, kind: str, which: Any, change: Any, words: str
) -> None:
    lived, out = street
    with lived.room.store.read() as tx:
        known = batteries.order_ids(tx, 0, 2**40)
        rows = store.trades(tx, 0, 2**40)
    filled = known & {row[side] for row in rows for side in ("buy_order", "sell_order")}
    apply, found = altered(kind, lambda one: bool(which(one.payload, filled)), change)
    rewritten(lived.site, out, tmp_path / "altered", apply)
    assert found
    difference = _replayed(tmp_path / "altered").difference
    assert difference is not None
    assert words in str(difference), difference


@pytest.mark.parametrize(("stored_wh", "side"), [(300, Side.SELL), (1_500, Side.BUY)])
def test_open_orders_hold_what_they_could_sell_and_fill(
    tmp_path: Path, stored_wh: int, side: Side
) -> None:
    """Three cycles offer without a book being cleared: together no more than 300 Wh stored."""
    street = _begun(tmp_path / "site", 120)
    _consent(street, "UP-1", LAST_DAY, battery=True)
    with street.room.store.write() as tx:
        one = next(kept for kept in held.listed(tx) if kept.party == "P-1")
        known = one.terms_at(START_S).batteries[0]
        move = BatteryMove(one.id, known.id, one.usage_point, Moved(bought_wh=1), stored_wh)
        batteries.put_moves(tx, START_S - STEP_S, [move])
    for number in range(3):
        at_s = START_S + number * STEP_S
        with street.room.store.write() as tx:
            control.put_meta(tx, "clock_s", str(at_s))
        street.plan(at_s)
        offering.offer(street.room, at_s)
    with street.room.store.read() as tx:
        opened = [
            one for one in batteries.open_orders(tx, START_S) if one.side is side and one.energy_wh
        ]
    of = known.drawn_for if side is Side.SELL else known.stored_of
    assert len(opened) == 2
    assert 298 <= sum(of(one.energy_wh) for one in opened) <= 300
    street.room.signer.close()
    street.room.store.close()


def test_consent_is_for_a_member_who_trades_and_has_a_battery(tmp_path: Path) -> None:
    street = _begun(tmp_path / "site", 8)
    with street.room.store.write() as tx:
        with pytest.raises(BadInputError, match="no battery that could be traded"):
            agreements.change_terms(
                tx, street.site, usage_point="UP-3", day=LAST_DAY, by="m", battery=True
            )
        with pytest.raises(BadInputError, match="only for a party that trades"):
            agreements.change_terms(
                tx, street.site, usage_point="UP-1", day=LAST_DAY, by="m", battery=True,
                trades=False,
            )  # fmt: skip
    _consent(street, "UP-1", LAST_DAY, battery=True)
    _consent(street, "UP-1", LAST_DAY, battery=False)
    with street.room.store.write() as tx:
        one = next(kept for kept in held.listed(tx) if kept.party == "P-1")
        assert [terms.batteries for terms in one.terms] == [(), ()]
    _consent(street, "UP-1", LAST_DAY, battery=True)
    with street.room.store.write() as tx:
        changed = agreements.change_terms(
            tx, street.site, usage_point="UP-1", day=LAST_DAY, by="m", trades=False
        )
    assert changed.terms[-1].batteries == ()
    street.room.signer.close()
    street.room.store.close()


def test_consent_does_not_change_for_what_is_offered_already(tmp_path: Path) -> None:
    """Half an hour before midnight the first orders of the next day are placed."""
    street = _begun(tmp_path / "site", 8)
    late_s = START_S - 2 * STEP_S
    with street.room.store.write() as tx:
        control.put_meta(tx, "clock_s", str(late_s - 1))
        assert agreements.soonest(tx, street.site) == LAST_DAY
    _consent(street, "UP-1", LAST_DAY, battery=True)
    with street.room.store.write() as tx:
        control.put_meta(tx, "clock_s", str(late_s))
        assert agreements.soonest(tx, street.site) == LAST_DAY + timedelta(days=1)
        with pytest.raises(BadInputError, match="offered already"):
            agreements.change_terms(
                tx, street.site, usage_point="UP-1", day=LAST_DAY, by="m", battery=False
            )
        with pytest.raises(BadInputError, match="offered already"):
            agreements.move_out(tx, street.site, usage_point="UP-1", day=LAST_DAY, by="m")
        agreements.change_terms(
            tx, street.site, usage_point="UP-1", day=LAST_DAY, by="m", share_percent=50
        )
        agreements.move_out(tx, street.site, usage_point="UP-2", day=LAST_DAY, by="m")
    street.room.signer.close()
    street.room.store.close()


def test_an_older_plan_offers_nothing_and_its_last_steps_break_nothing(tmp_path: Path) -> None:
    street = _begun(tmp_path / "site", 120)
    _consent(street, "UP-1", LAST_DAY, battery=True)
    for at_s, steps in ((START_S, AHEAD), (START_S + STEP_S, 2), (START_S + 2 * STEP_S, 1)):
        with street.room.store.write() as tx:
            control.put_meta(tx, "clock_s", str(at_s))
        street.plan(at_s, source=LAST_GOOD_PLAN)
        with street.room.store.write() as tx:
            plan = datasets.require_dataset(tx, "plan", at_s)
            datasets.put_dataset(tx, "plan", at_s, plan.isel(interval=slice(0, steps)))
        offering.offer(street.room, at_s)
    with street.room.store.read() as tx:
        assert not batteries.open_orders(tx, START_S)
    street.room.signer.close()
    street.room.store.close()


def test_a_party_of_two_usage_points_has_no_battery_that_would_take_the_place_of_its_orders(
    tmp_path: Path,
) -> None:
    street = _begun(tmp_path / "site", 120)
    _consent(street, "UP-1", LAST_DAY, battery=True)
    with street.room.store.write() as tx:
        agreements.move_in(
            tx, street.site, usage_point="UP-2", party="P-1", day=LAST_DAY, by="m", trades=True
        )
        control.put_meta(tx, "clock_s", str(START_S))
    street.plan(START_S)
    offering.offer(street.room, START_S)
    with street.room.store.read() as tx:
        assert not batteries.open_orders(tx, START_S)
        assert books.orders(tx, START_S + 2 * STEP_S)
    street.room.signer.close()
    street.room.store.close()


def test_an_order_whose_battery_is_altered_in_the_store_is_named(
    street: tuple[Planned, Path],
) -> None:
    lived, _ = street
    with lived.room.store.read() as tx:
        assert audit.compare(tx, "Asia/Baku") == []
    found: list[Finding] = []
    with pytest.raises(_UndoneError):
        _alter(lived, found)
    assert found
    assert all("battery is None, committed BAT-1" in one.message for one in found)


class _UndoneError(Exception):
    """Takes back what was tried."""


def _alter(lived: Planned, found: list[Finding]) -> None:
    of_battery = market_order.c.battery != ""
    with lived.room.store.write() as tx:
        tx.execute(update(market_order).where(of_battery).values(battery=""))
        found += audit.compare(tx, "Asia/Baku")
        raise _UndoneError


def test_nothing_is_offered_where_the_plan_has_no_prices(tmp_path: Path) -> None:
    street = _begun(tmp_path / "site", 120)
    _consent(street, "UP-1", LAST_DAY, battery=True)
    with street.room.store.write() as tx:
        control.put_meta(tx, "clock_s", str(START_S))
    street.plan(START_S)
    with street.room.store.write() as tx:
        plan = datasets.require_dataset(tx, "plan", START_S)
        plan["energy_price"].values[:] = np.nan
        datasets.put_dataset(tx, "plan", START_S, plan)
    offering.offer(street.room, START_S)
    with street.room.store.read() as tx:
        assert not batteries.open_orders(tx, START_S)
        placed = books.orders(tx, START_S + 2 * STEP_S)
    assert placed
    assert not [one for one in placed if one.battery]
    street.room.signer.close()
    street.room.store.close()


def test_the_number_of_agents_orders_does_not_tell_whether_a_battery_is_empty(
    street: tuple[Planned, Path],
) -> None:
    lived, _ = street
    with lived.room.store.read() as tx:
        orders = [
            one.order
            for start_s in range(START_S, START_S + (COUNT - BEFORE) * STEP_S, STEP_S)
            for one in books.received(tx, start_s)
            if one.order.battery
        ]
    number = Counter(one.start_s for one in orders)
    assert set(number.values()) == {2}
    assert {one.energy_wh == 0 for one in orders if one.side is Side.SELL} == {True, False}


def test_an_order_by_hand_and_that_of_the_own_battery_do_not_meet(tmp_path: Path) -> None:
    """Neither would be offered; and an order without a surplus would fill the account."""
    street = _begun(tmp_path / "site", 120)
    _consent(street, "UP-1", LAST_DAY, battery=True)
    start_s = START_S + 2 * STEP_S
    with street.room.store.write() as tx:
        control.put_meta(tx, "clock_s", str(START_S))
    street.plan(START_S)
    offering.offer(street.room, START_S)
    with street.room.store.read() as tx:
        bid = next(one for one in batteries.open_orders(tx, START_S) if one.side is Side.BUY)
    price = f"{bid.price / 1e6:.4f}"
    with pytest.raises(BadInputError, match=f"your battery buys at up to {price} then"):
        street.order("P-1", START_S, start_s, "sell", price, 100)
    street.order("P-1", START_S, start_s, "sell", f"{(bid.price + 100) / 1e6:.4f}", 100)
    with (
        street.room.store.write() as tx,
        pytest.raises(BadInputError, match="your battery buys at up to"),
    ):
        ordering.amend(
            tx, street.site, f"P-1-{start_s}", {"price": price}, party="P-1", at_s=START_S
        )
    # What was ordered by hand before the agent offers leaves the battery nothing on that side.
    street.order("P-1", START_S, start_s + STEP_S, "sell", "0.0100", 100)
    with street.room.store.write() as tx:
        control.put_meta(tx, "clock_s", str(START_S + STEP_S))
    street.plan(START_S + STEP_S)
    offering.offer(street.room, START_S + STEP_S)
    with street.room.store.read() as tx:
        later = [one for one in batteries.open_orders(tx, START_S) if one.start_s > start_s]
    assert {one.side: one.energy_wh for one in later}[Side.BUY] == 0
    street.room.signer.close()
    street.room.store.close()


def test_who_moves_out_withdraws_consent_until_then(tmp_path: Path) -> None:
    street = _begun(tmp_path / "site", 8)
    _consent(street, "UP-1", LAST_DAY, battery=True)
    with street.room.store.write() as tx:
        agreements.move_in(
            tx, street.site, usage_point="UP-1", party="P-5", day=date(2026, 8, 1), by="clerk"
        )
        changed = agreements.change_terms(
            tx, street.site, usage_point="UP-1", day=date(2026, 7, 1), by="member", battery=False
        )
    assert (changed.party, changed.terms[-1].batteries) == ("P-1", ())
    street.room.signer.close()
    street.room.store.close()


def test_where_losses_are_made_good_a_battery_begins_with_a_month(tmp_path: Path) -> None:
    text = _text().replace("minimum_group = 1\n", "minimum_group = 1\nguaranteed = true\n")
    street = begin(tmp_path / "site", text, START_S - BEFORE * STEP_S, 8, seed=5)
    with pytest.raises(BadInputError, match="begins to trade with a month"):
        _consent(street, "UP-1", LAST_DAY, battery=True)
    with street.room.store.read() as tx:
        assert agreements.soonest(tx, street.site) == LAST_DAY
        assert agreements.soonest(tx, street.site, begins=True) == date(2026, 7, 1)
    _consent(street, "UP-1", date(2026, 7, 1), battery=True)
    street.room.signer.close()
    street.room.store.close()


def test_after_a_copy_is_recovered_accounts_are_empty_in_store_and_replay(
    street: tuple[Planned, Path],
) -> None:
    """What was given away since the copy does not come back with the log's entries."""
    lived, _ = street
    with pytest.raises(_UndoneError):
        _emptied(lived)
    whole = Derivation()
    whole._books._accounts[1, AssetId("BAT-1")] = 300
    whole.derive(
        Record(1, Kind.ACTION, "2026-06-25T08:00Z", {"action": "ledger.recover"}, 0), None, None
    )
    assert whole._books._accounts == {}


def _emptied(lived: Planned) -> None:
    with lived.room.store.write() as tx:
        batteries.empty(tx)
        assert batteries.accounts(tx) == {}
        raise _UndoneError
