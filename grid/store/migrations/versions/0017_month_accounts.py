"""A month's energy is kept by agreement, tariff and segment; a trade has two prices."""

import json
import tomllib
from decimal import Decimal

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

NANO = 1_000_000_000


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "month_account",
        sa.Column("agreement", whole, autoincrement=False, nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("tariff", sa.String(length=64), nullable=False),
        sa.Column("supplied", sa.Text(), nullable=False),
        sa.Column("metered", sa.Text(), nullable=False),
        sa.Column("export_wh", whole, nullable=False),
        sa.Column("bank_wh", whole, nullable=False),
        sa.Column("fee_nano", whole, nullable=False),
        sa.PrimaryKeyConstraint("agreement", "month", "tariff", name=op.f("pk_month_account")),
    )
    _take_over_the_totals()
    op.drop_table("month_total")
    # What was settled before has no segments: it is not settled again.
    op.execute("UPDATE settlement SET state = 'final'")
    with op.batch_alter_table("trade") as trade:
        trade.add_column(sa.Column("sell_price", whole, nullable=False, server_default="0"))
    op.execute("UPDATE trade SET sell_price = price")
    with op.batch_alter_table("trade") as trade:
        trade.alter_column("sell_price", server_default=None)


def _take_over_the_totals() -> None:
    """Carry on with the month's energy of the single rate there was, its bank and its fee."""
    connection = op.get_bind()
    text = connection.execute(sa.text("SELECT value FROM meta WHERE name = 'site_toml'"))
    found = text.scalar_one_or_none()
    tariffs = [] if found is None else tomllib.loads(found)["tariff"]
    fees = {one["id"]: int(Decimal(one["fixed_fee"]) * NANO) for one in tariffs}
    rows = connection.execute(
        sa.text(
            "SELECT agreement.id, month, tariff, month_wh, bank_wh, fixed_fee_posted "
            "FROM month_total JOIN agreement ON agreement.usage_point = month_total.usage_point "
            "JOIN agreement_terms ON agreement_terms.agreement = agreement.id"
        )
    ).all()
    for number, month, tariff, month_wh, bank_wh, posted in rows:
        use = json.dumps([[0, "total", None, month_wh - bank_wh]])
        connection.execute(
            sa.text(
                "INSERT INTO month_account (agreement, month, tariff, supplied, metered, "
                "export_wh, bank_wh, fee_nano) VALUES (:a, :m, :t, :u, :u, 0, 0, :fee)"
            ),
            {"a": number, "m": month, "t": tariff, "u": use, "fee": fees[tariff] * posted},
        )


def downgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    with op.batch_alter_table("trade") as trade:
        trade.drop_column("sell_price")
    op.create_table(
        "month_total",
        sa.Column("usage_point", sa.String(length=64), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("month_wh", whole, nullable=False),
        sa.Column("bank_wh", whole, nullable=False),
        sa.Column("fixed_fee_posted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("usage_point", "month", name=op.f("pk_month_total")),
    )
    op.drop_table("month_account")
