"""Device states by time and orders by number: neither is looked for through the whole table."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_device_state_at", "device_state", ["at_s"])
    op.create_index("ix_market_order_sequence", "market_order", ["sequence"])


def downgrade() -> None:
    op.drop_index("ix_market_order_sequence", table_name="market_order")
    op.drop_index("ix_device_state_at", table_name="device_state")
