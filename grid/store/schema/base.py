"""What every table has: the metadata, names of constraints, and kinds of columns."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Integer, MetaData, String

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Key = String(64)
Whole = BigInteger().with_variant(Integer, "sqlite")


def key(name: str, kind: Any = Key) -> Column[Any]:
    """Return a column of the primary key."""
    return Column(name, kind, primary_key=True, autoincrement=False)


def fact(name: str, kind: Any = Whole, *, nullable: bool = False) -> Column[Any]:
    """Return a column of what is known."""
    return Column(name, kind, nullable=nullable)
