"""Orders, clearings, trades, settlements and postings."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping, func, insert, or_, select, update

from grid.ids import AccountId, UsagePointId
from grid.store.engine import Transaction
from grid.store.schema import (
    clearing,
    limit_price,
    market_order,
    month_account,
    order_amendment,
    posting,
    settlement,
    trade,
)
from grid.store.upsert import put
from trading.accounts import Posting, PostingKind
from trading.settlement_facts import MonthAccount
from trading.tariffs.clock import Segment
from trading.tariffs.month import MonthUse, month_use

_WITHOUT_FEES = {"zone_fee": 0, "loss_fee": 0, "regional": False}


def put_clearing(
    tx: Transaction, start_s: int, facts: Mapping[str, Any], trades: Sequence[Mapping[str, Any]]
) -> None:
    """Store the outcome of a sealed book and its trades.

    A trade without a ``sell_price`` is at its ``price`` on both sides; without fees it has none.
    """
    put(tx, clearing, [{"start_s": start_s, **facts}], replace=False)
    rows = [
        {"start_s": start_s, "number": n, "sell_price": row["price"], **_WITHOUT_FEES, **row}
        for n, row in enumerate(trades)
    ]
    put(tx, trade, rows, replace=False)


def clearings(tx: Transaction, start_s: int, end_s: int) -> list[RowMapping]:
    """Return the clearings of ``[start_s, end_s)`` in order."""
    rows = tx.execute(
        select(clearing)
        .where(clearing.c.start_s >= start_s, clearing.c.start_s < end_s)
        .order_by(clearing.c.start_s)
    )
    return list(rows.mappings())


def trades(
    tx: Transaction, start_s: int, end_s: int, *, usage_point: str | None = None
) -> list[RowMapping]:
    """Return the trades of ``[start_s, end_s)``, of one usage point when given."""
    query = select(trade).where(trade.c.start_s >= start_s, trade.c.start_s < end_s)
    if usage_point is not None:
        query = query.where(or_(trade.c.buyer == usage_point, trade.c.seller == usage_point))
    return list(tx.execute(query.order_by(trade.c.start_s, trade.c.number)).mappings())


def limits(tx: Transaction) -> dict[int, tuple[int | None, int | None]]:
    """Return the buy and sell limits that prosumers have set, by agreement, nano per Wh."""
    return {row.agreement: (row.buy, row.sell) for row in tx.execute(select(limit_price))}


def put_limits(tx: Transaction, agreement: int, buy: int | None, sell: int | None) -> None:
    """Store a prosumer's limit prices; ``None`` leaves a side to the default agent."""
    put(tx, limit_price, [{"agreement": agreement, "buy": buy, "sell": sell}])


def put_settlement(
    tx: Transaction,
    *,
    start_s: int,
    version: int,
    cycle_s: int,
    state: str,
    residual_wh: int,
    content: object,
    postings: Sequence[Posting],
    month: str,
) -> None:
    """Store one version of a settlement with the postings it adds."""
    tx.execute(
        insert(settlement).values(
            start_s=start_s,
            version=version,
            cycle_s=cycle_s,
            state=state,
            residual_wh=residual_wh,
            content=zlib.compress(json.dumps(content, separators=(",", ":")).encode()),
        )
    )
    rows = [
        {
            "start_s": start_s,
            "version": version,
            "number": number,
            "debit": line.debit,
            "credit": line.credit,
            "amount_nano": line.amount_nano,
            "energy_wh": line.energy_wh,
            "kind": str(line.kind),
            "usage_point": line.usage_point,
            "price": line.price,
            "reversal": line.reversal,
            "month": month,
        }
        for number, line in enumerate(postings)
    ]
    if rows:
        tx.execute(insert(posting), rows)


