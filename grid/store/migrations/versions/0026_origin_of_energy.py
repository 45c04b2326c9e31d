"""Imports of a month, and what of them came from members' renewable plants."""

import json
import tomllib
import zlib
from collections import Counter
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    with op.batch_alter_table("month_account") as account:
        for name in ("import_wh", "local_wh"):
            account.add_column(sa.Column(name, whole, nullable=False, server_default="0"))
    _take_over_imports()
    with op.batch_alter_table("month_account") as account:
        for name in ("import_wh", "local_wh"):
            account.alter_column(name, server_default=None)


def _take_over_imports() -> None:
    """Count what was settled before as imports; what of it was local is not claimed."""
    connection = op.get_bind()
    text = connection.execute(sa.text("SELECT value FROM meta WHERE name = 'site_toml'"))
    found = text.scalar_one_or_none()
    if found is None:
        return
    zone = ZoneInfo(tomllib.loads(found).get("time_zone", "UTC"))
    newest = connection.execute(
        sa.text(
            "SELECT start_s, content FROM settlement WHERE version = (SELECT max(version) "
            "FROM settlement AS other WHERE other.start_s = settlement.start_s)"
        )
    )
    imports: Counter[tuple[int, str, str]] = Counter()
    for start_s, content in newest:
        month = f"{datetime.fromtimestamp(start_s, UTC).astimezone(zone):%Y-%m}"
        for one in json.loads(zlib.decompress(content)).get("usage_points", ()):
            imports[one["agreement"], month, one["tariff"]] += one["baseline_import_wh"]
    for (agreement, month, tariff), import_wh in imports.items():
        connection.execute(
            sa.text(
                "UPDATE month_account SET import_wh = :wh "
                "WHERE agreement = :a AND month = :m AND tariff = :t"
            ),
            {"wh": import_wh, "a": agreement, "m": month, "t": tariff},
        )


def downgrade() -> None:
    with op.batch_alter_table("month_account") as account:
        account.drop_column("local_wh")
        account.drop_column("import_wh")
