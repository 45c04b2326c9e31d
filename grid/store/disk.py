"""Which failures of SQLite say that the disk cannot be trusted, and when its journal is copied.

After a failed ``fsync`` a kernel may call the pages clean that never reached the disk: asking
again succeeds and proves nothing. So one such failure ends writing for the rest of the process.
A full disk is no such failure: nothing of the transaction was kept, and it may be run again.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress

_READ, _WRITE, _FSYNC, _TRUNCATE, _CORRUPTFS = 266, 778, 1034, 1546, 8458
_DISTRUSTED = frozenset({_READ, _WRITE, _FSYNC, _TRUNCATE, _CORRUPTFS})
"""Extended codes of ``SQLITE_IOERR``; those of locks and memory say nothing about the disk."""

_DISTRUSTED_KINDS = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

_JOURNAL_BYTES = 4 << 20
"""The journal is copied into the database when it is as large, about 1,000 pages."""


def distrusted(error: object) -> str | None:
    """Return SQLite's name of a failure after which nothing more may be written, else ``None``."""
    if not isinstance(error, sqlite3.Error):
        return None
    code = getattr(error, "sqlite_errorcode", None)
    if code is None or not (code in _DISTRUSTED or code & 0xFF in _DISTRUSTED_KINDS):
        return None
    return str(error.sqlite_errorname)


def copy_journal(connection: sqlite3.Connection, database: str | None) -> None:
    """Copy a journal that has grown large into the database.

    SQLite would do so by itself at a commit, but it keeps a failure of that to itself and syncs
    again the next time.

    Raises
    ------
    sqlite3.Error
        When the disk fails; what was committed is in the journal still.
    """
    with suppress(FileNotFoundError):
        if os.stat(f"{database}-wal").st_size >= _JOURNAL_BYTES:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
