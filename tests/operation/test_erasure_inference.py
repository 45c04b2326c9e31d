"""Nothing that is left of an erased person gives them away: no sum, no arithmetic, no search."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

from grid import interval
from grid.operation import agreements
from grid.quantities import NANO
from grid.store import Store, Transaction, control, invoices, log, market, series
from tests.operation.erasure_world import END_S, FIRST_S, GONE, ZONE, Lived
from tests.operation.month_site import STEP_S
from tests.operation.test_privacy import _numbers, _reachable
from trading.ledger import canonical
from trading.ledger.commitment import Label, commit


def _known(folder: Path) -> tuple[list[dict[str, Any]], dict[tuple[str, int], dict[str, int]]]:
    """Return the public entries, and readings that are left by usage point and interval."""
    with closing(Store.at(folder)) as store, store.read() as tx:
        entries = [json.loads(one) for one in log.entries(tx)]
        names = [f"UP-{n}" for n in range(6)]
        left = series.get_intervals(tx, names, FIRST_S, END_S, time_zone=ZONE)
    known = {}
    for place, name in enumerate(names):
        for slot in range((END_S - FIRST_S) // STEP_S):
            read = {r: int(left[r].values[place, slot]) for r in series.REGISTERS}
            if read["import_wh"] >= 0:
                known[name, slot] = read
    return entries, known


def _subtracted(folder: Path) -> dict[int, int]:
    """Return what the public sums less the readings that are left come to, by interval."""
    entries, known = _known(folder)
    found = {}
    for entry in entries:
        if entry["kind"] != "readings" or entry["body"]["version"]:
            continue
        slot = (interval.parse(entry["interval"]) - FIRST_S) // STEP_S
        others = [known.get((f"UP-{n}", slot)) for n in range(6) if n != 3]
        if all(others):
            head = entry["body"]["head_import_wh"] - entry["body"]["head_export_wh"]
            net = sum(one["import_wh"] - one["export_wh"] for one in others if one)
            found[slot] = head - net - entry["body"]["loss_wh"]
    return found


def test_sums_less_the_neighbours_find_nothing_and_did_before(erased: Lived) -> None:
    truth = erased.street.truth[3, :, 0] - erased.street.truth[3, :, 1]
    found = _subtracted(erased.copy)
    assert len(found) > 180
    assert all(truth[slot] == net for slot, net in found.items())
    assert _subtracted(erased.folder) == {}


def _month_wh(folder: Path) -> int:
    """Return what a month's public sums, less all invoices and readings left, come to in Wh."""
    with closing(Store.at(folder)) as store, store.read() as tx:
        entries = [json.loads(one) for one in log.entries(tx)]
        total = 0
        for entry in entries:
            if entry["kind"] == "readings" and entry["body"]["version"] == 0:
                body = entry["body"]
                if interval.parse(entry["interval"]) < END_S:
                    total += body["head_import_wh"] - body["head_export_wh"] - body["loss_wh"]
        for (number, _), account in market.month_accounts(tx, "2026-06").items():
            held = {one.id: one for one in agreements.store.listed(tx)}
            if held[number].usage_point != "UP-3":
                total -= account.metered.total_wh - account.export_wh
    return total


def test_a_months_sums_and_accounts_leave_more_than_one_unknown(erased: Lived) -> None:
    slots = (END_S - FIRST_S) // STEP_S
    net = erased.street.truth[:, :slots, 0].sum(axis=1) - erased.street.truth[:, :slots, 1].sum(
        axis=1
    )
    assert _month_wh(erased.folder) not in (net[3], -net[3])


def _invoiced(folder: Path) -> set[int]:
    """Return every amount of the person's invoices, in nano-currency, that is not a round one."""
    with closing(Store.at(folder)) as store, store.read() as tx:
        made = invoices.invoices(tx, party=GONE)
    lines = [line for one in made for line in one.document["lines"]]
    amounts = {round(Decimal(line["amount"]) * NANO) for line in lines}
    # A fixed fee is public.
    return {abs(one) for one in amounts | {one.total_nano for one in made}} - {NANO, 0}


def test_arithmetic_on_prices_and_sums_finds_neither_a_reading_nor_an_amount(erased: Lived) -> None:
    entries, _ = _known(erased.folder)
    here: dict[str, set[int]] = {}
    for entry in entries:
        here.setdefault(entry["interval"], set()).update(_numbers(entry["body"]))
    prices = {
        int(Decimal(one) * 10**6) for one in ("0.09", "0.11", "0.05", "0.16", "0.04", "0.012")
    }
    slots = range((END_S - FIRST_S) // STEP_S)
    reached = [_reachable(here[interval.label(FIRST_S + n * STEP_S)] | prices) for n in slots]
    met = others = 0
    for slot in slots:
        for wh in erased.street.truth[3, slot]:
            met += wh > 20 and int(wh) in reached[slot]
            others += wh > 20 and int(wh) in reached[(slot + 37) % len(slots)]
    assert met <= 1.5 * others + 10, (met, others)
    with closing(Store.at(erased.folder)) as store, store.read() as tx:
        left = [line for _, version, line in market.postings(tx) if not version]
        left += [line for start, _, line in market.postings(tx) if start < END_S]
    amounts = _invoiced(erased.copy)
    assert len(amounts) > 2
    sums = {line.amount_nano for line in left} | prices
    assert left
    assert not amounts & _reachable(sums)
    # With what is kept of it before the erasure the same arithmetic is not even needed.
    with closing(Store.at(erased.copy)) as store, store.read() as tx:
        found = {_month_total(tx, one) for one in ("P-1", "P-3")}
    assert amounts & found


def _month_total(tx: Transaction, party: str) -> int:
    return abs(sum(one.total_nano for one in invoices.invoices(tx, party=party, month="2026-06")))


def test_a_search_over_every_wh_finds_no_reading_of_the_person(erased: Lived) -> None:
    entries, _ = _known(erased.folder)
    committed = {
        bytes.fromhex(one) for entry in entries for one in entry["body"].get("commitments", ())
    }
    with closing(Store.at(erased.folder)) as store, store.read() as tx:
        keys = [*control.secrets(tx, "").values(), bytes(32)]
        salts = {bytes.fromhex(json.loads(r["content"])["salt"]) for r in log.openings(tx)}
    keys += [path.read_bytes() for path in erased.folder.rglob("*.key")]
    keys = [key for key in keys if len(key) == 32]
    for slot in (0, 50, 120):
        wh = {"export_wh": int(erased.street.truth[3, slot, 1]), "export_varh": 0, "import_varh": 0}
        payload = {**wh, "import_wh": 1234567, "quality": "1.0.0"}
        label = Label(interval.label(FIRST_S + slot * STEP_S), "reading", "UP-3")
        about = [label.interval, label.kind, label.subject, 0, payload]
        head, tail = canonical.encode(about).split(b"1234567")
        tried = [b"", bytes(16), *list(salts)[:40]]
        tried += [commit(key, label, payload)[1].salt for key in keys]
        for salt in tried:
            assert _search(salt + head, tail, committed) == []
        # With the salt that is gone the same search succeeds.
        salt = commit(erased.secret, label, payload)[1].salt
        assert _search(salt + head, tail, committed) == [int(erased.street.truth[3, slot, 0])]


def _search(head: bytes, tail: bytes, committed: set[bytes]) -> list[int]:
    begun = hashlib.sha256(b"khazri/commitment/v1\n" + head)
    found = []
    for wh in range(5001):
        guess = begun.copy()
        guess.update(b"%d%s" % (wh, tail))
        if guess.digest() in committed:
            found.append(wh)
    return found
