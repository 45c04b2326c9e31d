"""What a cycle's reading says of who has supply: answers, last gasps and silence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grid import interval
from grid.errors import BadInputError, Finding
from grid.operation.room import Room
from grid.site import Meter, MeterRole
from grid.store import Transaction, field, incidents
from meters.reading import MeterRead
from meters.transport import name_of, parse_url
from networks.outages.locate import Sight, Sighting

NO_VOLTAGE_V = 10.0
"""A meter that answers and shows less than this runs on its own battery."""

FRESH_CYCLES = 2
"""A meter that was silent in more cycles before anything else happened tells nothing new."""

_SILENT = "meter.silent"
_ANSWERED = frozenset(
    {"meter.malformed", "meter.access", "meter.security", "meter.replay", "meter.counter"}
)
"""Who answers wrongly or refuses has supply; of who was not asked nothing is known."""


@dataclass(frozen=True)
class Asked:
    """What came of asking the meters of a cycle.

    Attributes
    ----------
    at_s : int
    voltage_v : dict of str to float or None
        Of the meters that were read.
    failed : dict of str to str
        Of the meters that were silent, or answered and gave no reading: the finding's code.
    last_s : dict of str to int
        Newest register row of each meter before this cycle, seconds UTC.
    """

    at_s: int
    voltage_v: dict[str, float | None]
    failed: dict[str, str]
    last_s: dict[str, int]


def asked(
    at_s: int,
    reads: Sequence[MeterRead],
    findings: Sequence[Finding],
    last_s: dict[str, int],
) -> Asked:
    """Return what came of asking, from what the cycle read and told."""
    voltage_v = {one.meter: one.voltage_v for one in reads}
    failed = {
        one.subject: one.code
        for one in findings
        if one.code in {_SILENT, *_ANSWERED} and one.subject not in voltage_v
    }
    return Asked(at_s, voltage_v, failed, last_s)


def sightings(
    room: Room, tx: Transaction, told: Asked, interrupted: set[str], *, at_grid: bool
) -> list[Sighting]:
    """Return what is known of each usage point, in the order of the site.

    Parameters
    ----------
    interrupted : set of str
        Usage points that were without supply before.
    at_grid : bool
        Whether the public network is there: then the feeder head's meter tells of it.
    """
    at_s = told.at_s
    gasps = incidents.gasps(tx, at_s - interval.DAY_S, at_s)
    cycles = field.read_cycles(tx, at_s - interval.DAY_S, at_s - 1)
    by_point: dict[str, list[tuple[Sight, int | None, str]]] = {}
    for meter in room.site.meter:
        last_s = told.last_s.get(meter.id)
        gasp_s = gasps.get(meter.id)
        if gasp_s is not None and last_s is not None and gasp_s < last_s:
            gasp_s = None
        missed = None if last_s is None else 1 + sum(cycle_s > last_s for cycle_s in cycles)
        is_fresh = missed is not None and missed <= FRESH_CYCLES
        sight = _sight(meter, told, gasp_s, is_fresh or meter.usage_point in interrupted)
        known_s = gasp_s if sight is Sight.GASPED else None
        subject = str(meter.usage_point or meter.id)
        by_point.setdefault(subject, []).append((sight, known_s, _via(room, meter)))
    found = [
        _joined(str(point.id), point.bus, by_point.get(str(point.id), []))
        for point in room.site.usage_point
    ]
    heads = [str(m.id) for m in room.site.meter if m.role is MeterRole.FEEDER_HEAD]
    if at_grid and any(by_point[head][0][0] is Sight.POWERED for head in heads):
        bus = room.model.slack_bus
        found.append(Sighting(heads[0], bus, Sight.POWERED, is_customer=False))
    return found


def _sight(meter: Meter, told: Asked, gasp_s: int | None, speaks: bool) -> Sight:
    if meter.id in told.voltage_v:
        volts = told.voltage_v[meter.id]
        is_dead = volts is not None and volts < NO_VOLTAGE_V
        return Sight.GASPED if is_dead else Sight.POWERED
    code = told.failed.get(meter.id)
    if code == _SILENT:
        if gasp_s is not None:
            return Sight.GASPED
        return Sight.SILENT if speaks else Sight.UNKNOWN
    return Sight.POWERED if code in _ANSWERED else Sight.UNKNOWN


def _via(room: Room, meter: Meter) -> str:
    try:
        return name_of(parse_url(room.link.meters[meter.id]).endpoint)
    except BadInputError:
        return ""


_RANK = (Sight.POWERED, Sight.GASPED, Sight.SILENT, Sight.UNKNOWN)


def _joined(point: str, bus: int, meters: list[tuple[Sight, int | None, str]]) -> Sighting:
    """Return what several meters of one usage point tell together: the surest counts."""
    if not meters:
        return Sighting(point, bus, Sight.UNKNOWN)
    sight, gasp_s, via = min(meters, key=lambda one: _RANK.index(one[0]))
    return Sighting(point, bus, sight, gasp_s, via)
