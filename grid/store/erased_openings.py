"""Openings of an erased person: what is left of one says that it was erased."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from sqlalchemy import Table, and_, false, or_, select, tuple_, update

from grid.store.engine import Transaction
from grid.store.schema import ended_entry, ended_opening, ledger_entry, opening

OPENINGS = ((opening, ledger_entry), (ended_opening, ended_entry))
"""Openings and the entries they are of: of the log in force, and of those that ended."""

_ACCOUNT = '"kind":"account"'
"""Stands in the opening of a month's account."""


def forget(
    tx: Transaction,
    party: str,
    stays: Iterable[tuple[str, str]],
    months: Collection[str],
    words: Iterable[str],
) -> None:
    """Leave of openings that they were erased: of the party, of its time, and what names it.

    Parameters
    ----------
    stays : iterable of (str, str)
        Labels between which the party stood for a usage point.
    months : collection of str
        Labels of the first intervals of the months of its time.
    words : iterable of str
        What names the party.
    """
    words, stays = list(words), list(stays)
    for told, entry in OPENINGS:
        label = entry.c.label
        inside = or_(false(), *(and_(label >= low, label < high) for low, high in stays))
        of_month = label.in_(months)
        invoiced = of_month & (entry.c.kind == "invoice")
        place = [column.name for column in entry.primary_key.columns]
        here, there = tuple_(*(told.c[name] for name in place)), [entry.c[name] for name in place]
        gone = or_(
            told.c.party == party,
            here.in_(select(*there).where(or_(inside, invoiced))),
            # A log that follows another one begins with the accounts of months.
            here.in_(select(*there).where(of_month)) & told.c.content.contains(_ACCOUNT),
        )
        tx.execute(update(told).where(gone).values(party=None, content=""))
        _forget_named(tx, told, words)


def _forget_named(tx: Transaction, told: Table, words: list[str]) -> None:
    own = list(told.primary_key.columns)
    where = or_(*(told.c.content.contains(word) for word in words))
    for *place, content in tx.execute(select(*own, told.c.content).where(where)).all():
        if named(words).search(content):
            this = and_(*(column == value for column, value in zip(own, place, strict=True)))
            tx.execute(update(told).where(this).values(party=None, content=""))


def named(words: Iterable[str]) -> re.Pattern[str]:
    """Return what finds names that are not part of longer ones."""
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, words))})(?![\w-])")
