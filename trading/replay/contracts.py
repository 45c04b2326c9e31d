"""Bilateral contracts as the log tells them: to both of their parties, the same to each."""

from __future__ import annotations

from dataclasses import replace

from grid import interval
from grid.errors import BadInputError
from grid.ids import PartyId
from grid.site_facts import PRICE_MOST
from trading.contracts import BilateralContract
from trading.replay.log import Fields, Record

ACCEPTED, ENDED = "contract.accept", "contract.end"
BEGUN = "contracts.begin"
"""A contract that was accepted in the log before this one."""
TOLD = (ACCEPTED, ENDED, BEGUN)
"""Actions that tell of a contract."""


class Contracts:
    """Every contract that was accepted so far, as it was told last."""

    def __init__(self) -> None:
        self._known: dict[int, BilateralContract] = {}

    def take(self, record: Record) -> None:
        """Take what an entry tells of a contract.

        Raises
        ------
        DifferenceError
            When both parties are not told the same, or it cannot follow from what was told.
        """
        told = record.of("contract")
        record.expect("contracts", (len(told), record.commitments), (2, 2))
        first, second = told.values()
        second.equals(first.members())
        try:
            made = _contract(first)
        except BadInputError as error:
            raise record.differs(first.what, str(error), "a contract") from error
        names = {f"{made.id}-{side}" for side in ("buyer", "seller")}
        record.expect("parties told", {name.rpartition("-")[0] for name in told}, names)
        before = self._known.get(made.id)
        if record.body["action"] != ENDED:
            record.expect(f"{first.what} accepted before", before is not None, False)
            begun = made.from_s <= record.start_s and record.body["action"] == ACCEPTED
            record.expect(f"{first.what} begins before it is accepted", begun, False)
        elif before is None:
            raise record.differs(first.what, "ended", "accepted before")
        else:
            first.equals(replace(before, until_s=made.until_s).payload())
            last = before.until_s
            if (
                made.until_s is None
                or made.until_s <= record.start_s
                or (last is not None and made.until_s >= last)
            ):
                until = "later than now, sooner than before"
                raise record.differs(f"{first.what} until", first.text("until"), until)
        self._known[made.id] = made

    def listed(self) -> list[BilateralContract]:
        """Return them in the order of their acceptance."""
        return list(self._known.values())


def _contract(one: Fields) -> BilateralContract:
    """Return a contract as its opening tells it."""
    until, members = one.text("until"), one.members()
    price = one.decimal("price")
    if not 0 <= price <= PRICE_MOST:
        raise BadInputError(f"price is {price}, must be within 0 to {PRICE_MOST}")
    made = BilateralContract(
        id=one.whole("contract"),
        buyer=PartyId(one.text("buyer")),
        seller=PartyId(one.text("seller")),
        price=price,
        from_s=interval.parse(one.text("from")),
        until_s=interval.parse(until) if until else None,
        energy_wh=one.whole("energy_wh") if "energy_wh" in members else None,
        share_percent=one.whole("share_percent") if "share_percent" in members else None,
    )
    one.equals(made.payload())
    return made
