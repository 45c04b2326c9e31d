"""The auditor's pages: checkpoints, entries, proofs, verification, actions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise

from flask import Blueprint, abort, render_template, request
from sqlalchemy import RowMapping

from grid import interval
from grid.console.web_proof import inclusion
from grid.console.web_view import clock, room, row_argument
from grid.errors import GridError
from grid.operation import audit, record
from grid.store import Transaction, control, log, views
from trading.ledger import checkpoint, commitment, merkle, note, rotation
from trading.ledger import entry as ledger_entry

pages = Blueprint("auditor", __name__, url_prefix="/audit")

_PAGE = 50


@dataclass(frozen=True, slots=True)
class Check:
    """One statement about the ledger, and what was found when it does not hold."""

    name: str
    holds: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Opened:
    """What one commitment stands for, and whether the entry holds that commitment."""

    kind: str
    subject: str
    payload: str
    holds: bool


@pages.get("/")
def checkpoints() -> str:
    """Show the signed checkpoints and how large the ledger is."""
    with room().store.read() as tx:
        rows = [
            {**row, "checkpoint": checkpoint.parse(note.parse(row["note"])[0])}
            for row in log.checkpoints(tx, limit=_PAGE)
        ]
        size, kinds = log.size(tx), views.entry_kinds(tx)
        key = control.get_meta(tx, "ledger_vkey")
    return render_template(
        "auditor_checkpoints.html", rows=rows, size=size, kinds=kinds, key=key, checks=None
    )


@pages.get("/entries")
def entries() -> str:
    """List entries, newest first, of a kind or interval when asked."""
    kind, label = request.args.get("kind") or None, request.args.get("interval") or None
    before = row_argument("before")
    if label is not None:
        label = interval.label(interval.parse(label))
    with room().store.read() as tx:
        kinds = views.entry_kinds(tx)
        if kind is not None and kind not in kinds:
            abort(404)
        rows = log.listed(tx, kind=kind, label=label, before=before, limit=_PAGE)
    return render_template(
        "auditor_entries.html",
        rows=rows,
        kinds=kinds,
        kind=kind,
        label=label,
        older=rows[-1]["sequence"] if len(rows) == _PAGE else None,
    )


def _opened(row: RowMapping, content: bytes) -> Opened:
    text = str(row["content"])
    try:
        _, opening = commitment.decode_opening(text.encode())
        holds = opening.digest in ledger_entry.decode(content).commitments
    except GridError as error:
        return Opened("", str(error), text, False)
    pretty = json.dumps(opening.payload, indent=2, ensure_ascii=False, sort_keys=True)
    return Opened(opening.label.kind, opening.label.subject, pretty, holds)


def _readable(content: bytes) -> str:
    """Return an entry for people; one that was damaged as it is, for the auditor to see."""
    text = content.decode(errors="replace")
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False, sort_keys=True)
    except ValueError:
        return text


@pages.get("/entries/<int:sequence>")
def entry(sequence: int) -> str:
    """Show an entry and, on request, prove that it is in the signed ledger."""
    proof = None
    with room().store.read() as tx:
        row = log.entry_row(tx, sequence)
        if row is None:
            abort(404)
        openings = [
            _opened(one, bytes(row["content"])) for one in log.openings(tx, sequence=sequence)
        ]
        if "prove" in request.args:
            proof = inclusion(tx, sequence, bytes(row["content"]))
        replaced = log.key_sequences(tx)
    return render_template(
        "auditor_entry.html",
        row=row,
        text=_readable(bytes(row["content"])),
        canonical=bytes(row["content"]).decode(errors="replace"),
        replaced=replaced,
        openings=openings,
        proof=proof,
    )


def _verify(tx: Transaction) -> list[Check]:
    """Recompute everything from the entries' bytes and compare."""
    contents = list(log.entries(tx))
    leaves = [merkle.leaf_hash(content) for content in contents]
    decoded, problem = [], ""
    for number, content in enumerate(contents):
        try:
            decoded.append(ledger_entry.decode(content))
        except GridError as error:
            problem = problem or f"{number}: {error}"
    checks = [Check("canonical", not problem, problem)]
    broken = [
        later.sequence
        for (earlier, leaf), (later, _) in pairwise(zip(decoded, leaves, strict=False))
        if later.previous != leaf or later.sequence != earlier.sequence + 1
    ]
    checks.append(Check("chain", not broken, f"{broken[0]}" if broken else ""))
    stored = log.leaf_hashes(tx)
    wrong = [n for n, (a, b) in enumerate(zip(leaves, stored, strict=False)) if a != b]
    checks.append(Check("leaves", not wrong, f"{wrong[0]}" if wrong else ""))
    edited = audit.compare(tx, room().site.time_zone) if not problem else []
    more = f" (+{len(edited) - 1})" if len(edited) > 1 else ""
    checks.append(Check("rows", not edited, f"{edited[0].message}{more}" if edited else ""))
    return [*checks, *_signed(tx, leaves)]


def _signed(tx: Transaction, leaves: list[bytes]) -> list[Check]:
    tree = merkle.Tree(leaves)
    forged, other = "", ""
    reigns: list[rotation.Reign] = []
    try:
        reigns = record.keys(tx)
    except GridError as error:
        forged = str(error)
    points = log.checkpoints(tx)
    for row in reversed(points if reigns else []):
        try:
            point = checkpoint.verify(row["note"], rotation.key_at(row["size"], reigns))
            if point.size > tree.size or tree.root(point.size) != point.root:
                other = other or f"{point.size}"
        except GridError as error:
            forged = forged or f"{row['size']}: {error}"
    covered = points[0]["size"] if points else 0
    # While a cycle runs, and after an action, entries wait for the cycle's checkpoint.
    signed_s = (clock(tx) or 0) - room().site.interval_s
    waits = bool(points) and points[0]["at_s"] >= signed_s
    return [
        Check("signatures", bool(points) and not forged, forged),
        Check("roots", bool(points) and not other, other),
        Check("covered", waits or covered == len(leaves), f"{len(leaves) - covered}"),
    ]


@pages.post("/verify")
def verify() -> str:
    """Verify the whole ledger from its bytes."""
    with room().store.read() as tx:
        checks = _verify(tx)
        rows = [
            {**row, "checkpoint": checkpoint.parse(note.parse(row["note"])[0])}
            for row in log.checkpoints(tx, limit=_PAGE)
        ]
        size, kinds = log.size(tx), views.entry_kinds(tx)
        key = control.get_meta(tx, "ledger_vkey")
    return render_template(
        "auditor_checkpoints.html", rows=rows, size=size, kinds=kinds, key=key, checks=checks
    )


@pages.get("/actions")
def actions() -> str:
    """Show what people did, with the ledger entry of each act."""
    with room().store.read() as tx:
        rows = control.actions(tx)
    return render_template("auditor_actions.html", rows=rows)
