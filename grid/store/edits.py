"""What people set readings to, and why; what it replaced stays as a version before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sqlalchemy import Row, insert, select

from grid.store.engine import Transaction
from grid.store.schema import reading_edit
from meters.vee.editing import Edit

_INTERVAL_S = 900


def put_edit(tx: Transaction, edit: Edit) -> int:
    """Keep an edit; return its number. `edit.meter` is the usage point."""
    number = tx.execute(
        insert(reading_edit)
        .values(
            usage_point=edit.meter,
            register=edit.channel,
            start_s=edit.start_s,
            end_s=edit.start_s + _INTERVAL_S * len(edit.values_wh),
            energy=np.array(edit.values_wh, "<i8").tobytes(),
            reason=edit.reason,
            editor=edit.editor,
            at_s=edit.at_s,
            until_better=edit.until_better,
        )
        .returning(reading_edit.c.id)
    ).scalar_one()
    return int(number)


def within(tx: Transaction, usage_points: Sequence[str], start_s: int, end_s: int) -> list[Edit]:
    """Return the edits of some usage points, each cut to ``[start_s, end_s)``, oldest first."""
    wanted = set(usage_points)
    rows = tx.execute(
        select(reading_edit)
        .where(reading_edit.c.start_s < end_s, reading_edit.c.end_s > start_s)
        .order_by(reading_edit.c.id)
    )
    return [_cut(_edit(row), start_s, end_s) for row in rows if row.usage_point in wanted]


def _edit(row: Row[Any]) -> Edit:
    values = np.frombuffer(row.energy, "<i8").tolist()
    return Edit(
        meter=row.usage_point,
        channel=row.register,
        start_s=row.start_s,
        values_wh=tuple(values),
        reason=row.reason,
        editor=row.editor,
        at_s=row.at_s,
        until_better=row.until_better,
    )


def _cut(edit: Edit, start_s: int, end_s: int) -> Edit:
    before = max(start_s - edit.start_s, 0) // _INTERVAL_S
    after = max(edit.start_s + _INTERVAL_S * len(edit.values_wh) - end_s, 0) // _INTERVAL_S
    values = edit.values_wh[before : len(edit.values_wh) - after]
    return replace(edit, start_s=edit.start_s + before * _INTERVAL_S, values_wh=values)
