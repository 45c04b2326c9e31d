"""Bilateral contracts at a site: proposed, accepted, refused, ended; told to both, to nobody else.

A party names the other by the identifier that they gave each other: nothing here lists parties,
and a party that does not trade is refused in the same words as one that does not exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from datetime import date, timedelta

from grid import ids, interval
from grid.errors import BadInputError
from grid.ids import PartyId, UsagePointId
from grid.operation import record
from grid.operation.battery_consent import OFFERED_AHEAD
from grid.operation.market import law_at
from grid.operation.record import Personal
from grid.operation.tariffs import in_force
from grid.quantities import format_price
from grid.site import Site
from grid.store import Transaction, agreements, control, log
from grid.store import contracts as store
from grid.store.contracts import KeptContract
from trading.contracts import BilateralContract, end_s, guaranteed_range, trades_at
from trading.ledger.entry import Kind
from trading.mechanisms import bilateral
from trading.orders import OrderRules, parse_energy, parse_limit
from trading.replay.contracts import ACCEPTED, BEGUN, ENDED

AHEAD_DAYS = 400
PROPOSALS_MOST = 20
"""Of one party that wait for an answer."""

_SIDES = ("buy", "sell")


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a party proposes, as it was typed.

    Attributes
    ----------
    counterparty : str
    side : str
        ``buy`` or ``sell``: what the proposer does.
    price : str
        Decimal text per kWh.
    first, last : date, and date or None
        Civil days of the site on which it begins, and after which it ends by itself.
    energy_wh : int or None
        Of each interval; either it or `share_percent`, of what the seller offers.
    share_percent : int or None
    """

    counterparty: str
    side: str
    price: str
    first: date
    last: date | None = None
    energy_wh: int | None = None
    share_percent: int | None = None


def taken(site: Site, at_s: int) -> bool:
    """Whether contracts hold at a site, by its mechanism and the law of an instant."""
    name = bilateral.NAME
    return site.market.mechanism == name and name in law_at(site, at_s).mechanisms


def propose(
    tx: Transaction, site: Site, proposal: Proposal, *, party: str, at_s: int, by: str
) -> KeptContract:
    """Keep a proposal of a party to another one.

    Parameters
    ----------
    by : str
        The user, for the record of actions.

    Raises
    ------
    BadInputError
        When contracts do not hold here, one of both does not trade, or dates, price or energy
        cannot be.
    """
    where = f"contract with {ids.check(proposal.counterparty, 'party')}"
    from_s, until_s = _dates(site, proposal, at_s, where)
    if not taken(site, from_s):
        raise BadInputError(
            f"{where}: contracts hold where the mechanism is {bilateral.NAME} and the law allows "
            f"it; here it is {site.market.mechanism} on {proposal.first}"
        )
    if proposal.side not in _SIDES:
        raise BadInputError(f"{where} side is {proposal.side[:16]!r}, must be 'buy' or 'sell'")
    sides = [PartyId(party), PartyId(proposal.counterparty)]
    buyer, seller = sides if proposal.side == "buy" else sides[::-1]
    held = agreements.listed(tx)
    for one in (party, proposal.counterparty):
        if not trades_at(one, held, from_s):
            raise BadInputError(f"{where}: {one} does not trade here on {proposal.first}")
    own = {one.usage_point for one in held if one.party == party and one.holds(from_s)}
    made = BilateralContract(
        id=0,
        buyer=buyer,
        seller=seller,
        price=_price(tx, site, proposal, where),
        from_s=from_s,
        until_s=until_s,
        energy_wh=_energy(site, own, proposal, where),
        share_percent=proposal.share_percent,
    )
    waiting = [one for one in store.of_party(tx, party) if one.waits and one.proposed_by == party]
    if len(waiting) >= PROPOSALS_MOST:
        raise BadInputError(f"{where}: {PROPOSALS_MOST} proposals of {party} wait for an answer")
    number = store.propose(tx, made, party, at_s)
    _record_alone(tx, site, "contract.propose", party, by, at_s)
    return _get(tx, number, party)


