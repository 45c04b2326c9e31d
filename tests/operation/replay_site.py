"""A street over the end of a month in seconds: traded, corrected, late, moved, billed, disputed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from grid import interval
from grid.operation import agreements, billing, record
from grid.operation.commission import _secrets
from grid.operation.signer import LOG_SEED
from grid.site import Site
from grid.store import invoices
from tests.operation.month_site import STEP_S, Month, begin
from tests.operation.test_month import BAKU, VIENNA
from trading.ledger import checkpoint, note, tiles
from trading.ledger.commitment import Opening, decode_opening
from trading.ledger.entry import Entry, decode

SHORT = (
    ("final_after_intervals = 32", "final_after_intervals = 8"),
    ("invoice_after_days = 1", "invoice_after_days = 0"),
)
NETTED = (
    ('profile = "azerbaijan_sandbox"', 'profile = "azerbaijan"'),
    ("guaranteed = true", "guaranteed = false"),
)


def _shortened(text: str, *changes: tuple[str, str]) -> str:
    for old, new in (*SHORT, *changes):
        assert old in text, old
        text = text.replace(old, new)
    return text


STREETS = {
    "auction": (_shortened(BAKU, ("2026-06-24", "2026-06-30")), "2026-06-30", "Asia/Baku"),
    "sharing": (_shortened(VIENNA, ("2026-03-24", "2026-03-31")), "2026-03-31", "Europe/Vienna"),
    "netting": (_shortened(BAKU, ("2026-06-24", "2026-06-30"), *NETTED), "2026-06-30", "Asia/Baku"),
}
"""Site, last day of the month, time zone."""


def lived(folder: Path, name: str) -> Month:
    """Let a street live from the evening before a month's last day into the next month."""
    street, start_s, last_s = begun(folder, name)
    live(street, name, start_s, last_s)
    street.room.signer.close()
    return street


def live(street: Month, name: str, start_s: int, last_s: int) -> None:
    """Run cycles; people order where there is an auction."""
    for at_s in range(start_s, last_s, STEP_S):
        if name == "auction" and (at_s // STEP_S) % 4 == 0:
            _order(street, at_s)
        street.cycle(at_s)


def begun(folder: Path, name: str) -> tuple[Month, int, int]:
    """Return a street with what will happen to it, its first cycle and where it ends."""
    text, day, zone = STREETS[name]
    low_s, end_s = interval.day_bounds(interval.parse_date(day), zone)
    start_s, last_s = low_s - 12 * STEP_S, end_s + 24 * STEP_S
    count = (last_s - start_s) // STEP_S
    street = begin(folder, text, start_s, count, seed=3)
    for slot in range(2, count - 16, 5):
        point = slot % 5 + 1
        street.told[point, slot] = [123, 0]
        after = 4 if slot % 2 else 14
        street.later.setdefault(start_s + (slot + after) * STEP_S, []).append((point, slot))
    street.at[start_s + 4 * STEP_S] = lambda one: _move(one, day)
    street.at[end_s + 20 * STEP_S] = lambda one: _dispute(one, day[:7])
    return street, start_s, last_s


def _move(street: Month, day: str) -> None:
    with street.room.store.write() as tx:
        agreements.add_party(
            tx, street.site, party="P-NEW", name="New", kind="household", by="clerk"
        )
        agreements.move_in(
            tx,
            street.site,
            usage_point="UP-3",
            party="P-NEW",
            day=interval.parse_date(day),
            by="clerk",
            trades=True,
        )


def _dispute(street: Month, month: str) -> None:
    with street.room.store.write() as tx:
        one = invoices.invoices(tx, month=month, party="P-2")[0]
        lines = one.document["lines"]
        place = next(n for n, line in enumerate(lines) if line["kind"] == "supply")
        number = billing.dispute(
            tx, street.site, one.number, place, party="P-2", reason="wrong", by="p"
        )
        billing.decide(tx, street.site, number, credit_nano=10_000_000, note="a bit", by="clerk")


def _order(street: Month, at_s: int) -> None:
    start_s, draw = at_s + 2 * STEP_S, at_s // STEP_S
    with street.room.store.read() as tx:
        party = agreements.holders(tx, start_s)
    for n in (1, 3, 5):
        if party[f"UP-{n}"] == f"P-{n}":
            price = f"0.0{50 + (draw + n) % 9}"
            street.order(f"P-{n}", at_s, start_s, "sell", price, 100 + n)
    for n in (2, 4):
        street.order(f"P-{n}", at_s, start_s, "buy", f"0.0{60 + (draw + n) % 9}", 80 + n)


Change = Callable[[Entry, list[Opening]], tuple[dict[str, Any], list[Opening]]]
"""Gives the body and the openings of an entry as they are to be instead."""


def rewritten(site: Site, source: Path, target: Path, change: Change) -> str:
    """Write an export again as its own operator could, with other facts; return its key."""
    signer = note.signer(record.origin(site), _secrets(site, 1)[LOG_SEED])
    opened: dict[int, list[Opening]] = {}
    for line in (source / "openings.jsonl").read_bytes().splitlines():
        sequence, opening = decode_opening(line)
        opened.setdefault(sequence, []).append(opening)
    size = checkpoint.parse(note.parse((source / "checkpoint").read_text())[0]).size
    entries, shown = [], []
    previous = bytes(32)
    for content in tiles.read_entries(source, size):
        old = decode(content)
        body, openings = change(old, opened.get(old.sequence, []))
        body = {name: value for name, value in body.items() if name != "commitments"}
        if openings:
            body["commitments"] = sorted(one.digest for one in openings)
        new = replace(old, previous=previous, body=body)
        previous = new.leaf_hash
        entries.append(new.encode())
        shown += [(new.sequence, one) for one in openings]
    tree = tiles.merkle.Frontier()
    for content in entries:
        tree.append(tiles.merkle.leaf_hash(content))
    head = checkpoint.Checkpoint(signer.key.name, size, tree.root())
    tiles.export(entries, [checkpoint.sign(head, signer)], target, iter(shown))
    return signer.key.encode()


def altered(
    kind: str, which: Callable[[Opening], bool], change: Callable[[dict[str, Any]], None]
) -> tuple[Change, list[Opening]]:
    """Return a change of the first opening of a kind that fits, and where that is kept."""
    found: list[Opening] = []

    def apply(entry: Entry, openings: list[Opening]) -> tuple[dict[str, Any], list[Opening]]:
        made = []
        for one in openings:
            if not found and one.label.kind == kind and which(one):
                found.append(one)
                payload = json.loads(json.dumps(one.payload))
                change(payload)
                one = replace(one, payload=payload)
            made.append(one)
        return entry.body, made

    return apply, found
