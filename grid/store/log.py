"""The ledger as stored: entries by sequence, hashes of full tiles, openings, checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping, func, insert, select, update

from grid.errors import StoreError
from grid.store.engine import Transaction
from grid.store.schema import checkpoint, ledger_entry, opening, tile_hash
from grid.store.schema.room import KEYS
from grid.store.upsert import put
from trading.ledger import merkle
from trading.ledger.tiles import WIDTH

_TILE_LEVELS = WIDTH.bit_length() - 1

EntryRow = tuple[int, str, str, int, bytes, bytes]
"""Sequence, kind, label of the interval, cycle, canonical bytes and leaf hash of an entry."""


def size(tx: Transaction) -> int:
    """Return the number of entries: sequences have no gap."""
    last = tx.execute(select(func.max(ledger_entry.c.sequence))).scalar_one()
    return 0 if last is None else int(last) + 1


def append(
    tx: Transaction,
    *,
    sequence: int,
    kind: str,
    label: str,
    cycle_s: int,
    content: bytes,
    leaf_hash: bytes,
    openings: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Append one entry and the openings of its commitments.

    `openings` have ``digest`` (hex), ``party`` (or ``None``) and ``content`` (JSON).
    """
    append_all(tx, [(sequence, kind, label, cycle_s, content, leaf_hash)])
    if openings:
        tx.execute(insert(opening), [{"sequence": sequence, **one} for one in openings])
    _fill_tiles(tx, sequence + 1)


def _fill_tiles(tx: Transaction, count: int) -> None:
    """Keep the hash of each tile that the newest entry filled."""
    level = 0
    while count % WIDTH == 0:
        count //= WIDTH
        full = merkle.root(tile(tx, level, count - 1, WIDTH))
        level += 1
        tx.execute(insert(tile_hash).values(level=level, number=count - 1, hash=full))


def tile(tx: Transaction, level: int, number: int, width: int, skip: int = 0) -> list[bytes]:
    """Return hashes of a tile, `width` of them after `skip`.

    Raises
    ------
    StoreError
        When they are not all stored.
    """
    first = number * WIDTH + skip
    if level:
        at, value = tile_hash.c.number, tile_hash.c.hash
        query = select(value).where(tile_hash.c.level == level)
    else:
        at, value = ledger_entry.c.sequence, ledger_entry.c.leaf_hash
        query = select(value)
    rows = tx.execute(query.where(at >= first, at < first + width).order_by(at)).scalars()
    found = [bytes(one) for one in rows]
    if len(found) != width:
        raise StoreError(
            f"tile {number} of level {level} has {len(found)} hashes, must have {width}"
        )
    return found


class StoredTree(merkle.Prover):
    """The ledger's tree, read by the tile: a root or a proof takes some hundred hashes."""

    __slots__ = ("_size", "_tx")

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._size = size(tx)

    @property
    def size(self) -> int:
        """Number of entries."""
        return self._size

    def node(self, level: int, number: int) -> bytes:
        """Return the root of a perfect subtree.

        Raises
        ------
        StoreError
            When its hashes are not all stored.
        """
        at_level, within = divmod(level, _TILE_LEVELS)
        width = 1 << within
        at, skip = divmod(number * width, WIDTH)
        return merkle.root(tile(self._tx, at_level, at, width, skip))


def append_all(tx: Transaction, rows: Sequence[EntryRow]) -> None:
    """Append entries that have no openings, in order."""
    statement = insert(ledger_entry)
    if tx.dialect.name == "sqlite":
        # Past SQLAlchemy's dictionaries: they take as long as the insertion itself.
        tx.exec_driver_sql(str(statement.compile(dialect=tx.dialect)), list(rows))
        return
    names = ledger_entry.columns.keys()
    tx.execute(statement, [dict(zip(names, row, strict=True)) for row in rows])


def last_content(tx: Transaction) -> bytes | None:
    """Return the newest entry's canonical bytes, or ``None`` for an empty log."""
    row = tx.execute(
        select(ledger_entry.c.content).order_by(ledger_entry.c.sequence.desc()).limit(1)
    ).scalar_one_or_none()
    return None if row is None else bytes(row)


