"""Stages done, plans, set-points, findings, actions, secrets and settings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import RowMapping, and_, case, delete, insert, select, update

from grid.errors import Finding, StoreError
from grid.store.engine import Transaction
from grid.store.schema import action, finding, meta, plan, secret, setpoint, stage
from grid.store.upsert import put
from meters.device import Setpoint

OPEN = and_(finding.c.acknowledged_s.is_(None), finding.c.severity != "info")
URGENCY = case((finding.c.severity == "alarm", 0), (finding.c.severity == "warning", 1), else_=2)


def get_meta(tx: Transaction, name: str) -> str | None:
    """Return a setting kept with the store, or ``None``."""
    return tx.execute(select(meta.c.value).where(meta.c.name == name)).scalar_one_or_none()


def clock_s(tx: Transaction) -> int:
    """Return the site's time, seconds UTC: the cycle that runs next; 0 before the first."""
    return int(get_meta(tx, "clock_s") or 0)


def put_meta(tx: Transaction, name: str, value: str) -> None:
    """Keep a setting with the store."""
    put(tx, meta, [{"name": name, "value": value}])


def drop_meta(tx: Transaction, name: str) -> None:
    """Forget a setting, if it is there."""
    tx.execute(delete(meta).where(meta.c.name == name))


def get_secret(tx: Transaction, name: str) -> bytes:
    """Return a secret by name.

    Raises
    ------
    StoreError
        When there is none.
    """
    value = tx.execute(select(secret.c.value).where(secret.c.name == name)).scalar_one_or_none()
    if value is None:
        raise StoreError(f"no secret {name!r} is stored")
    return bytes(value)


def secrets(tx: Transaction, prefix: str) -> dict[str, bytes]:
    """Return the secrets whose names begin with `prefix`, keyed by the rest of the name."""
    rows = tx.execute(select(secret).where(secret.c.name.startswith(prefix, autoescape=True)))
    return {row.name.removeprefix(prefix): bytes(row.value) for row in rows}


def put_secrets(tx: Transaction, values: Mapping[str, bytes]) -> None:
    """Store secrets; one that exists already is kept."""
    rows = [{"name": name, "value": value} for name, value in values.items()]
    put(tx, secret, rows, replace=False)


def replace_secret(tx: Transaction, name: str, value: bytes) -> None:
    """Store a secret in place of the one before."""
    put(tx, secret, [{"name": name, "value": value}])


def drop_secret(tx: Transaction, name: str) -> None:
    """Forget a secret, if it is there."""
    tx.execute(delete(secret).where(secret.c.name == name))


def done(tx: Transaction, cycle_s: int) -> set[str]:
    """Return the stages of a cycle that have committed."""
    return set(tx.execute(select(stage.c.stage).where(stage.c.cycle_s == cycle_s)).scalars())


def mark_done(tx: Transaction, cycle_s: int, name: str) -> None:
    """Record that a stage of a cycle commits with this transaction."""
    tx.execute(insert(stage).values(cycle_s=cycle_s, stage=name))


def put_plan(tx: Transaction, cycle_s: int, facts: Mapping[str, Any], detail: object) -> None:
    """Store a plan's figures and its JSON detail (reasons, binding cuts, input hash)."""
    put(tx, plan, [{"cycle_s": cycle_s, **facts, "detail": json.dumps(detail)}])


def get_plan(tx: Transaction, cycle_s: int) -> dict[str, Any] | None:
    """Return a plan's figures with its detail decoded, or ``None``."""
    row = tx.execute(select(plan).where(plan.c.cycle_s == cycle_s)).mappings().one_or_none()
    return None if row is None else {**row, "detail": json.loads(row["detail"])}


def plans(tx: Transaction, start_s: int, end_s: int) -> list[dict[str, Any]]:
    """Return the figures of the plans of cycles in ``[start_s, end_s)``."""
    rows = tx.execute(
        select(plan)
        .where(plan.c.cycle_s >= start_s, plan.c.cycle_s < end_s)
        .order_by(plan.c.cycle_s)
    )
    return [{**row, "detail": json.loads(row["detail"])} for row in rows.mappings()]