def newest_settlement(tx: Transaction, start_s: int) -> tuple[int, str, Any] | None:
    """Return version, state and content of an interval's newest settlement."""
    row = tx.execute(
        select(settlement)
        .where(settlement.c.start_s == start_s)
        .order_by(settlement.c.version.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    return int(row.version), str(row.state), json.loads(zlib.decompress(row.content))


def settlements(tx: Transaction, start_s: int, end_s: int) -> list[RowMapping]:
    """Return interval, version, cycle, state and residual of each settlement."""
    columns = ("start_s", "version", "cycle_s", "state", "residual_wh")
    rows = tx.execute(
        select(*(settlement.c[name] for name in columns))
        .where(settlement.c.start_s >= start_s, settlement.c.start_s < end_s)
        .order_by(settlement.c.start_s, settlement.c.version)
    )
    return list(rows.mappings())


def finalise(tx: Transaction, before_s: int) -> list[tuple[int, int]]:
    """Make what is provisional before an instant final; return start and newest version of each."""
    where = (settlement.c.start_s < before_s) & (settlement.c.state == "provisional")
    query = select(settlement.c.start_s, func.max(settlement.c.version)).where(where)
    newest = sorted(
        (int(start), int(version))
        for start, version in tx.execute(query.group_by(settlement.c.start_s))
    )
    if newest:
        tx.execute(update(settlement).where(where).values(state="final"))
    return newest


def _posting(row: Any) -> Posting:
    return Posting(
        debit=AccountId(row.debit),
        credit=AccountId(row.credit),
        amount_nano=row.amount_nano,
        energy_wh=row.energy_wh,
        kind=PostingKind(row.kind),
        usage_point=None if row.usage_point is None else UsagePointId(row.usage_point),
        price=row.price,
        reversal=row.reversal,
    )


def postings(
    tx: Transaction,
    *,
    account: str | None = None,
    month: str | None = None,
    start_s: int | None = None,
) -> list[tuple[int, int, Posting]]:
    """Return interval start, version and posting, of one account, month or interval."""
    query = select(posting)
    if account is not None:
        query = query.where(or_(posting.c.debit == account, posting.c.credit == account))
    if month is not None:
        query = query.where(posting.c.month == month)
    if start_s is not None:
        query = query.where(posting.c.start_s == start_s)
    query = query.order_by(posting.c.start_s, posting.c.version, posting.c.number)
    return [(row.start_s, row.version, _posting(row)) for row in tx.execute(query)]


def billed(tx: Transaction, account: str, month: str, month_s: int) -> list[tuple[bool, Posting]]:
    """Return an account's postings on the statement of a month, each with whether it is late.

    Late are credits, and what came too late for the statement of its own month; `month_s` is
    the first instant of `month`.
    """
    return [
        (start_s < month_s or line.kind is PostingKind.CREDIT, line)
        for start_s, _, line in postings(tx, account=account, month=month)
    ]


def postings_sum(tx: Transaction) -> int:
    """Return the sum over all accounts of what was received less what was paid."""
    paid: dict[str, int] = {}
    for side, sign in ((posting.c.debit, -1), (posting.c.credit, 1)):
        for row in tx.execute(select(side, posting.c.amount_nano)):
            paid[row[0]] = paid.get(row[0], 0) + sign * int(row[1])
    return sum(paid.values())


def rows(tx: Transaction) -> dict[str, list[RowMapping]]:
    """Return every order, amendment, trade and posting as stored, by the name of their table."""
    found = {}
    for table in (market_order, order_amendment, trade, posting):
        query = select(table).order_by(*table.primary_key.columns)
        found[table.name] = list(tx.execute(query).mappings())
    return found


def month_accounts(tx: Transaction, month: str) -> dict[tuple[int, str], MonthAccount]:
    """Return the accounts of a month by agreement and tariff."""
    rows = tx.execute(select(month_account).where(month_account.c.month == month))
    return {
        (row.agreement, row.tariff): MonthAccount(
            supplied=_use(row.supplied),
            metered=_use(row.metered),
            export_wh=row.export_wh,
            bank_wh=row.bank_wh,
            fee_nano=row.fee_nano,
            import_wh=row.import_wh,
            local_wh=row.local_wh,
            battery_wh=row.battery_wh,
        )
        for row in rows
    }


def put_month_accounts(
    tx: Transaction, month: str, accounts: Mapping[tuple[int, str], MonthAccount]
) -> None:
    """Store a month's accounts after a settlement."""
    rows = [
        {
            "agreement": agreement,
            "month": month,
            "tariff": tariff,
            "supplied": _use_text(one.supplied),
            "metered": _use_text(one.metered),
            "export_wh": one.export_wh,
            "bank_wh": one.bank_wh,
            "fee_nano": one.fee_nano,
            "import_wh": one.import_wh,
            "local_wh": one.local_wh,
            "battery_wh": one.battery_wh,
        }
        for (agreement, tariff), one in accounts.items()
    ]
    put(tx, month_account, rows)


def _use(text: str) -> MonthUse:
    return month_use((Segment(*segment), wh) for *segment, wh in json.loads(text))


def _use_text(use: MonthUse) -> str:
    return json.dumps([[one.version, one.rate, one.price, wh] for one, wh in use.energy])
