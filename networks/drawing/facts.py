"""What is said of a network beside its picture: texts of its elements, and the table."""

from __future__ import annotations

from dataclasses import dataclass

import xarray as xr

from grid.site import Network
from networks.drawing.picture import Cell
from networks.drawing.scheme import Branch, Scheme
from networks.drawing.state import Values, loading_state, values, voltage_state
from networks.drawing.words import Words

HEADER = (
    "kind", "index", "name", "from_bus", "to_bus", "vn_kv", "vm_pu", "margin_pu",
    "loading_percent", "state",
    "switched", "remark",
)  # fmt: skip


_RATED_PERCENT = 0.05


@dataclass(frozen=True, slots=True)
class BusNote:
    """What stands behind a bus.

    Attributes
    ----------
    text : str
        Names of what is connected, for whoever points at the bus.
    tags : tuple of str
        Short signs of devices.
    used : bool
        Whether a usage point is connected.
    estimated : bool
        Whether its value rests on an estimate.
    """

    text: str = ""
    tags: tuple[str, ...] = ()
    used: bool = True
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class HeadFlow:
    """What the public network gives or takes."""

    import_kw: float
    export_kw: float
    available: bool = True


@dataclass(frozen=True, slots=True)
class Shown:
    """A network with its values, judged.

    Attributes
    ----------
    bus_state, branch_state : tuple of str
    alive : tuple of bool
        Whether a bus has a voltage.
    """

    scheme: Scheme
    values: Values
    limits: Network
    bus_state: tuple[str, ...]
    branch_state: tuple[str, ...]
    alive: tuple[bool, ...]

    def voltage_text(self, position: int) -> str:
        """Return a voltage in as few digits as show on which side of a limit it is."""
        vm = self.values.vm_pu[position]
        assert vm is not None
        digits = 3
        if voltage_state(round(vm, digits), self.limits) != self.bus_state[position]:
            digits = 4
        return f"{vm:.{digits}f}"

    def loading(self, branch: Branch) -> float | None:
        """Return the loading in percent of a line or transformer that carries a current."""
        if branch.kind == "switch" or not self.is_live(branch):
            return None
        value = self.values.loading_percent[branch.kind][branch.row]
        return None if value is None or value != value else value

    def is_live(self, branch: Branch) -> bool:
        """Return whether a branch is under voltage from an end that is closed."""
        if not branch.on:
            return branch.kind == "switch" and (self.alive[branch.a] or self.alive[branch.b])
        opened = {side for side, _ in branch.open_at}
        return (self.alive[branch.a] and 0 not in opened) or (
            self.alive[branch.b] and 1 not in opened
        )

    def dead_groups(self) -> list[list[int]]:
        """Return buses without voltage that hang together, each group in the order of buses."""
        joined: dict[int, list[int]] = {n: [] for n, on in enumerate(self.alive) if not on}
        for one in self.scheme.branches:
            if one.joins and one.a in joined and one.b in joined:
                joined[one.a].append(one.b)
                joined[one.b].append(one.a)
        groups, seen = [], set[int]()
        for first in joined:
            if first in seen:
                continue
            group, stack = [], [first]
            seen.add(first)
            while stack:
                bus = stack.pop()
                group.append(bus)
                for other in joined[bus]:
                    if other not in seen:
                        seen.add(other)
                        stack.append(other)
            groups.append(sorted(group))
        return groups


def values_of(scheme: Scheme, state: xr.Dataset | None) -> Values:
    """Return what a state of one interval says of a network.

    Raises
    ------
    BadInputError
        When it is of another network, or of more than one interval.
    """
    return values(state, len(scheme.bus), {kind: scheme.count(kind) for kind in ("line", "trafo")})


def judged(scheme: Scheme, values: Values, limits: Network) -> Shown:
    """Return a network with its values as they stand to the limits."""
    alive = tuple(
        not dead and not (vm is not None and vm != vm)
        for dead, vm in zip(scheme.dead, values.vm_pu, strict=True)
    )
    buses = tuple(
        voltage_state(vm, limits) if on else "dead"
        for vm, on in zip(values.vm_pu, alive, strict=True)
    )
    shown = Shown(scheme, values, limits, buses, (), alive)
    branches = []
    for one in scheme.branches:
        if not one.on and one.kind != "switch":
            branches.append("out")
        elif not shown.is_live(one):
            branches.append("dead")
        elif not one.joins:
            branches.append("idle")
        elif one.kind == "switch":
            branches.append("normal")
        else:
            branches.append(loading_state(shown.loading(one), limits))
    return Shown(scheme, values, limits, buses, tuple(branches), alive)


