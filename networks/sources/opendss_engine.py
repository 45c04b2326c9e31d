"""What runs in the converter's process: OpenDSS, pandapower's reading of it, and the rest.

:func:`pandapower.converter.opendss.from_opendss` gives the positive sequence. Zero
sequence, source impedance, core losses, vector groups, loads of one phase, load
models and plants are read from the same engine here.
"""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

from networks.sources.converter import records_of

C_MAX = 1.1
"""Voltage factor of IEC 60909-0 Table 1: s_sc = c U² / Z, as pandapower turns it back."""

NOTICED_PU = 1e-4
"""Drop over the source's impedance that is worth a word."""

# Shunt branch of the zero sequence: large, since a winding in delta closes it.
_MAG0_PERCENT, _MAG0_RX, _SI0_HV = 10_000.0, 0.0, 0.9
_PLANTS = {"generator": "sgen", "pvsystem": "sgen", "storage": "storage"}
_PAIRS = {(1, 2): "a", (2, 3): "b", (1, 3): "c"}


def converted(path: Path) -> dict[str, Any]:
    """Return records, facts and notes of a script that :func:`read_script` wrote."""
    import opendssdirect as dss
    from pandapower.converter.opendss.from_dss import from_opendss

    dss.Basic.AllowForms(False)
    dss.Basic.AllowEditor(False)
    dss.Basic.AllowDOScmd(False)
    net = from_opendss(str(path), solve=True)
    report = net["opendss_import"]
    notes = list(report["warnings"])
    if not dss.Solution.Converged():
        notes.append("OpenDSS found no solution: plants have their nominal power, taps their given")
    three = _three_phase(dss, report)
    if three:
        _zero_sequence(dss, net)
    else:
        notes.append(
            "lines or transformers of one or two phases are taken as of three, and so are loads"
        )
    _source(dss, net, report["vm_pu_opendss"], notes)
    _transformers(dss, net)
    records = records_of(net)
    _loads(dss, records, three, notes)
    _beyond(dss, report["vm_pu_opendss"], notes)
    _plants(dss, records, three)
    facts = {"name": dss.Circuit.Name(), "f_hz": float(dss.Solution.Frequency())}
    solved = {"vm_pu": report["vm_pu_opendss"], "phases": _phase_voltages(dss)}
    return {"records": records, "facts": facts, "notes": notes, "solved": solved}


def _ask(dss: Any, question: str) -> str:
    dss.Text.Command(f"? {question}")
    return str(dss.Text.Result())


def _pair(text: str) -> tuple[float, float]:
    r, x = json.loads(text.replace(", ]", "]"))
    return float(r), float(x)


def _three_phase(dss: Any, report: dict[str, Any]) -> bool:
    if report["single_phase_lines"] or report["two_phase_lines"]:
        return False
    names = [name for name in dss.Transformers.AllNames() if name.lower() != "none"]
    return all(int(_ask(dss, f"transformer.{name}.phases")) == 3 for name in names)


def _zero_sequence(dss: Any, net: Any) -> None:
    """Set r0, x0 and c0: self plus twice mutual of the line's matrices, averaged over phases."""
    import numpy as np

    known = {name.lower() for name in dss.Lines.AllNames()}
    net.line["r0_ohm_per_km"] = net.line["x0_ohm_per_km"] = net.line["c0_nf_per_km"] = math.nan
    for index, name, length_km in zip(
        net.line.index, net.line.name, net.line.length_km, strict=True
    ):
        # A reactor is a line too, of which OpenDSS has one impedance only.
        if name.lower() not in known:
            continue
        dss.Lines.Name(name)
        count = dss.Lines.Phases()
        per_km = dss.Lines.Length() / length_km
        shape = (count, count)
        z = np.reshape(dss.Lines.RMatrix(), shape) + 1j * np.reshape(dss.Lines.XMatrix(), shape)
        c = np.reshape(dss.Lines.CMatrix(), shape)[:3, :3]
        if count > 3:
            z = z[:3, :3] - z[:3, 3:] @ np.linalg.solve(z[3:, 3:], z[3:, :3])
        values = (z[:3, :3].real.sum(), z[:3, :3].imag.sum(), c.sum())
        columns = ("r0_ohm_per_km", "x0_ohm_per_km", "c0_nf_per_km")
        for column, total in zip(columns, values, strict=True):
            net.line.at[index, column] = total / 3 * per_km