def accept(
    tx: Transaction, site: Site, number: int, *, party: str, at_s: int, by: str
) -> KeptContract:
    """Accept a proposal of the other party; both are told by the ledger.

    Raises
    ------
    BadInputError
        When there is no such proposal to the party, it was answered before, orders for its
        first interval are placed already, or it could not be proposed any more.
    """
    kept = _get(tx, number, party)
    one, where = kept.contract, f"contract {number}"
    if kept.proposed_by == party:
        raise BadInputError(f"{where}: {kept.other(party)} has to answer it, not {party}")
    _require_waiting(kept)
    # What agents offered by then, they offered without it.
    if at_s >= one.from_s - OFFERED_AHEAD * site.interval_s:
        raise BadInputError(
            f"{where}: it was to begin at {interval.label(one.from_s)}; propose another"
        )
    if not taken(site, one.from_s):
        raise BadInputError(f"{where}: contracts do not hold here on its first day")
    held = agreements.listed(tx)
    for side in (one.buyer, one.seller):
        if not trades_at(side, held, one.from_s):
            raise BadInputError(f"{where}: {side} does not trade here on its first day")
    _require_no_loss(tx, site, one.price, interval.local_day(one.from_s, site.time_zone), where)
    entry = _tell(tx, site, ACCEPTED, one, party, by, at_s)
    if not store.accept(tx, number, at_s, entry):
        raise BadInputError(f"{where}: it was answered already")
    return _get(tx, number, party)


def refuse(
    tx: Transaction, site: Site, number: int, *, party: str, at_s: int, by: str
) -> KeptContract:
    """Refuse a proposal, or take back an own one.

    Raises
    ------
    BadInputError
        When there is no such proposal of or to the party, or it was answered before.
    """
    kept = _get(tx, number, party)
    _require_waiting(kept)
    if not store.refuse(tx, number, at_s):
        raise BadInputError(f"contract {number}: it was answered already")
    _record_alone(tx, site, "contract.refuse", party, by, at_s)
    return _get(tx, number, party)


def end(
    tx: Transaction,
    site: Site,
    number: int,
    *,
    party: str,
    at_s: int,
    by: str,
    day: date | None = None,
) -> KeptContract:
    """Give notice of a contract: it holds until a civil day begins.

    Parameters
    ----------
    day : date, optional
        The day after tomorrow, which is the earliest, when not given.

    Raises
    ------
    BadInputError
        When the party has no such contract, it ends sooner anyway, or the day is too soon.
    """
    kept = _get(tx, number, party)
    where = f"contract {number}"
    if kept.accepted_s is None:
        raise BadInputError(f"{where}: it was not accepted, there is nothing to end")
    soonest = interval.local_day(at_s, site.time_zone) + timedelta(days=2)
    day = day or soonest
    if not soonest <= day <= soonest + timedelta(days=AHEAD_DAYS):
        raise BadInputError(
            f"{where}: it ends from {soonest} on, at most {AHEAD_DAYS} days later, not on {day}"
        )
    until_s, _ = interval.day_bounds(day, site.time_zone)
    known = end_s(kept.contract, agreements.listed(tx))
    if kept.ended_by or (known is not None and known <= until_s):
        when = interval.label(until_s if known is None else known)
        raise BadInputError(f"{where}: it ends at {when} already")
    ended = replace(kept.contract, until_s=until_s)
    if not store.end(tx, number, party, until_s):
        raise BadInputError(f"{where}: notice was given already")
    _tell(tx, site, ENDED, ended, party, by, at_s)
    return _get(tx, number, party)


def tell_all(tx: Transaction, site: Site, agreed: Iterable[BilateralContract], at_s: int) -> None:
    """Commit anew to contracts in the order of their acceptance, where a log begins."""
    for one in agreed:
        store.put_entry(tx, one.id, _commit(tx, site, BEGUN, one, at_s))


