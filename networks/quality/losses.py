"""Where a network loses energy: lines by voltage level, transformers under load and without.

These are technical losses, computed. What meters count less than the feeder head is compared
with them elsewhere.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from networks.model import Float, NetworkModel


def losses(model: NetworkModel, inputs: xr.Dataset, result: xr.Dataset) -> xr.Dataset:
    """Return the technical losses of a series by group of elements.

    A transformer's no-load losses are the real part of what it takes with its low-voltage side
    open, at the voltage of its high-voltage side: exact where that voltage is held, else at the
    middle of the series' range of it.

    Parameters
    ----------
    inputs : xarray.Dataset
        As :func:`networks.flow.year.year` took them.
    result : xarray.Dataset
        What it gave.

    Returns
    -------
    xarray.Dataset
        (group,): `losses_kwh`, `share_percent` of the energy that enters. (line,):
        `line_losses_kwh`; (trafo,): `trafo_load_kwh`, `trafo_no_load_kwh` and
        `trafo_no_load_uncertain_kwh`, how far that may be off for the voltage. Attributes:
        `entering_kwh` from the head and from plants, `delivered_kwh` to loads and to the grid,
        `losses_kwh`, `balance_kwh`, what of the energy that enters is in neither.
    """
    starts = result["interval"].to_numpy().astype("datetime64[s]").astype(np.int64)
    hours = float(starts[1] - starts[0]) / 3600.0 if len(starts) > 1 else 0.0
    span_h = hours * len(starts)
    no_load, uncertain = _no_load_kw(model, result)
    line = result["line_losses_kwh"].to_numpy()
    trafo = result["trafo_losses_kwh"].to_numpy()
    live = model.node[[model.position(int(bus)) for bus in inputs["bus"].to_numpy()]] >= 0
    absorbed, injected = (
        float(inputs[name].to_numpy()[:, live].sum()) * hours
        for name in ("absorbed_kw", "injected_kw")
    )
    entering = float(result["head_import_kw"].sum()) * hours + injected
    delivered = float(result["head_export_kw"].sum()) * hours + absorbed
    total = float(result["losses_kw"].sum()) * hours
    groups = _line_groups(model, line)
    groups["transformers, load"] = float((trafo - no_load * span_h).sum())
    groups["transformers, no load"] = float(no_load.sum()) * span_h
    groups["shunts"] = total - float(line.sum()) - float(trafo.sum())
    values = np.array(list(groups.values()))
    share = 100.0 * values / entering if entering > 0.0 else np.full(len(values), np.nan)
    kwh = {"units": "kWh"}
    return xr.Dataset(
        {
            "losses_kwh": ("group", values, kwh),
            "share_percent": ("group", share, {"units": "%"}),
            "line_losses_kwh": ("line", line, kwh),
            "trafo_load_kwh": ("trafo", trafo - no_load * span_h, kwh),
            "trafo_no_load_kwh": ("trafo", no_load * span_h, kwh),
            "trafo_no_load_uncertain_kwh": ("trafo", uncertain * span_h, kwh),
        },
        {"group": list(groups), "line": model.line.index, "trafo": model.trafo.index},
        {
            "entering_kwh": entering,
            "delivered_kwh": delivered,
            "losses_kwh": total,
            "balance_kwh": entering - delivered - total,
            "topology_hash": model.topology_hash.hex(),
        },
    )


def _line_groups(model: NetworkModel, losses_kwh: Float) -> dict[str, float]:
    """Return the losses of lines by nominal voltage, the highest first."""
    kv = model.vn_kv[[model.position(int(bus)) for bus in model.line.from_bus]]
    return {
        f"lines {level:g} kV": float(losses_kwh[kv == level].sum())
        for level in np.unique(kv)[::-1].tolist()
    }


def _no_load_kw(model: NetworkModel, result: xr.Dataset) -> tuple[Float, Float]:
    """Return no-load losses of each transformer and how far they may be off, kW."""
    trafo = model.trafo
    on = trafo.from_node >= 0
    no_load, uncertain = np.zeros(len(trafo)), np.zeros(len(trafo))
    at = [model.position(int(bus)) for bus in trafo.from_bus[on]]
    low = result["vm_pu_minimum"].to_numpy()[at] ** 2
    high = result["vm_pu_maximum"].to_numpy()[at] ** 2
    ends = trafo.yft[on] * trafo.ytf[on] / trafo.ytt[on]
    per_square = (trafo.yff[on] - ends).real * model.base_mva * 1e3
    no_load[on] = per_square * (low + high) / 2.0
    uncertain[on] = per_square * (high - low) / 2.0
    return no_load, uncertain
