"""Beside each value the rule that decided it and its deviation; edits by people."""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("interval_day", sa.Column("rule", sa.LargeBinary(), nullable=True))
    op.add_column("interval_day", sa.Column("sd", sa.LargeBinary(), nullable=True))
    op.add_column("register_read", sa.Column("serial", sa.String(length=64), nullable=True))
    op.add_column("register_read", sa.Column("invocation_counter", whole, nullable=True))
    op.create_table(
        "reading_edit",
        sa.Column("id", whole, autoincrement=True, nullable=False),
        sa.Column("usage_point", sa.String(length=64), nullable=False),
        sa.Column("register", sa.String(length=64), nullable=False),
        sa.Column("start_s", whole, nullable=False),
        sa.Column("end_s", whole, nullable=False),
        sa.Column("energy", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("editor", sa.String(length=255), nullable=False),
        sa.Column("at_s", whole, nullable=False),
        sa.Column("until_better", sa.Boolean(), nullable=False),
        sa.Column("before_energy", sa.LargeBinary(), nullable=False),
        sa.Column("before_quality", sa.LargeBinary(), nullable=False),
        sa.Column("before_rule", sa.LargeBinary(), nullable=False),
        sa.Column("withdrawn_by", sa.String(length=255), nullable=True),
        sa.Column("withdrawn_s", whole, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reading_edit")),
    )
    op.create_index("ix_reading_edit_end", "reading_edit", ["end_s"])
    _passwords_as_they_are()


def downgrade() -> None:
    op.drop_index("ix_reading_edit_end", table_name="reading_edit")
    op.drop_table("reading_edit")
    op.drop_column("register_read", "invocation_counter")
    op.drop_column("register_read", "serial")
    op.drop_column("interval_day", "sd")
    op.drop_column("interval_day", "rule")


def _passwords_as_they_are() -> None:
    """Keep the password of a meter itself, where what it was derived from was kept."""
    secret = sa.table(
        "secret", sa.column("name", sa.String()), sa.column("value", sa.LargeBinary())
    )
    bind = op.get_bind()
    rows = bind.execute(sa.select(secret).where(secret.c.name.like("dlms/%"))).all()
    for name, value in rows:
        text = hashlib.sha256(bytes(value)).hexdigest()[:16].encode()
        bind.execute(sa.update(secret).where(secret.c.name == name).values(value=text))
