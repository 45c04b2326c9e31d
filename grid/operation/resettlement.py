"""Which intervals are to be settled again, because their readings changed."""

from __future__ import annotations

import json

from grid.store import Transaction, control

_RESETTLE = "resettle"


def mark_changed(tx: Transaction, starts: set[int]) -> None:
    """Remember intervals whose readings changed, until they are settled again."""
    if starts:
        control.put_meta(tx, _RESETTLE, json.dumps(sorted(changed(tx) | starts)))


def changed(tx: Transaction) -> set[int]:
    """Return the intervals whose readings changed and which were not settled again yet."""
    return set(json.loads(control.get_meta(tx, _RESETTLE) or "[]"))


def take_changed(tx: Transaction) -> list[int]:
    """Return and forget the intervals whose readings changed."""
    found = sorted(changed(tx))
    if found:
        control.put_meta(tx, _RESETTLE, "[]")
    return found
