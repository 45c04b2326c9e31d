"""What is known of a meter beside its readings: transformers, verification, seals, move-ins.

Each fact holds from its date on. Ratios are used wherever registers become energy
(:mod:`grid.operation.meter_exchanges`); verifications that expire and meters without a seal
are told of each day; a move-in is kept with what the meter showed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from grid import interval
from grid.errors import BadInputError, Finding, Severity
from grid.operation.record import record_action
from grid.quantities import Ratio
from grid.site import Meter, Site
from grid.store import Transaction, agreements, control, metering_facts
from grid.store.meter_exchanges import exchanges
from grid.store.metering_facts import MoveIn, Seal
from meters.reading import MISSING

WARN_DAYS = 90
"""A verification that expires within so many days is told of."""

_NUMBER_MAX = 64


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds of a meter's place from an instant on.

    Attributes
    ----------
    meter : str
    from_s : int or None
        None where it has held since the site began.
    serial : str
        Empty where the device never said it.
    current, voltage : Ratio
    multiplier, digits : int
    verified_until_s : int or None
    """

    meter: str
    from_s: int | None
    serial: str
    current: Ratio
    voltage: Ratio
    multiplier: int
    digits: int
    verified_until_s: int | None


def standings(tx: Transaction, site: Site) -> Iterator[Standing]:
    """Yield what holds and held of each meter, in the order of the site, the oldest first."""
    told = exchanges(tx)
    for meter in site.meter:
        mine = [one for one in told if one.meter == meter.id]
        yield Standing(
            str(meter.id), None, mine[0].old_serial if mine else "", meter.current,
            meter.voltage, meter.multiplier, meter.register_digits, _end_s(site, meter),
        )  # fmt: skip
        for one in mine:
            yield Standing(
                one.meter, one.at_s, one.new_serial, one.current, one.voltage, one.multiplier,
                one.digits, one.verified_until_s,
            )  # fmt: skip


def in_force(tx: Transaction, site: Site, at_s: int) -> dict[str, Standing]:
    """Return what holds of each meter at an instant, seconds UTC."""
    found: dict[str, Standing] = {}
    for one in standings(tx, site):
        if one.from_s is None or one.from_s <= at_s:
            found[one.meter] = one
    return found


def _end_s(site: Site, meter: Meter) -> int | None:
    return None if meter.verified_until is None else day_end_s(site, meter.verified_until)


def day_end_s(site: Site, day: date) -> int:
    """Return when a civil day of the site ends, seconds UTC: a verification holds so long."""
    return interval.day_bounds(day, site.time_zone)[1]


def expiring(tx: Transaction, site: Site, at_s: int) -> list[Finding]:
    """Return verifications that expired or soon do, and meters whose last seal was removed."""
    found: list[Finding] = []
    when = interval.label(at_s)
    seals = metering_facts.seals(tx)
    for meter, one in in_force(tx, site, at_s).items():
        until_s = one.verified_until_s
        if until_s is not None and until_s < at_s + WARN_DAYS * interval.DAY_S:
            is_past = until_s <= at_s
            words = "expired, exchange it" if is_past else f"expires within {WARN_DAYS} days"
            severity = Severity.ALARM if is_past else Severity.WARNING
            message = f"{meter} {when} verification until {interval.label(until_s)} {words}"
            found.append(Finding("meter.verification", meter, when, severity, message))
        placed = [seal for seal in seals.get(meter, []) if seal.placed_s <= at_s]
        if placed and all(seal.removed_s is not None and seal.removed_s <= at_s for seal in placed):
            since_s = max(seal.removed_s or 0 for seal in placed)
            message = f"{meter} {when} has no seal since {interval.label(since_s)}, place one"
            found.append(Finding("meter.seal", meter, when, Severity.WARNING, message))
    return found


