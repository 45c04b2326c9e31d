"""Bilateral contracts: proposed by one party, answered by the other, ended by either."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, insert, or_, select, update

from grid.ids import PartyId
from grid.store.engine import Transaction
from grid.store.schema import contract
from trading.contracts import BilateralContract


@dataclass(frozen=True, slots=True)
class KeptContract:
    """A contract and what became of it.

    Attributes
    ----------
    contract : BilateralContract
        Its end is that of the notice, where one was given.
    proposed_by, ended_by : str
        Parties; nobody ended it while `ended_by` is empty.
    refused_s, accepted_s : int or None
        When it was answered; neither while it waits.
    """

    contract: BilateralContract
    proposed_by: str
    proposed_s: int
    refused_s: int | None
    accepted_s: int | None
    ended_by: str

    @property
    def waits(self) -> bool:
        """Whether nobody has answered."""
        return self.refused_s is None and self.accepted_s is None

    def other(self, party: str) -> str:
        """Return the party on the other side."""
        one = self.contract
        return str(one.seller if one.buyer == party else one.buyer)


def propose(tx: Transaction, one: BilateralContract, by: str, at_s: int) -> int:
    """Keep a proposal; return its number."""
    made = insert(contract).values(
        buyer=one.buyer, seller=one.seller, price=one.price, energy_wh=one.energy_wh,
        share_percent=one.share_percent, from_s=one.from_s, until_s=one.until_s,
        proposed_by=by, proposed_s=at_s,
    )  # fmt: skip
    return int(tx.execute(made.returning(contract.c.id)).scalar_one())


def of_party(tx: Transaction, party: str) -> list[KeptContract]:
    """Return the contracts and proposals of a party, the newest first."""
    query = select(contract).where(_own(party)).order_by(contract.c.id.desc())
    return [_kept(row) for row in tx.execute(query)]


def get(tx: Transaction, number: int, party: str) -> KeptContract | None:
    """Return one contract, if it is of this party."""
    query = select(contract).where(contract.c.id == number, _own(party))
    row = tx.execute(query).one_or_none()
    return None if row is None else _kept(row)


def accepted(tx: Transaction, start_s: int) -> list[BilateralContract]:
    """Return the contracts whose dates hold in an interval, in the order of their acceptance."""
    return [one for one in not_ended(tx, start_s) if one.from_s <= start_s]


def not_ended(tx: Transaction, at_s: int) -> list[BilateralContract]:
    """Return the contracts that hold after an instant, in the order of their acceptance."""
    until = func.coalesce(contract.c.ended_s, contract.c.until_s)
    query = select(contract).where(
        contract.c.accepted_entry.is_not(None), or_(until.is_(None), until > at_s)
    )
    rows = tx.execute(query.order_by(contract.c.accepted_entry))
    return [_kept(row).contract for row in rows]


def count(tx: Transaction, at_s: int) -> dict[str, int]:
    """Return how many contracts wait for an answer, are to begin, hold, and have ended."""
    until = func.coalesce(contract.c.ended_s, contract.c.until_s)
    answered = contract.c.accepted_s.is_not(None)
    ended = answered & until.is_not(None) & (until <= at_s)
    begun = answered & (contract.c.from_s <= at_s)
    wheres = {
        "proposed": contract.c.accepted_s.is_(None) & contract.c.refused_s.is_(None),
        "to come": answered & (contract.c.from_s > at_s),
        "in force": begun & or_(until.is_(None), until > at_s),
        "ended": ended,
    }
    query = select(func.count()).select_from(contract)
    return {
        name: int(tx.execute(query.where(where)).scalar_one()) for name, where in wheres.items()
    }


def refuse(tx: Transaction, number: int, at_s: int) -> bool:
    """Let a proposal be refused; return whether it waited."""
    return _answer(tx, number, {"refused_s": at_s})


def accept(tx: Transaction, number: int, at_s: int, entry: int) -> bool:
    """Let a proposal be accepted by a ledger entry; return whether it waited."""
    return _answer(tx, number, {"accepted_s": at_s, "accepted_entry": entry})


def put_entry(tx: Transaction, number: int, entry: int) -> None:
    """Keep the entry by which a log that follows another one tells of an accepted contract."""
    tx.execute(update(contract).where(contract.c.id == number).values(accepted_entry=entry))


def end(tx: Transaction, number: int, by: str, until_s: int) -> bool:
    """Let a contract end by notice; return whether nobody had given one."""
    there = (contract.c.id == number) & contract.c.ended_s.is_(None)
    done = update(contract).where(there, contract.c.accepted_s.is_not(None))
    return tx.execute(done.values(ended_by=by, ended_s=until_s)).rowcount > 0


def _answer(tx: Transaction, number: int, values: dict[str, int]) -> bool:
    waits = contract.c.refused_s.is_(None) & contract.c.accepted_s.is_(None)
    done = update(contract).where(contract.c.id == number, waits).values(values)
    return tx.execute(done).rowcount > 0


def _own(party: str) -> ColumnElement[bool]:
    return or_(contract.c.buyer == party, contract.c.seller == party)


def _kept(row: Any) -> KeptContract:
    made = BilateralContract(
        id=row.id,
        buyer=PartyId(row.buyer),
        seller=PartyId(row.seller),
        price=row.price,
        from_s=row.from_s,
        until_s=row.until_s if row.ended_s is None else row.ended_s,
        energy_wh=row.energy_wh,
        share_percent=row.share_percent,
    )
    return KeptContract(
        made, row.proposed_by, row.proposed_s, row.refused_s, row.accepted_s, row.ended_by or ""
    )