def bus_text(shown: Shown, position: int, note: BusNote | None, words: Words) -> str:
    """Return what is said of a bus to whoever points at it."""
    scheme = shown.scheme
    parts = [scheme.bus_name[position] or f"bus {scheme.bus[position]}"]
    vm = shown.values.vm_pu[position]
    if not shown.alive[position]:
        parts.append(words.without_voltage)
    elif vm is not None:
        margin = shown.values.margin_pu[position]
        parts.append(f"{vm:.4f}{'' if margin is None else f' ± {margin:.4f}'} pu")
    if note is not None and note.text:
        parts.append(note.text)
    if note is not None and note.estimated:
        parts.append(f"≈ {words.estimated}")
    return " · ".join(parts)


def branch_text(shown: Shown, branch: Branch, words: Words) -> str:
    """Return what is said of a branch to whoever points at it."""
    parts = [branch.name or f"{branch.kind} {branch.index}"]
    loading = shown.loading(branch)
    if loading is not None:
        parts.append(f"{loading:.1f} %")
    if branch.tap is not None:
        parts.append(f"{words.tap} {branch.tap[0]} ({branch.tap[1]}…{branch.tap[2]})")
    if branch.kind == "switch" and not branch.on:
        parts.append(words.open)
    elif not branch.on:
        parts.append(words.out)
    parts += [f"{words.open} {name}".strip() for _, name in branch.open_at]
    return " · ".join(parts)


def summary(shown: Shown, words: Words) -> str:
    """Return a network's extremes in a line."""
    scheme, vm = shown.scheme, shown.values.vm_pu
    parts = [f"{len(scheme.bus)} {words.buses}"]
    found = shown.values.extremes(frozenset(scheme.head))
    for position, which in sorted(found.items(), key=lambda one: one[1], reverse=True):
        word = words.lowest if which == "lowest" else words.highest
        parts.append(f"{word} {vm[position]:.4f} pu ({_name(scheme, position)})")
    most = most_loaded(shown)
    if most is not None:
        branch = scheme.branches[most]
        parts.append(
            f"{words.loading} ≤ {shown.loading(branch):.1f} % "
            f"({branch.name or f'{branch.kind} {branch.index}'})"
        )
    dead = sum(not one for one in shown.alive)
    if dead:
        parts.append(f"✕ {dead} {words.buses} {words.without_voltage}")
    return " · ".join(parts)


def most_loaded(shown: Shown) -> int | None:
    """Return the branch with the highest loading, if any is known."""
    loads = [(shown.loading(one), -n) for n, one in enumerate(shown.scheme.branches)]
    # A line that nobody has rated has a loading of nearly nothing.
    known = [(load, n) for load, n in loads if load is not None and load >= _RATED_PERCENT]
    return -max(known)[1] if known else None


def _name(scheme: Scheme, position: int) -> str:
    return scheme.bus_name[position] or f"bus {scheme.bus[position]}"


def table(shown: Shown, notes: dict[int, BusNote]) -> tuple[tuple[Cell, ...], ...]:
    """Return a row for each bus and each branch, after a header."""
    scheme, values = shown.scheme, shown.values
    rows: list[tuple[Cell, ...]] = [HEADER]
    for position, index in enumerate(scheme.bus):
        vm, kv = values.vm_pu[position], scheme.vn_kv[position]
        note = notes.get(index)
        remark = [] if note is None else [note.text] * bool(note.text)
        remark += ["source"] * (position in scheme.head)
        remark += ["estimated"] * (note is not None and note.estimated)
        rows.append(
            (
                "bus", index, scheme.bus_name[position], None, None, kv if kv == kv else None,
                vm if shown.alive[position] else None, values.margin_pu[position], None,
                shown.bus_state[position], None,
                ", ".join(remark),
            )
        )  # fmt: skip
    for n, one in enumerate(scheme.branches):
        loading = shown.loading(one)
        opened = [f"open at bus {scheme.bus[(one.a, one.b)[side]]} {name}".strip()
                  for side, name in one.open_at]  # fmt: skip
        if one.kind == "switch":
            opened = ["closed" if one.on else "open"]
        elif not one.on:
            opened.append("out of service")
        rows.append(
            (
                one.kind, one.index, one.name, scheme.bus[one.a], scheme.bus[one.b], None, None,
                None,
                loading, shown.branch_state[n], ", ".join(opened) or "in service",
                "" if one.tap is None else f"tap {one.tap[0]} of {one.tap[1]} to {one.tap[2]}",
            )
        )  # fmt: skip
    return tuple(rows)
