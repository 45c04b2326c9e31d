"""Incidents: elements without supply, whom they interrupted, and the last gasps that told of it."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "last_gasp",
        sa.Column("meter", sa.String(length=64), nullable=False),
        sa.Column("at_s", whole, autoincrement=False, nullable=False),
        sa.Column("received_s", whole, nullable=False),
        sa.PrimaryKeyConstraint("meter", "at_s", name=op.f("pk_last_gasp")),
    )
    op.create_table(
        "incident",
        sa.Column("id", whole, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("element", whole, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("start_s", whole, nullable=False),
        sa.Column("found_s", whole, nullable=False),
        sa.Column("end_s", whole, nullable=True),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("planned", sa.Boolean(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident")),
    )
    op.create_index("ix_incident_end", "incident", ["end_s"])
    op.create_table(
        "interruption",
        sa.Column("incident", whole, autoincrement=False, nullable=False),
        sa.Column("usage_point", sa.String(length=64), nullable=False),
        sa.Column("start_s", whole, autoincrement=False, nullable=False),
        sa.Column("end_s", whole, nullable=True),
        sa.PrimaryKeyConstraint("incident", "usage_point", "start_s", name=op.f("pk_interruption")),
    )
    op.create_index("ix_interruption_start", "interruption", ["start_s"])


def downgrade() -> None:
    op.drop_table("interruption")
    op.drop_table("incident")
    op.drop_table("last_gasp")
