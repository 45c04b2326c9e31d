"""Versions of tariffs: proposed by one, activated by another."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "tariff_change",
        sa.Column("id", whole, autoincrement=True, nullable=False),
        sa.Column("tariff", sa.Text(), nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("proposed_s", whole, nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_s", whole, nullable=True),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tariff_change")),
    )


def downgrade() -> None:
    op.drop_table("tariff_change")
