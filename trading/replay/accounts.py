"""The accounts of a month as a log tells them that begins within it.

A log that follows one that ended begins with them: by what was settled before, the block of the
tariff in which the month stands, its fee and the energy bank go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from trading.agreement_months import MonthAccounts
from trading.replay.log import Fields, Record
from trading.settlement_facts import MonthAccount
from trading.tariffs.clock import Segment
from trading.tariffs.month import MonthUse, month_use

ACTION = "accounts.begin"
_WHOLE = ("bank_wh", "export_wh", "fee_nano", "import_wh", "local_wh")


def payload(agreement: int, tariff: str, account: MonthAccount) -> dict[str, object]:
    """Return what the log commits to of an account."""
    return {
        "agreement": agreement,
        "metered": _parts(account.metered),
        "supplied": _parts(account.supplied),
        "tariff": tariff,
        **{name: str(getattr(account, name)) for name in _WHOLE},
    }


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
