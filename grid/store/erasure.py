"""How a person leaves the store, table by table (:mod:`grid.store.erasure_tables`).

What would be left of somebody's neighbours gives them away: the public sums at the feeder head,
less the neighbours, are they; and so it is with invoices and the sums of a month. So of the
time in which an erased person stood for a usage point nothing is kept by the interval, of
nobody, and of its months no invoice: all of it is past its retention time for everybody. What
is left is what the ledger tells the public, and what each account came to in a month, where
enough parties are in it.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Table,
    Text,
    and_,
    delete,
    false,
    insert,
    or_,
    select,
    update,
)

from grid import interval
from grid.ids import AccountId
from grid.store import control, invoices
from grid.store.agreements import listed
from grid.store.engine import Transaction
from grid.store.erased_openings import OPENINGS, forget, named
from grid.store.erasure_tables import BY_PARTY, BY_TIME, COUNTERS
from grid.store.schema import (
    agreement,
    agreement_terms,
    battery_account,
    contract,
    dispute,
    erasure,
    import_channel,
    import_file,
    invoice,
    limit_price,
    meta,
    metadata,
    meter_exchange,
    month_account,
    party,
    posting,
    secret,
    settlement,
    user,
)
from meters.reading import MISSING
from trading.accounts import ERASED, PostingKind, money_line

NAME = "erased-"
"""What an erased party's agreements are of, with the number of its erasure."""

PARTY_SECRET = "party/"
SITE_TEXT = "site_toml"

_LAYOUT = "layout"
_EMPTY = zlib.compress(b"{}")
_UNREAD = json.dumps([MISSING] * 4)
_NOT_SWEPT = frozenset(
    {
        *(table.name for pair in OPENINGS for table in pair),
        *("checkpoint", "ended_checkpoint", "meta", "secret"),
    }
)


@dataclass(frozen=True, slots=True, order=True)
class Stay:
    """A party stood for a usage point in ``[from_s, until_s)``."""

    usage_point: str
    from_s: int
    until_s: int


