"""What people set readings to, and why, with what was there before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Row, insert, select, update

from grid.errors import StoreError
from grid.store.engine import Transaction
from grid.store.schema import reading_edit
from meters.vee.editing import Edit

_INTERVAL_S = 900


@dataclass(frozen=True, eq=False)
class StoredEdit:
    """An edit with what it replaced, one value per interval.

    Attributes
    ----------
    number : int
    edit : Edit
        Its `meter` is the usage point.
    energy : ndarray of int64
    quality, rule : ndarray of uint16
    withdrawn_by : str or None
    """

    number: int
    edit: Edit
    energy: npt.NDArray[np.int64]
    quality: npt.NDArray[np.uint16]
    rule: npt.NDArray[np.uint16]
    withdrawn_by: str | None = None

    @property
    def end_s(self) -> int:
        """Where the last interval ends."""
        return self.edit.start_s + _INTERVAL_S * len(self.edit.values_wh)


def put_edit(
    tx: Transaction,
    edit: Edit,
    energy: npt.NDArray[np.int64],
    quality: npt.NDArray[np.uint16],
    rule: npt.NDArray[np.uint16],
) -> int:
    """Keep an edit and what it replaces; return its number."""
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
            before_energy=energy.astype("<i8").tobytes(),
            before_quality=quality.astype("<u2").tobytes(),
            before_rule=rule.astype("<u2").tobytes(),
        )
        .returning(reading_edit.c.id)
    ).scalar_one()
    return int(number)


def get_edit(tx: Transaction, number: int) -> StoredEdit:
    """Return an edit by its number.

    Raises
    ------
    StoreError
        When there is none.
    """
    row = tx.execute(select(reading_edit).where(reading_edit.c.id == number)).one_or_none()
    if row is None:
        raise StoreError(f"edit {number} does not exist")
    return _stored(row)


def withdraw(tx: Transaction, number: int, by: str, at_s: int) -> None:
    """Record that an edit holds no longer.

    Raises
    ------
    StoreError
        When it was withdrawn before.
    """
    result = tx.execute(
        update(reading_edit)
        .where(reading_edit.c.id == number, reading_edit.c.withdrawn_s.is_(None))
        .values(withdrawn_by=by, withdrawn_s=at_s)
    )
    if result.rowcount != 1:
        raise StoreError(f"edit {number} does not exist or was withdrawn before")


def about(tx: Transaction, usage_point: str, start_s: int, end_s: int) -> list[StoredEdit]:
    """Return the edits that touch ``[start_s, end_s)`` of a usage point, the newest first."""
    rows = tx.execute(
        select(reading_edit)
        .where(
            reading_edit.c.usage_point == usage_point,
            reading_edit.c.start_s < end_s,
            reading_edit.c.end_s > start_s,
        )
        .order_by(reading_edit.c.id.desc())
    )
    return [_stored(row) for row in rows]


def within(tx: Transaction, usage_points: Sequence[str], start_s: int, end_s: int) -> list[Edit]:
    """Return the edits that hold, each cut to ``[start_s, end_s)``, oldest first."""
    wanted = set(usage_points)
    rows = tx.execute(
        select(reading_edit)
        .where(
            reading_edit.c.start_s < end_s,
            reading_edit.c.end_s > start_s,
            reading_edit.c.withdrawn_s.is_(None),
        )
        .order_by(reading_edit.c.id)
    )
    return [_cut(_edit(row), start_s, end_s) for row in rows if row.usage_point in wanted]


def _stored(row: Row[Any]) -> StoredEdit:
    return StoredEdit(
        int(row.id),
        _edit(row),
        np.frombuffer(row.before_energy, "<i8"),
        np.frombuffer(row.before_quality, "<u2"),
        np.frombuffer(row.before_rule, "<u2"),
        row.withdrawn_by,
    )


def _edit(row: Row[Any]) -> Edit:
    return Edit(
        meter=row.usage_point,
        channel=row.register,
        start_s=row.start_s,
        values_wh=tuple(np.frombuffer(row.energy, "<i8").tolist()),
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
