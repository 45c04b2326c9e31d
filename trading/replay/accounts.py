"""The accounts of a month as a log tells them that begins within it, and those of batteries.

A log that follows one that ended begins with them: by what was settled before, the block of the
tariff in which the month stands, its fee and the energy bank go on; by what was traded before,
what a battery holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields

from grid.ids import AssetId
from trading.agreement_months import MonthAccounts
from trading.replay.log import Fields, Record
from trading.settlement_facts import MonthAccount
from trading.tariffs.clock import Segment
from trading.tariffs.month import MonthUse, month_use

ACTION, BATTERIES = "accounts.begin", "batteries.begin"
TOLD = (ACTION, BATTERIES)
"""Actions that tell of accounts."""
EMPTIED = "ledger.recover"
"""Entries came back to a store that was put back: what its batteries' accounts hold did not."""
_WHOLE = tuple(one.name for one in fields(MonthAccount) if one.name not in ("supplied", "metered"))


def payload(agreement: int, tariff: str, account: MonthAccount) -> dict[str, object]:
    """Return what the log commits to of an account."""
    return {
        "agreement": agreement,
        "metered": _parts(account.metered),
        "supplied": _parts(account.supplied),
        "tariff": tariff,
        **{name: str(getattr(account, name)) for name in _WHOLE},
    }


def battery_payload(agreement: int, battery: AssetId, stored_wh: int) -> dict[str, object]:
    """Return what the log commits to of a battery's account."""
    return {"agreement": agreement, "battery": str(battery), "stored_wh": str(stored_wh)}


def take_batteries(record: Record) -> dict[tuple[int, AssetId], int]:
    """Return what batteries hold that a record tells of, Wh, by agreement and battery.

    Raises
    ------
    DifferenceError
        When one of them is none.
    """
    told = record.of("battery_account")
    record.expect("commitments of batteries", record.commitments, len(told))
    found = {}
    for one in told.values():
        place = one.whole("agreement"), AssetId(one.text("battery"))
        one.equals(battery_payload(*place, one.decimal("stored_wh")))
        found[place] = one.decimal("stored_wh")
    return found


def take(record: Record) -> MonthAccounts:
    """Return the accounts of the month that a record tells of.

    Raises
    ------
    DifferenceError
        When one of them is none.
    """
    told = record.of("account")
    record.expect("commitments of accounts", record.commitments, len(told))
    found = {}
    for one in told.values():
        whole = {name: one.decimal(name) for name in _WHOLE}
        account = MonthAccount(_use(one, "supplied"), _use(one, "metered"), **whole)
        place = one.whole("agreement"), one.text("tariff")
        one.equals(payload(*place, account))
        found[place] = account
    return found


def _parts(use: MonthUse) -> list[Mapping[str, object]]:
    return [
        {
            "energy_wh": str(energy_wh),
            "price": "" if segment.price is None else str(segment.price),
            "rate": segment.rate,
            "version": segment.version,
        }
        for segment, energy_wh in use.energy
    ]


def _use(one: Fields, name: str) -> MonthUse:
    return month_use(_energy(one.tables(name)))


def _energy(parts: Iterable[Fields]) -> Iterable[tuple[Segment, int]]:
    for part in parts:
        price = part.decimal("price") if part.text("price") else None
        segment = Segment(part.whole("version"), part.text("rate"), price)
        yield segment, part.decimal("energy_wh")
