"""A month of a street in Baku and of one in Vienna: every slot and the month sum to zero.

Readings come late and are corrected, before and after their interval is final; a meter is
exchanged, and told of late; the tariff changes in the middle of the month; a household moves;
Vienna loses an hour in March.
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from grid import interval
from grid.operation import agreements, audit, billing, settling
from grid.store import control, invoices, log, market, series
from tests.operation.month_exchange import Exchanged
from tests.operation.month_site import STEP_S, Month, begin, toml
from trading import verify
from trading.accounts import POOL, balances, energies, party_account
from trading.tariffs.month import charge_nano

FIRST_DAY = 1 if "KHAZRI_WHOLE_MONTH" in os.environ else 22
"""On which the site begins: the whole month takes minutes, its last week and a half shows most."""
BAKU = toml(
    zone="Asia/Baku",
    currency="AZN",
    households=5,
    market_text="""
[market]
mechanism = "uniform_price"
profile = "azerbaijan_sandbox"
feed_in = "0.050"
shortfall = "0.160"
surplus = "0.040"
grid_fee = "0.012"
battery_use_fee = "0.010"
minimum_group = 1
guaranteed = true
""",
    tariffs="""
[[tariff]]
id = "home"
name = "Blocks"
fixed_fee = "1.00"
vat_percent = 18
[[tariff.block]]
up_to_kwh = 40
price = "0.084"
[[tariff.block]]
up_to_kwh = 0
price = "0.100"
[[tariff.version]]
valid_from = 2026-06-24
name = "Dearer"
fixed_fee = "1.00"
vat_percent = 18
[[tariff.version.block]]
up_to_kwh = 40
price = "0.090"
[[tariff.version.block]]
up_to_kwh = 0
price = "0.110"
""",
)
VIENNA = toml(
    zone="Europe/Vienna",
    currency="EUR",
    households=5,
    market_text="""
[market]
mechanism = "dynamic_key"
profile = "austria"
feed_in = "0.060"
shortfall = "0.160"
surplus = "0.040"
grid_fee = "0.070"
battery_use_fee = "0.010"
shared_price = "0.110"
reference_price = "0.280"
minimum_group = 1
""",
    tariffs="""
