"""Parties and agreements: who stands for a usage point, from when until when, on what terms."""

import tomllib

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "party",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("since_s", whole, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_party")),
    )
    op.create_table(
        "agreement",
        sa.Column("id", whole, autoincrement=True, nullable=False),
        sa.Column("usage_point", sa.String(length=64), nullable=False),
        sa.Column("party", sa.String(length=64), nullable=False),
        sa.Column("from_s", whole, nullable=False),
        sa.Column("until_s", whole, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreement")),
        sa.UniqueConstraint("usage_point", "from_s", name=op.f("uq_agreement_usage_point")),
    )
    op.create_index("ix_agreement_party", "agreement", ["party"])
    op.create_table(
        "agreement_terms",
        sa.Column("agreement", whole, autoincrement=False, nullable=False),
        sa.Column("from_s", whole, autoincrement=False, nullable=False),
        sa.Column("tariff", sa.String(length=64), nullable=False),
        sa.Column("share_percent", sa.Integer(), nullable=False),
        sa.Column("key_percent", sa.Integer(), nullable=False),
        sa.Column("trades", sa.Boolean(), nullable=False),
        sa.Column("recorded_by", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("agreement", "from_s", name=op.f("pk_agreement_terms")),
    )
    _take_from_the_site_file()
    _give_limits_to_agreements()


def _take_from_the_site_file() -> None:
    """Let a site that was commissioned before go on with those its file names, since ever."""
    connection = op.get_bind()
    query = sa.text("SELECT value FROM meta WHERE name = 'site_toml'")
    text = connection.execute(query).scalar_one_or_none()
    if text is None:
        return
    site = tomllib.loads(text)
    for party in site["party"]:
        connection.execute(
            sa.text("INSERT INTO party (id, name, kind, since_s) VALUES (:id, :name, :kind, 0)"),
            {name: party[name] for name in ("id", "name", "kind")},
        )
    for number, point in enumerate(site["usage_point"], start=1):
        connection.execute(
            sa.text("INSERT INTO agreement (usage_point, party, from_s) VALUES (:id, :party, 0)"),
            {name: point[name] for name in ("id", "party")},
        )
        connection.execute(
            sa.text(
                "INSERT INTO agreement_terms "
                "(agreement, from_s, tariff, share_percent, key_percent, trades, recorded_by) "
                "VALUES (:number, 0, :tariff, 100, 0, :trades, 'site file')"
            ),
            {"number": number, "tariff": point["tariff"], "trades": True},
        )


def _give_limits_to_agreements() -> None:
    """Let limit prices end with the agreement of whom they are."""
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    connection = op.get_bind()
    held = sa.text(
        "SELECT agreement.id, buy, sell FROM limit_price "
        "JOIN agreement ON agreement.usage_point = limit_price.usage_point"
    )
    rows = connection.execute(held).all()
    op.drop_table("limit_price")
    op.create_table(
        "limit_price",
        sa.Column("agreement", whole, autoincrement=False, nullable=False),
        sa.Column("buy", whole, nullable=True),
        sa.Column("sell", whole, nullable=True),
        sa.PrimaryKeyConstraint("agreement", name=op.f("pk_limit_price")),
    )
    for number, buy, sell in rows:
        connection.execute(
            sa.text("INSERT INTO limit_price (agreement, buy, sell) VALUES (:number, :buy, :sell)"),
            {"number": number, "buy": buy, "sell": sell},
        )


def downgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.drop_table("limit_price")
    op.create_table(
        "limit_price",
        sa.Column("usage_point", sa.String(length=64), nullable=False),
        sa.Column("buy", whole, nullable=True),
        sa.Column("sell", whole, nullable=True),
        sa.PrimaryKeyConstraint("usage_point", name=op.f("pk_limit_price")),
    )
    op.drop_table("agreement_terms")
    op.drop_table("agreement")
    op.drop_table("party")
