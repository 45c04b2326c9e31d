"""Days of intervals lie side by side, one row for the registers kept together, and narrow."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ELECTRICITY = ("import_wh", "export_wh", "import_varh", "export_varh")
# What the bytes of a kind are: of an even one, one value stands for all. Kind 0 is all zero,
# and 11 what the register before it has.
SAME = 11
KINDS = {1: "i1", 3: "<i2", 5: "<i4", 7: "<i8", 9: "<f4"}
Row = dict[str, Any]
WIDE = {"energy": "<i8", "quality": "<u2", "rule": "<u2", "sd": "<f4"}


def upgrade() -> None:
    op.drop_index("ix_interval_day_start", table_name="interval_day")
    _set_aside()
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "interval_day",
        sa.Column("day", sa.String(length=10), autoincrement=False, nullable=False),
        sa.Column("registers", sa.String(length=64), autoincrement=False, nullable=False),
        sa.Column("usage_point", sa.String(length=64), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("start_s", whole, nullable=False),
        sa.Column("energy", sa.LargeBinary(), nullable=False),
        sa.Column("quality", sa.LargeBinary(), nullable=False),
        sa.Column("rule", sa.LargeBinary(), nullable=True),
        sa.Column("sd", sa.LargeBinary(), nullable=True),
        sa.Column("cycle_s", whole, nullable=False),
        sa.PrimaryKeyConstraint(
            "day", "registers", "usage_point", "version", name=op.f("pk_interval_day")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "written_day",
        sa.Column("start_s", whole, autoincrement=False, nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("cycle_s", whole, nullable=False),
        sa.PrimaryKeyConstraint("start_s", name=op.f("pk_written_day")),
    )
    bind = op.get_bind()
    for start_s, old in _days():
        new = list(_joined(old))
        bind.execute(sa.insert(_table("interval_day", "registers")), new)
        bind.execute(
            sa.text("INSERT INTO written_day VALUES (:start_s, :day, :slots, :cycle_s)"),
            {
                "start_s": start_s,
                "day": old[0]["day"],
                "slots": len(old[0]["energy"]) // 8,
                "cycle_s": max(row["cycle_s"] for row in old),
            },
        )
    op.drop_table("interval_day_before")


def downgrade() -> None:
    _set_aside()
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "interval_day",
        sa.Column("usage_point", sa.String(length=64), autoincrement=False, nullable=False),
        sa.Column("register", sa.String(length=64), autoincrement=False, nullable=False),
        sa.Column("day", sa.String(length=10), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("start_s", whole, nullable=False),
        sa.Column("energy", sa.LargeBinary(), nullable=False),
        sa.Column("quality", sa.LargeBinary(), nullable=False),
        sa.Column("cycle_s", whole, nullable=False),
        sa.Column("rule", sa.LargeBinary(), nullable=True),
        sa.Column("sd", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint(
            "usage_point", "register", "day", "version", name=op.f("pk_interval_day")
        ),
    )
    op.create_index("ix_interval_day_start", "interval_day", ["start_s", "cycle_s"])
    bind = op.get_bind()
    lengths = bind.execute(sa.text("SELECT start_s, slots FROM written_day"))
    slots = {row.start_s: row.slots for row in lengths}
    for start_s, rows in _days():
        old = [one for row in rows for one in _apart(row, slots[start_s])]
        bind.execute(sa.insert(_table("interval_day", "register")), old)
    op.drop_table("written_day")
    op.drop_table("interval_day_before")


def _set_aside() -> None:
    """Rename the table, and on PostgreSQL its key, whose name is that of the next one's."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER INDEX pk_interval_day RENAME TO pk_interval_day_before")
    op.rename_table("interval_day", "interval_day_before")
    op.create_index("ix_interval_day_before", "interval_day_before", ["start_s"])


def _table(name: str, key: str) -> sa.TableClause:
    columns = ("day", key, "usage_point", "version", "start_s", *WIDE, "cycle_s")
    return sa.table(name, *(sa.column(column) for column in columns))


