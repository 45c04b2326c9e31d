"""Logs that ended because entries of them were lost for good: kept as they were, added to never.

The log in force is in the tables of :mod:`grid.store.log`; those that ended before it are beside
it, numbered from 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Table, delete, func, insert, literal, select, update

from grid.store.engine import Transaction
from grid.store.schema import (
    action,
    checkpoint,
    contract,
    ended_checkpoint,
    ended_entry,
    ended_opening,
    invoice,
    ledger_entry,
    opening,
    sealed_book,
    tile_hash,
)

IN_ENDED_LOG = -1
"""Number of an entry that is in a log that has ended."""


def count(tx: Transaction) -> int:
    """Return how many logs have ended."""
    return int(tx.execute(select(func.max(ended_checkpoint.c.log))).scalar_one() or 0)


def end(tx: Transaction, size: int) -> int:
    """End the log in force after `size` entries; return its number. A genesis is next.

    What refers to one of its entries by number refers to no entry of the log that follows. Entries
    from `size` on, which no checkpoint has, are dropped.
    """
    number = count(tx) + 1
    for table in (ledger_entry, opening):
        tx.execute(delete(table).where(table.c.sequence >= size))
    for source, kept in (
        (ledger_entry, ended_entry),
        (opening, ended_opening),
        (checkpoint, ended_checkpoint),
    ):
        _move(tx, source, kept, number)
    tx.execute(delete(tile_hash))
    tx.execute(update(sealed_book).values(sequence=IN_ENDED_LOG))
    tx.execute(update(invoice).values(sequence=IN_ENDED_LOG))
    tx.execute(update(action).values(sequence=None))
    accepted = contract.c.accepted_entry.is_not(None)
    tx.execute(update(contract).where(accepted).values(accepted_entry=IN_ENDED_LOG))
    return number


def _move(tx: Transaction, source: Table, kept: Table, number: int) -> None:
    names = [column.name for column in kept.columns if column.name != "log"]
    rows = select(literal(number), *(source.c[name] for name in names))
    tx.execute(insert(kept).from_select(["log", *names], rows))
    tx.execute(delete(source))


def entries(tx: Transaction, number: int) -> Iterator[bytes]:
    """Yield the canonical bytes of the entries of a log that ended."""
    query = select(ended_entry.c.content).where(ended_entry.c.log == number)
    for row in tx.execute(query.order_by(ended_entry.c.sequence)):
        yield bytes(row.content)


def checkpoints(tx: Transaction, number: int) -> list[str]:
    """Return the signed checkpoints of a log that ended."""
    query = select(ended_checkpoint.c.note).where(ended_checkpoint.c.log == number)
    return list(tx.execute(query.order_by(ended_checkpoint.c.size)).scalars())


def openings(tx: Transaction, number: int) -> list[str]:
    """Return the openings of a log that ended, by entry and digest; not those erased."""
    one = ended_opening.c
    query = select(one.content).where(one.log == number, one.content != "")
    return list(tx.execute(query.order_by(one.sequence, one.digest)).scalars())


def contents(tx: Transaction, kinds: Sequence[str]) -> list[tuple[int, bytes]]:
    """Return log and canonical bytes of all entries of some kinds, of logs that ended."""
    one = ended_entry.c
    query = select(one.log, one.content).where(one.kind.in_(kinds))
    rows = tx.execute(query.order_by(one.log, one.sequence))
    return [(int(row.log), bytes(row.content)) for row in rows]


def opened(tx: Transaction, kinds: Sequence[str]) -> list[tuple[int, int, str, str]]:
    """Return log, sequence, digest and content of the openings of entries of some kinds.

    The content of one that was erased is empty.
    """
    one, told = ended_opening.c, ended_entry.c
    query = select(one.log, one.sequence, one.digest, one.content).join(
        ended_entry, (told.log == one.log) & (told.sequence == one.sequence)
    )
    rows = tx.execute(query.where(told.kind.in_(kinds)).order_by(one.log, one.sequence, one.digest))
    return [(row.log, row.sequence, row.digest, row.content) for row in rows]
