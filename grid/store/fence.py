"""One control room at a time on a store that several machines reach.

Two things hold it. A lock of the database session tells who runs the site while the session
lives; a session may end unnoticed, or its process stand still. So each room that begins takes
the next epoch, and each of its transactions checks that it is still the newest: whoever was
taken over writes nothing more, however late it wakes.
"""

from __future__ import annotations

import os
import platform

from sqlalchemy import Connection, select, text

from grid.errors import BadInputError
from grid.store.schema import meta
from grid.store.upsert import put

_ROOM_LOCK = 0x6B68617A72690002
_EPOCH, _HOLDER = "control_room_epoch", "control_room"

_NAME_CHARS = 63
"""PostgreSQL cuts longer names."""

_KEEPALIVE = (("idle", 20), ("interval", 5), ("count", 3))
"""Seconds and tries: a holder whose machine is gone is given up after 35 s."""


def process_name() -> str:
    """Return the name under which the sessions of this process are known to PostgreSQL."""
    return f"khazri {os.getpid()} {platform.node()}"[:_NAME_CHARS]


def hold(session: Connection) -> None:
    """Take the control room's lock for as long as a session of PostgreSQL lives.

    Raises
    ------
    BadInputError
        Naming who has it.
    """
    for name, value in _KEEPALIVE:
        session.execute(text(f"SET tcp_keepalives_{name} = {value}"))
    if session.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _ROOM_LOCK}).scalar():
        return
    who = _value(session, _HOLDER)
    raise BadInputError(
        f"'{who}' runs this site; stop it first or, if it hangs or its machine is gone, end its "
        "sessions in the database: SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE application_name = '{who}'"
    )


def take_over(tx: Connection) -> int:
    """Begin the next epoch of the control room and return its number."""
    epoch = int(_value(tx, _EPOCH) or 0) + 1
    rows = {_EPOCH: str(epoch), _HOLDER: process_name()}
    put(tx, meta, [{"name": name, "value": value} for name, value in rows.items()])
    return epoch


def overtaken_by(tx: Connection, epoch: int) -> str | None:
    """Return who has taken over since `epoch` began, or ``None``."""
    if _value(tx, _EPOCH) == str(epoch):
        return None
    return f"'{_value(tx, _HOLDER)}', in epoch {_value(tx, _EPOCH)} after this one's {epoch}"


def _value(tx: Connection, name: str) -> str | None:
    return tx.execute(select(meta.c.value).where(meta.c.name == name)).scalar_one_or_none()
