"""Transformers and verification of a device; seals; who moved in when, with what was read."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    key, person = sa.String(length=64), sa.String(length=255)
    with op.batch_alter_table("meter_exchange") as table:
        for name in ("current", "voltage"):
            table.add_column(sa.Column(name, key, nullable=False, server_default="1/1"))
        table.add_column(sa.Column("verified_until_s", whole, nullable=True))
    with op.batch_alter_table("meter_exchange") as table:
        for name in ("current", "voltage"):
            table.alter_column(name, existing_type=key, nullable=False, server_default=None)
    op.create_table(
        "meter_seal",
        sa.Column("id", whole, autoincrement=True, nullable=False),
        sa.Column("meter", key, nullable=False),
        sa.Column("number", key, nullable=False),
        sa.Column("placed_s", whole, nullable=False),
        sa.Column("placed_by", person, nullable=False),
        sa.Column("removed_s", whole, nullable=True),
        sa.Column("removed_by", person, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meter_seal")),
    )
    op.create_table(
        "move_in",
        sa.Column("usage_point", key, nullable=False),
        sa.Column("at_s", whole, nullable=False),
        sa.Column("party", key, nullable=False),
        sa.Column("registers", sa.Text(), nullable=False),
        sa.Column("recorded_by", person, nullable=False),
        sa.Column("recorded_s", whole, nullable=False),
        sa.PrimaryKeyConstraint("usage_point", "at_s", name=op.f("pk_move_in")),
    )


def downgrade() -> None:
    op.drop_table("move_in")
    op.drop_table("meter_seal")
    with op.batch_alter_table("meter_exchange") as table:
        for name in ("verified_until_s", "voltage", "current"):
            table.drop_column(name)
