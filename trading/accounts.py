"""Accounts and postings: double entry in nano-currency, with the energy beside it.

A posting moves money from its debit account, which pays, to its credit
account, which is paid; its energy moves the other way, from the credit to the
debit account. A correction never edits: it posts the mirror image of a line
and then the new line.

====================  =========================================================
Account               Holds
====================  =========================================================
``party:<id>``        a household, a business or the community as a member
``supplier``          the public utility
``community``         the community as the operator of the microgrid
``grid_operator``     the grid fee on traded energy, and the fees of zones
``market``            between buyers and sellers; zero after every interval
``imbalance``         energy traded and not consumed, or not delivered
``losses``            what the feeder itself takes, and what traders pay towards it
``battery_use``       fees owed to owners of instructed batteries
``rounding``          residues of statements rounded to cents
``guarantee``         what makes those whole who lost by trading
``clearing_surplus``  what buyers paid beyond what sellers got
``pool``              the other side of readings that came too late
``erased``            every party together, in a time of which a person was erased
====================  =========================================================

``imbalance`` to ``pool`` are the community's cost centres: its result is the sum of their
balances and its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from grid.errors import VerificationError
from grid.ids import AccountId, PartyId, UsagePointId

SUPPLIER = AccountId("supplier")
COMMUNITY = AccountId("community")
GRID_OPERATOR = AccountId("grid_operator")
MARKET = AccountId("market")
IMBALANCE = AccountId("imbalance")
LOSSES = AccountId("losses")
BATTERY_USE = AccountId("battery_use")
ROUNDING = AccountId("rounding")
GUARANTEE = AccountId("guarantee")
CLEARING_SURPLUS = AccountId("clearing_surplus")
POOL = AccountId("pool")
ERASED = AccountId("erased")


class PostingKind(StrEnum):
    """What a posting is for."""

    PURCHASE = "purchase"
    SALE = "sale"
    GRID_FEE = "grid_fee"
    ZONE_FEE = "zone_fee"
    LOSS_FEE = "loss_fee"
    SUPPLY = "supply"
    FEED_IN = "feed_in"
    BANK = "bank"
    SURPLUS = "surplus"
    SHORTFALL = "shortfall"
    CURTAILMENT = "curtailment"
    SHEDDING = "shedding"
    BATTERY_USE = "battery_use"
    FIXED_FEE = "fixed_fee"
    RESALE = "resale"
    HEAD_IMPORT = "head_import"
    HEAD_EXPORT = "head_export"
    LOSSES = "losses"
    ROUNDING = "rounding"
    GUARANTEE = "guarantee"
    CLEARING_SURPLUS = "clearing_surplus"
    CREDIT = "credit"


MONEY_KINDS = frozenset(
    {
        PostingKind.FIXED_FEE,
        PostingKind.ROUNDING,
        PostingKind.GUARANTEE,
        PostingKind.CLEARING_SURPLUS,
        PostingKind.CREDIT,
    }
)
"""Kinds that have no energy."""
NETWORK_FEE_KINDS = frozenset({PostingKind.GRID_FEE, PostingKind.ZONE_FEE, PostingKind.LOSS_FEE})
"""What a buyer pays for the network that a trade goes over."""
SERVICE_KINDS = MONEY_KINDS | NETWORK_FEE_KINDS | {PostingKind.BATTERY_USE}
"""Kinds whose energy, if any, is the measure of a service and changes no hands."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One movement of money between two accounts.

    Attributes
    ----------
    debit, credit : AccountId
        Who pays and who is paid.
    amount_nano : int
        Nano-currency; negative only where a price is.
    energy_wh : int
        Wh, never negative: from `credit` to `debit`, or the measure of a
        service (:data:`SERVICE_KINDS`).
    kind : PostingKind
    usage_point : UsagePointId or None
        The connection it is about; none for the community's own lines.
    price : int
        Nano-currency per Wh. ``amount_nano == energy_wh * price`` except for
        :data:`MONEY_KINDS`.
    reversal : bool
        It takes back a line posted by an earlier version.
    """

    debit: AccountId
    credit: AccountId
    amount_nano: int
    energy_wh: int
    kind: PostingKind
    usage_point: UsagePointId | None = None
    price: int = 0
    reversal: bool = False

    @property
    def reversed(self) -> Posting:
        """The same line with its sides exchanged, marked as a reversal."""
        return replace(self, debit=self.credit, credit=self.debit, reversal=True)


def party_account(party: PartyId) -> AccountId:
    """Return the account of a party."""
    return AccountId(f"party:{party}")


def energy_line(
    debit: AccountId,
    credit: AccountId,
    energy_wh: int,
    price: int,
    kind: PostingKind,
    usage_point: UsagePointId | None = None,
) -> Posting:
    """Return the posting of `energy_wh` at `price`; negative energy swaps the sides."""
    if energy_wh < 0:
        debit, credit, energy_wh = credit, debit, -energy_wh
    return Posting(debit, credit, energy_wh * price, energy_wh, kind, usage_point, price)


def money_line(
    debit: AccountId,
    credit: AccountId,
    amount_nano: int,
    kind: PostingKind,
    usage_point: UsagePointId | None = None,
) -> Posting:
    """Return the posting of `amount_nano` without energy; a negative amount swaps the sides."""
    if amount_nano < 0:
        debit, credit, amount_nano = credit, debit, -amount_nano
    return Posting(debit, credit, amount_nano, 0, kind, usage_point)


def balances(postings: Iterable[Posting]) -> dict[AccountId, int]:
    """Return what each account received less what it paid, in nano-currency."""
    total: Counter[AccountId] = Counter()
    for posting in postings:
        total[posting.debit] -= posting.amount_nano
        total[posting.credit] += posting.amount_nano
    return {account: total[account] for account in sorted(total)}


def energies(postings: Iterable[Posting]) -> dict[AccountId, int]:
    """Return what each account received less what it delivered, in Wh."""
    total: Counter[AccountId] = Counter()
    for posting in postings:
        if posting.kind not in SERVICE_KINDS:
            total[posting.debit] += posting.energy_wh
            total[posting.credit] -= posting.energy_wh
    return {account: total[account] for account in sorted(total)}


def assert_balanced(postings: Iterable[Posting]) -> None:
    """Check what holds for the postings of every interval.

    Money and energy sum to zero over all accounts, the market account is empty,
    and each line of energy is its energy times its price. A failure is a bug of
    ours; it is raised, not asserted, because ``python -O`` strips asserts.

    Raises
    ------
    VerificationError
        Naming the line or the account that does not hold.
    """
    postings = tuple(postings)
    for line in postings:
        if line.energy_wh < 0:
            raise VerificationError(f"negative energy: {line}")
        if line.debit == line.credit:
            raise VerificationError(f"from an account to itself: {line}")
        is_free = not line.energy_wh and line.kind in MONEY_KINDS
        if not is_free and line.amount_nano != line.energy_wh * line.price:
            raise VerificationError(f"not its energy times its price: {line}")
    for total, unit in ((balances(postings), "nano-currency"), (energies(postings), "Wh")):
        if sum(total.values()):
            raise VerificationError(f"the postings sum to {sum(total.values())} {unit}")
        if total.get(MARKET):
            raise VerificationError(f"{total[MARKET]} {unit} are left on the market account")
