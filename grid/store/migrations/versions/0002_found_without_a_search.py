"""Device states by time, orders by number, changes of a day: none takes the whole table."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_device_state_at", "device_state", ["at_s"])
    op.create_index("ix_market_order_sequence", "market_order", ["sequence"])
    op.drop_index("ix_interval_day_start", table_name="interval_day")
    op.create_index("ix_interval_day_start", "interval_day", ["start_s", "cycle_s"])


def downgrade() -> None:
    op.drop_index("ix_interval_day_start", table_name="interval_day")
    op.create_index("ix_interval_day_start", "interval_day", ["start_s"])
    op.drop_index("ix_market_order_sequence", table_name="market_order")
    op.drop_index("ix_device_state_at", table_name="device_state")
