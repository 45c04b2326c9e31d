"""The likeliest state of each interval from what meters have said so far, and what it is worth.

An interval has an estimate as soon as it is over, whoever is silent: what a meter did not tell is
replaced by what is usual there, and voltages and the feeder head correct it. What a located
incident has cut off is dead, not estimated. When readings come late, or are edited, it is
estimated again. Settlement does not wait for it nor use it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid import interval
from grid.errors import BadInputError, Finding
from grid.operation.room import Room
from grid.operation.validation_facts import PHASE_VOLTAGE_V, phase_voltages
from grid.store import Transaction, datasets, incidents, series
from meters.reading import CHANNELS, MISSING
from meters.vee import Quality
from networks.model import NetworkModel
from networks.outages.feeder_tree import HEAD

if TYPE_CHECKING:
    from networks.estimation.pseudo import Usual

KIND = "estimate"
HISTORY_DAYS = 28
SOURCE_SD_PU = 0.015
"""How far the voltage above the feeder head is from what the site file says of it."""

_ESTIMATED = (Quality.ESTIMATED_LINEAR, Quality.ESTIMATED_LIKE_DAY, Quality.SCALED)
_KEPT = (
    "vm_pu", "vm_sd_pu", "va_degree", "line_loading_percent", "trafo_loading_percent",
    "line_p_from_kw", "trafo_p_hv_kw", "losses_kw", "head_import_kw", "head_export_kw",
    "grid_available", "verdict",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Supply:
    """What feeds the network in an interval, as far as is known.

    Attributes
    ----------
    grid : bool
        Whether the public network is there.
    head : bool
        Whether the feeder head is whole; nothing is fed where it is not.
    opened : frozenset of (str, int)
        Branches that located incidents say are open.
    dark : frozenset of str
        Usage points without supply.
    """

    grid: bool
    head: bool
    opened: frozenset[tuple[str, int]]
    dark: frozenset[str]


def network_estimates(
    room: Room, tx: Transaction, at_s: int, start_s: int, changed: set[int]
) -> list[Finding]:
    """Store the estimate of each interval that has none yet or of which more is known."""
    step_s = room.site.interval_s
    again = changed | _with_news(tx, at_s, start_s, step_s)
    stored = set(datasets.instants(tx, KIND, start_s, at_s)) - again
    groups: dict[Supply, list[int]] = {}
    for start in range(start_s, at_s, step_s):
        if start not in stored:
            groups.setdefault(_supply(room, tx, start), []).append(start)
    for old in [key for key in room.memory if key.startswith("opened ")]:
        if old not in {_key(supply) for supply in groups}:
            del room.memory[old]
    findings: list[Finding] = []
    for supply, starts in groups.items():
        model = _model(room, supply)
        if model is None:
            _put_dead(room, tx, starts)
        else:
            findings += _estimate(room, tx, model, np.array(starts, np.int64), supply.dark)
    return findings


def _put_dead(room: Room, tx: Transaction, starts: list[int]) -> None:
    """Store the state of intervals in which nothing feeds the network."""
    from networks.estimation.bad_data import CLEAN
    from networks.flow.solve import flow

    nothing = np.zeros((len(starts), len(room.model.bus)))
    state = flow(
        room.model, nothing, nothing, nothing, nothing,
        starts=np.array(starts, np.int64).astype("datetime64[s]"),
        grid_available=np.zeros(len(starts), np.bool_),
        forming_bus=None,
    )  # fmt: skip
    state["vm_sd_pu"] = state["vm_pu"]
    state["verdict"] = ("interval", np.full(len(starts), CLEAN))
    for number, start_s in enumerate(starts):
        one = state[list(_KEPT)].isel(interval=number, drop=False)
        one["silent"] = ((), len(room.points))
        datasets.put_dataset(tx, KIND, start_s, one)


def _with_news(tx: Transaction, at_s: int, start_s: int, step_s: int) -> set[int]:
    """Return the intervals of interruptions that last, or ended within two intervals."""
    found: set[int] = set()
    for row in incidents.between(tx, start_s, at_s):
        if row.end_s is None or row.end_s >= at_s - 2 * step_s:
            first = max(row.start_s // step_s * step_s, start_s)
            found |= set(range(first, min(row.end_s or at_s, at_s), step_s))
    return found


def _supply(room: Room, tx: Transaction, start_s: int) -> Supply:
    opened, dark, head = set(), set(), True
    for one in incidents.open_elements(tx, start_s + room.site.interval_s // 2):
        if one.state != incidents.LOCATED:
            continue
        dark |= set(one.usage_points)
        branch = next((e for e in one.section if e[0] in ("line", "trafo")), None)
        if branch is not None:
            opened.add(branch)
        elif any(kind == HEAD for kind, _ in one.section):
            head = False
    grid = bool(room.grid_available(np.array([start_s]))[0])
    return Supply(grid, head, frozenset(opened), frozenset(dark))


def _key(supply: Supply) -> str:
    return f"opened {sorted(supply.opened)}"


def _model(room: Room, supply: Supply) -> NetworkModel | None:
    """Return the network as it is switched and fed; None where nothing feeds it."""
    model = room.model
    if not supply.head:
        return None
    if supply.opened:
        key = _key(supply)
        if key not in room.memory:
            room.memory[key] = model.switched(out=sorted(supply.opened))
        model = room.memory[key]
    if supply.grid:
        return model
    try:
        return None if room.forming_bus is None else model.islanded(room.forming_bus)
    except BadInputError:
        return None


def _estimate(
    room: Room,
    tx: Transaction,
    model: NetworkModel,
    starts_s: npt.NDArray[np.int64],
    dark: frozenset[str],
) -> list[Finding]:
    from networks.estimation.estimate import estimate
    from networks.estimation.problem import Accuracy
    from networks.limits.findings import findings as network_findings

    measured, silent = _measured(room, tx, model, starts_s)
    for name in measured["point"].values[np.isin(measured["point"].values, sorted(dark))]:
        # Its service is open: nothing flows to what a live bus does not feed.
        for word in ("absorbed_kw", "injected_kw", "absorbed_kvar", "injected_kvar"):
            measured[word].loc[{"point": name}] = 0.0
        measured["vm_pu"].loc[{"point": name}] = np.nan
    usual = _usual(room, tx, int(starts_s[0]))
    got = estimate(
        model,
        measured,
        None if usual is None else usual.at(measured["interval"].values).of(_alive(room, model)),
        # A voltage is read at the end of an interval, a power is the mean over it.
        Accuracy(voltage_percent=1.0),
        source_sd_pu=SOURCE_SD_PU,
    )
    for number, start_s in enumerate(starts_s.tolist()):
        one = got.state[list(_KEPT)].isel(interval=number, drop=False)
        one["silent"] = ((), int(silent[number]))
        one["grid_available"] = ((), not model.forming)
        datasets.put_dataset(tx, KIND, start_s, one)
    limits = network_findings(got.state, model, room.site.network)
    # What an incident cut off, the incident tells.
    told = [one for one in limits if one.code != "network.dead_bus"]
    return [*(_by_day(one) for one in got.findings), *told]


def _by_day(found: Finding) -> Finding:
    """Return a finding labelled with its day: a wrong meter is told of once, not all night."""
    if not found.code.startswith("network.bad"):
        return found
    return replace(found, interval=f"{found.interval[:10]}T00:00Z")


def _measured(
    room: Room, tx: Transaction, model: NetworkModel, starts_s: npt.NDArray[np.int64]
) -> tuple[xr.Dataset, npt.NDArray[np.int64]]:
    """Return what meters told of intervals, and of how many usage points nothing was told."""
    site, step_s = room.site, room.site.interval_s
    first, end_s = int(starts_s[0]), int(starts_s[-1]) + step_s
    column = (starts_s - first) // step_s
    names = [*room.points, room.head]
    known = series.get_intervals(tx, names, first, end_s, time_zone=site.time_zone)
    known = known.isel(interval=column)
    told = (known["quality"].values != Quality.MISSING) & ~np.isin(
        known["quality"].values, _ESTIMATED
    )
    kilo = 3.6 / step_s
    power = {
        name: np.where(told & (known[name].values != MISSING), known[name].values * kilo, np.nan).T
        for name in CHANNELS
    }
    meter = {str(one.usage_point): str(one.id) for one in reversed(site.meter) if one.usage_point}
    meters = [meter.get(point, "") for point in room.points]
    voltage = phase_voltages(site, tx, meters, first, (end_s - first) // step_s)[:, column].T
    alive = _alive(room, model)
    words = dict(zip(CHANNELS, ("absorbed_kw", "injected_kw", "absorbed_kvar", "injected_kvar"),
                     strict=True))  # fmt: skip
    dims = ("interval", "point")
    columns = {word: (dims, power[name][:, :-1][:, alive]) for name, word in words.items()}
    heads = dict(zip(CHANNELS, ("import_kw", "export_kw", "import_kvar", "export_kvar"),
                     strict=True))  # fmt: skip
    blank = np.full(len(starts_s), np.nan)
    head = {
        f"head_{word}": ("interval", blank if model.forming else power[name][:, -1])
        for name, word in heads.items()
    }
    # A meter without supply shows no voltage; it is no measurement of one.
    seen = np.where(voltage > 0.1 * PHASE_VOLTAGE_V, voltage, np.nan) / PHASE_VOLTAGE_V
    silent = np.isnan(power[CHANNELS[0]][:, :-1]).sum(axis=1)
    measured = xr.Dataset(
        {
            **columns,
            **head,
            "vm_pu": (dims, seen[:, alive]),
            "sensor_vm_pu": (("interval", "sensor"), np.empty((len(starts_s), 0))),
        },
        {
            "interval": starts_s.astype("datetime64[s]"),
            "point": np.array(room.points)[alive],
            "bus": ("point", model.bus[room.position][alive]),
            "sensor": np.array([], dtype=str),
            "sensor_bus": ("sensor", np.array([], dtype=np.int64)),
        },
    )
    return measured, silent


def _alive(room: Room, model: NetworkModel) -> npt.NDArray[np.bool_]:
    """Return which usage points a source reaches."""
    alive: npt.NDArray[np.bool_] = model.node[room.position] >= 0
    return alive


def _usual(room: Room, tx: Transaction, start_s: int) -> Usual | None:
    """Return what is usual at each usage point, learnt once a day; None without a history."""
    from networks.estimation.pseudo import learn

    zone, step_s = room.site.time_zone, room.site.interval_s
    low, _ = interval.day_bounds(interval.local_day(start_s, zone), zone)
    first = low - HISTORY_DAYS * interval.DAY_S
    key = f"usual {low} {series.last_change(tx, first, low)}"
    if key not in room.memory:
        past = series.get_intervals(tx, room.points, first, low, time_zone=zone)
        kilo = 3.6 / step_s
        # What was made up from like days is no evidence of what is usual.
        told = ~np.isin(past["quality"].values, _ESTIMATED)
        values = {
            name: np.where(
                told & (past[name].values != MISSING), past[name].values * kilo, np.nan
            ).T
            for name in CHANNELS
        }
        for old in [k for k in room.memory if k.startswith("usual ")]:
            del room.memory[old]
        active = values["export_wh"] - values["import_wh"]
        found: Usual | None = None
        if np.isfinite(active).any():
            found = learn(
                past["interval"].values,
                active,
                values["export_varh"] - values["import_varh"],
                group=[str(point.kind) for point in room.site.usage_point],
                size_kw=np.array([float(p.connection_kw) for p in room.site.usage_point]),
                time_zone=zone,
                slot_s=step_s,
            )
        room.memory[key] = found
    known: Usual | None = room.memory[key]
    return known