def _get(tx: Transaction, number: int, party: str) -> KeptContract:
    found = store.get(tx, number, party)
    if found is None:
        raise BadInputError(f"contract {number}: no such contract of {party}")
    return found


def _require_waiting(kept: KeptContract) -> None:
    if not kept.waits:
        said = "refused or taken back" if kept.accepted_s is None else "accepted"
        raise BadInputError(f"contract {kept.contract.id}: it was {said} already")


def _dates(site: Site, proposal: Proposal, at_s: int, where: str) -> tuple[int, int | None]:
    """Return from when until when a proposed contract holds."""
    today = interval.local_day(at_s, site.time_zone)
    if not 1 <= (proposal.first - today).days <= AHEAD_DAYS:
        raise BadInputError(
            f"{where}: it begins from the day after {today} on, at most {AHEAD_DAYS} days ahead, "
            f"not on {proposal.first}"
        )
    from_s, _ = interval.day_bounds(proposal.first, site.time_zone)
    if proposal.last is None:
        return from_s, None
    if not 0 <= (proposal.last - proposal.first).days <= 10 * AHEAD_DAYS:
        raise BadInputError(
            f"{where}: its last day {proposal.last} is before its first, {proposal.first}, or "
            f"more than {10 * AHEAD_DAYS} days after it"
        )
    return from_s, interval.day_bounds(proposal.last, site.time_zone)[1]


def _price(tx: Transaction, site: Site, proposal: Proposal, where: str) -> int:
    price = parse_limit(proposal.price, where, OrderRules())
    _require_no_loss(tx, site, price, proposal.first, where)
    return price


def _require_no_loss(tx: Transaction, site: Site, price: int, day: date, where: str) -> None:
    """Refuse a price by which somebody could lose where others would make it good."""
    if not site.market.guaranteed:
        return
    tariffs = in_force(tx, site)
    low, high = guaranteed_range(site.market, tariffs, day, site.grid.price)
    if not low <= price <= high:
        raise BadInputError(
            f"{where} price is {format_price(price)}, must be within {format_price(low)} to "
            f"{format_price(high)} per kWh: here losses by trading are made good, and a contract "
            "must not make any"
        )


def _energy(site: Site, own: Set[UsagePointId], proposal: Proposal, where: str) -> int | None:
    """Return the energy of each interval, within what the proposer's connections carry."""
    if proposal.energy_wh is None:
        return None
    kw = sum(point.connection_kw for point in site.usage_point if point.id in own)
    return parse_energy(proposal.energy_wh, where, round(kw * site.interval_s / 3.6))


def _tell(
    tx: Transaction,
    site: Site,
    action: str,
    one: BilateralContract,
    party: str,
    by: str,
    at_s: int,
) -> int:
    """Commit to a contract before both of its parties; return the entry's sequence."""
    record.check_held(tx)
    entry = _commit(tx, site, action, one, at_s)
    # Whoever reads the actions is told who acted, not with whom.
    control.put_action(
        tx, at_s=at_s, user=by, kind=action, subject=party, detail={}, sequence=entry
    )
    return entry


def _commit(tx: Transaction, site: Site, action: str, one: BilateralContract, at_s: int) -> int:
    size = log.size(tx)
    facts = [
        Personal(str(party_of), "contract", f"{one.id}-{side}-{size}", one.payload())
        for side, party_of in (("buyer", one.buyer), ("seller", one.seller))
    ]
    start_s = interval.floor(at_s, site.interval_s)
    return record.append(tx, Kind.ACTION, start_s, at_s, {"action": action}, facts)


def _record_alone(tx: Transaction, site: Site, kind: str, party: str, by: str, at_s: int) -> None:
    nothing: Mapping[str, object] = {}
    record.record_action(tx, site, at_s=at_s, user=by, kind=kind, subject=party, detail=nothing)