def _source(dss: Any, net: Any, solved: dict[str, float], notes: list[str]) -> None:
    dss.Vsources.First()
    name = dss.Vsources.Name()
    kv = float(dss.Vsources.BasekV())
    r1, x1 = _pair(_ask(dss, f"vsource.{name}.z1"))
    r0, x0 = _pair(_ask(dss, f"vsource.{name}.z0"))
    vn_kv = net.bus.vn_kv.at[net.ext_grid.bus.iloc[0]]
    net.ext_grid["vm_pu"] = dss.Vsources.PU() * kv / vn_kv
    net.ext_grid["va_degree"] = dss.Vsources.AngleDeg()
    held, bus = net.ext_grid.vm_pu.iloc[0], net.bus.name.at[net.ext_grid.bus.iloc[0]]
    behind = solved.get(bus.lower(), held)
    if abs(behind - held) > NOTICED_PU:
        notes.append(
            f"OpenDSS solved {behind:.4f} pu at the source's bus {bus} behind its impedance; a "
            f"power flow here holds its {held:.4f} pu there"
        )
    if math.hypot(r1, x1) > 0:
        for case in ("max", "min"):
            net.ext_grid[f"s_sc_{case}_mva"] = C_MAX * kv**2 / math.hypot(r1, x1)
            net.ext_grid[f"rx_{case}"] = r1 / x1 if x1 else math.nan
            net.ext_grid[f"x0x_{case}"] = x0 / x1 if x1 else math.nan
            net.ext_grid[f"r0x0_{case}"] = r0 / x0 if x0 else math.nan


def _transformers(dss: Any, net: Any) -> None:
    """Set core losses, vector group and zero sequence, which is the positive one's."""
    for index, name in net.trafo.name.items():
        iron, magnetising = (
            float(_ask(dss, f"transformer.{name}.{what}")) for what in ("%noloadloss", "%imag")
        )
        conns = _ask(dss, f"transformer.{name}.conns").strip("[] ,").lower().split(",")
        buses = _ask(dss, f"transformer.{name}.buses").strip("[] ,").lower().split(",")
        hv = str(net.bus.name.at[net.trafo.hv_bus.at[index]]).lower()
        side = next((at for at, bus in enumerate(buses) if bus.strip().split(".")[0] == hv), 0)
        delta = [conn.strip().startswith(("d", "ll")) for conn in conns[:2]]
        first, second = (delta[side], delta[1 - side]) if len(delta) == 2 else (False, False)
        net.trafo.at[index, "pfe_kw"] = iron / 100 * net.trafo.sn_mva.at[index] * 1e3
        net.trafo.at[index, "i0_percent"] = math.hypot(iron, magnetising)
        leads = _ask(dss, f"transformer.{name}.leadlag").lower() in ("lead", "euro")
        shift = (-30.0 if leads else 30.0) if first != second else 0.0
        group = ("D" if first else "YN") + ("d" if second else "yn")
        values = {
            "shift_degree": shift, "vector_group": group, "mag0_rx": _MAG0_RX,
            "vk0_percent": net.trafo.vk_percent.at[index],
            "vkr0_percent": net.trafo.vkr_percent.at[index],
            "mag0_percent": _MAG0_PERCENT, "si0_hv_partial": _SI0_HV,
        }  # fmt: skip
        for column, value in values.items():
            net.trafo.loc[index, column] = value


def _loads(dss: Any, records: dict[str, Any], three: bool, notes: list[str]) -> None:
    """Give each load its model, and those of one or two phases a place on them."""
    kept: list[dict[str, Any]] = []
    phased: list[dict[str, Any]] = []
    constant: list[str] = []
    for row in records.get("load", ()):
        dss.Loads.Name(row["name"])
        dss.Circuit.SetActiveElement(f"Load.{row['name']}")
        model = dss.Loads.Model()
        phases = dss.CktElement.NumPhases()
        row["type"] = "delta" if dss.Loads.IsDelta() and phases == 3 else "wye"
        if phases == 3 or not three:
            shares = {2: ("z", "z"), 5: ("i", "i"), 4: ("i", "z")}.get(model)
            if model == 8:
                _zip(row, list(dss.Loads.ZipV()))
            elif shares:
                row[f"const_{shares[0]}_p_percent"] = row[f"const_{shares[1]}_q_percent"] = 100.0
            elif model not in (1, 7):
                constant.append(row["name"])
            kept.append(row)
            continue
        if model != 1:
            constant.append(row["name"])
        phased.append(
            {
                "index": len(phased), "name": row["name"], "bus": row["bus"], "scaling": 1.0,
                "in_service": True, **_on_phases(dss, row["p_mw"], row["q_mvar"]),
            }
        )  # fmt: skip
    if constant:
        notes.append(f"taken as of constant power: load {', '.join(sorted(constant)[:20])}")
    records["load"], records["asymmetric_load"] = kept, phased


