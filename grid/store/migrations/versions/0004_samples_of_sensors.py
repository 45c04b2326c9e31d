"""Samples of sensors: floats at irregular instants, each correction a version of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "sensor_sample",
        sa.Column("sensor", sa.String(length=64), autoincrement=False, nullable=False),
        sa.Column("at_s", whole, autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("quality", sa.Integer(), nullable=False),
        sa.Column("retained", sa.Boolean(), nullable=False),
        sa.Column("received_s", whole, nullable=False),
        sa.Column("cycle_s", whole, nullable=False),
        sa.PrimaryKeyConstraint("sensor", "at_s", "version", name=op.f("pk_sensor_sample")),
    )


def downgrade() -> None:
    op.drop_table("sensor_sample")