@dataclass(frozen=True, slots=True)
class Erasure:
    """Who is erased, and in whose place what stays of them is kept.

    Attributes
    ----------
    party : str
    number : int
    stays : tuple of Stay
    minimum_group : int
        So many are in a sum that stays.
    time_zone : str
    community : str
        The party that stands for an empty flat.
    """

    party: str
    number: int
    stays: tuple[Stay, ...]
    minimum_group: int
    time_zone: str
    community: str

    @property
    def name(self) -> str:
        """The party that takes its place."""
        return f"{NAME}{self.number}"

    def within(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        """Return whether a column of instants is within a stay."""
        return within(self.stays, column)

    def months(self, first_s: int) -> list[str]:
        """Return the months (``YYYY-MM``) that a stay has part of, from an instant on."""
        return months(self.stays, first_s, self.time_zone)


def months(stays: Iterable[Stay], first_s: int, time_zone: str) -> list[str]:
    """Return the months (``YYYY-MM``) that stays have part of, from an instant on."""
    found = set()
    for stay in stays:
        at_s = max(stay.from_s, first_s)
        while at_s < stay.until_s:
            found.add(interval.month_label(at_s, time_zone))
            at_s = interval.month_bounds(at_s, time_zone)[1]
    return sorted(found)


def within(stays: Iterable[Stay], column: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition that an instant is within a stay."""
    return or_(false(), *(and_(column >= stay.from_s, column < stay.until_s) for stay in stays))


def erase(tx: Transaction, one: Erasure, site_text: str) -> None:
    """Let everything that tells of a person leave the store.

    Parameters
    ----------
    site_text : str
        The text of the site file that names the person no more.
    """
    if not tx.dialect.name.startswith("postgresql"):
        tx.exec_driver_sql("PRAGMA secure_delete=ON")
    emails = list(tx.execute(select(user.c.email).where(user.c.party == one.party)).scalars())
    months = one.months(int(control.get_meta(tx, "first_cycle_s") or 0))
    _end(tx, one)
    _fold(tx, one, months)
    billed = [
        interval.label(interval.day_bounds(interval.parse_date(f"{month}-01"), one.time_zone)[0])
        for month in months
    ]
    inside = [(interval.label(stay.from_s), interval.label(stay.until_s)) for stay in one.stays]
    forget(tx, one.party, inside, billed, [one.party, *emails])
    _forget_months(tx, one, months)
    for name, column in BY_TIME.items():
        where = one.within(_column(name, column))
        if name == "dataset":
            where &= metadata.tables[name].c.kind != _LAYOUT
        tx.execute(delete(metadata.tables[name]).where(where))
    last_s = max((stay.until_s for stay in one.stays), default=-1)
    for name, column in COUNTERS.items():
        tx.execute(delete(metadata.tables[name]).where(_column(name, column) <= last_s))
    for name, column in BY_PARTY.items():
        tx.execute(delete(metadata.tables[name]).where(_column(name, column) == one.party))
    mine = or_(contract.c.buyer == one.party, contract.c.seller == one.party)
    tx.execute(delete(contract).where(mine))
    nothing = {"content": _EMPTY, "residual_wh": 0}
    tx.execute(update(settlement).where(one.within(settlement.c.start_s)).values(nothing))
    shown = meter_exchange.c.at_s <= last_s
    tx.execute(update(meter_exchange).where(shown).values(last=_UNREAD, first=_UNREAD))
    _forget_imports(tx, one)
    action = metadata.tables["action"]
    tx.execute(delete(action).where(action.c.user.in_(emails)))
    tx.execute(delete(secret).where(secret.c.name == f"{PARTY_SECRET}{one.party}"))
    _replace_party(tx, one)
    _unname_requests(tx, one, emails)
    tx.execute(update(meta).where(meta.c.name == SITE_TEXT).values(value=site_text))
    _sweep(tx, one, emails)


def _column(table: str, column: str) -> ColumnElement[Any]:
    found: ColumnElement[Any] = metadata.tables[table].c[column]
    return found


def _end(tx: Transaction, one: Erasure) -> None:
    """Let agreements end that an older copy of the store has no end of."""
    until = {(stay.usage_point, stay.from_s): stay.until_s for stay in one.stays}
    for held in listed(tx):
        end_s = until.get((str(held.usage_point), held.from_s))
        if held.party != one.party or held.until_s is not None or end_s is None:
            continue
        tx.execute(update(agreement).where(agreement.c.id == held.id).values(until_s=end_s))
        made = insert(agreement).values(
            usage_point=held.usage_point, party=one.community, from_s=end_s, until_s=None
        )
        number = tx.execute(made.returning(agreement.c.id)).scalar_one()
        last = held.terms[-1]
        tx.execute(
            insert(agreement_terms).values(
                agreement=number, from_s=end_s, tariff=last.tariff, share_percent=100,
                key_percent=0, trades=False, batteries="[]", recorded_by="",
            )
        )  # fmt: skip


def _fold(tx: Transaction, one: Erasure, months: Iterable[str]) -> None:
    """Keep of postings what each account comes to in a month, of everybody together."""
    gone = and_(one.within(posting.c.start_s), posting.c.version > 0)
    total: dict[str, Counter[str]] = defaultdict(Counter)
    members: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in tx.execute(select(posting).where(gone)):
        for account, other, sign in ((row.debit, row.credit, -1), (row.credit, row.debit, 1)):
            if not _is_member(account):
                total[row.month][account] += sign * row.amount_nano
                if _is_member(other):
                    members[row.month, account].add(other)
    tx.execute(delete(posting).where(gone))
    mine = f"party:{one.party}"
    closing = or_(posting.c.debit == mine, posting.c.credit == mine, posting.c.month.in_(months))
    kept = and_(posting.c.debit != ERASED, posting.c.credit != ERASED)
    tx.execute(delete(posting).where(posting.c.version == 0, closing, kept))
    for month, accounts in sorted(total.items()):
        start_s = interval.day_bounds(interval.parse_date(f"{month}-01"), one.time_zone)[0]
        lines = [
            money_line(ERASED, AccountId(account), amount, PostingKind.CREDIT)
            for account, amount in sorted(accounts.items())
            if amount and len(members[month, account]) >= one.minimum_group
        ]
        first = invoices.next_closing(tx, start_s)
        invoices.put_closing(tx, start_s, month, lines, first=first)


def _is_member(account: str) -> bool:
    return account.startswith("party:")


def _forget_months(tx: Transaction, one: Erasure, months: Iterable[str]) -> None:
    """Delete invoices and accounts of the party, and everybody's of its months."""
    numbers = select(agreement.c.id).where(agreement.c.party == one.party)
    for table in (limit_price, battery_account):
        tx.execute(delete(table).where(table.c.agreement.in_(numbers)))
    of_party = agreement_terms.c.agreement.in_(numbers)
    tx.execute(update(agreement_terms).where(of_party).values(batteries="[]"))
    account = month_account.c
    gone = or_(account.agreement.in_(numbers), account.month.in_(months))
    tx.execute(delete(month_account).where(gone))
    billed = or_(invoice.c.party == one.party, invoice.c.month.in_(months))
    tx.execute(delete(dispute).where(dispute.c.invoice.in_(select(invoice.c.number).where(billed))))
    tx.execute(delete(invoice).where(billed))


def _forget_imports(tx: Transaction, one: Erasure) -> None:
    column = import_channel.c
    overlaps = or_(
        false(), *(and_(column.start_s < s.until_s, column.end_s > s.from_s) for s in one.stays)
    )
    files = select(column.sha256).where(overlaps)
    nameless = {"name": "", "detail": "{}"}
    tx.execute(update(import_file).where(import_file.c.sha256.in_(files)).values(nameless))
    tx.execute(delete(import_channel).where(overlaps))


def _replace_party(tx: Transaction, one: Erasure) -> None:
    """Let a party without name and secret stand where the erased one stood."""
    row = tx.execute(select(party).where(party.c.id == one.party)).one()
    tx.execute(delete(party).where(party.c.id == one.party))
    tx.execute(insert(party).values(id=one.name, name="", kind=row.kind, since_s=row.since_s))
    mine = agreement.c.party == one.party
    tx.execute(update(agreement).where(mine).values(party=one.name))


def _unname_requests(tx: Transaction, one: Erasure, emails: Iterable[str]) -> None:
    """Leave of whoever asked for their own erasure, or approved another's, the name that is left.

    A login is no text, so that the sweep passes by it.
    """
    for column in (erasure.c.asked_by, erasure.c.approved_by):
        tx.execute(update(erasure).where(column.in_(emails)).values({column.name: one.name}))


def _sweep(tx: Transaction, one: Erasure, emails: Iterable[str]) -> None:
    """Replace what still names the person, in texts that others wrote."""
    words = [one.party, *emails]
    for table, column in _texts():
        query = select(column).distinct().where(or_(*(column.contains(word) for word in words)))
        for (told,) in tx.execute(query).all():
            said = named(words).sub(one.name, told)
            if said != told:
                tx.execute(update(table).where(column == told).values({column.name: said}))


def _texts() -> Iterator[tuple[Table, ColumnElement[Any]]]:
    for table in metadata.sorted_tables:
        if table.name not in _NOT_SWEPT:
            for column in table.c:
                # Other identifiers may be written like the party's: tariffs, usage points.
                if isinstance(column.type, Text) or column.name == "subject":
                    yield table, column
