"""Black start: the ordered steps by which one forming source brings a dead network back.

Switches open, the source energises its own section, then section after section is energised
without load and its load is picked up in blocks: where a life hangs on it first, then what is
critical, then the rest. Plants come last, and no load is picked up on their strength. Every step
is a power flow that has to hold.

Load that was off for long draws more than it did (cold load pickup): all thermostats want power at
once. What is beyond the normal draw decays exponentially (Lang, Anderson, Fouad, IEEE Trans. Power
App. Syst. PAS-101(4), 1982, doi:10.1109/TPAS.1982.317155).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from grid.errors import BadInputError
from grid.site import Network
from networks.model import NetworkModel
from networks.operating.islands import HEAD, FormingSource, islands
from networks.operating.restart import Attempt, Restart
from networks.operating.sections import Sections, sectioning, sections
from networks.operating.state import Customers, Injections, supplies
from networks.operating.steps import BlackStart, Policy, Step
from networks.operating.terminals import switch_label
from networks.topology import island

BREAKER = "CB"
_CLASSES = ("medical", "critical", "other")


def black_start(
    model: NetworkModel,
    drawn: Injections,
    network: Network,
    source: FormingSource,
    policy: Policy | None = None,
    *,
    opened: Sequence[int] | None = None,
    customers: Customers | None = None,
    types: Mapping[int, str] | None = None,
) -> BlackStart:
    """Return the steps of a black start.

    Parameters
    ----------
    drawn : Injections
        The normal draw, of one interval or the highest of several.
    network : grid.site.Network
        The limits.
    opened : sequence of int, optional
        Switches that cut the island off; the ones that leave it most load when not given.
    customers : mapping of int to sequence of str, optional
    types : mapping of int to str, optional
        Kinds of switches (CB are circuit breakers).

    Raises
    ------
    BadInputError
        A forming source at a dead bus, or an `opened` that does not cut it off.
    """
    policy = policy or Policy()
    for bus in (*policy.medical, *policy.critical):
        model.position(bus)
    cut = _boundary(model, drawn, network, source, opened)
    whole = island(model.switched(opened=cut), source.bus)
    apart = _apart(whole, source, policy, types or {})
    parted = sections(whole, apart, source.bus)
    run = Restart(whole.switched(opened=apart), drawn, network, source, policy)
    steps = [_first(whole, cut, apart)]
    stopped = ""
    for attempt in _attempts(whole, run, parted, policy):
        stopped = run.take(attempt)
        if stopped:
            break
    connected = run.connect_plants() if run.alive else ()
    steps += run.steps
    load_kw = drawn.absorbed_kw
    served = np.zeros(len(model.bus), dtype=np.bool_)
    served[sorted(run.picked)] = True
    plants = set(model.bus[drawn.injected_kw > 0.0].tolist())
    return BlackStart(
        steps=tuple(replace(step, number=number) for number, step in enumerate(steps, start=1)),
        stopped=stopped,
        served_kw=float(load_kw[served].sum()),
        unserved=supplies(model, load_kw, ~served, customers),
        plants_off=tuple(sorted(plants - set(connected))),
        hours=run.hours(),
    )


def _boundary(
    model: NetworkModel,
    drawn: Injections,
    network: Network,
    source: FormingSource,
    opened: Sequence[int] | None,
) -> tuple[int, ...]:
    """Return the switches that cut the island off."""
    if opened is not None:
        left = model.switched(opened=opened)
        if opened and left.node[left.position(source.bus)] >= 0:
            named = ", ".join(switch_label(model, index) for index in opened)
            raise BadInputError(f"{named}: does not cut bus {source.bus} off from the grid")
        return tuple(opened)
    found = [one for one in islands(model, drawn, network, source) if one.opened]
    # Load is picked up in blocks, so that an island may hold more than the source can carry.
    found.sort(key=lambda one: (-round(one.load_kw, 9), one.buses, one.opened))
    return found[0].opened if found else ()


def _apart(
    whole: NetworkModel, source: FormingSource, policy: Policy, types: Mapping[int, str]
) -> tuple[int, ...]:
    """Return the switches that part the island into sections."""
    every = sectioning(whole, source.bus)
    if not policy.by_feeder:
        return every
    # A network whose source names no circuit breakers is parted by any switch.
    return tuple(index for index in every if types.get(index) == BREAKER) or every


def _first(whole: NetworkModel, cut: tuple[int, ...], apart: tuple[int, ...]) -> Step:
    subject = ", ".join(switch_label(whole, index) for index in cut) or HEAD
    if apart:
        subject += f"; {len(apart)} sectioning switches"
    return Step(0, 0.0, "open", subject, opened=(*cut, *apart))


def _attempts(
    whole: NetworkModel, run: Restart, parted: Sections, policy: Policy
) -> Iterator[Attempt]:
    """Yield what is tried in turn."""
    first = parted.order[0]
    yield Attempt("form", first, (), (), _members(parted, first))
    alive = {first}
    for buses in _classes(whole, run, parted, policy):
        rows: dict[int, list[int]] = {}
        for row in buses:
            rows.setdefault(int(parted.of[row]), []).append(row)
        ordered = [section for section in parted.order if section in rows]
        for section in sorted(ordered, key=lambda one: len(parted.way(one))):
            for step in parted.way(section):
                if step not in alive:
                    alive.add(step)
                    yield Attempt("energise", step, (), parted.by[step], _members(parted, step))
            if policy.load_switches:
                for block in run.blocks(rows[section]):
                    yield Attempt("pick up", section, block)


def _members(parted: Sections, section: int) -> tuple[int, ...]:
    return tuple(np.flatnonzero(parted.of == section).tolist())


def _classes(
    whole: NetworkModel, run: Restart, parted: Sections, policy: Policy
) -> Iterator[list[int]]:
    """Yield the loads of the island by bus position: medical, critical, the others."""
    inside = np.isin(parted.of, parted.order) & (run.load_kw > 0.0)
    left = set(np.flatnonzero(inside).tolist())
    for name in _CLASSES[:2]:
        chosen = {whole.position(bus) for bus in getattr(policy, name)} & left
        left -= chosen
        yield sorted(chosen)
    yield sorted(left)
