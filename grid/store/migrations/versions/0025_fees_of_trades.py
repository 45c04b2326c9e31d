"""A trade knows what of its price was paid for the network, and whether it was regional."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    columns = {
        "zone_fee": (whole, "0"),
        "loss_fee": (whole, "0"),
        "regional": (sa.Boolean(), sa.false()),
    }
    with op.batch_alter_table("trade") as trade:
        for name, (kind, none) in columns.items():
            trade.add_column(sa.Column(name, kind, nullable=False, server_default=none))
    with op.batch_alter_table("trade") as trade:
        for name in columns:
            trade.alter_column(name, server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("trade") as trade:
        for name in ("zone_fee", "loss_fee", "regional"):
            trade.drop_column(name)
