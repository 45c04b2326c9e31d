"""What people want of charge points: when their vehicle leaves, and with how much."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "charging_session",
        sa.Column("id", whole, autoincrement=True, nullable=False),
        sa.Column("charger", sa.String(length=64), nullable=False),
        sa.Column("party", sa.String(length=64), nullable=False),
        sa.Column("stated_by", sa.String(length=255), nullable=False),
        sa.Column("stated_s", whole, nullable=False),
        sa.Column("arrives_s", whole, nullable=True),
        sa.Column("departs_s", whole, nullable=False),
        sa.Column("wanted_wh", whole, nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("ended_s", whole, nullable=True),
        sa.Column("got_wh", whole, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charging_session")),
    )
    op.create_index("ix_charging_session_state", "charging_session", ["state", "charger"])


def downgrade() -> None:
    op.drop_table("charging_session")
