"""Logs that ended because entries of them were lost for good, beside the one in force."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "ended_entry",
        sa.Column("log", whole, autoincrement=False, nullable=False),
        sa.Column("sequence", whole, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("label", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log", "sequence", name=op.f("pk_ended_entry")),
    )
    op.create_table(
        "ended_opening",
        sa.Column("log", whole, autoincrement=False, nullable=False),
        sa.Column("sequence", whole, autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("party", sa.String(length=64), nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("log", "sequence", "digest", name=op.f("pk_ended_opening")),
    )
    op.create_table(
        "ended_checkpoint",
        sa.Column("log", whole, autoincrement=False, nullable=False),
        sa.Column("size", whole, autoincrement=False, nullable=False),
        sa.Column("at_s", whole, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("log", "size", name=op.f("pk_ended_checkpoint")),
    )


def downgrade() -> None:
    for table in ("ended_checkpoint", "ended_opening", "ended_entry"):
        op.drop_table(table)
