"""What people do to devices and elements, in the ledger: pseudonyms and codes, no free text."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping

from grid import interval
from grid.operation import record
from grid.operation.record import Personal
from grid.site import Site
from grid.store import Transaction, control, log
from trading.ledger.commitment import SECRET_BYTES, pseudonym
from trading.ledger.entry import Kind

PERSON_SECRET = "person/"

CONTROL_ROOM = "control room"
"""Who ends what no person ended."""

Value = str | int | None


def record_control(
    tx: Transaction,
    site: Site,
    *,
    user: str,
    kind: str,
    subject: str,
    detail: Mapping[str, Value],
    people: Mapping[str, str | None] | None = None,
) -> int:
    """Record what a person did, with its ledger entry, in this transaction.

    The entry names the kind in clear and commits to the rest, in which people are pseudonyms
    of the month. The action in the store has their addresses.

    Parameters
    ----------
    user : str
        Who did it; :data:`CONTROL_ROOM` for nobody.
    detail : mapping
        Codes, numbers and instants; no text that somebody wrote.
    people : mapping of str to str or None, optional
        Everybody whom it names besides.
    """
    at_s = control.clock_s(tx)
    named = {name: who for name, who in (people or {}).items() if who}
    month = interval.month_label(at_s, site.time_zone)
    alias = {who: pseudonym_of(tx, who, month) for who in {user, *named.values()}}
    told = {**detail, **{name: alias[who] for name, who in named.items()}}
    payload = {
        "detail": json.dumps(told, sort_keys=True),
        "subject": subject,
        "user": alias[user],
    }
    fact = Personal(record.community(site), "action", f"action-{log.size(tx)}", payload)
    start_s = at_s - at_s % site.interval_s
    sequence = record.append(tx, Kind.ACTION, start_s, at_s, {"action": kind}, [fact])
    shown = {**detail, **named}
    control.put_action(
        tx, at_s=at_s, user=user, kind=kind, subject=subject, detail=shown, sequence=sequence
    )
    return sequence


def pseudonym_of(tx: Transaction, who: str, month: str) -> str:
    """Return what somebody is called in the ledger in a month; the control room has a name."""
    if who == CONTROL_ROOM:
        return who
    name = PERSON_SECRET + hashlib.sha256(who.casefold().encode()).hexdigest()
    control.put_secrets(tx, {name: secrets.token_bytes(SECRET_BYTES)})
    return pseudonym(control.get_secret(tx, name), month)
