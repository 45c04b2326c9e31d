"""Postings as the log commits to them, against those derived again.

A person's account has a name of its own in each month. Which party a name stands for is learned
from the first posting that is derived; from then on both must stand for each other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from grid.ids import AccountId
from trading.accounts import Posting
from trading.replay.log import Fields, Record

_PARTY = "party:"
_NAME = re.compile(r"p-[0-9a-f]{32}", re.ASCII)


class Names:
    """Which account each name of a month stands for."""

    def __init__(self) -> None:
        self._account: dict[tuple[str, str], AccountId] = {}
        self._name: dict[tuple[str, AccountId], str] = {}

    def account(self, month: str, name: str) -> AccountId | None:
        """Return what a name stands for; none when it was never met."""
        return self._account.get((month, name))

    def check(self, one: Fields, side: str, month: str, account: AccountId) -> None:
        """Refuse the side of a posting that is not of `account`.

        Raises
        ------
        DifferenceError
        """
        told = one.text(side)
        if not account.startswith(_PARTY):
            one.record.expect(f"{one.what} {side}", told, str(account))
            return
        if not _NAME.fullmatch(told):
            raise one.record.differs(f"{one.what} {side}", told, f"the name of {account}")
        stands_for = self._account.setdefault((month, told), account)
        name = self._name.setdefault((month, account), told)
        if stands_for != account or name != told:
            derived = f"{account}, which is {name} in {month}"
            raise one.record.differs(f"{one.what} {side}", told, derived)


def compare(
    record: Record,
    names: Names,
    month: str,
    lines: Sequence[Posting],
    *,
    first: int = 0,
    prefix: str = "",
    billed: str = "",
) -> None:
    """Compare the postings of a record with those derived, in their order.

    Parameters
    ----------
    month : str
        Whose names the accounts have.
    first, prefix
        Number of the first posting, and what stands before it in its subject.
    billed : str
        The month of the statement, where the postings name it.

    Raises
    ------
    DifferenceError
        Naming the first posting, and of it the first member, that differs.
    """
    told = record.of("posting")
    for number, line in enumerate(lines, start=first):
        one = told.pop(f"{prefix}{number}", None)
        if one is None:
            raise record.differs(f"posting {prefix}{number}", "missing", _payload(line, billed))
        payload = _payload(line, billed)
        for side, account in (("debit", line.debit), ("credit", line.credit)):
            names.check(one, side, month, account)
            payload[side] = one.text(side)
        one.equals(payload)
    if told:
        one = told[min(told)]
        raise record.differs(one.what, one.payload, "none")


def _payload(line: Posting, billed: str) -> dict[str, object]:
    """Return what the log says of a posting, but for the names of its accounts."""
    month: dict[str, object] = {"month": billed} if billed else {}
    return month | {
        "amount_nano": str(line.amount_nano),
        "credit": str(line.credit),
        "debit": str(line.debit),
        "energy_wh": str(line.energy_wh),
        "kind": str(line.kind),
        "price": str(line.price),
        "reversal": line.reversal,
        "usage_point": str(line.usage_point or ""),
    }