def put_setpoints(tx: Transaction, cycle_s: int, setpoints: Iterable[Setpoint], state: str) -> None:
    """Store set-points as ``intended``, ``confirmed`` or ``failed``."""
    rows = [{"cycle_s": cycle_s, **asdict(one), "state": state} for one in setpoints]
    put(tx, setpoint, rows)


def setpoints(tx: Transaction, cycle_s: int) -> list[RowMapping]:
    """Return the set-points of a cycle with their states, by asset."""
    rows = tx.execute(
        select(setpoint).where(setpoint.c.cycle_s == cycle_s).order_by(setpoint.c.asset)
    )
    return list(rows.mappings())


def put_findings(tx: Transaction, cycle_s: int, findings: Sequence[Finding]) -> None:
    """Store findings; the same code, subject and interval is stored once."""
    known = (
        {
            (row.code, row.subject, row.label)
            for row in tx.execute(
                select(finding.c.code, finding.c.subject, finding.c.label).where(
                    finding.c.label.in_({one.interval for one in findings})
                )
            )
        }
        if findings
        else set()
    )
    rows = []
    for one in sorted(set(findings)):
        key = (one.code, one.subject, one.interval)
        if key not in known:
            known.add(key)
            rows.append(
                {
                    "cycle_s": cycle_s,
                    "code": one.code,
                    "subject": one.subject,
                    "label": one.interval,
                    "severity": str(one.severity),
                    "message": one.message,
                }
            )
    if rows:
        tx.execute(insert(finding), rows)


def findings(
    tx: Transaction, *, open_only: bool = False, since_s: int = 0, limit: int = 200
) -> list[RowMapping]:
    """Return findings, newest first; of open ones the most severe before the newest, so
    that no number of warnings takes the place of an alarm."""
    query = select(finding).where(finding.c.cycle_s >= since_s)
    if open_only:
        query = query.where(OPEN).order_by(URGENCY)
    rows = tx.execute(query.order_by(finding.c.cycle_s.desc(), finding.c.id.desc()).limit(limit))
    return list(rows.mappings())


def acknowledge(tx: Transaction, number: int, user: str, at_s: int, comment: str) -> None:
    """Record who saw a finding, when, and what they said.

    Raises
    ------
    StoreError
        When there is no such finding, or it was acknowledged before.
    """
    result = tx.execute(
        update(finding)
        .where(finding.c.id == number, finding.c.acknowledged_s.is_(None))
        .values(acknowledged_by=user, acknowledged_s=at_s, comment=comment)
    )
    if result.rowcount != 1:
        raise StoreError(f"finding {number} does not exist or was acknowledged before")


def acknowledge_all(
    tx: Transaction, code: str, subject: str, user: str, at_s: int, comment: str
) -> None:
    """Record who is done with all findings of a code about a subject that are open, and why."""
    tx.execute(
        update(finding)
        .where(finding.c.code == code, finding.c.subject == subject)
        .where(finding.c.acknowledged_s.is_(None))
        .values(acknowledged_by=user, acknowledged_s=at_s, comment=comment)
    )


def put_action(
    tx: Transaction,
    *,
    at_s: int,
    user: str,
    kind: str,
    subject: str,
    detail: object,
    sequence: int | None,
) -> None:
    """Record what a person did, with the sequence of its ledger entry."""
    tx.execute(
        insert(action).values(
            at_s=at_s,
            user=user,
            kind=kind,
            subject=subject,
            detail=json.dumps(detail, sort_keys=True),
            sequence=sequence,
        )
    )


def actions(tx: Transaction, limit: int = 200) -> list[RowMapping]:
    """Return what people did, newest first."""
    return list(tx.execute(select(action).order_by(action.c.id.desc()).limit(limit)).mappings())
