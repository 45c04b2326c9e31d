"""Asking for a person to be erased: what is in the way of it, who asks, what waits.

Two persons stand behind every erasure. One asks: a user of the administration, once nothing is
in the way, whose request lapses after :data:`ASKED_DAYS`; or the person, at any time, since
retention ends years after moving out. The person's own request waits until it can be granted,
never lapses, and is taken back by the person only. Approving is in
:mod:`grid.operation.erasure`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from grid import interval
from grid.errors import BadInputError
from grid.operation import record
from grid.operation.meter_orders import check_reason, same_person
from grid.site import Site
from grid.store import Transaction, agreements, control
from grid.store import erasure as store
from grid.store import erasure_requests as requests
from grid.store.erasure import Stay
from grid.store.erasure_requests import Request

ASKED_DAYS = 30
"""A request of the administration that nobody approved by then has lapsed."""


class ObstacleKind(StrEnum):
    """Why a person cannot be erased yet."""

    STANDS = "stands"
    DISPUTE = "dispute"
    NOT_INVOICED = "not_invoiced"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What is in the way of an erasure.

    Attributes
    ----------
    kind : ObstacleKind
    about : str
        The usage point, the invoice's number or the month; of the retention time its end.
    why : str
        What a refusal says.
    """

    kind: ObstacleKind
    about: str
    why: str


@dataclass(frozen=True, slots=True)
class Case:
    """What an erasure would take with it, and what is in its way.

    Attributes
    ----------
    stays : tuple of Stay
        When the party stood for what, as far as it ended.
    months : tuple of str
        Whose intervals and invoices go with the person, everybody's.
    obstacles : tuple of Obstacle
        While the party stands for something, no others: they are not known yet.
    from_s : int or None
        When its retention time ends: later, should another invoice be made. ``None`` while it
        stands for something without an end.
    """

    stays: tuple[Stay, ...]
    months: tuple[str, ...]
    obstacles: tuple[Obstacle, ...]
    from_s: int | None


def examine(tx: Transaction, site: Site, party: str) -> Case:
    """Return what erasing a party takes with it and what is in the way of it now.

    Raises
    ------
    BadInputError
        When there is no such person, or it is the community.
    """
    if party not in agreements.parties(tx) or party.startswith(store.NAME):
        raise BadInputError(f"{party[:64]}: is no party of the site")
    if party == record.community(site):
        raise BadInputError(f"{party}: is the community, which is no person")
    now_s = control.clock_s(tx)
    mine = [one for one in agreements.listed(tx) if one.party == party]
    ends = [(one, one.until_s) for one in mine if one.until_s is not None]
    stays = tuple(
        sorted(Stay(str(one.usage_point), one.from_s, end) for one, end in ends if end <= now_s)
    )
    first_s = int(control.get_meta(tx, "first_cycle_s") or 0)
    months = tuple(store.months(stays, first_s, site.time_zone))
    from_s = None
    if len(ends) == len(mine):
        last_s = max([*(end for _, end in ends), requests.last_invoice_s(tx, party)])
        from_s = last_s and last_s + site.settlement.retention_days * interval.DAY_S
    found = [
        Obstacle(ObstacleKind.STANDS, name, f"stands for {name}, let it move out first")
        for name in (one.usage_point for one in mine if one.until_s is None or one.until_s > now_s)
    ]
    if not found:
        found = _obstacles(tx, party, stays, months)
        if from_s is not None and now_s < from_s:
            found.append(_kept(from_s, site.settlement.retention_days))
    return Case(stays, months, tuple(found), from_s)


def _obstacles(
    tx: Transaction, party: str, stays: Sequence[Stay], months: Sequence[str]
) -> list[Obstacle]:
    """Return what is open of the time of a party that stands for nothing any more."""
    disputes = [
        Obstacle(
            ObstacleKind.DISPUTE,
            number,
            f"invoice {number} of its time has a dispute that is open, decide it first",
        )
        for number in requests.disputed(tx, party, months)
    ]
    waits = "amounts of its time wait for the invoices of"
    return disputes + [
        Obstacle(ObstacleKind.NOT_INVOICED, month, f"{waits} {month}")
        for month in requests.not_invoiced(tx, party, stays)
    ]


def _kept(until_s: int, days: int) -> Obstacle:
    label = interval.label(until_s)
    why = f"is kept until {label}, {days} days after its last agreement and invoice"
    return Obstacle(ObstacleKind.KEPT, label, why)


def allowed(tx: Transaction, site: Site, party: str) -> Case:
    """Return what erasing a party takes with it, when nothing is in the way.

    Raises
    ------
    BadInputError
        As :func:`examine`, and with what is in the way first.
    """
    case = examine(tx, site, party)
    if case.obstacles:
        raise BadInputError(f"{party}: {case.obstacles[0].why}")
    return case


def waiting(tx: Transaction, party: str | None = None) -> list[Request]:
    """Return the requests that wait, of one party where given, the oldest first."""
    found = requests.open_requests(tx, control.clock_s(tx) - ASKED_DAYS * interval.DAY_S)
    return [one for one in found if party in (None, one.party)]


def lapses_s(one: Request) -> int | None:
    """Return when a request lapses; ``None`` for a person's own, which does not."""
    return None if one.is_own else one.asked_s + ASKED_DAYS * interval.DAY_S


def ask(tx: Transaction, site: Site, party: str, *, reason: str, by: str) -> Case:
    """Ask for a person to be erased; return what would go.

    Raises
    ------
    BadInputError
        As :func:`allowed`; when the administration asked already, or the reason says nothing.
    """
    case = allowed(tx, site, party)
    for one in waiting(tx, party):
        if not one.is_own or same_person(one.asked_by, by):
            raise BadInputError(f"{party}: {one.asked_by} asked to erase it already")
    check_reason(party, reason)
    _keep(tx, site, party, reason=reason.strip(), by=by)
    return case


def ask_own(tx: Transaction, site: Site, party: str, *, by: str) -> None:
    """Ask for the own erasure, which waits for what is in the way of it.

    Raises
    ------
    BadInputError
        As :func:`examine`, and when it is asked for already.
    """
    examine(tx, site, party)
    if any(one.is_own for one in waiting(tx, party)):
        raise BadInputError(f"{party}: its own request waits already")
    _keep(tx, site, party, reason="", by=by)


def _keep(tx: Transaction, site: Site, party: str, *, reason: str, by: str) -> None:
    at_s = control.clock_s(tx)
    requests.ask(tx, party, reason=reason, by=by, at_s=at_s)
    record.record_action(tx, site, at_s=at_s, user=by, kind="erasure.ask", subject=party, detail={})


def withdraw(tx: Transaction, site: Site, one: Request, *, by: str) -> None:
    """Take back a request of the administration.

    Raises
    ------
    BadInputError
        When it is the person's own.
    """
    if one.is_own:
        raise BadInputError(f"{one.party}: asked for it itself and takes it back itself")
    _drop(tx, site, one, by)


def withdraw_own(tx: Transaction, site: Site, party: str, *, by: str) -> None:
    """Take the own request back.

    Raises
    ------
    BadInputError
        When none waits.
    """
    own = [one for one in waiting(tx, party) if one.is_own]
    if not own:
        raise BadInputError(f"{party}: no own request waits")
    for one in own:
        _drop(tx, site, one, by)


def _drop(tx: Transaction, site: Site, one: Request, by: str) -> None:
    requests.withdraw(tx, one.id)
    record.record_action(
        tx, site, at_s=control.clock_s(tx), user=by, kind="erasure.withdraw", subject=one.party,
        detail={},
    )  # fmt: skip
