"""Tariffs of a running site: one person proposes a version, another activates it.

The site file stays as it was commissioned; what was activated is added to it, in the transaction
of whoever asks. A version holds from a day that is yet to begin, so nothing settled changes.
"""

from __future__ import annotations

from datetime import date

from grid import interval
from grid.errors import BadInputError
from grid.operation import record
from grid.operation.meter_orders import same_person
from grid.quantities import format_price
from grid.site import Site, Tariff
from grid.site_file import tables
from grid.store import Transaction, contracts, control
from grid.store import tariff_changes as store
from grid.store.tariff_changes import ChangeState, TariffChange
from trading.contracts import guaranteed_range
from trading.ledger import canonical
from trading.ledger.entry import Kind
from trading.regulation import market_findings, regulation_on
from trading.replay import terms
from trading.tariffs.change import changed

AHEAD_DAYS = 400
_BYTES_MOST = 30_000
"""Of a version in the ledger, half of what an entry holds."""
SERIES = ("grid.buy", "grid.sell")
"""What has a price in each interval."""


def in_force(tx: Transaction, site: Site) -> tuple[Tariff, ...]:
    """Return the tariffs of a site file with the versions that were activated since."""
    tariffs = site.tariff
    for one in store.in_states(tx, [ChangeState.ACTIVE]):
        tariffs = changed(tariffs, one.tariff)
    return tariffs


def has_lapsed(site: Site, one: TariffChange, now_s: int) -> bool:
    """Return whether nobody decided on a proposal before its first day began."""
    today = interval.local_day(now_s, site.time_zone)
    return one.state is ChangeState.PROPOSED and one.tariff.valid_from <= today


def read(text: str, name: str) -> Tariff:
    """Return the tariff of a text in TOML, written as in a site file.

    Raises
    ------
    BadInputError
        With the line of every error, or when there is not one tariff with one version alone.
    """
    found, others = tables(text, name, {"tariff": Tariff}, {})
    made: tuple[Tariff, ...] = found["tariff"]
    if others or len(made) != 1 or made[0].version:
        raise BadInputError(
            f"{name} must have one [[tariff]] and nothing else: the version that is new, with "
            "its valid_from"
        )
    return made[0]


def propose(tx: Transaction, site: Site, new: Tariff, by: str) -> TariffChange:
    """Keep a version of a tariff until another person activates it.

    Raises
    ------
    BadInputError
        When it could not be activated.
    """
    now_s = control.clock_s(tx)
    _check(tx, site, new, now_s)
    made = store.put(tx, new, by=by.strip(), at_s=now_s)
    _record(tx, site, made, "tariff.propose", by)
    return made


def approve(tx: Transaction, site: Site, number: int, by: str) -> TariffChange:
    """Activate a version that another person proposed, and tell the ledger.

    Raises
    ------
    StoreError
        When there is no such proposal.
    BadInputError
        When the same person proposed it, it is decided, or it cannot be activated any more.
    """
    one = _decidable(tx, number)
    _second(one, by)
    now_s = control.clock_s(tx)
    _check(tx, site, one.tariff, now_s)
    made = _decide(tx, site, one, ChangeState.ACTIVE, "tariff.approve", by)
    start_s = interval.floor(now_s, site.interval_s)
    body = {"action": terms.CHANGE, "change": terms.encode(one.tariff)}
    record.append(tx, Kind.ACTION, start_s, now_s, body)
    return made


def reject(tx: Transaction, site: Site, number: int, by: str) -> TariffChange:
    """Refuse a version that another person proposed; raises as :func:`approve`."""
    one = _decidable(tx, number)
    _second(one, by)
    return _decide(tx, site, one, ChangeState.REJECTED, "tariff.reject", by)


def withdraw(tx: Transaction, site: Site, number: int, by: str) -> TariffChange:
    """Take back one's own proposal.

    Raises
    ------
    StoreError
        When there is no such proposal.
    BadInputError
        When somebody else proposed it, or it is decided.
    """
    one = _decidable(tx, number)
    if not same_person(one.proposed_by, by):
        raise BadInputError(f"tariff change {number}: only {one.proposed_by} takes it back")
    return _decide(tx, site, one, ChangeState.WITHDRAWN, "tariff.withdraw", by)


def _check(tx: Transaction, site: Site, new: Tariff, now_s: int) -> None:
    """Refuse a version that begins too soon or late, does not fit, or does not keep the law."""
    where, day = f"tariff {new.id} {new.valid_from}", new.valid_from
    today = interval.local_day(now_s, site.time_zone)
    if not 0 < (day - today).days <= AHEAD_DAYS:
        raise BadInputError(
            f"{where}: a version begins from the day after {today} on, "
            f"at most {AHEAD_DAYS} days ahead"
        )
    for rate in new.rate:
        if rate.series and rate.series not in SERIES:
            known = ", ".join(SERIES)
            raise BadInputError(f"{where}: series {rate.series} has no prices; known: {known}")
    tariffs = changed(in_force(tx, site), new)
    law = regulation_on(site.market.profile_on(day), day)
    if found := market_findings(site.market, tariffs, law):
        raise BadInputError("\n".join(one.message for one in found))
    if (size := len(canonical.encode(terms.encode(new)))) > _BYTES_MOST:
        raise BadInputError(f"{where}: takes {size} bytes of the log, at most {_BYTES_MOST}")
    if site.market.guaranteed:
        _check_contracts(tx, site, tariffs, day, where)


def _check_contracts(
    tx: Transaction, site: Site, tariffs: tuple[Tariff, ...], day: date, where: str
) -> None:
    """Refuse a version by which a standing contract would lose what the others make good."""
    from_s, _ = interval.day_bounds(day, site.time_zone)
    low, high = guaranteed_range(site.market, tariffs, day, site.grid.price)
    count = sum(not low <= one.price <= high for one in contracts.not_ended(tx, from_s))
    if count:
        raise BadInputError(
            f"{where}: {count} contracts that hold then have prices outside {format_price(low)} "
            f"to {format_price(high)} per kWh, by which somebody would lose what the others make "
            "good; they have to end before"
        )


def _decidable(tx: Transaction, number: int) -> TariffChange:
    one = store.get(tx, number)
    if one.state is not ChangeState.PROPOSED:
        raise BadInputError(f"tariff change {number}: it is {one.state}")
    return one


def _second(one: TariffChange, by: str) -> None:
    if same_person(one.proposed_by, by):
        raise BadInputError(
            f"tariff change {one.id}: {one.proposed_by} proposed it; it takes a second person"
        )


def _decide(
    tx: Transaction, site: Site, one: TariffChange, state: ChangeState, kind: str, by: str
) -> TariffChange:
    facts = {"decided_by": by.strip(), "decided_s": control.clock_s(tx)}
    made = store.move(tx, one.id, ChangeState.PROPOSED, state, **facts)
    _record(tx, site, made, kind, by)
    return made


def _record(tx: Transaction, site: Site, one: TariffChange, kind: str, by: str) -> None:
    detail = {"change": one.id, "from": str(one.tariff.valid_from)}
    record.record_action(
        tx, site, at_s=control.clock_s(tx), user=by.strip(), kind=kind,
        subject=str(one.tariff.id), detail=detail,
    )  # fmt: skip
