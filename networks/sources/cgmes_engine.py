"""What runs in the converter's process: pandapower's reading of CGMES."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from networks.sources.converter import plain, records_of

_CIM100 = b"CIM100#"
_MOST_NOTES = 20


def converted(paths: list[Path]) -> dict[str, Any]:
    """Return records, facts and notes of XML documents that :func:`check_xml` passed."""
    from pandapower.converter.cim.cim2pp.from_cim import from_cim

    version = "3.0" if any(_CIM100 in path.read_bytes() for path in paths) else "2.4.15"
    net = from_cim(
        [str(path) for path in paths],
        cgmes_version=version,
        create_tap_controller=False,
        ignore_errors=False,
    )
    records = records_of(net)
    notes = _notes(net)
    _ward_loads(records, notes)
    return {"records": records, "facts": {"f_hz": plain(net.f_hz)}, "notes": notes}


def _notes(net: Any) -> list[str]:
    """Return what the converter said was wrong, each once."""
    said = [
        str(log.message)
        for log in net["report_container"].get_logs()
        if getattr(log.level, "name", "") in ("WARNING", "ERROR", "EXCEPTION", "CRITICAL")
    ]
    return list(dict.fromkeys(message[:300] for message in said))[:_MOST_NOTES]


def _ward_loads(records: dict[str, list[dict[str, Any]]], notes: list[str]) -> None:
    """Turn wards, which are equivalent injections, into loads of the same power at 1 pu."""
    wards = [row for row in records.pop("ward", []) if row["in_service"]]
    loads = records.setdefault("load", [])
    number = max((row["index"] for row in loads), default=-1)
    for ward in wards:
        number += 1
        row: dict[str, Any] = {
            "index": number, "name": ward.get("name"), "bus": ward["bus"], "scaling": 1.0,
            "in_service": True,
        }  # fmt: skip
        for power, column in (("p", "p_mw"), ("q", "q_mvar")):
            constant, impedance = ward[f"{power}s_{column[2:]}"], ward[f"{power}z_{column[2:]}"]
            row[column] = constant + impedance
            if impedance and row[column]:
                row[f"const_z_{power}_percent"] = 100 * impedance / row[column]
        loads.append(row)
    if wards:
        notes.append(f"{len(wards)} equivalent injections are taken as loads")
