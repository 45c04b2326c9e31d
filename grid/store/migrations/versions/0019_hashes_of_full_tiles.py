"""Hashes of the ledger's full tiles and where its key was replaced: a checkpoint reads no more."""

from collections.abc import Iterable
from hashlib import sha256

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

WIDTH = 256


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    table = op.create_table(
        "tile_hash",
        sa.Column("level", whole, autoincrement=False, nullable=False),
        sa.Column("number", whole, autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "number", name=op.f("pk_tile_hash")),
    )
    keys = sa.text("kind = 'key'")
    op.create_index(
        "ix_ledger_entry_key",
        "ledger_entry",
        ["sequence"],
        sqlite_where=keys,
        postgresql_where=keys,
    )
    entries = sa.table("ledger_entry", sa.column("sequence"), sa.column("leaf_hash"))
    query = sa.select(entries.c.leaf_hash).order_by(entries.c.sequence)
    level, hashes = 1, _full_tiles(bytes(row.leaf_hash) for row in op.get_bind().execute(query))
    while hashes:
        rows = [{"level": level, "number": n, "hash": one} for n, one in enumerate(hashes)]
        op.bulk_insert(table, rows)
        level, hashes = level + 1, _full_tiles(hashes)


def _full_tiles(hashes: Iterable[bytes]) -> list[bytes]:
    """Return the root over each full tile, as RFC 6962 hashes."""
    roots, tile = [], []
    for one in hashes:
        tile.append(one)
        if len(tile) == WIDTH:
            while len(tile) > 1:
                pairs = zip(tile[::2], tile[1::2], strict=True)
                tile = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
            roots.append(tile.pop())
    return roots


def downgrade() -> None:
    op.drop_index("ix_ledger_entry_key", "ledger_entry")
    op.drop_table("tile_hash")
