"""What people order of meters, with two names and an end; exchanges of meters with their reads."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "meter_order",
        sa.Column("id", whole, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("meter", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("island_source", sa.Boolean(), nullable=False),
        sa.Column("asked_by", sa.String(length=255), nullable=False),
        sa.Column("asked_s", whole, nullable=False),
        sa.Column("expires_s", whole, nullable=False),
        sa.Column("approved_by", sa.String(length=255), nullable=True),
        sa.Column("approved_s", whole, nullable=True),
        sa.Column("executing_s", whole, nullable=True),
        sa.Column("ended_s", whole, nullable=True),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meter_order")),
    )
    op.create_index("ix_meter_order_state", "meter_order", ["state"])
    op.create_table(
        "meter_exchange",
        sa.Column("id", whole, autoincrement=True, nullable=False),
        sa.Column("meter", sa.String(length=64), nullable=False),
        sa.Column("at_s", whole, nullable=False),
        sa.Column("old_serial", sa.String(length=64), nullable=False),
        sa.Column("new_serial", sa.String(length=64), nullable=False),
        sa.Column("last", sa.Text(), nullable=False),
        sa.Column("first", sa.Text(), nullable=False),
        sa.Column("digits", sa.Integer(), nullable=False),
        sa.Column("multiplier", sa.Integer(), nullable=False),
        sa.Column("recorded_by", sa.String(length=255), nullable=False),
        sa.Column("recorded_s", whole, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meter_exchange")),
        sa.UniqueConstraint("meter", "at_s", name=op.f("uq_meter_exchange_meter")),
    )


def downgrade() -> None:
    op.drop_table("meter_exchange")
    op.drop_index("ix_meter_order_state", table_name="meter_order")
    op.drop_table("meter_order")
