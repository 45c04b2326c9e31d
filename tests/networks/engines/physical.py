"""A feeder in ohms, nanofarads, percent and kilowatts, read from the tables of a pandapower net.

What the other engines are given starts here. Nothing of the product is used: not its
admittances, its fusing of buses nor its search for what is alive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

CLOCK_DEGREE = 30.0


@dataclass(frozen=True)
class Line:
    """Ohms, nF and µS of the whole line, all its parallel systems together."""

    index: int
    bus: tuple[int, int]
    on: tuple[bool, bool]
    r_ohm: float
    x_ohm: float
    c_nf: float
    g_us: float


@dataclass(frozen=True)
class Transformer:
    """A name plate; the from side is the HV side. All parallel units together.

    `vn_kv` are the rated voltages at the neutral tap, `turn` what the tap changer makes of each.
    """

    index: int
    bus: tuple[int, int]
    on: tuple[bool, bool]
    sn_mva: float
    vn_kv: tuple[float, float]
    turn: tuple[float, float]
    vk_percent: float
    vkr_percent: float
    pfe_kw: float
    i0_percent: float
    clock: int

    @property
    def half_ohm(self) -> complex:
        """Half of the leakage impedance, in ohm of the LV side as it is tapped."""
        base = (self.vn_kv[1] * self.turn[1]) ** 2 / self.sn_mva
        vx_percent = math.sqrt(self.vk_percent**2 - self.vkr_percent**2)
        return complex(self.vkr_percent, vx_percent) / 200.0 * base

    @property
    def magnetising_percent(self) -> float:
        """The reactive part of the no-load current."""
        active = self.pfe_kw / self.sn_mva / 10.0
        return math.sqrt(max(self.i0_percent**2 - active**2, 0.0))


@dataclass(frozen=True)
class Feeder:
    """What stands in a feeder, how it is switched and what it carries."""

    frequency_hz: float
    kv: dict[int, float]
    source_bus: int
    source_pu: float
    lines: list[Line]
    trafos: list[Transformer]
    couplers: list[tuple[int, int]]
    loads: list[tuple[int, float, float]]
    plants: list[tuple[int, float, float]]
    shunts: list[tuple[int, float, float]] = field(default_factory=list)

    @property
    def branches(self) -> list[Line | Transformer]:
        return [*self.lines, *self.trafos]

    @property
    def source_kva(self) -> float:
        """Short-circuit power of a source that is stiff enough: 1e-8 pu lost at full power.

        One that is stiffer yet loses the digits of its own power.
        """
        total = sum(p_kw + q_kvar for _, p_kw, q_kvar in [*self.loads, *self.plants])
        return 1e8 * total

    def joint(self) -> dict[int, int]:
        """Return for each bus the bus that stands for all that closed couplers join it with."""
        return _parts(self.kv, self.couplers)

    def live(self) -> set[int]:
        """Return the buses that the source reaches."""
        closed = [b.bus for b in self.branches if all(b.on)]
        part = _parts(self.kv, [*self.couplers, *closed])
        return {bus for bus in self.kv if part[bus] == part[self.source_bus]}

    def fed(self, *, load: float = 1.0, plant: float = 1.0, roof: float = 0.0) -> Feeder:
        """Return the feeder with other powers.

        Parameters
        ----------
        load, plant : float
            What loads and plants are multiplied by.
        roof : float
            New plants, one at each load, of this many times the load's nominal power.
        """
        roofs = [(bus, roof * p_kw, 0.0) for bus, p_kw, _ in self.loads] if roof else []
        return replace(
            self, loads=_times(self.loads, load), plants=_times(self.plants, plant) + roofs
        )


@dataclass(frozen=True)
class Answer:
    """What an engine says of a feeder; NaN where a bus is dead.

    Angles follow the clocks of transformers. The head's power enters the feeder.
    """

    bus: tuple[int, ...]
    vm_pu: np.ndarray
    va_degree: np.ndarray
    losses_kw: float
    head_kw: float
    head_kvar: float


def read(net):
    """Return the feeder of a pandapower net with one source, two-winding transformers and lines."""
    (head,) = net.ext_grid[net.ext_grid["in_service"]].to_dict("records")
    assert net.bus["in_service"].all()
    switches = net.switch.to_dict("records")
    couplers = [
        (int(s["bus"]), int(s["element"])) for s in switches if s["et"] == "b" and s["closed"]
    ]
    opened = {(s["et"], int(s["element"]), int(s["bus"])) for s in switches if not s["closed"]}

    def ends(kind, row, a, b):
        bus = int(row[a]), int(row[b])
        on = tuple(
            bool(row["in_service"]) and (kind, row["index"], one) not in opened for one in bus
        )
        return {"index": row["index"], "bus": bus, "on": on}

    return Feeder(
        frequency_hz=float(net.f_hz),
        kv={int(bus): float(kv) for bus, kv in net.bus["vn_kv"].items()},
        source_bus=int(head["bus"]),
        source_pu=float(head["vm_pu"]),
        lines=[
            _line(row, **ends("l", row, "from_bus", "to_bus"))
            for row in net.line.reset_index(names="index").to_dict("records")
        ],
        trafos=[
            _trafo(row, **ends("t", row, "hv_bus", "lv_bus"))
            for row in net.trafo.reset_index(names="index").to_dict("records")
        ],
        couplers=couplers,
        loads=_powers([net.load, net.storage], [net.sgen]),
        plants=_powers([net.sgen], [net.load, net.storage]),
        shunts=_shunts(net),
    )


def _line(row, **ends):
    km, systems = row["length_km"], row["parallel"]
    return Line(
        **ends,
        r_ohm=row["r_ohm_per_km"] * km / systems,
        x_ohm=row["x_ohm_per_km"] * km / systems,
        c_nf=row["c_nf_per_km"] * km * systems,
        g_us=row["g_us_per_km"] * km * systems,
    )


def _trafo(row, **ends):
    units = row["parallel"]
    turn = {"hv": 1.0, "lv": 1.0}
    # A tap that no changer is named for does not act.
    if isinstance(row["tap_changer_type"], str):
        assert row["tap_changer_type"] == "Ratio"
        assert np.nan_to_num(row["tap_step_degree"]) == 0.0
        steps = row["tap_pos"] - row["tap_neutral"]
        turn[row["tap_side"]] += steps * row["tap_step_percent"] / 100.0
    clock, rest = divmod(row["shift_degree"], CLOCK_DEGREE)
    assert rest == 0
    return Transformer(
        **ends,
        sn_mva=row["sn_mva"] * units,
        vn_kv=(row["vn_hv_kv"], row["vn_lv_kv"]),
        turn=(turn["hv"], turn["lv"]),
        vk_percent=row["vk_percent"],
        vkr_percent=row["vkr_percent"],
        pfe_kw=row["pfe_kw"] * units,
        i0_percent=row["i0_percent"],
        clock=int(clock) % 12,
    )


def _powers(frames, opposite):
    """Return (bus, kW, kvar) of what `frames` take or give, and `opposite` below zero."""
    found = []
    for sign, some in ((1.0, frames), (-1.0, opposite)):
        for frame in some:
            for row in frame[frame["in_service"].astype(bool)].to_dict("records"):
                p, q = (sign * 1e3 * row[name] * row["scaling"] for name in ("p_mw", "q_mvar"))
                if p > 0 or q > 0:
                    found.append((int(row["bus"]), max(p, 0.0), max(q, 0.0)))
    return found


def _shunts(net):
    """Return (bus, siemens, siemens) of shunts; theirs is the power taken at their own voltage."""
    on = net.shunt[net.shunt["in_service"].astype(bool)] if len(net.shunt) else net.shunt
    return [
        (
            int(row["bus"]),
            row["p_mw"] * row["step"] / row["vn_kv"] ** 2,
            -row["q_mvar"] * row["step"] / row["vn_kv"] ** 2,
        )
        for row in on.to_dict("records")
    ]


def _times(powers, factor):
    return [(bus, p_kw * factor, q_kvar * factor) for bus, p_kw, q_kvar in powers]


def _parts(buses, pairs):
    """Return for each bus the lowest bus of its connected part."""
    part = {bus: bus for bus in buses}

    def first(bus):
        while part[bus] != bus:
            bus = part[bus]
        return bus

    for a, b in pairs:
        if a in part and b in part:
            low, high = sorted((first(a), first(b)))
            part[high] = low
    return {bus: first(bus) for bus in buses}
