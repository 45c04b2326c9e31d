"""Books are sealed before they are cleared, and orders can be cancelled until then."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("market_order", sa.Column("cancelled_s", whole, nullable=True))
    op.create_table(
        "sealed_book",
        sa.Column("start_s", whole, autoincrement=False, nullable=False),
        sa.Column("sequence", whole, nullable=False),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("start_s", name=op.f("pk_sealed_book")),
    )


def downgrade() -> None:
    op.drop_table("sealed_book")
    op.drop_column("market_order", "cancelled_s")
