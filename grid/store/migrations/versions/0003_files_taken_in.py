"""Which files were taken in, and what each told of whom: readings are traceable to a line."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    counts = ("cycle_s", "readings", "filled", "changed", "kept", "refused")
    op.create_table(
        "import_file",
        sa.Column("sha256", sa.String(64), nullable=False, autoincrement=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("format", sa.String(64), nullable=False),
        *(sa.Column(name, whole, nullable=False) for name in counts),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_import_file"),
    )
    keys = ("sha256", "usage_point", "channel")
    spans = ("start_s", "end_s", "first_line", "last_line")
    op.create_table(
        "import_channel",
        *(sa.Column(name, sa.String(64), nullable=False, autoincrement=False) for name in keys),
        sa.Column("point", sa.String(64), nullable=False),
        sa.Column("register", sa.String(64), nullable=False),
        *(sa.Column(name, whole, nullable=False) for name in spans),
        sa.PrimaryKeyConstraint(*keys, name="pk_import_channel"),
    )
    op.create_index("ix_import_channel_usage_point", "import_channel", ["usage_point"])


def downgrade() -> None:
    op.drop_index("ix_import_channel_usage_point", table_name="import_channel")
    op.drop_table("import_channel")
    op.drop_table("import_file")
