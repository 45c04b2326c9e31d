"""What an auditor takes away: exports of the ledger and proofs of its entries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from grid.errors import BadInputError
from grid.store import Store, Transaction, control, log
from trading.ledger import prove as proofs
from trading.ledger import tiles
from trading.ledger.checkpoint import Checkpoint
from trading.ledger.commitment import Opening, decode_opening
from trading.ledger.merkle import Tree


def export(store: Store, folder: Path, *, openings: bool = False) -> tuple[Checkpoint, str]:
    """Write the ledger to `folder`; return its checkpoint and the verifier key.

    Parameters
    ----------
    openings : bool
        With the openings of all personal commitments: an auditor's mandate.
    """
    with store.read() as tx:
        notes = [str(row["note"]) for row in log.checkpoints(tx)]
        opened = _openings(tx) if openings else None
        head = tiles.export(log.entries(tx), notes, folder, opened)
        return head, control.get_meta(tx, "ledger_vkey") or ""


def _openings(tx: Transaction) -> Iterator[tuple[int, Opening]]:
    for row in log.openings(tx):
        yield decode_opening(str(row["content"]).encode())


def prove(store: Store, sequence: int) -> str:
    """Return the proof that an entry is in the newest checkpoint.

    Raises
    ------
    BadInputError
        When there is no such entry.
    """
    with store.read() as tx:
        newest = log.checkpoints(tx, limit=1)
        size = int(newest[0]["size"]) if newest else 0
        row = log.entry_row(tx, sequence) if 0 <= sequence < size else None
        if row is None:
            raise BadInputError(f"entry {sequence}: the newest checkpoint has {size} entries")
        tree = Tree(log.leaf_hashes(tx, size))
        path = tree.inclusion(sequence, size)
        return proofs.prove(bytes(row["content"]), path, str(newest[0]["note"]))
