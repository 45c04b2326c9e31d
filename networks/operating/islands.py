"""Islands: which switches to open, and whether what forms the island can carry it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid.errors import BadInputError, SolverError
from grid.site import Network
from networks.model import Float, NetworkModel
from networks.operating.sections import single_cuts, smallest_cut
from networks.operating.state import (
    Customers,
    Extreme,
    Injections,
    Supply,
    solved,
    unserved,
    voltage_extremes,
)
from networks.operating.strain import Broken, broken
from networks.topology import island

HEAD = "the breaker above the feeder head"


@dataclass(frozen=True, slots=True)
class FormingSource:
    """What holds the voltage of an island: a battery, or a genset with its tank.

    Attributes
    ----------
    bus : int
    power_kw, apparent_kva : float
        What it can give.
    absorb_kw : float
        What it can take.
    energy_kwh : float
        What is stored and may be used.
    step_kw : float
        The most by which its load may rise at once.
    """

    bus: int
    power_kw: float
    apparent_kva: float
    absorb_kw: float
    energy_kwh: float
    step_kw: float

    def __post_init__(self) -> None:
        low = {"absorb_kw": True, "energy_kwh": True}
        for name in ("power_kw", "apparent_kva", "absorb_kw", "energy_kwh", "step_kw"):
            value = getattr(self, name)
            if not (np.isfinite(value) and (value > 0 or (value == 0 and name in low))):
                raise BadInputError(
                    f"forming source at bus {self.bus}: {name} is {value}, must be finite and "
                    f"{'not below' if name in low else 'above'} 0"
                )


@dataclass(frozen=True, slots=True)
class Burden:
    """What a state asks of a forming source; of several intervals the most.

    Attributes
    ----------
    given_kw, given_kva, taken_kw : float
    hours : float
        Until its energy is used up; infinite when it is not.
    """

    given_kw: float
    given_kva: float
    taken_kw: float
    hours: float


@dataclass(frozen=True, eq=False)
class Island:
    """An island as it would be formed.

    Attributes
    ----------
    opened : tuple of int
        Switches to open; none where the breaker above the feeder head does it.
    model : NetworkModel
        Fed by the forming source.
    buses : int
        How many it holds.
    load_kw, plant_kw : float
        In it.
    burden : Burden or None
        None where there is no solution.
    lowest, highest : Extreme or None
    broken : tuple of Broken
    unserved : tuple of Supply
        Load outside.
    reason : str
        Why it cannot be: empty when it can.
    """

    opened: tuple[int, ...]
    model: NetworkModel
    buses: int
    load_kw: float
    plant_kw: float
    burden: Burden | None
    lowest: Extreme | None
    highest: Extreme | None
    broken: tuple[Broken, ...]
    unserved: tuple[Supply, ...]
    reason: str


def islands(
    model: NetworkModel,
    drawn: Injections,
    network: Network,
    source: FormingSource,
    *,
    customers: Customers | None = None,
) -> tuple[Island, ...]:
    """Return the islands that a forming source could hold, best first.

    Each switch that alone cuts the source off from the public network makes one, else the fewest
    that do; and the breaker above the feeder head, which leaves the network whole. An island that
    can be goes before one that cannot, then the most load, then the fewest buses.

    Raises
    ------
    BadInputError
        When the network has no such bus, or the bus is dead.
    """
    if model.node[model.position(source.bus)] < 0:
        label = model.bus_label(model.position(source.bus))
        raise BadInputError(f"{label}: a forming source here is cut off from the feeder")
    choices: list[tuple[int, ...]] = [()]
    single = single_cuts(model, source.bus)
    if single:
        choices += [(index,) for index in single]
    else:
        several = smallest_cut(model, source.bus)
        choices += [tuple(several)] if several else []
    made = [_island(model, drawn, network, source, opened, customers) for opened in choices]
    order = sorted(
        made, key=lambda one: (bool(one.reason), -round(one.load_kw, 9), one.buses, one.opened)
    )
    return tuple(order)


def _island(
    model: NetworkModel,
    drawn: Injections,
    network: Network,
    source: FormingSource,
    opened: tuple[int, ...],
    customers: Customers | None,
) -> Island:
    part = island(model.switched(opened=opened), source.bus)
    inside = part.node >= 0
    burden = lowest = highest = None
    limits: tuple[Broken, ...] = ()
    try:
        state = solved(part, drawn)
    except SolverError as error:
        reason = str(error)
    else:
        given = [
            state[f"forming_{way}_{unit}"].to_numpy()
            for way in ("injected", "absorbed")
            for unit in ("kw", "kvar")
        ]
        burden = _burden(source, given, drawn)
        limits = broken(part, state, network)
        reason = refusal(source, burden, limits)
        lowest, highest = voltage_extremes(part, state)
    return Island(
        opened=opened,
        model=part,
        buses=int(inside.sum()),
        load_kw=float(drawn.inputs[0][:, inside].sum(axis=1).max()),
        plant_kw=float(drawn.inputs[1][:, inside].sum(axis=1).max()),
        burden=burden,
        lowest=lowest,
        highest=highest,
        broken=limits,
        unserved=unserved(part, drawn, customers),
        reason=reason,
    )


def _burden(source: FormingSource, given: list[Float], drawn: Injections) -> Burden:
    injected_kw, injected_kvar, absorbed_kw, absorbed_kvar = given
    reactive = injected_kvar + absorbed_kvar
    return Burden(
        given_kw=float(injected_kw.max()),
        given_kva=float(np.hypot(injected_kw + absorbed_kw, reactive).max()),
        taken_kw=float(absorbed_kw.max()),
        hours=_hours(source, injected_kw - absorbed_kw, drawn),
    )


def _hours(source: FormingSource, drawn_kw: Float, drawn: Injections) -> float:
    """Return how long the energy lasts: at one interval's power, or along several."""
    if len(drawn_kw) == 1:
        return source.energy_kwh / float(drawn_kw[0]) if drawn_kw[0] > 0.0 else float("inf")
    hours = float(np.diff(drawn.starts[:2]).astype(np.int64)[0]) / 3600.0
    left = source.energy_kwh
    for number, power in enumerate(drawn_kw.tolist()):
        if power * hours > left:
            return number * hours + left / float(power)
        # What is taken beyond what was there is not counted on.
        left = min(left - power * hours, source.energy_kwh)
    return float("inf")


def refusal(source: FormingSource, burden: Burden, limits: tuple[Broken, ...]) -> str:
    """Return why a forming source cannot hold a state; empty when it can."""
    for value, limit, unit, verb in (
        (burden.given_kw, source.power_kw, "kW", "give"),
        (burden.given_kva, source.apparent_kva, "kVA", "give"),
        (burden.taken_kw, source.absorb_kw, "kW", "take"),
    ):
        if value > limit * (1.0 + 1e-9):
            return (
                f"the source at bus {source.bus} would {verb} {value:.1f} {unit}, "
                f"at most {limit:.1f} {unit}"
            )
    return str(limits[0]) if limits else ""
