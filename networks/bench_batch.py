"""The same network and the same steps for power-grid-model, where it is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from networks.injection import INPUTS, node_power
from networks.model import Branches, Float, NetworkModel

_STIFF_VA = 1e20
"""Short-circuit power of a source that holds its voltage whatever it gives."""
_TOLERANCE_PU = 1e-8


class Batch:
    """All steps of `inputs` as one batch, with every core, as our own arrays have them.

    Attributes
    ----------
    vm_pu : float64 (interval, bus)
        After a call; NaN at dead buses.
    """

    def __init__(self, model: NetworkModel, inputs: xr.Dataset) -> None:
        from power_grid_model import PowerGridModel, initialize_array

        self._model = model
        columns = [np.asarray(inputs[name].to_numpy(), dtype=np.float64) for name in INPUTS]
        power = node_power(model, *columns) * (model.base_mva * 1e6)
        loaded = np.flatnonzero(np.abs(power).max(axis=1))
        count = len(model.node_kv)
        node = initialize_array("input", "node", count)
        node["id"], node["u_rated"] = np.arange(count), model.node_kv * 1e3
        branch = np.concatenate(
            [branches(model, table, initialize_array) for table in (model.line, model.trafo)]
        )
        branch["id"] = count + np.arange(len(branch))
        source = initialize_array("input", "source", 1)
        source["id"], source["node"], source["status"] = (
            count + len(branch),
            int(model.held_node[0]),
            1,
        )
        source["u_ref"], source["sk"] = model.source_voltage_pu, _STIFF_VA
        load = initialize_array("input", "sym_load", len(loaded))
        load["id"] = count + len(branch) + 1 + np.arange(len(loaded))
        load["node"], load["status"], load["type"] = loaded, 1, 0
        load["p_specified"] = load["q_specified"] = 0.0
        self._grid = PowerGridModel(
            {"node": node, "generic_branch": branch, "source": source, "sym_load": load}
        )
        update = initialize_array("update", "sym_load", (power.shape[1], len(loaded)))
        update["id"] = load["id"]
        update["p_specified"], update["q_specified"] = -power[loaded].real.T, -power[loaded].imag.T
        self._update = {"sym_load": update}
        self._u_pu: Float = np.empty((0, count))

    def __call__(self, turn: int) -> None:
        from power_grid_model import ComponentType

        result: Any = self._grid.calculate_power_flow(
            update_data=self._update,
            calculation_method="iterative_current",
            error_tolerance=_TOLERANCE_PU,
            threading=0,
            output_component_types={
                ComponentType.node: ["u_pu"],
                ComponentType.generic_branch: ["loading"],
            },
        )
        self._u_pu = result[ComponentType.node]["u_pu"]

    @property
    def vm_pu(self) -> Float:
        node = self._model.node
        return np.where(node >= 0, self._u_pu[:, node], np.nan)


def branches(model: NetworkModel, table: Branches, array: Any) -> npt.NDArray[np.void]:
    """Return lines or transformers as generic branches, in ohm and siemens of their to side.

    With ``n = k exp(j theta)`` such a branch is ``yft = -y / conj(n)``,
    ``ytf = -y / n``, ``ytt = y + ysh / 2`` and ``yff = ytt / |n|^2``.
    """
    on = np.flatnonzero(table.from_node >= 0)
    rows: npt.NDArray[np.void] = array("input", "generic_branch", len(on))
    to_node = table.to_node[on]
    to_siemens = model.base_mva / model.node_kv[to_node] ** 2
    ratio = np.sqrt(np.abs(table.ytt[on] / table.yff[on])) * np.exp(
        0.5j * np.angle(table.yft[on] / table.ytf[on])
    )
    series = -table.ytf[on] * ratio
    # The half angle is known up to half a turn; a series impedance has no negative part.
    ratio = np.where(series.real < 0, -ratio, ratio)
    series = -table.ytf[on] * ratio
    shunt = 2 * (table.ytt[on] - series) * to_siemens
    impedance = 1 / (series * to_siemens)
    rows["from_node"], rows["to_node"] = table.from_node[on], to_node
    rows["from_status"] = rows["to_status"] = 1
    rows["r1"], rows["x1"] = impedance.real, impedance.imag
    rows["g1"], rows["b1"] = shunt.real, shunt.imag
    rows["k"], rows["theta"], rows["sn"] = np.abs(ratio), np.angle(ratio), 1e6
    return rows