[[tariff]]
id = "home"
name = "Two rates"
fixed_fee = "3.10"
fixed_fee_by = "day"
vat_percent = 20
[[tariff.rate]]
id = "day"
hours = ["weekday 06:00-22:00"]
[[tariff.rate.block]]
up_to_kwh = 0
price = "0.290"
[[tariff.rate]]
id = "else"
[[tariff.rate.block]]
up_to_kwh = 0
price = "0.240"
[[tariff.version]]
valid_from = 2026-03-24
name = "Two rates, dearer"
fixed_fee = "3.10"
fixed_fee_by = "day"
vat_percent = 20
[[tariff.version.rate]]
id = "day"
hours = ["weekday 06:00-22:00"]
[[tariff.version.rate.block]]
up_to_kwh = 0
price = "0.310"
[[tariff.version.rate]]
id = "else"
[[tariff.version.rate.block]]
up_to_kwh = 0
price = "0.250"
""",
)


def _lives(folder: Path, text: str, month: str, zone: str, trades: bool) -> tuple[Month, int, int]:
    """Let a street live through a month and until its invoices are made."""
    first = interval.parse_date(f"{month}-{FIRST_DAY:02d}")
    start_s = interval.day_bounds(first, zone)[0]
    end_s = interval.month_bounds(start_s, zone)[1]
    # A third of a day until the last interval is final, a day until it is billed, and one more.
    last_s = end_s + interval.DAY_S + 40 * STEP_S
    count = (last_s - start_s) // STEP_S
    street = begin(folder, text, start_s, count, seed=3)
    _disturb(street, start_s, count)
    # The fitter comes in the middle of an interval; the office hears of it five hours later.
    fitted_s = start_s + 4 * interval.DAY_S + 50 * STEP_S
    street.exchanged = Exchanged(
        point=5,
        from_s=fitted_s - 30 * STEP_S,
        until_s=fitted_s + 34 * STEP_S,
        at_s=fitted_s + 400,
        told_s=fitted_s + 20 * STEP_S,
    )
    day = interval.parse_date(f"{month}-26")
    street.at[start_s + 2 * interval.DAY_S] = lambda s: _move(s, day)
    for at_s in range(start_s, last_s, STEP_S):
        if trades and (at_s // STEP_S) % 8 == 0:
            _order(street, at_s)
        street.cycle(at_s)
    return street, start_s, end_s


def _disturb(street: Month, start_s: int, count: int) -> None:
    """Let readings be wrong at first: corrected while provisional, and days after."""
    for slot in range(20, count - 500, 17):
        point = slot % 5 + 1
        street.told[point, slot] = [123, 0]
        after = 5 if slot % 2 else 96 * 3
        street.later.setdefault(start_s + (slot + after) * STEP_S, []).append((point, slot))


def _move(street: Month, day: date) -> None:
    with street.room.store.write() as tx:
        agreements.add_party(
            tx, street.site, party="P-NEW", name="New", kind="household", by="clerk"
        )
        agreements.move_in(
            tx, street.site, usage_point="UP-3", party="P-NEW", day=day, by="clerk", trades=True
        )


def _order(street: Month, at_s: int) -> None:
    start_s = at_s + 2 * STEP_S
    with street.room.store.read() as tx:
        party = agreements.holders(tx, start_s)
    draw = at_s // STEP_S
    for n in (1, 3, 5):
        holder = party[f"UP-{n}"]
        if holder == f"P-{n}":
            street.order(holder, at_s, start_s, "sell", f"0.0{50 + (draw + n) % 9}", 100 + n)
    for n in (2, 4):
        street.order(f"P-{n}", at_s, start_s, "buy", f"0.0{60 + (draw + n) % 9}", 80 + n)


@pytest.fixture(
    scope="module",
    params=[
        (BAKU, "2026-06", "Asia/Baku", True, 96 * (31 - FIRST_DAY)),
        (VIENNA, "2026-03", "Europe/Vienna", False, 96 * (32 - FIRST_DAY) - 4),
    ],
    ids=["Baku", "Vienna"],
)
def lived(request, tmp_path_factory):
    """A street after its month, its bounds, month and number of quarter-hours."""
    text, month, zone, trades, count = request.param
    folder = tmp_path_factory.mktemp("street")
    street, start_s, end_s = _lives(folder, text, month, zone, trades)
    assert (end_s - start_s) // STEP_S == count
    yield street, start_s, end_s, month
    street.room.signer.close()
    street.room.store.close()


def test_every_interval_and_the_month_sum_to_zero_in_energy_and_money(lived) -> None:
    street, start_s, end_s, _ = lived
    with street.room.store.read() as tx:
        rows = market.postings(tx)
    assert {start for start, version, _ in rows if version} >= set(range(start_s, end_s, STEP_S))
    by_interval: dict[int, list] = {}
    for start, _, line in rows:
        by_interval.setdefault(start, []).append(line)
    for start, lines in by_interval.items():
        assert sum(balances(lines).values()) == 0, interval.label(start)
        assert sum(energies(lines).values()) == 0, interval.label(start)
        assert balances(lines).get("market", 0) == 0, interval.label(start)
    versions = Counter(version for _, version, _ in rows)
    assert versions[2] > 10, "readings were corrected"
    assert any(POOL in (line.debit, line.credit) for _, _, line in rows), "some of them late"
    assert any(str(line.kind) == "purchase" for _, _, line in rows), "energy was traded"


def test_what_a_household_pays_for_supply_is_the_tariff_of_its_true_energy(lived) -> None:
    street, start_s, end_s, month = lived
    tariff = street.site.tariff[0]
    with street.room.store.read() as tx:
        accounts = market.month_accounts(tx, month)
        rows = market.postings(tx)
        held = {one.id: one for one in agreements.store.listed(tx)}
    for (number, _), account in accounts.items():
        one = held[number]
        low = (max(start_s, one.from_s) - start_s) // STEP_S
        high = (min(end_s, one.until_s or end_s) - start_s) // STEP_S
        point = street.room.row[one.usage_point]
        true_wh = int(street.truth[point, low:high, 0].sum())
        assert account.metered.total_wh == true_wh, (one.usage_point, one.party)
        paid = sum(
            line.amount_nano * (1 if line.debit == party_account(one.party) else -1)
            for start, _, line in rows
            if line.usage_point == one.usage_point
            and str(line.kind) == "supply"
            and party_account(one.party) in (line.debit, line.credit)
            and start_s <= start < end_s
        )
        assert paid == charge_nano(tariff, account.supplied), (one.usage_point, one.party)


def test_an_exchanged_meter_counts_on_and_what_was_estimated_meanwhile_was_corrected(
    lived,
) -> None:
    street, _, _, _ = lived
    one = street.exchanged
    slot_s = one.at_s - one.at_s % STEP_S
    assert one.estimated == {slot_s}, "its interval was estimated before the exchange was told"
    assert one.missing == set()
    with street.room.store.read() as tx:
        versions = {version for start, version, _ in market.postings(tx) if start == slot_s}
        found = series.get_intervals(
            tx, ["UP-5"], one.from_s, one.until_s, time_zone=street.site.time_zone
        )
    assert versions == {1, 2}
    first = (one.from_s - street.room.first_cycle_s) // STEP_S
    true = street.truth[5, first : first + found.sizes["interval"]]
    assert found["import_wh"].values[0].tolist() == true[:, 0].tolist()
    assert found["export_wh"].values[0].tolist() == true[:, 1].tolist()


def test_invoices_add_up_line_by_line_to_their_accounts(lived) -> None:
    street, _, _, month = lived
    with street.room.store.read() as tx:
        made = invoices.invoices(tx, month=month)
        assert {one.party for one in made} == {"P-1", "P-2", "P-3", "P-4", "P-5", "P-NEW"}
        for one in made:
            document = one.document
            lines = sum(Decimal(line["amount"]) for line in document["lines"])
            assert lines == Decimal(document["exact"])
            closing = Decimal(document["guarantee"]) + Decimal(document["rounding"])
            assert lines + closing == Decimal(document["total"])
            account = party_account(one.party)
            posted = [line for _, _, line in market.postings(tx, account=account, month=month)]
            assert -balances(posted)[account] == one.total_nano
            assert Decimal(document["total"]) == Decimal(one.total_nano).scaleb(-9)
            gain = Decimal(document["without_trading"]) - lines
            assert Decimal(document["gain"]) == gain
            if street.site.market.guaranteed:
                assert Decimal(document["guarantee"]) == min(gain, Decimal(0))
        moved = {one.party: one for one in made}
        assert moved["P-3"].total_nano != moved["P-NEW"].total_nano


def test_the_origin_on_each_invoice_is_what_meters_and_trades_say_interval_by_interval(
    lived,
) -> None:
    street, start_s, end_s, month = lived
    imported: Counter[str] = Counter()
    local: Counter[str] = Counter()
    with street.room.store.read() as tx:
        for at_s in range(start_s, end_s, STEP_S):
            _add_origin(street, market.newest_settlement(tx, at_s)[2], imported, local)
        made = invoices.invoices(tx, month=month)
    assert sum(local.values()) > 0
    for one in made:
        grid_wh = imported[one.party] - local[one.party]
        assert one.document["origin"] == {
            "co2_mg": (grid_wh * 412_500 + 500) // 1_000,
            "grid_wh": grid_wh,
            "local_permille": 1_000 * local[one.party] // imported[one.party],
            "local_wh": local[one.party],
        }


def _add_origin(street: Month, settled: dict, imported: Counter, local: Counter) -> None:
    """Match an interval Wh by Wh: to who bought, then to who is furthest below their part."""
    slot = (settled["start_s"] - street.room.first_cycle_s) // STEP_S
    party = [one["party"] for one in settled["usage_points"]]
    took, gave = street.truth[:, slot].T.tolist()
    claims = [
        min(wh, max(sum(_signed(leg) for leg in one["legs"]), 0))
        for wh, one in zip(took, settled["usage_points"], strict=True)
    ]
    left_wh = sum(gave)
    parts = [0] * len(took)
    for wants in (claims, took):
        open_wh = [want - part for want, part in zip(wants, parts, strict=True)]
        given_wh = min(left_wh, sum(open_wh))
        exact = [Fraction(given_wh * one, sum(open_wh) or 1) for one in open_wh]
        whole = [int(one) for one in exact]
        for n in sorted(range(len(took)), key=lambda n: whole[n] - exact[n])[
            : given_wh - sum(whole)
        ]:
            whole[n] += 1
        parts = [part + more for part, more in zip(parts, whole, strict=True)]
        left_wh -= given_wh
    assert sum(parts) <= sum(gave)
    for name, wh, part in zip(party, took, parts, strict=True):
        imported[name] += wh
        local[name] += part


def _signed(leg: dict) -> int:
    return leg["energy_wh"] if leg["side"] == "buy" else -leg["energy_wh"]


def test_running_settlement_and_billing_again_adds_nothing(lived) -> None:
    street, _, _, _ = lived
    with street.room.store.read() as tx:
        before = log.size(tx), len(market.postings(tx)), len(invoices.invoices(tx))
        at_s = control.clock_s(tx)
    for _ in range(2):
        with street.room.store.write() as tx:
            tx.exec_driver_sql("DELETE FROM stage")
        settling.settle_intervals(street.room, at_s)
        billing.bill(street.room, at_s)
    with street.room.store.read() as tx:
        assert (log.size(tx), len(market.postings(tx)), len(invoices.invoices(tx))) == before


def test_a_month_in_which_nothing_was_settled_is_not_billed_again_and_again(lived) -> None:
    street, start_s, _, _ = lived
    with street.room.store.write() as tx:
        size = log.size(tx)
        month_s = interval.month_bounds(start_s - 60 * interval.DAY_S, street.site.time_zone)[0]
        assert billing._invoice(tx, street.site, month_s, control.clock_s(tx)) == []
        assert log.size(tx) == size


def test_the_ledger_of_the_month_verifies_opened_and_its_rows_are_what_it_commits_to(
    lived, tmp_path: Path
) -> None:
    street, _, _, _ = lived
    _, key = audit.export(street.room.store, tmp_path / "out", openings=True)
    assert verify.main([str(tmp_path / "out"), "--key", key, "--openings"]) == 0
    with street.room.store.read() as tx:
        assert audit.compare(tx, street.site.time_zone) == []


def test_a_dispute_holds_only_its_line_and_is_decided_once(lived) -> None:
    street, _, _, month = lived
    site = street.site
    with street.room.store.write() as tx:
        one = invoices.invoices(tx, month=month, party="P-2")[0]
        place = next(n for n, line in enumerate(one.document["lines"]) if line["kind"] == "supply")
        number = billing.dispute(tx, site, one.number, place, party="P-2", reason="wrong", by="p")
        held = billing.held_nano(invoices.disputes(tx, [one.number]))
        assert 0 < held < one.total_nano
        assert Decimal(one.document["lines"][place]["amount"]) == Decimal(held).scaleb(-9)
        done = billing.decide(tx, site, number, credit_nano=held // 2, note="half", by="clerk")
        assert done.state is invoices.DisputeState.UPHELD
        assert billing.held_nano(invoices.disputes(tx, [one.number])) == 0
        with pytest.raises(Exception, match="none that is open"):
            billing.decide(tx, site, number, credit_nano=0, note="", by="clerk")
        with pytest.raises(Exception, match="was disputed already"):
            billing.dispute(tx, site, one.number, place, party="P-2", reason="again", by="p")
        with pytest.raises(Exception, match="no such invoice of P-4"):
            billing.dispute(tx, site, one.number, place, party="P-4", reason="mine", by="p")
        assert market.postings_sum(tx) == 0
        later = interval.month_label(control.clock_s(tx), site.time_zone)
        lines = billing.draft(tx, site, "P-2", later).document["lines"]
        assert [line["kind"] for line in lines if line["kind"] == "credit"] == ["credit"]
