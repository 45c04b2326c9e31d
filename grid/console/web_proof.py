"""A proof that an entry is in the signed ledger, in steps a person can follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _

from grid.errors import GridError
from grid.operation import record
from grid.store import Transaction, log
from trading.ledger import checkpoint, merkle, rotation


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an inclusion proof: what is hashed with what."""

    number: int
    side: str
    sibling: str
    result: str


def _steps(index: int, size: int, leaf: bytes, path: tuple[bytes, ...]) -> list[Step]:
    """Return the proof as a person would do it (RFC 9162, section 2.1.3.2)."""
    node, last, result = index, size - 1, leaf
    steps: list[Step] = []
    for number, sibling in enumerate(path, start=1):
        left = bool(node & 1) or node == last
        if left:
            result = merkle.node_hash(sibling, result)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            result = merkle.node_hash(result, sibling)
        steps.append(Step(number, "left" if left else "right", sibling.hex(), result.hex()))
        node, last = node >> 1, last >> 1
    return steps


def inclusion(tx: Transaction, sequence: int, content: bytes) -> dict[str, Any]:
    """Return the verified proof of an entry as the page shows it, or its ``problem``."""
    points = [row for row in log.checkpoints(tx) if row["size"] > sequence]
    if not points:
        return {"problem": _("No checkpoint covers this entry yet.")}
    try:
        key = rotation.key_at(points[-1]["size"], record.keys(tx))
        signed = checkpoint.verify(points[-1]["note"], key)
        leaf = merkle.leaf_hash(content)
        path = log.StoredTree(tx).inclusion(sequence, signed.size)
        merkle.verify_inclusion(leaf, sequence, signed.size, path, signed.root)
    except GridError as error:
        return {"problem": str(error)}
    return {
        "leaf": leaf.hex(),
        "size": signed.size,
        "origin": signed.origin,
        "root": signed.root.hex(),
        "steps": _steps(sequence, signed.size, leaf, path),
        "path": path,
        "note": str(points[-1]["note"]),
    }
