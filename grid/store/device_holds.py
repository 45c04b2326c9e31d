"""What devices held when the control room looked, before it sent anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sqlalchemy import RowMapping, func, select

from grid.store.engine import Transaction
from grid.store.schema import device_hold, setpoint
from grid.store.upsert import put
from meters.device import DeviceState, Setpoint

_NAMES = tuple(Setpoint.__dataclass_fields__)


def put_holds(
    tx: Transaction, cycle_s: int, states: Sequence[DeviceState], verdicts: Mapping[str, str]
) -> None:
    """Keep what each device held before the set-points of a cycle were sent.

    Parameters
    ----------
    verdicts : mapping of str to str
        By asset: ``as sent``, ``reverted``, ``unlike`` or ``nothing sent``.
    """
    rows = [
        {
            "cycle_s": cycle_s,
            **asdict(state.setpoint),
            "power_w": state.power_w,
            "remaining_s": state.remaining_s,
            "verdict": verdicts[state.asset],
        }
        for state in states
    ]
    put(tx, device_hold, rows)


def holds(tx: Transaction, cycle_s: int) -> list[RowMapping]:
    """Return what devices held before the set-points of a cycle were sent, by asset."""
    query = select(device_hold).where(device_hold.c.cycle_s == cycle_s)
    return list(tx.execute(query.order_by(device_hold.c.asset)).mappings())


def latest(tx: Transaction) -> int | None:
    """Return the newest cycle in which devices were looked at."""
    return tx.execute(select(func.max(device_hold.c.cycle_s))).scalar()


def sent(tx: Transaction, before_s: int, since_s: int) -> dict[str, list[tuple[int, Setpoint]]]:
    """Return for each device what it may hold: the newest set-point that it confirmed in the
    cycles of ``[since_s, before_s)``, and those after it that it did not; with their cycles.
    """
    query = (
        select(setpoint)
        .where(
            setpoint.c.state.in_(("confirmed", "failed")),
            setpoint.c.cycle_s >= since_s,
            setpoint.c.cycle_s < before_s,
        )
        .order_by(setpoint.c.cycle_s)
    )
    found: dict[str, list[tuple[int, Setpoint]]] = {}
    for row in tx.execute(query).mappings():
        one = int(row["cycle_s"]), Setpoint(**{name: row[name] for name in _NAMES})
        if row["state"] == "confirmed":
            found[str(row["asset"])] = [one]
        else:
            found.setdefault(str(row["asset"]), []).append(one)
    return found


def confirmed(tx: Transaction, cycle_s: int) -> dict[str, Setpoint]:
    """Return the set-points of a cycle that devices confirmed, by asset."""
    query = select(setpoint).where(setpoint.c.cycle_s == cycle_s, setpoint.c.state == "confirmed")
    return {
        str(row["asset"]): Setpoint(**{name: row[name] for name in _NAMES})
        for row in tx.execute(query).mappings()
    }