def _beyond(dss: Any, solved: dict[str, float], notes: list[str]) -> None:
    """Note loads whose voltage is where OpenDSS takes them as impedances."""
    names = []
    number = dss.Loads.First()
    while number:
        bus = dss.CktElement.BusNames()[0].split(".")[0].lower()
        if not dss.Loads.Vminpu() <= solved.get(bus, 1.0) <= dss.Loads.Vmaxpu():
            names.append(dss.Loads.Name())
        number = dss.Loads.Next()
    if names:
        notes.append(
            f"{len(names)} loads are beyond their vminpu to vmaxpu, where OpenDSS takes them as "
            f"impedances and a power flow here does not: load {', '.join(names[:10])}"
        )


def _zip(row: dict[str, Any], given: list[float]) -> None:
    """Set the shares of ``zipv`` = Zp Ip Pp Zq Iq Pq and the cut-off."""
    for name, share in zip(("z_p", "i_p", "z_q", "i_q"), (*given[:2], *given[3:5]), strict=True):
        row[f"const_{name}_percent"] = 100 * share


def _on_phases(dss: Any, p_mw: float, q_mvar: float) -> dict[str, Any]:
    """Return power by phase, equal on those that the active element is at."""
    nodes = [node for node in dss.CktElement.NodeOrder() if node in (1, 2, 3)]
    pairs = [tuple(sorted(pair)) for pair in pairwise(nodes)]
    neutral = any(node not in (1, 2, 3) for node in dss.CktElement.NodeOrder())
    phases = ["abc"[node - 1] for node in nodes] if neutral else [_PAIRS[pair] for pair in pairs]
    row: dict[str, Any] = {"type": "wye" if neutral else "delta"}
    for phase in "abc":
        share = phases.count(phase) / len(phases)
        row[f"p_{phase}_mw"], row[f"q_{phase}_mvar"] = p_mw * share, q_mvar * share
    return row


def _plants(dss: Any, records: dict[str, Any], three: bool) -> None:
    """Add what plants give in the solved circuit, and storages what they take."""
    bus = {row["name"].lower(): row["index"] for row in records["bus"]}
    for name in dss.Circuit.AllElementNames():
        kind, _, plain = name.lower().partition(".")
        table = _PLANTS.get(kind)
        dss.Circuit.SetActiveElement(name)
        if table is None or not dss.CktElement.Enabled():
            continue
        powers = dss.CktElement.Powers()
        takes = sum(powers[::2]) / 1e3, sum(powers[1::2]) / 1e3
        sign = 1.0 if table == "storage" else -1.0
        at = bus[dss.CktElement.BusNames()[0].split(".")[0].lower()]
        row = {"name": plain, "bus": at, "scaling": 1.0, "in_service": True}
        if three and table == "sgen" and dss.CktElement.NumPhases() < 3:
            table = "asymmetric_sgen"
            row |= _on_phases(dss, -takes[0], -takes[1])
        else:
            row |= {"p_mw": sign * takes[0], "q_mvar": sign * takes[1]}
            row["type"] = {"pvsystem": "PV"}.get(kind, "")
        rows = records.setdefault(table, [])
        rows.append({"index": len(rows), **row})


def _phase_voltages(dss: Any) -> dict[str, list[float | None]]:
    """Return the solved magnitudes of phase a, b, c by bus, per unit."""
    made: dict[str, list[float | None]] = {}
    for name in dss.Circuit.AllBusNames():
        dss.Circuit.SetActiveBus(name)
        found = dict(zip(dss.Bus.Nodes(), dss.Bus.puVmagAngle()[::2], strict=False))
        made[name.lower()] = [float(found[node]) if node in found else None for node in (1, 2, 3)]
    return made
