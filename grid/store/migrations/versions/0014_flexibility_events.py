"""Flexibility events: what somebody outside asks of import or export, answer and delivery."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "flexibility_event",
        sa.Column("id", whole, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("start_s", whole, nullable=False),
        sa.Column("end_s", whole, nullable=False),
        sa.Column("asked_w", whole, nullable=False),
        sa.Column("limits_w", sa.Text(), nullable=False),
        sa.Column("reward", whole, nullable=False),
        sa.Column("penalty", whole, nullable=False),
        sa.Column("stake_w", whole, nullable=False),
        sa.Column("asked_by", sa.String(length=255), nullable=False),
        sa.Column("program", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("received_by", sa.String(length=255), nullable=False),
        sa.Column("received_s", whole, nullable=False),
        sa.Column("answer_by_s", whole, nullable=False),
        sa.Column("accepted_by", sa.String(length=255), nullable=True),
        sa.Column("accepted_s", whole, nullable=True),
        sa.Column("approved_by", sa.String(length=255), nullable=True),
        sa.Column("approved_s", whole, nullable=True),
        sa.Column("closed_by", sa.String(length=255), nullable=True),
        sa.Column("closed_s", whole, nullable=True),
        sa.Column("cause", sa.String(length=64), nullable=True),
        sa.Column("weighed", sa.Text(), nullable=True),
        sa.Column("report", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flexibility_event")),
    )
    op.create_index("ix_flexibility_event_state", "flexibility_event", ["state"])
    op.create_index("ix_flexibility_event_end", "flexibility_event", ["end_s"])


def downgrade() -> None:
    op.drop_table("flexibility_event")
