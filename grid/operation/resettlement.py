"""Which intervals are to be settled again, because their readings changed."""

from __future__ import annotations

import json

from grid.store import Transaction, control

_RESETTLE = "resettle"


def mark_changed(tx: Transaction, starts: set[int]) -> None:
    """Remember intervals whose readings changed, until they are settled again."""
    if starts:
        known = set(json.loads(control.get_meta(tx, _RESETTLE) or "[]"))
        control.put_meta(tx, _RESETTLE, json.dumps(sorted(known | starts)))


def take_changed(tx: Transaction) -> list[int]:
    """Return and forget the intervals whose readings changed."""
    changed: list[int] = json.loads(control.get_meta(tx, _RESETTLE) or "[]")
    if changed:
        control.put_meta(tx, _RESETTLE, "[]")
    return changed
