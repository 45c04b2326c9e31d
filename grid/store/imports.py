"""Files that were taken in, and which lines of them tell of whom."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import select

from grid.store.engine import Transaction
from grid.store.schema import import_channel, import_file
from grid.store.upsert import put


@dataclass(frozen=True, slots=True)
class ImportedChannel:
    """What a file told of one channel of one usage point.

    Attributes
    ----------
    usage_point : str
        Ours.
    channel, point : str
        In the file's words.
    register : str
    start_s, end_s : int
    first_line, last_line : int
    """

    usage_point: str
    channel: str
    point: str
    register: str
    start_s: int
    end_s: int
    first_line: int
    last_line: int


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """One file that was taken in.

    Attributes
    ----------
    sha256 : str
        Of its bytes, in hexadecimal.
    name, format : str
    cycle_s : int
        The store's clock at the time.
    readings : int
        As they stand in the file.
    filled, changed, kept : int
        Quarter-hours of a usage point that were empty, that were overwritten by a new
        version, and that stayed because what was stored is more certain.
    refused : int
        Lines.
    detail : dict
        The file's own quality flags with their counts, and what else is worth keeping.
    """

    sha256: str
    name: str
    format: str
    cycle_s: int
    readings: int
    filled: int
    changed: int
    kept: int
    refused: int
    detail: dict[str, Any] = field(default_factory=dict)


def put_file(tx: Transaction, file: ImportedFile, channels: Sequence[ImportedChannel]) -> None:
    """Keep what a file told; a file taken in again is told by its last time."""
    put(tx, import_file, [{**asdict(file), "detail": json.dumps(file.detail, sort_keys=True)}])
    put(tx, import_channel, [{"sha256": file.sha256, **asdict(one)} for one in channels])


def get_file(tx: Transaction, sha256: str) -> ImportedFile | None:
    """Return a file by its hash, or ``None``."""
    query = select(import_file).where(import_file.c.sha256 == sha256)
    row = tx.execute(query).mappings().one_or_none()
    return None if row is None else ImportedFile(**{**row, "detail": json.loads(row["detail"])})


def told_of(
    tx: Transaction, usage_point: str, register: str, at_s: int
) -> list[tuple[ImportedFile, ImportedChannel]]:
    """Return the files that tell of one interval, the latest first."""
    rows = tx.execute(
        select(import_channel)
        .join(import_file, import_file.c.sha256 == import_channel.c.sha256)
        .where(
            import_channel.c.usage_point == usage_point,
            import_channel.c.register == register,
            import_channel.c.start_s <= at_s,
            import_channel.c.end_s > at_s,
        )
        .order_by(import_file.c.cycle_s.desc(), import_channel.c.sha256)
    ).mappings()
    found = []
    for row in rows.all():
        facts = dict(row)
        file = get_file(tx, facts.pop("sha256"))
        assert file is not None
        found.append((file, ImportedChannel(**facts)))
    return found


def files_of(tx: Transaction, usage_points: Sequence[str]) -> dict[str, list[str]]:
    """Return by usage point the hashes of the files that told of it, sorted."""
    wanted = set(usage_points)
    query = select(import_channel.c.usage_point, import_channel.c.sha256).distinct()
    found: dict[str, list[str]] = {}
    for row in tx.execute(query.order_by(import_channel.c.usage_point, import_channel.c.sha256)):
        if row.usage_point in wanted:
            found.setdefault(row.usage_point, []).append(row.sha256)
    return found
