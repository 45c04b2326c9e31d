"""Invoices of months, and disputes about their lines."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "invoice",
        sa.Column("number", sa.String(length=64), nullable=False),
        sa.Column("party", sa.String(length=64), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("made_s", whole, nullable=False),
        sa.Column("total_nano", whole, nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("sequence", whole, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_invoice")),
        sa.UniqueConstraint("party", "month", name=op.f("uq_invoice_party")),
    )
    op.create_table(
        "dispute",
        sa.Column("id", whole, autoincrement=True, nullable=False),
        sa.Column("invoice", sa.String(length=64), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("amount_nano", whole, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("opened_by", sa.String(length=255), nullable=False),
        sa.Column("opened_s", whole, nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("credit_nano", whole, nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("closed_by", sa.String(length=255), nullable=True),
        sa.Column("closed_s", whole, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispute")),
    )
    op.create_index("ix_dispute_invoice", "dispute", ["invoice"])


def downgrade() -> None:
    op.drop_table("dispute")
    op.drop_table("invoice")
