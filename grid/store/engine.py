"""Opening a store and its two kinds of transaction.

A write transaction is exclusive from its first statement (``BEGIN IMMEDIATE``
on SQLite, an advisory lock on PostgreSQL), so that sequence numbers have no
gap and a read inside it is never stale. A read transaction is one snapshot.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from grid.errors import BadInputError, StoreError

Transaction: TypeAlias = Connection

# Opening a store is no event of the site: Alembic would tell of it each time.
logging.getLogger("alembic").setLevel(logging.WARNING)

_BUSY_S = 30
_WRITER_LOCK = 0x6B68617A72690001 & 0x7FFFFFFFFFFFFFFF


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.execute(f"PRAGMA busy_timeout={_BUSY_S * 1000}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("khazri_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


class NoStoreError(StoreError):
    """There is no store yet: no file, or a database without our tables."""


class Store:
    """A site's facts in one relational database.

    Parameters
    ----------
    url : str
        ``sqlite:///PATH`` or ``postgresql+psycopg://…``.
    create : bool
        Make the schema where there is none. A store of an earlier version is brought up
        to date in any case, one of a later version is refused.

    Raises
    ------
    StoreError
        When the database cannot be opened or is of a later version;
        :class:`NoStoreError` when there is none yet.
    """

    def __init__(self, url: str, *, create: bool = False) -> None:
        self.url = url
        try:
            parsed = make_url(url)
        except SQLAlchemyError as error:
            # The text is not shown: it may hold a password.
            raise BadInputError("the store's URL is not sqlite:///PATH or postgresql:…") from error
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        try:
            self.engine = create_engine(url, connect_args=_arguments(self.is_sqlite))
            if self.is_sqlite:
                _prepare_sqlite(self.engine)
            if create:
                if self.is_sqlite:
                    _make_private(parsed.database)
                self._migrate()
            else:
                self._bring_up_to_date()
        except SQLAlchemyError as error:
            raise StoreError(f"store {parsed.render_as_string()}: {_first_line(error)}") from error

    @classmethod
    def at(cls, directory: Path, *, create: bool = False) -> Store:
        """Open the embedded store of a site folder."""
        if create:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        elif not (directory / "khazri.sqlite3").exists():
            raise NoStoreError(f"{directory}: no store here yet; 'khazri run SITE.toml' makes it")
        return cls(f"sqlite:///{directory / 'khazri.sqlite3'}", create=create)

    def _config(self) -> Config:
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        return config

    def _migrate(self) -> None:
        config = self._config()
        with self.write() as tx:
            config.attributes["connection"] = tx
            command.upgrade(config, "head")

    def _bring_up_to_date(self) -> None:
        scripts = ScriptDirectory.from_config(self._config())
        with self.engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
        if current is None:
            self.close()
            raise NoStoreError("the store is empty yet; 'khazri run SITE.toml' fills it")
        head = scripts.get_current_head()
        if current not in {script.revision for script in scripts.walk_revisions()}:
            raise StoreError(f"the store has schema {current}, this version knows {head}")
        if current != head:
            self._migrate()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Yield an exclusive transaction; it commits at the end, or leaves no trace."""
        with _translated(), self.engine.connect() as connection:
            options: dict[str, Any] = {"khazri_write": True}
            with connection.execution_options(**options).begin():
                if not self.is_sqlite:
                    connection.execute(
                        text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITER_LOCK}
                    )
                yield connection

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Yield a transaction that sees one snapshot and writes nothing."""
        with _translated(), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    def erase_secret(self, name: str) -> None:
        """Forget a secret and leave no copy of its bytes in the database's files.

        Everything is written anew for that: seconds for a year of a site.

        Raises
        ------
        StoreError
            When somebody reads meanwhile, so that copies may be left.
        """
        with self.write() as tx:
            if self.is_sqlite:
                tx.exec_driver_sql("PRAGMA secure_delete=ON")
            tx.execute(text("DELETE FROM secret WHERE name = :name"), {"name": name})
        self.write_anew("secret")

    def write_anew(self, table: str = "") -> None:
        """Write the database anew, so that nothing of what was deleted is in its files.

        Parameters
        ----------
        table : str
            Where the database can write one table by itself, only this.

        Raises
        ------
        StoreError
            When somebody reads meanwhile, so that copies may be left.
        """
        if not self.is_sqlite:
            with _translated(), self.engine.connect() as connection:
                alone = connection.execution_options(isolation_level="AUTOCOMMIT")
                alone.exec_driver_sql(f"VACUUM FULL {table}")
            return
        # SQLAlchemy would begin a transaction, in which SQLite does not write anew.
        bare = self.engine.raw_connection()
        try:
            cursor = bare.cursor()
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            told = cursor.fetchone()
            if told is None or told[0]:
                raise StoreError(
                    "the store is read by another process: what was deleted is still in it"
                )
        except sqlite3.Error as error:
            raise StoreError(f"the store failed: {_first_line(error)}") from error
        finally:
            bare.close()

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, PoolTimeoutError) as error:
        raise StoreError(f"the store failed: {_first_line(error)}") from error


def _make_private(database: str | None) -> None:
    """Make a database file only its owner reads; SQLite gives its journals the same mode."""
    if database and database != ":memory:" and not database.startswith("file:"):
        try:
            os.close(os.open(database, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise StoreError(f"store {database}: {error.strerror}") from error


def _arguments(is_sqlite: bool) -> dict[str, Any]:
    return {"timeout": _BUSY_S, "check_same_thread": False} if is_sqlite else {}


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]
