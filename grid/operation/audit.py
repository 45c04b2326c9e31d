"""What an auditor takes away: exports of the ledger and proofs of its entries."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from grid import interval
from grid.errors import BadInputError, Finding, Severity
from grid.operation.market import cancellation
from grid.operation.record import PARTY_SECRET, first_key, key_entries
from grid.store import Store, Transaction, control, ended_logs, log, market
from trading.accounts import ERASED
from trading.ledger import prove as proofs
from trading.ledger import tiles
from trading.ledger.checkpoint import Checkpoint
from trading.ledger.commitment import Label, Opening, decode_opening, pseudonym
from trading.ledger.entry import decode

Committed = dict[Label, Any]
"""Payloads by what they are about."""

_KINDS = ("book", "clearing", "settlement", "correction", "invoice")
_SIDES = ("buyer", "seller", "side", "usage_point")
_TABLES = {
    "amend": "order_amendment",
    "cancel": "market_order",
    "order": "market_order",
    "posting": "posting",
    "trade": "trade",
}


def export_ended(
    store: Store, number: int, folder: Path, *, openings: bool = False
) -> tuple[Checkpoint, str]:
    """Write a log that ended to `folder`, as :func:`export` does; `number` is from 1.

    Raises
    ------
    BadInputError
        When there is no such log.
    """
    with store.read() as tx:
        count = ended_logs.count(tx)
        if not 1 <= number <= count:
            raise BadInputError(f"log {number}: {count} logs of this site have ended")
        lines = ended_logs.openings(tx, number) if openings else None
        opened = None if lines is None else (decode_opening(one.encode()) for one in lines)
        notes = ended_logs.checkpoints(tx, number)
        head = tiles.export(ended_logs.entries(tx, number), notes, folder, opened)
        first = next(ended_logs.entries(tx, number))
        return head, str(decode(first).body["key"])


def export(store: Store, folder: Path, *, openings: bool = False) -> tuple[Checkpoint, str]:
    """Write the ledger to `folder`; return its checkpoint and the verifier key.

    Parameters
    ----------
    openings : bool
        With the openings of all personal commitments: an auditor's mandate.
    """
    with store.read() as tx:
        points = log.checkpoints(tx)
        notes = [str(row["note"]) for row in points]
        # what came after the newest checkpoint is not signed yet
        size = int(points[0]["size"]) if points else 0
        opened = _openings(tx, size) if openings else None
        head = tiles.export(log.entries(tx, 0, size), notes, folder, opened)
        return head, first_key(tx).encode()


def _openings(tx: Transaction, size: int) -> Iterator[tuple[int, Opening]]:
    for row in log.openings(tx, end=size):
        yield decode_opening(str(row["content"]).encode())


def prove(store: Store, sequence: int) -> str:
    """Return the proof that an entry is in the newest checkpoint.

    Raises
    ------
    BadInputError
        When there is no such entry.
    """
    with store.read() as tx:
        newest = log.checkpoints(tx, limit=1)
        size = int(newest[0]["size"]) if newest else 0
        row = log.entry_row(tx, sequence) if 0 <= sequence < size else None
        if row is None:
            raise BadInputError(f"entry {sequence}: the newest checkpoint has {size} entries")
        path = log.StoredTree(tx).inclusion(sequence, size)
        keys = [one.encode() for one in key_entries(tx) if one.sequence < size]
        return proofs.prove(bytes(row["content"]), path, str(newest[0]["note"]), keys=keys)


def compare(tx: Transaction, time_zone: str) -> list[Finding]:
    """Return where orders, trades and postings are not what the ledger commits to.

    Their rows can be edited without the ledger noticing, and so can the openings
    beside them; the digests in the entries cannot. An order whose book is not
    sealed yet is not compared. A posting's month, which no opening holds, must be
    its interval's. Each finding names table, interval, row, value and committed
    value.
    """
    logged = [*ended_logs.contents(tx, _KINDS), *((0, one) for one in log.contents(tx, _KINDS))]
    entries = {(number, (one := json.loads(text))["sequence"]): one for number, text in logged}
    committed, findings = _committed(tx, entries)
    sealed = {one["interval"] for one in entries.values() if one["body"].get("by") == "members"}
    label = lru_cache(maxsize=None)(interval.label)
    rows = market.rows(tx)
    for row in rows["market_order"]:
        about = Label(label(row["start_s"]), "order", row["id"])
        if about.interval in sealed or about in committed:
            findings += _differences(committed, about, _order(row))
        if about.interval in sealed and row["cancelled_s"] is not None:
            gone = cancellation(row["id"], row["cancelled_s"], row["cancel_sequence"])
            findings += _differences(committed, replace(about, kind="cancel"), gone)
    for row in rows["order_amendment"]:
        about = Label(label(row["start_s"]), "amend", row["id"])
        if about.interval in sealed or about in committed:
            findings += _differences(committed, about, _amendment(row))
    for row in rows["trade"]:
        for side in ("buyer", "seller"):
            about = Label(label(row["start_s"]), "trade", f"{row['number']}-{side}")
            findings += _differences(committed, about, _trade(row, side))
    month = lru_cache(maxsize=None)(lambda start_s: interval.month_label(start_s, time_zone))
    secrets = control.secrets(tx, PARTY_SECRET)
    named = lru_cache(maxsize=None)(lambda party, when: pseudonym(secrets[party], when))
    for row in rows["posting"]:
        if ERASED in (row["debit"], row["credit"]):
            continue
        about = _of_posting(row, label(row["start_s"]))
        payload = committed.get(about)
        told = _posting(row)
        # What came too late names the month whose statement it stands on.
        late = isinstance(payload, dict) and "month" in payload
        when = row["month"] if late else month(row["start_s"])
        told |= {"month": when} if late else {}
        for side in ("debit", "credit"):
            party = told[side].removeprefix("party:")
            if party in secrets and isinstance(payload, dict):
                alias = named(party, when)
                told[side] = alias if payload.get(side) == alias else told[side]
        findings += _differences(committed, about, told)
        if row["month"] != when:
            findings.append(_finding(about, f"month is {row['month']}, committed {when}"))
    findings += [_finding(about, "is committed to, but not in the store") for about in committed]
    return findings


def _committed(
    tx: Transaction, entries: Mapping[tuple[int, int], Mapping[str, Any]]
) -> tuple[Committed, list[Finding]]:
    """Return what the entries commit to, and the openings that are false or missing.

    `entries` are by the number of the log that ended, 0 for the one in force, and sequence.
    """
    waiting = {place: set(one["body"].get("commitments", ())) for place, one in entries.items()}
    counts = {place: len(digests) for place, digests in waiting.items()}
    committed: Committed = {}
    findings = []
    erased: Counter[tuple[int, int]] = Counter()
    opened = [*ended_logs.opened(tx, _KINDS), *((0, *one) for one in log.opened(tx, _KINDS))]
    for number, sequence, digest, content in opened:
        place = number, sequence
        if not content:
            waiting[place].discard(digest)
            erased[place] += 1
            continue
        raw = json.loads(content)
        label = Label(raw["interval"], raw["kind"], raw["subject"], raw["version"])
        if Opening(label, bytes.fromhex(raw["salt"]), raw["payload"]).digest != digest:
            findings.append(_finding(label, "its opening is not what its entry commits to"))
        waiting[place].discard(digest)
        if label.kind in _TABLES:
            committed[label] = raw["payload"]
    for place, entry in entries.items():
        subject = str(place[1]) if place[0] == 0 else f"{place[1]} of log {place[0]}"
        if waiting[place]:
            label = Label(entry["interval"], entry["kind"], subject)
            found = f"{len(waiting[place])} of {counts[place]} commitments are not opened"
            findings.append(_finding(label, found))
        if erased[place]:
            label = Label(entry["interval"], "erased", subject)
            found = f"{erased[place]} of {counts[place]} commitments are of erased persons"
            findings.append(replace(_finding(label, found), severity=Severity.INFO))
    return committed, findings


def _differences(committed: Committed, about: Label, told: Mapping[str, Any]) -> list[Finding]:
    """Return how a row, as it would be committed to, differs from what was; strike that off."""
    if about not in committed:
        return [_finding(about, "is in the store, but nothing commits to it")]
    payload = committed.pop(about)
    if payload == told:
        return []
    if not isinstance(payload, dict):
        return [_finding(about, "is committed to in another form")]
    # a trade's opening may name both sides or one: what it does not name is not compared
    names = [*told, *sorted(set(payload) - set(told))]
    return [
        _finding(about, f"{name} is {told.get(name)}, committed {payload.get(name)}")
        for name in names
        if payload.get(name) != told.get(name) and (name in payload or name not in _SIDES)
    ]


def _finding(about: Label, what: str) -> Finding:
    table = _TABLES.get(about.kind, f"entry {about.subject} {about.kind}")
    where = f"{table} {about.interval}"
    if about.kind == "posting":
        where += f" version {about.version + 1} number {about.subject}"
    elif about.kind in _TABLES:
        where += f" {about.subject}"
    code = f"audit.{about.kind}"
    return Finding(code, about.subject, about.interval, Severity.ALARM, f"{where}: {what}")


def _order(row: Mapping[Any, Any]) -> dict[str, Any]:
    names = ("agent", "energy_wh", "id", "party", "sequence", "side", "start_s", "usage_point")
    battery = {"battery": row["battery"]} if row["battery"] else {}
    return {**{name: row[name] for name in names}, "price": str(row["price"]), **battery}


def _amendment(row: Mapping[Any, Any]) -> dict[str, Any]:
    names = ("energy_wh", "order", "sequence")
    told = {name: row[name] for name in names}
    return {**told, "amendment": row["id"], "price": str(row["price"])}


def _trade(row: Mapping[Any, Any], side: str) -> dict[str, Any]:
    fees = {name: str(row[name]) for name in ("zone_fee", "loss_fee") if row[name]}
    network = fees | ({"regional": True} if row["regional"] else {})
    return {
        "buyer": row["buyer"],
        "energy_wh": str(row["energy_wh"]),
        "price": str(row["price" if side == "buyer" else "sell_price"]),
        "seller": row["seller"],
        "side": side.removesuffix("er"),
        "usage_point": row[side],
        **(network if side == "buyer" else {}),
    }


def _of_posting(row: Mapping[Any, Any], when: str) -> Label:
    """Return the label of a posting; those of a month and of no interval are version 0."""
    number = str(row["number"])
    if row["version"] == 0:
        return Label(when, "posting", f"invoice-{number}")
    return Label(when, "posting", number, row["version"] - 1)


def _posting(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "amount_nano": str(row["amount_nano"]),
        "credit": row["credit"],
        "debit": row["debit"],
        "energy_wh": str(row["energy_wh"]),
        "kind": row["kind"],
        "price": str(row["price"]),
        "reversal": row["reversal"],
        "usage_point": row["usage_point"] or "",
    }
