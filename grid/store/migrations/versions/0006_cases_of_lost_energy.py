"""Cases of lost energy: what the balance says, and what a person found."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "loss_case",
        sa.Column("id", whole, autoincrement=True, nullable=False),
        sa.Column("family", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("since_s", whole, nullable=False),
        sa.Column("found_s", whole, nullable=False),
        sa.Column("last_s", whole, nullable=False),
        sa.Column("wh_per_day", whole, nullable=False),
        sa.Column("wh_per_day_sd", whole, nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("closed_s", whole, nullable=True),
        sa.Column("closed_by", sa.String(length=255), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loss_case")),
    )
    op.create_index("ix_loss_case_family", "loss_case", ["family", "closed_s"])


def downgrade() -> None:
    op.drop_index("ix_loss_case_family", table_name="loss_case")
    op.drop_table("loss_case")