def entries(tx: Transaction, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """Yield the canonical bytes of the entries ``[start, end)``."""
    query = select(ledger_entry.c.content).where(ledger_entry.c.sequence >= start)
    if end is not None:
        query = query.where(ledger_entry.c.sequence < end)
    for row in tx.execute(query.order_by(ledger_entry.c.sequence)):
        yield bytes(row.content)


def leaf_hashes(tx: Transaction, end: int | None = None) -> list[bytes]:
    """Return the leaf hashes of the first `end` entries, or of all."""
    query = select(ledger_entry.c.leaf_hash).order_by(ledger_entry.c.sequence)
    if end is not None:
        query = query.where(ledger_entry.c.sequence < end)
    return [bytes(row.leaf_hash) for row in tx.execute(query)]


def entry_row(tx: Transaction, sequence: int) -> RowMapping | None:
    """Return one entry, or ``None``."""
    query = select(ledger_entry).where(ledger_entry.c.sequence == sequence)
    return tx.execute(query).mappings().one_or_none()


def listed(
    tx: Transaction,
    *,
    kind: str | None = None,
    label: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[RowMapping]:
    """Return entries newest first, of a kind, interval or before a sequence when given."""
    query = select(ledger_entry)
    if kind is not None:
        query = query.where(ledger_entry.c.kind == kind)
    if label is not None:
        query = query.where(ledger_entry.c.label == label)
    if before is not None:
        query = query.where(ledger_entry.c.sequence < before)
    query = query.order_by(ledger_entry.c.sequence.desc()).limit(limit)
    return list(tx.execute(query).mappings())


def openings(
    tx: Transaction,
    *,
    sequence: int | None = None,
    party: str | None = None,
    end: int | None = None,
) -> list[RowMapping]:
    """Return openings in order of entry and digest, of one entry or party when given.

    With `end`, only those of the entries before it. Those that were erased are left out.
    """
    query = select(opening).where(opening.c.content != "")
    if end is not None:
        query = query.where(opening.c.sequence < end)
    if sequence is not None:
        query = query.where(opening.c.sequence == sequence)
    if party is not None:
        query = query.where(opening.c.party == party)
    return list(tx.execute(query.order_by(opening.c.sequence, opening.c.digest)).mappings())


def contents(tx: Transaction, kinds: Sequence[str]) -> list[bytes]:
    """Return the canonical bytes of all entries of some kinds in order."""
    query = select(ledger_entry.c.content).where(ledger_entry.c.kind.in_(kinds))
    return [bytes(row.content) for row in tx.execute(query.order_by(ledger_entry.c.sequence))]


def key_contents(tx: Transaction) -> list[bytes]:
    """Return the canonical bytes of all entries of kind ``key`` in order."""
    query = select(ledger_entry.c.content).where(KEYS).order_by(ledger_entry.c.sequence)
    return [bytes(row.content) for row in tx.execute(query)]


def key_sequences(tx: Transaction) -> list[int]:
    """Return the sequences of all entries of kind ``key`` in order."""
    query = select(ledger_entry.c.sequence).where(KEYS).order_by(ledger_entry.c.sequence)
    return list(tx.execute(query).scalars())


def opened(tx: Transaction, kinds: Sequence[str]) -> list[tuple[int, str, str]]:
    """Return sequence, digest and content of the openings of entries of some kinds.

    The content of one that was erased is empty.
    """
    query = select(opening.c.sequence, opening.c.digest, opening.c.content).where(
        opening.c.sequence.in_(
            select(ledger_entry.c.sequence).where(ledger_entry.c.kind.in_(kinds))
        )
    )
    rows = tx.execute(query.order_by(opening.c.sequence, opening.c.digest))
    return [(row.sequence, row.digest, row.content) for row in rows]


def first_label(tx: Transaction, start: int, kinds: Sequence[str]) -> str | None:
    """Return the earliest label of the entries of some kinds from a sequence on."""
    query = select(func.min(ledger_entry.c.label))
    query = query.where(ledger_entry.c.sequence >= start, ledger_entry.c.kind.in_(kinds))
    found: str | None = tx.execute(query).scalar_one()
    return found


def put_checkpoint(tx: Transaction, size: int, at_s: int, note: str) -> None:
    """Store a signed checkpoint by tree size; one that exists is kept."""
    put(tx, checkpoint, [{"size": size, "at_s": at_s, "note": note}], replace=False)


def put_note(tx: Transaction, size: int, note: str) -> None:
    """Store a checkpoint's note anew: with more cosignatures."""
    tx.execute(update(checkpoint).where(checkpoint.c.size == size).values(note=note))


def checkpoint_after(tx: Transaction, size: int) -> int | None:
    """Return when the first checkpoint of more than `size` entries was signed, seconds UTC."""
    query = select(checkpoint.c.at_s).where(checkpoint.c.size > size).order_by(checkpoint.c.size)
    return tx.execute(query.limit(1)).scalar_one_or_none()


def checkpoints(tx: Transaction, limit: int = 1000) -> list[RowMapping]:
    """Return checkpoints, newest first."""
    query = select(checkpoint).order_by(checkpoint.c.size.desc()).limit(limit)
    return list(tx.execute(query).mappings())
