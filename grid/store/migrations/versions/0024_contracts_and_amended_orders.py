"""Orders are amended, what happens to them is in one line, and parties contract with each other."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    name = sa.String(length=64)
    # What was cancelled before keeps no number: such an order is in no book.
    op.add_column("market_order", sa.Column("cancel_sequence", whole, nullable=True))
    op.create_index("ix_market_order_cancel_sequence", "market_order", ["cancel_sequence"])
    op.create_table(
        "order_amendment",
        sa.Column("id", name, nullable=False),
        sa.Column("order", name, nullable=False),
        sa.Column("party", name, nullable=False),
        sa.Column("start_s", whole, nullable=False),
        sa.Column("price", whole, nullable=False),
        sa.Column("energy_wh", whole, nullable=False),
        sa.Column("sequence", whole, nullable=False),
        sa.Column("received_s", whole, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_amendment")),
        sa.UniqueConstraint("sequence", name=op.f("uq_order_amendment_sequence")),
    )
    op.create_index("ix_order_amendment_start", "order_amendment", ["start_s"])
    op.create_table(
        "contract",
        sa.Column("id", whole, autoincrement=True, nullable=False),
        sa.Column("buyer", name, nullable=False),
        sa.Column("seller", name, nullable=False),
        sa.Column("price", whole, nullable=False),
        sa.Column("energy_wh", whole, nullable=True),
        sa.Column("share_percent", sa.Integer(), nullable=True),
        sa.Column("from_s", whole, nullable=False),
        sa.Column("until_s", whole, nullable=True),
        sa.Column("proposed_by", name, nullable=False),
        sa.Column("proposed_s", whole, nullable=False),
        sa.Column("refused_s", whole, nullable=True),
        sa.Column("accepted_s", whole, nullable=True),
        sa.Column("accepted_entry", whole, nullable=True),
        sa.Column("ended_by", name, nullable=True),
        sa.Column("ended_s", whole, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contract")),
    )
    op.create_index("ix_contract_buyer", "contract", ["buyer"])
    op.create_index("ix_contract_seller", "contract", ["seller"])


def downgrade() -> None:
    op.drop_table("contract")
    op.drop_table("order_amendment")
    op.drop_index("ix_market_order_cancel_sequence", table_name="market_order")
    op.drop_column("market_order", "cancel_sequence")
