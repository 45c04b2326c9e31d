"""A trade knows what of its price was paid for the network, and whether it was regional."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

NAMES = ("zone_fee", "loss_fee", "regional")


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    with op.batch_alter_table("trade") as trade:
        for name in NAMES[:2]:
            trade.add_column(sa.Column(name, whole, nullable=False, server_default="0"))
        none = sa.text("false")
        trade.add_column(sa.Column("regional", sa.Boolean(), nullable=False, server_default=none))
    with op.batch_alter_table("trade") as trade:
        for name in NAMES:
            trade.alter_column(name, server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("trade") as trade:
        for name in NAMES:
            trade.drop_column(name)
