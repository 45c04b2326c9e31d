"""How asking meters goes, hour by hour; how far their clocks were, and when they were set."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "read_statistics",
        sa.Column("kind", sa.String(length=64), autoincrement=False, nullable=False),
        sa.Column("subject", sa.String(length=128), autoincrement=False, nullable=False),
        sa.Column("hour_s", whole, autoincrement=False, nullable=False),
        sa.Column("requests", whole, nullable=False),
        sa.Column("successes", whole, nullable=False),
        sa.Column("timeouts", whole, nullable=False),
        sa.Column("refusals", whole, nullable=False),
        sa.Column("malformed", whole, nullable=False),
        sa.Column("skipped", whole, nullable=False),
        sa.Column("latency_count", sa.LargeBinary(), nullable=False),
        sa.Column("answered_s", whole, nullable=True),
        sa.PrimaryKeyConstraint("kind", "subject", "hour_s", name=op.f("pk_read_statistics")),
    )
    op.create_index("ix_read_statistics_hour", "read_statistics", ["hour_s"])
    op.create_table(
        "meter_clock",
        sa.Column("meter", sa.String(length=64), autoincrement=False, nullable=False),
        sa.Column("at_s", whole, autoincrement=False, nullable=False),
        sa.Column("offset_s", whole, nullable=False),
        sa.Column("shift_s", whole, nullable=True),
        sa.PrimaryKeyConstraint("meter", "at_s", name=op.f("pk_meter_clock")),
    )


def downgrade() -> None:
    op.drop_table("meter_clock")
    op.drop_index("ix_read_statistics_hour", table_name="read_statistics")
    op.drop_table("read_statistics")
