"""Rows that go from state to state: of two who move one at once, one is told that it came late."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, Generic, TypeVar

from sqlalchemy import Row, Table, insert, select, update

from grid.errors import StoreError
from grid.store.engine import Transaction

T = TypeVar("T")


class Staged(Generic[T]):
    """The rows of a table with columns `id` and `state`.

    Parameters
    ----------
    table : Table
    word : str
        What a row is called in a message.
    made : callable
        Makes the fact of a row.
    """

    def __init__(self, table: Table, word: str, made: Callable[[Row[Any]], T]) -> None:
        self._table, self._word, self._made = table, word, made

    def put(self, tx: Transaction, **facts: Any) -> T:
        """Keep what is asked; return it with its number."""
        values = _plain(facts)
        number = tx.execute(
            insert(self._table).values(**values).returning(self._table.c.id)
        ).scalar_one()
        return self.get(tx, int(number))

    def get(self, tx: Transaction, number: int) -> T:
        """Return a row by its number.

        Raises
        ------
        StoreError
            When there is none.
        """
        query = select(self._table).where(self._table.c.id == number)
        row = tx.execute(query).one_or_none()
        if row is None:
            raise StoreError(f"{self._word} {number} does not exist")
        return self._made(row)

    def move(
        self, tx: Transaction, number: int, before: StrEnum, after: StrEnum, **facts: Any
    ) -> T:
        """Bring a row from one state to another with what is known of it then.

        Raises
        ------
        StoreError
            When it is not in the state `before`: somebody else was first.
        """
        result = tx.execute(
            update(self._table)
            .where(self._table.c.id == number, self._table.c.state == str(before))
            .values(state=str(after), **_plain(facts))
        )
        if result.rowcount != 1:
            raise StoreError(f"{self._word} {number} is not {before} any more")
        return self.get(tx, number)

    def in_states(self, tx: Transaction, states: Iterable[StrEnum]) -> list[T]:
        """Return the rows in some states, the oldest first."""
        names = [str(state) for state in states]
        columns = self._table.c
        query = select(self._table).where(columns.state.in_(names)).order_by(columns.id)
        return [self._made(row) for row in tx.execute(query)]

    def listed(self, tx: Transaction, limit: int = 100) -> list[T]:
        """Return rows, the newest first."""
        query = select(self._table).order_by(self._table.c.id.desc()).limit(limit)
        return [self._made(row) for row in tx.execute(query)]


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    return {
        name: str(value) if isinstance(value, StrEnum) else value for name, value in facts.items()
    }