def place_seal(tx: Transaction, site: Site, seal: Seal) -> None:
    """Keep that a seal was placed.

    Raises
    ------
    BadInputError
        When there is no such meter, it has that seal, or the time or the number cannot be.
    """
    where = _sealed(tx, site, seal.meter, seal.number, seal.placed_s)
    there = metering_facts.seals(tx).get(seal.meter, [])
    if any(one.number == seal.number and one.removed_s is None for one in there):
        raise BadInputError(f"{where}: this seal is on it already")
    metering_facts.put_seal(tx, seal)
    _record(tx, site, seal.placed_by, "meter.seal", seal.meter, seal.placed_s)


def remove_seal(tx: Transaction, site: Site, meter: str, number: str, at_s: int, by: str) -> None:
    """Keep that a seal was removed.

    Raises
    ------
    BadInputError
        When it was not on the meter then.
    """
    where = _sealed(tx, site, meter, number, at_s)
    there = metering_facts.seals(tx).get(meter, [])
    open_ = [one for one in there if one.number == number and one.removed_s is None]
    if not open_ or open_[0].placed_s > at_s:
        raise BadInputError(f"{where}: this seal was not on it")
    metering_facts.remove_seal(tx, meter, number, at_s, by)
    _record(tx, site, by, "meter.unseal", meter, at_s)


def _sealed(tx: Transaction, site: Site, meter: str, number: str, at_s: int) -> str:
    where = f"{meter[:64]} {interval.label(at_s)}"
    if meter not in {str(one.id) for one in site.meter}:
        raise BadInputError(f"{meter[:64]}: no such meter in the site")
    if not 0 < len(number) <= _NUMBER_MAX or not number.isprintable():
        raise BadInputError(f"{where}: a seal has a number of 1 to {_NUMBER_MAX} characters")
    _not_ahead(tx, where, at_s)
    return where


def record_move_in(tx: Transaction, site: Site, one: MoveIn) -> None:
    """Keep who moved in at a usage point and what its meter showed then.

    Raises
    ------
    BadInputError
        When there is no such usage point or party, no interval begins then, it is ahead of the
        site's clock, or somebody moved in there at that time.
    """
    where = f"{one.usage_point[:64]} {interval.label(one.at_s)}"
    point = next((it for it in site.usage_point if it.id == one.usage_point), None)
    if point is None:
        raise BadInputError(f"{one.usage_point[:64]}: no such usage point in the site")
    if one.party not in agreements.parties(tx):
        raise BadInputError(f"{where}: {one.party[:64]} is no party of the site")
    if one.at_s % site.interval_s:
        raise BadInputError(
            f"{where}: no interval of {site.interval_s} s begins then; the reading belongs to one"
        )
    _not_ahead(tx, where, one.at_s)
    meter = next((it for it in site.meter if it.usage_point == one.usage_point), None)
    digits = in_force(tx, site, one.at_s)[meter.id].digits if meter else 18
    for value in one.registers:
        if value != MISSING and not 0 <= value < 10**digits:
            raise BadInputError(f"{where}: {value} must be within 0 to {10**digits - 1} Wh")
    if any(it.at_s == one.at_s for it in metering_facts.move_ins(tx, [one.usage_point])):
        raise BadInputError(f"{where}: a move-in is recorded then already")
    metering_facts.put_move_in(tx, one)
    _record(tx, site, one.recorded_by, "usage_point.move_in", one.usage_point, one.at_s)


def _not_ahead(tx: Transaction, where: str, at_s: int) -> None:
    clock_s = control.clock_s(tx)
    if at_s > clock_s:
        raise BadInputError(f"{where}: is after the site's clock, {interval.label(clock_s)}")


def _record(tx: Transaction, site: Site, by: str, kind: str, subject: str, at_s: int) -> None:
    # Neither a seal's number nor a person: the ledger holds that it was done, not on what.
    record_action(
        tx, site, at_s=control.clock_s(tx), user=by, kind=kind, subject=subject,
        detail={"at": interval.label(at_s)},
    )  # fmt: skip
