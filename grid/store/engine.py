"""Opening a store and its two kinds of transaction.

A write transaction is exclusive from its first statement (``BEGIN IMMEDIATE``
on SQLite, an advisory lock on PostgreSQL), so that sequence numbers have no
gap and a read inside it is never stale. A read transaction is one snapshot.

A process whose disk failed to keep something, or whose control room was taken over,
writes no more; it reads on.
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
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    ExceptionContext,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from grid.errors import BadInputError, StoreError
from grid.store import disk, fence

Transaction: TypeAlias = Connection

# Opening a store is no event of the site: Alembic would tell of it each time.
logging.getLogger("alembic").setLevel(logging.WARNING)

logger = logging.getLogger(__name__)

_BUSY_S = 30
_IDLE_S = 900
_WRITER_LOCK = 0x6B68617A72690001 & 0x7FFFFFFFFFFFFFFF


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        # The journal is copied by disk.copy_journal, which goes by the size of its file.
        for pragma in ("wal_autocheckpoint=0", "journal_size_limit=0"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.execute(f"PRAGMA busy_timeout={_BUSY_S * 1000}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("khazri_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


class NoStoreError(StoreError):
    """There is no store yet: no file, or a database without our tables."""


class ReadOnlyError(StoreError):
    """This process may write no more: its disk failed, or another control room took over."""


class Store:
    """A site's facts in one relational database.

    Parameters
    ----------
    url : str
        ``sqlite:///PATH`` or ``postgresql+psycopg://…``.
    create : bool
        Make the schema where there is none. A store of an earlier version is brought up
        to date in any case, one of a later version is refused.

    Attributes
    ----------
    refusal : str or None
        Why this process may not write any more.

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
        self.refusal: str | None = None
        self._epoch: int | None = None
        try:
            self.engine = create_engine(url, connect_args=_arguments(parsed))
            if self.is_sqlite:
                _prepare_sqlite(self.engine)
                event.listen(self.engine, "handle_error", self._judge)
                event.listen(self.engine, "begin", self._hold_back)
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

    def _judge(self, context: ExceptionContext) -> None:
        """Write no more once the disk has failed, whoever's statement it was."""
        self._distrust(context.original_exception)

    def _distrust(self, error: BaseException) -> None:
        if name := disk.distrusted(error):
            self._refuse(
                f"the disk failed ({name}: {error}) and may have lost what it was given; check "
                "it and the kernel's log, then start this program again"
            )

    def _refuse(self, why: str) -> None:
        if self.refusal is None:
            self.refusal = f"the store is read-only: {why}"
            logger.error("event=store_read_only reason=%r", why)

    def _require_writable(self) -> None:
        if self.refusal is not None:
            raise ReadOnlyError(self.refusal)

    def _hold_back(self, connection: Connection) -> None:
        """Keep those from writing, too, who do so without :meth:`write`."""
        if self.refusal is not None:
            connection.exec_driver_sql("PRAGMA query_only=ON")

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Yield an exclusive transaction; it commits at the end, or leaves no trace.

        Raises
        ------
        ReadOnlyError
            When this process may not write any more.
        StoreError
            When the database fails or refuses. Whether the transaction was kept is not
            known when its commit was under way.
        """
        self._require_writable()
        with translated(), self.engine.connect() as connection:
            options: dict[str, Any] = {"khazri_write": True}
            with connection.execution_options(**options).begin():
                if not self.is_sqlite:
                    connection.execute(
                        text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITER_LOCK}
                    )
                    self._require_epoch(connection)
                yield connection
                # Another thread may have met the failure meanwhile.
                self._require_writable()
            if self.is_sqlite:
                self._copy_journal(connection)

    def _require_epoch(self, tx: Transaction) -> None:
        if self._epoch is None or (who := fence.overtaken_by(tx, self._epoch)) is None:
            return
        self._refuse(f"{who}, runs this site now; end this process")
        self._require_writable()

    def _copy_journal(self, connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        try:
            disk.copy_journal(driver, self.engine.url.database)
        except sqlite3.Error as error:
            # What was written before stands; what would be written next may not.
            self._distrust(error)

    @contextmanager
    def sole(self) -> Iterator[None]:
        """Be the one control room of the store, on whatever machine.

        Only a store on PostgreSQL is reached from several. Whoever held it before writes
        no more, even if it does not know yet that it lost it.

        Raises
        ------
        BadInputError
            Naming who runs the site.
        """
        if self.is_sqlite:
            yield
            return
        with translated(), self.engine.connect() as connection:
            session = connection.execution_options(isolation_level="AUTOCOMMIT")
            # Not of the pool any more: the session, and its lock, end with the block.
            session.detach()
            fence.hold(session)
            with self.write() as tx:
                epoch = fence.take_over(tx)
            self._epoch = epoch
            yield

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Yield a transaction that sees one snapshot and writes nothing."""
        with translated(), self.engine.connect() as connection:
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
            with translated(), self.engine.connect() as connection:
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
def translated() -> Iterator[None]:
    """Raise what the database raises as :class:`~grid.errors.StoreError`."""
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


def _arguments(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"timeout": _BUSY_S, "check_same_thread": False}
    settings = {
        # A commit is not acknowledged before it is on disk, whatever the server's default is.
        "synchronous_commit": "on",
        # Who waits for a writer that stands still gives up, as on SQLite; it is cut off in the end.
        "lock_timeout": f"{_BUSY_S}s",
        "idle_in_transaction_session_timeout": f"{_IDLE_S}s",
    }
    given = [str(url.query.get("options", ""))]
    options = " ".join([*given, *(f"-c {name}={value}" for name, value in settings.items())])
    return {"application_name": fence.process_name(), "options": options}


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]
