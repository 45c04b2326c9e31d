"""A feeder for OpenDSS: all three phases, its lines, its transformers by vector group.

OpenDSS puts a transformer's iron at its last winding (a gamma), pandapower in the middle (a
T). So each stands here as the T that it is: a transformer with half of the leakage and the
iron at its LV terminal, and a line with the other half. A line that is open at one end runs to
a bus of its own. Buses that a closed coupler joins are one bus.
"""

from __future__ import annotations

import numpy as np
import opendssdirect as dss

from tests.networks.engines.physical import Answer

TOLERANCE = 1e-12
MAX_ITERATIONS = 300
GROUPS = {0: ("wye", "1.2.3"), 1: ("delta", "1.2.3"), 5: ("delta", "3.1.2")}
"""How a clock number is wound: HV winding, and which LV phase stands at terminals 1, 2, 3."""


def solve(feeder):
    """Return what OpenDSS says of a feeder."""
    live, joint = feeder.live(), feeder.joint()
    kv = {bus: feeder.kv[joint[bus]] for bus in feeder.kv}
    name = {bus: f"b{joint[bus]}" for bus in feeder.kv}
    run = dss.Text.Command
    source_ohm = 1e3 * kv[feeder.source_bus] ** 2 / feeder.source_kva
    run("clear")
    run(f"set defaultbasefrequency={feeder.frequency_hz}")
    run(
        f"new circuit.feeder bus1={name[feeder.source_bus]} basekv={kv[feeder.source_bus]!r}"
        f" pu={feeder.source_pu!r} r1=0 x1={source_ohm!r} r0=0 x0={source_ohm!r}"
    )
    for branch in feeder.branches:
        # Each end: the bus, or one of its own where it is open.
        ends = [
            name[bus] if on else f"{type(branch).__name__}{branch.index}open{end}"
            for end, (bus, on) in enumerate(zip(branch.bus, branch.on, strict=True))
        ]
        if any(on and bus in live for bus, on in zip(branch.bus, branch.on, strict=True)):
            for command in _branch(branch, ends):
                run(command)
    _powers(run, "load", feeder.loads, live, name, kv)
    _powers(run, "generator", feeder.plants, live, name, kv)
    for at, (bus, g_s, b_s) in enumerate(feeder.shunts):
        if bus in live:
            run(_admittance(f"shunt{at}", name[bus], g_s, b_s))
    run(f"set mode=snapshot controlmode=off tolerance={TOLERANCE} maxiterations={MAX_ITERATIONS}")
    run("solve")
    assert dss.Solution.Converged()
    return _answer(feeder, live, name)


def _branch(branch, ends):
    if hasattr(branch, "r_ohm"):
        yield _line(f"l{branch.index}", ends, complex(branch.r_ohm, branch.x_ohm), branch.c_nf)
        for end, bus in enumerate(ends):
            if branch.g_us:
                yield _admittance(f"l{branch.index}g{end}", bus, 0.5e-6 * branch.g_us, 0.0)
        return
    winding, phases = GROUPS[branch.clock]
    star = f"star{branch.index}"
    kva = 1e3 * branch.sn_mva
    vx_percent = (branch.vk_percent**2 - branch.vkr_percent**2) ** 0.5
    yield (
        f"new transformer.t{branch.index} phases=3 windings=2 buses=[{ends[0]} {star}.{phases}]"
        f" conns=[{winding} wye] kvs=[{branch.vn_kv[0]!r} {branch.vn_kv[1]!r}]"
        f" kvas=[{kva!r} {kva!r}] taps=[{branch.turn[0]!r} {branch.turn[1]!r}]"
        f" %rs=[{branch.vkr_percent / 4!r} {branch.vkr_percent / 4!r}] xhl={vx_percent / 2!r}"
        f" %noloadloss={branch.pfe_kw / kva * 100!r} %imag={branch.magnetising_percent!r}"
        " leadlag=lag ppm_antifloat=0.001"
    )
    yield _line(f"t{branch.index}half", [star, ends[1]], branch.half_ohm, 0.0)


def _line(name, ends, ohm, c_nf):
    return (
        f"new line.{name} bus1={ends[0]} bus2={ends[1]} phases=3 length=1"
        f" r1={ohm.real!r} x1={ohm.imag!r} c1={c_nf!r} r0={ohm.real!r} x0={ohm.imag!r} c0={c_nf!r}"
    )


def _admittance(name, bus, g_s, b_s):
    ohm = 1.0 / complex(g_s, b_s)
    return f"new reactor.{name} bus1={bus} phases=3 r={ohm.real!r} x={ohm.imag!r}"


def _powers(run, kind, powers, live, name, kv):
    for at, (bus, p_kw, q_kvar) in enumerate(powers):
        if bus in live:
            run(
                f"new {kind}.{kind}{at} bus1={name[bus]} phases=3 conn=wye model=1"
                f" kv={kv[bus]!r} kw={p_kw!r} kvar={q_kvar!r} vminpu=0 vmaxpu=10"
            )


def _answer(feeder, live, name):
    volts = np.array(dss.Circuit.AllBusVolts()).view(complex)
    turn = np.exp(1j * np.radians([0.0, 120.0, 240.0]))
    at = dict(zip(dss.Circuit.AllNodeNames(), volts, strict=True))
    phase = np.full(len(feeder.kv), np.nan, dtype=complex)
    for row, bus in enumerate(feeder.kv):
        if bus in live:
            three = np.array([at[f"{name[bus]}.{number}"] for number in (1, 2, 3)])
            phase[row], negative = (three * turn).mean(), (three * turn.conj()).mean()
            # Balanced, or the circuit is not the one that was meant.
            assert abs(negative) < 1e-7 * abs(phase[row]), bus
    base = np.array([1e3 * one / np.sqrt(3) for one in feeder.kv.values()])
    head = dss.Circuit.TotalPower()
    return Answer(
        bus=tuple(feeder.kv),
        vm_pu=np.abs(phase) / base,
        va_degree=np.degrees(np.angle(phase)),
        losses_kw=1e-3 * (dss.Circuit.Losses()[0] + _shunt_w()),
        head_kw=-head[0],
        head_kvar=-head[1],
    )


def _shunt_w():
    """Return what the reactors to earth take: OpenDSS has it in no sum of its losses."""
    total = 0.0
    for name in dss.Circuit.AllElementNames():
        if name.lower().startswith("reactor."):
            dss.Circuit.SetActiveElement(name)
            total += dss.CktElement.Losses()[0]
    return total
