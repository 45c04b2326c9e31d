"""Batteries trade: consent in agreements, their orders, what they did, and their accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NAME = sa.String(length=64)
_ADDED = (
    ("agreement_terms", "batteries", sa.Text(), "[]"),
    ("market_order", "battery", _NAME, ""),
    ("month_account", "battery_wh", _WHOLE, "0"),
)


def upgrade() -> None:
    for table, column, kind, before in _ADDED:
        with op.batch_alter_table(table) as changed:
            changed.add_column(sa.Column(column, kind, nullable=False, server_default=before))
        with op.batch_alter_table(table) as changed:
            changed.alter_column(column, server_default=None)
    op.create_table(
        "battery_account",
        sa.Column("agreement", _WHOLE, nullable=False),
        sa.Column("battery", _NAME, nullable=False),
        sa.Column("stored_wh", _WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("agreement", "battery", name=op.f("pk_battery_account")),
    )
    amounts = ("bought_wh", "sold_wh", "kept_wh", "used_wh", "stored_wh")
    op.create_table(
        "battery_move",
        sa.Column("start_s", _WHOLE, nullable=False),
        sa.Column("battery", _NAME, nullable=False),
        sa.Column("agreement", _WHOLE, nullable=False),
        sa.Column("usage_point", _NAME, nullable=False),
        *(sa.Column(name, _WHOLE, nullable=False) for name in amounts),
        sa.PrimaryKeyConstraint("start_s", "battery", name=op.f("pk_battery_move")),
    )


def downgrade() -> None:
    op.drop_table("battery_move")
    op.drop_table("battery_account")
    for table, column, _, _ in reversed(_ADDED):
        with op.batch_alter_table(table) as changed:
            changed.drop_column(column)
