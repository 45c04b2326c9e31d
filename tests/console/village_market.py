"""What the village traded and settled, and its ledger."""

from __future__ import annotations

import json

from grid import interval
from grid.ids import UsagePointId
from grid.operation import record
from grid.store import Transaction, books, control, log, market
from tests.console.village_site import NOW, SITE
from trading.accounts import COMMUNITY, MARKET, SUPPLIER, Posting, PostingKind, party_account
from trading.book import Order, Side
from trading.ledger import checkpoint, entry, merkle, note
from trading.ledger.commitment import Label, Opening, commit, commitments
from trading.orders import receipt


def put_market(tx: Transaction) -> None:
    """Eight intervals in which P-2 sold to P-1, settled."""
    number = 0
    for n in range(8):
        start_s = NOW - 3600 - 900 * n
        orders = [
            Order(f"O-{n}-1", "P-1", "UP-1", start_s, Side.BUY, 84_000, 250, number),
            Order(f"O-{n}-2", "P-2", "UP-2", start_s, Side.SELL, 50_000, 250, number + 1),
        ]
        number += 2
        books.put_orders(tx, orders, received_s=start_s - 1800)
        trade = {
            "buy_order": f"O-{n}-1",
            "sell_order": f"O-{n}-2",
            "buyer": "UP-1",
            "seller": "UP-2",
            "price": 66_000,
            "energy_wh": 250,
        }
        facts = {
            "mechanism": "uniform_price",
            "price": 66_000,
            "price_low": 50_000,
            "price_high": 84_000,
            "volume_wh": 250,
            "summary": "{}",
        }
        market.put_clearing(tx, start_s, facts, [trade])
        point, first = UsagePointId("UP-2"), UsagePointId("UP-1")
        buyer, seller = party_account("P-1"), party_account("P-2")
        lines = [
            Posting(MARKET, seller, 250 * 66_000, 250, PostingKind.SALE, point, 66_000),
            Posting(buyer, MARKET, 250 * 66_000, 250, PostingKind.PURCHASE, first, 66_000),
            Posting(SUPPLIER, seller, 90 * 50_000, 90, PostingKind.FEED_IN, point, 50_000),
            Posting(seller, SUPPLIER, 40 * 84_000, 40, PostingKind.SUPPLY, point, 84_000),
            Posting(seller, COMMUNITY, 10**9 if n == 0 else 10**7, 0, PostingKind.FIXED_FEE, point),
        ]  # fmt: skip
        market.put_settlement(
            tx,
            start_s=start_s,
            version=1,
            cycle_s=NOW,
            state="provisional",
            residual_wh=0,
            content={
                "usage_points": [
                    {"usage_point": "UP-2", "baseline_import_wh": 40, "baseline_export_wh": 340}
                ]
            },
            postings=lines,
            month="2026-05",
        )


def _committed(tx: Transaction, label: str) -> list[tuple[str, Opening]]:
    return [
        (order.party, commit(bytes(32), Label(label, "order", order.id), receipt(order))[1])
        for order in books.orders(tx, interval.parse(label))
    ]


SIGNER = note.signer("khazri/village", bytes(range(32)))


def signs(head: checkpoint.Checkpoint, *_: object) -> str:
    """Sign a checkpoint as the process with the ledger's key does."""
    return checkpoint.sign(head, SIGNER)


def put_ledger(tx: Transaction) -> None:
    """A ledger of 24 entries with three checkpoints."""
    secrets = {f"party/{party.id}": party.id.encode().ljust(32, b".") for party in SITE.party}
    control.put_secrets(tx, {"receipts.ed25519": bytes(range(1, 33)), **secrets})
    key = SIGNER.key.encode()
    control.put_meta(tx, "ledger_vkey", key)
    one = entry.genesis("village", key)
    entries = [one]
    opened: dict[int, list[tuple[str, Opening]]] = {}
    for n in range(1, 24):
        kind = (entry.Kind.PLAN, entry.Kind.BOOK, entry.Kind.READINGS)[n % 3]
        label = interval.label(NOW - 900 * (8 - n // 3))
        body = {"price": "0.0660", "note": n} if n % 3 == 1 else {"commitments": ["ab" * 32]}
        opened[n] = _committed(tx, label) if kind is entry.Kind.BOOK else []
        if opened[n]:
            body["commitments"] = commitments(opening.digest for _, opening in opened[n])
        one = entry.following(one, kind, label, body)
        entries.append(one)
    for one in entries:
        log.append(
            tx,
            sequence=one.sequence,
            kind=str(one.kind),
            label=one.interval,
            cycle_s=NOW,
            content=one.encode(),
            leaf_hash=one.leaf_hash,
            openings=[
                {"digest": o.digest, "party": p, "content": o.encode(one.sequence).decode()}
                for p, o in opened.get(one.sequence, [])
            ],
        )
    leaves = [one.leaf_hash for one in entries]
    for size in (8, 16, 24):
        point = checkpoint.Checkpoint("khazri/village", size, merkle.root(leaves[:size]))
        log.put_checkpoint(tx, size, NOW - 900 * (24 - size), signs(point))


def put_commitments(tx: Transaction) -> None:
    """Record each interval's orders, trades and postings as the control room does."""
    party = {str(point.id): str(point.party) for point in SITE.usage_point}
    known = {json.loads(row["content"])["subject"] for row in log.openings(tx)}
    for n in range(8):
        start_s = NOW - 3600 - 900 * n
        facts = [
            record.Personal(one.party, "order", one.id, receipt(one))
            for one in books.orders(tx, start_s)
            if one.id not in known
        ]
        record.append(tx, entry.Kind.BOOK, start_s, NOW, {"by": "members"}, facts)
        facts = []
        for row in market.trades(tx, start_s, start_s + 900):
            payload = {name: str(row[name]) for name in ("buyer", "seller", "price", "energy_wh")}
            for side in ("buyer", "seller"):
                subject = f"{row['number']}-{side}"
                facts.append(record.Personal(party[row[side]], "trade", subject, payload))
        record.append(tx, entry.Kind.CLEARING, start_s, NOW, {"price": "0.0660"}, facts)
        lines = [
            record.Personal(
                party[str(line.usage_point)],
                "posting",
                str(number),
                {
                    "amount_nano": str(line.amount_nano),
                    "credit": str(line.credit),
                    "debit": str(line.debit),
                    "energy_wh": str(line.energy_wh),
                    "kind": str(line.kind),
                    "price": str(line.price),
                    "reversal": line.reversal,
                    "usage_point": line.usage_point or "",
                },
            )
            for number, (_, _, line) in enumerate(market.postings(tx, start_s=start_s))
        ]
        record.append(tx, entry.Kind.SETTLEMENT, start_s, NOW, {"version": 0}, lines)
    record.checkpoint(tx, signs, NOW)