def _days() -> Iterator[tuple[int, list[Row]]]:
    """Yield the rows that were set aside by the day they begin, for one fits into memory."""
    bind = op.get_bind()
    starts = bind.execute(sa.text("SELECT DISTINCT start_s FROM interval_day_before")).scalars()
    for start_s in sorted(starts):
        rows = bind.execute(
            sa.text("SELECT * FROM interval_day_before WHERE start_s = :start_s"),
            {"start_s": start_s},
        )
        yield start_s, [dict(row) for row in rows.mappings()]


def _joined(rows: list[Row]) -> Iterator[Row]:
    """Yield one row for the registers of a usage point and version.

    A register that had fewer versions than another stays in the later ones as it was.
    """
    groups: dict[tuple[str, str], dict[str, dict[int, Row]]] = {}
    for row in rows:
        key = "electricity" if row["register"] in ELECTRICITY else row["register"]
        group = groups.setdefault((row["usage_point"], key), {})
        group.setdefault(row["register"], {})[row["version"]] = row
    for (usage_point, key), registers in groups.items():
        held = ELECTRICITY if key == "electricity" else (key,)
        for version in range(1, max(max(of) for of in registers.values()) + 1):
            now = {
                name: of[max(n for n in of if n <= version)]
                for name, of in registers.items()
                if min(of) <= version
            }
            some = next(iter(now.values()))
            yield {
                "day": some["day"],
                "registers": key,
                "usage_point": usage_point,
                "version": version,
                "start_s": some["start_s"],
                "cycle_s": max(row["cycle_s"] for row in now.values()),
            } | {name: _packed(now, held, name) for name in WIDE}


def _packed(rows: dict[str, Row], held: tuple[str, ...], name: str) -> bytes | None:
    slots = len(next(iter(rows.values()))["energy"]) // 8
    head, body, before = b"", b"", (0, b"")
    for register in held:
        content = rows[register][name] if register in rows else None
        values = np.full(slots, -1 if name == "energy" and register not in rows else 0, WIDE[name])
        if content is not None:
            values = np.frombuffer(content, WIDE[name])
        narrow = _narrow(values)
        if narrow == before and narrow[0] in (1, 3):
            narrow = (SAME, b"")
        else:
            before = narrow
        head, body = head + bytes(narrow[:1]), body + narrow[1]
    return None if name in ("rule", "sd") and not any(head) else head + body


def _narrow(values: np.ndarray) -> tuple[int, bytes]:
    if not values.any():
        return 0, b""
    if values.dtype.kind == "u":
        values = values.view("<i2")
    alone = bool((values == values[0]).all())
    kind = 9
    if values.dtype.kind == "i":
        low, high = int(values.min()), int(values.max())
        wide = sum(low < -most or high >= most for most in (2**7, 2**15, 2**31))
        kind = 1 + 2 * wide
    return kind + alone, values[: 1 if alone else None].astype(KINDS[kind]).tobytes()


def _apart(row: Row, slots: int) -> Iterator[Row]:
    """Yield a row of each register of which something is known."""
    held = ELECTRICITY if row["registers"] == "electricity" else (row["registers"],)
    wide = {name: _wide(row[name], len(held), slots, kind) for name, kind in WIDE.items()}
    same = {name: row[name] for name in ("day", "usage_point", "version", "start_s", "cycle_s")}
    for number, register in enumerate(held):
        of = {name: values[number] for name, values in wide.items()}
        if (of["energy"] == -1).all():
            continue
        none = {name: None for name in ("rule", "sd") if not of[name].any()}
        content = {name: values.tobytes() for name, values in of.items()}
        yield {**same, "register": register, **content, **none}


def _wide(content: bytes | None, held: int, slots: int, kind: str) -> np.ndarray:
    values = np.zeros((held, slots), kind)
    at = held
    content = content or bytes(held)
    for number, packed in enumerate(content[:held]):
        if packed == SAME:
            values[number] = values[number - 1]
        elif packed:
            alone = packed % 2 == 0
            narrow = np.dtype(KINDS[packed - alone])
            end = at + narrow.itemsize * (1 if alone else slots)
            # A mark has no sign; what was packed below zero goes round to it again.
            values[number] = np.frombuffer(content[at:end], narrow)
            at = end
    return values
