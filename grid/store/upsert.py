"""Insert-or-replace in the dialect at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from grid.store.engine import Transaction

Row = Mapping[str, Any]


def dialect_of(tx: Transaction) -> Any:
    """Return the module with the statements of the database at hand."""
    return sqlite if tx.dialect.name == "sqlite" else postgresql


def put(tx: Transaction, table: Table, rows: Sequence[Row], *, replace: bool = True) -> None:
    """Write rows by primary key: replaced when they exist, or left as they are.

    Parameters
    ----------
    rows : sequence of mappings
        All with the same columns.
    replace : bool
        False keeps the row that is already there.
    """
    if not rows:
        return
    statement: Any = dialect_of(tx).insert(table)
    keys = [column.name for column in table.primary_key.columns]
    others = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    if replace and others:
        statement = statement.on_conflict_do_update(index_elements=keys, set_=others)
    else:
        statement = statement.on_conflict_do_nothing()
    tx.execute(statement, [dict(row) for row in rows])
