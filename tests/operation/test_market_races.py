"""Of many who answer a contract or change an order at once, one after the other is heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from grid import interval
from grid.errors import BadInputError
from grid.operation import audit, contracts, market, ordering, record
from grid.operation.contracts import Proposal
from grid.site import Site
from grid.store import Store, books, log
from grid.store import contracts as kept
from tests.operation.contract_street import TEXT
from tests.operation.month_site import STEP_S, Month, begin
from tests.operation.ordered_street import NOW, START_S, order_of, place, replayed
from tests.store.rivals import THREADS, race
from trading import receipts, verify
from trading.ledger.entry import decode
from trading.sealed_book import sealed_book

ANSWERS = (
    ("accept", "P-1"), ("refuse", "P-1"), ("refuse", "P-2"), ("end", "P-1"), ("end", "P-2"),
    ("accept", "P-1"), ("end", "P-1"), ("accept", "P-1"), ("end", "P-2"), ("end", "P-1"),
)  # fmt: skip
"""What each of ten does to one contract that P-2 proposed to P-1."""
CHANGES = ("less", "dearer", "cancel", "less", "dearer", "less", "cancel", "dearer", "less", "less")
"""What each of ten does to one order; an amendment is sent again under its own id."""
AMENDED = {"less": {"energy_wh": 900}, "dearer": {"price": "0.060"}}


@pytest.fixture
def street(tmp_path: Path, store_url: str) -> Iterator[Month]:
    """A street where contracts hold, its store on each engine in turn."""
    made = begin(tmp_path / "site", TEXT, NOW, 4, seed=3, store_url=store_url)
    yield made
    made.room.signer.close()
    made.room.store.close()


def _verified(street: Month, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Audit the store and verify its whole ledger, with every opening."""
    with street.room.store.write() as tx:
        record.checkpoint(tx, street.room.signer.sign, START_S)
    with street.room.store.read() as tx:
        assert audit.compare(tx, street.site.time_zone) == []
    _, key = audit.export(street.room.store, folder, openings=True)
    assert verify.main([str(folder), "--key", key, "--openings"]) == 0, capsys.readouterr().out
    assert replayed(folder).difference is None


def _answer(site: Site, numbers: list[int], store: Store, turn: int) -> str:
    act, party = ANSWERS[turn // THREADS]
    number = numbers[turn % THREADS]
    try:
        with store.write() as tx:
            getattr(contracts, act)(tx, site, number, party=party, at_s=NOW, by="p@example.org")
    except BadInputError as error:
        return f"{act} refused: {error}"
    return f"{act} by {party}"


def test_of_ten_who_accept_refuse_and_end_a_contract_at_once_what_the_ledger_tells_was_done(
    street: Month, store_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = interval.local_day(NOW + interval.DAY_S, street.site.time_zone)
    wanted = Proposal("P-1", "buy", "0.070", first, energy_wh=60)
    who = {"party": "P-2", "at_s": NOW, "by": "p@example.org"}
    with street.room.store.write() as tx:
        made = [contracts.propose(tx, street.site, wanted, **who) for _ in range(THREADS)]
        size = log.size(tx)
    numbers = [one.contract.id for one in made]
    street.room.store.close()
    came = race(store_url, partial(_answer, street.site, numbers))

    with street.room.store.read() as tx:
        found = [kept.get(tx, number, "P-1") for number in numbers]
        bodies = [decode(content).body for content in list(log.entries(tx))[size:]]
    told = Counter(str(body["action"]).removeprefix("contract.") for body in bodies)
    done = [one for one in came if " by " in one.split(":")[0]]
    assert Counter(one.split()[0] for one in done) == told, "who was told so, and nobody else"
    assert [len(body["commitments"]) for body in bodies] == [
        1 if body["action"] == "contract.refuse" else 2 for body in bodies
    ]
    refused = [one for one in came if one not in done]
    assert all("already" in one or "nothing to end" in one for one in refused), set(refused)
    for place_of, one in enumerate(found):
        assert one is not None
        acts = [act.split()[0] for act in came[place_of::THREADS] if act in done]
        assert sorted(acts) in (["refuse"], ["accept"], ["accept", "end"])
        assert (one.refused_s is not None) == ("refuse" in acts)
        assert (one.accepted_s is not None) == ("accept" in acts)
        enders = [act for act in came[place_of::THREADS] if act == f"end by {one.ended_by}"]
        assert len(enders) == ("end" in acts)
    _verified(street, tmp_path / "out", capsys)


def _change(site: Site, orders: list[str], seals: bool, store: Store, turn: int) -> str:
    """Change an order and return the receipt; the last of all seals the book, if one does."""
    act, name = CHANGES[turn // THREADS], orders[turn % THREADS]
    party = f"P-{turn % THREADS + 1}"
    try:
        with store.write() as tx:
            if seals and turn == len(CHANGES) * THREADS - 1:
                market._commit_to_book(tx, START_S - STEP_S, START_S)
                return "sealed"
            if act == "cancel":
                order = ordering.cancel(tx, site, name, party=party, at_s=NOW)
                return ordering.cancellation_receipt(tx, order)
            made = ordering.amend(
                tx, site, name, AMENDED[act], party=party, at_s=NOW, amendment_id=f"{name}-{act}"
            )
            order = books.party_order(tx, party, name).order
            return ordering.amendment_receipt(tx, order, str(made.id))
    except BadInputError as error:
        return f"refused: {error}"


@pytest.mark.parametrize("seals", [False, True], ids=["open", "sealed meanwhile"])
def test_of_ten_who_amend_and_cancel_an_order_at_once_the_book_has_what_each_was_promised(
    street: Month,
    store_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    seals: bool,
) -> None:
    orders = [place(street, f"P-{n}", "sell", "0.050", 1000) for n in range(1, THREADS + 1)]
    street.room.store.close()
    came = race(store_url, partial(_change, street.site, orders, seals))

    market.seal(street.room, START_S - STEP_S)
    market.clear(street.room, START_S - STEP_S)
    with street.room.store.read() as tx:
        key = record.receipts_signer(tx).key
        entries = [decode(content) for content in log.entries(tx)]
        received = books.received(tx, START_S)
    (book,) = [one for one in entries if one.body.get("by") == "members"]
    promised = {one for one in came if one.startswith("khazri.example/")}
    refused = [one for one in came if one not in promised and one != "sealed"]
    for text in promised:
        assert receipts.keeps(receipts.verify(text, key), book.commitments)
    # An order or what happened to it is told in the book once, whoever asked how often.
    happened = sum(1 + len(one.amended) + (one.cancelled_s is not None) for one in received)
    assert len(book.commitments) == happened == THREADS + len(promised)
    numbers = [one.order.sequence for one in received]
    numbers += [one.sequence for kept_one in received for one, _ in kept_one.amended]
    numbers += [one.cancel_sequence for one in received if one.cancel_sequence is not None]
    assert sorted(numbers) == list(range(happened)), "one line in time, with nothing left out"
    assert sealed_book([one.placed for one in received], by_events=True)
    if seals:
        assert all("sealed" in one or "cancelled" in one for one in refused), set(refused)
    else:
        assert all("was cancelled" in one for one in refused), set(refused)
        assert all(order_of(street, one.order.party, one.order.id).cancelled_s for one in received)
    _verified(street, tmp_path / "out", capsys)
