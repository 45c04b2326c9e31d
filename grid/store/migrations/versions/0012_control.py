"""Control: safe states of plants, what devices held, overrides and safety tags."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("setpoint", sa.Column("revert_w", whole, nullable=True))
    op.create_table(
        "device_hold",
        sa.Column("cycle_s", whole, autoincrement=False, nullable=False),
        sa.Column("asset", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("charge_w", whole, nullable=False),
        sa.Column("discharge_w", whole, nullable=False),
        sa.Column("limit_w", whole, nullable=False),
        sa.Column("running", sa.Boolean(), nullable=False),
        sa.Column("revert_s", whole, nullable=False),
        sa.Column("revert_w", whole, nullable=True),
        sa.Column("power_w", whole, nullable=True),
        sa.Column("remaining_s", whole, nullable=True),
        sa.Column("verdict", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("cycle_s", "asset", name=op.f("pk_device_hold")),
    )
    op.create_table(
        "override",
        sa.Column("id", whole, autoincrement=True, nullable=False),
        sa.Column("asset", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("power_w", whole, nullable=False),
        sa.Column("start_s", whole, nullable=False),
        sa.Column("end_s", whole, nullable=False),
        sa.Column("stake_w", whole, nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.String(length=255), nullable=False),
        sa.Column("asked_s", whole, nullable=False),
        sa.Column("lapses_s", whole, nullable=False),
        sa.Column("approved_by", sa.String(length=255), nullable=True),
        sa.Column("approved_s", whole, nullable=True),
        sa.Column("ended_by", sa.String(length=255), nullable=True),
        sa.Column("ended_s", whole, nullable=True),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_override")),
    )
    op.create_index("ix_override_state", "override", ["state"])
    op.create_table(
        "safety_tag",
        sa.Column("id", whole, autoincrement=True, nullable=False),
        sa.Column("element", sa.String(length=128), nullable=False),
        sa.Column("behind", sa.Text(), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("holder", sa.String(length=255), nullable=False),
        sa.Column("placed_s", whole, nullable=False),
        sa.Column("released_s", whole, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_safety_tag")),
    )
    op.create_index("ix_safety_tag_released", "safety_tag", ["released_s"])


def downgrade() -> None:
    op.drop_table("safety_tag")
    op.drop_table("override")
    op.drop_table("device_hold")
    op.drop_column("setpoint", "revert_w")
