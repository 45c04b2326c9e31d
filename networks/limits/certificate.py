"""The physical certificate of a plan: what it claims of the network, and the proof.

A *claim* says which powers enter which network in which intervals, and which limits are kept.
It is known exactly: powers are whole W and var, and every other number is written as the
shortest decimal that reads back as the same double. A certificate adds node voltages, from
which :mod:`networks.verify_certificate`, which shares no code with this package, computes all
the rest again. The document is canonical JSON (RFC 8785) without floating-point numbers; its
form is told there.

The claim holds what a household is expected to use: who gets a certificate sees that.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grid.errors import BadInputError
from grid.interval import label
from grid.site import Network
from networks.flow.solve import regimes
from networks.injection import INPUTS
from networks.model import Branches, Complex, Int, NetworkModel

if TYPE_CHECKING:
    import xarray as xr

FORMAT = "khazri network certificate 1"
BINDING_WITHIN_PU = 5e-4
BINDING_WITHIN_PERCENT = 0.5
"""How near to a limit a value is said to bind: beyond the margins that plans are cut with."""
POWER_MAX_W = 10**12

_CLAIMED = ("format", "intervals", "limits", "networks")
_BYTES_MAX = 32 * 1024 * 1024
_NODES_MAX = 2_000
"""What the verifier takes."""
_PORTS = ("yff", "yft", "ytf", "ytt")


def encode(value: Any) -> bytes:
    """Return canonical JSON of strings, integers, lists and objects with ASCII names."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def digest(value: Any) -> str:
    """Return the SHA-256 over canonical JSON, in hexadecimal."""
    return sha256(encode(value)).hexdigest()


def written(number: float) -> str:
    """Return a number as a certificate writes it: the shortest that reads back the same."""
    return repr(float(number) + 0.0).removesuffix(".0")


@dataclass(frozen=True)
class Claim:
    """What a certificate claims.

    Attributes
    ----------
    content : dict
        Members `format`, `intervals`, `limits` and `networks` of the document.
    topology : tuple of str
        :attr:`networks.model.NetworkModel.topology_hash` of each network, in hexadecimal.
    """

    content: dict[str, Any]
    topology: tuple[str, ...]

    @cached_property
    def sha256(self) -> str:
        """SHA-256 over all that is claimed."""
        return digest(self.content)

    @cached_property
    def injections_sha256(self) -> str:
        """SHA-256 over the intervals and their powers."""
        return digest(self.content["intervals"])

    def encode(self) -> bytes:
        """Return the claim as bytes to be kept."""
        return encode({**self.content, "topology": list(self.topology)})


def decode(content: bytes) -> Claim:
    """Return the claim of :meth:`Claim.encode`."""
    value = json.loads(content)
    return Claim({name: value[name] for name in _CLAIMED}, tuple(value["topology"]))


def claim(model: NetworkModel, dataset: xr.Dataset, network: Network) -> Claim:
    """Return what the certificate of a power flow is to claim.

    Parameters
    ----------
    model : NetworkModel
    dataset : xarray.Dataset
        From :func:`networks.flow.solve.flow`, of constant power.
    network : grid.site.Network
        The limits.

    Raises
    ------
    BadInputError
        When the power flow is of another network, a network has more than 2,000 nodes, or powers
        are beyond 10^12 W.
    """
    if len(model.node_kv) > _NODES_MAX:
        raise BadInputError(
            f"network {model.source}: {len(model.node_kv)} nodes, a certificate has {_NODES_MAX} "
            "at most"
        )
    told = dataset.attrs.get("topology_hash")
    if told != model.topology_hash.hex():
        raise BadInputError(
            f"network {model.source}: the power flow is of topology {told}, "
            f"not {model.topology_hash.hex()}"
        )
    available = dataset["grid_available"].to_numpy()
    forming = dataset.attrs.get("forming_bus")
    number: list[int | None] = [None] * len(available)
    parts: list[NetworkModel] = []
    for steps, part in regimes(model, available, forming):
        if part is None:
            continue
        for step in steps.tolist():
            number[step] = len(parts)
        parts.append(part)
    if not parts:
        raise BadInputError(f"network {model.source}: every bus is dead in every interval")
    powers = _powers(model, dataset)
    starts = dataset["interval"].to_numpy().astype("datetime64[s]").tolist()
    intervals = [
        {"network": which, "p_w": p_w, "q_var": q_var, "start": f"{start.isoformat()}Z"}
        for which, p_w, q_var, start in zip(number, *powers, starts, strict=True)
    ]
    limits = {
        "binding_within_percent": written(BINDING_WITHIN_PERCENT),
        "binding_within_pu": written(BINDING_WITHIN_PU),
        "loading_max_percent": written(network.loading_max_percent),
        "voltage_max_pu": written(network.voltage_max_pu),
        "voltage_min_pu": written(network.voltage_min_pu),
    }
    content = {
        "format": FORMAT,
        "intervals": intervals,
        "limits": limits,
        "networks": [_network(part) for part in parts],
    }
    return Claim(content, tuple(part.topology_hash.hex() for part in parts))


def certificate(model: NetworkModel, dataset: xr.Dataset, network: Network) -> dict[str, Any]:
    """Return the certificate of a power flow.

    Its powers are those of the power flow in whole W and var, and its voltages are solved for
    these. A state that breaks limits has a certificate too: the verifier refuses it.

    Raises
    ------
    BadInputError
        See :func:`claim`.
    SolverError
        Naming the first interval without a solution.
    """
    return complete(claim(model, dataset, network))


def complete(claimed: Claim) -> dict[str, Any]:
    """Return the certificate of a claim; nothing but the claim is needed for it.

    Raises
    ------
    SolverError
        Naming the first interval without a solution.
    """
    from networks.limits.proof import states

    document = {**claimed.content, "states": states(claimed.content)}
    known = {
        "claim": claimed.sha256,
        "injections": claimed.injections_sha256,
        "topology": list(claimed.topology),
    }
    whole = digest({**document, "hashes": known})
    return {**document, "hashes": {**known, "certificate": whole}}


def write(document: dict[str, Any], path: Path) -> None:
    """Write a certificate to a file.

    Raises
    ------
    BadInputError
        When it has more bytes than the verifier takes.
    """
    content = encode(document)
    if len(content) > _BYTES_MAX:
        raise BadInputError(f"{path}: {len(content)} bytes, a certificate has {_BYTES_MAX} at most")
    path.write_bytes(content)


def read(path: Path) -> dict[str, Any]:
    """Return a certificate from a file, as it stands: nothing of it is verified.

    Raises
    ------
    BadInputError
        When the file is no certificate of this format.
    """
    with path.open("rb") as stream:
        content = stream.read(_BYTES_MAX + 1)
    if len(content) > _BYTES_MAX:
        raise BadInputError(f"{path}: is longer than {_BYTES_MAX} bytes")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{path}: is no JSON") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise BadInputError(f"{path}: is no {FORMAT!r}")
    return document


def _powers(model: NetworkModel, dataset: xr.Dataset) -> tuple[list[list[int]], list[list[int]]]:
    """Return (interval, bus) whole W and var into the network."""
    absorbed_kw, injected_kw, absorbed_kvar, injected_kvar = (
        dataset[name].to_numpy() for name in INPUTS
    )
    found = []
    for values in (injected_kw - absorbed_kw, injected_kvar - absorbed_kvar):
        units = np.rint(values * 1e3)
        if not np.abs(units).max(initial=0.0) <= POWER_MAX_W:
            step, bus = np.argwhere(~(np.abs(units) <= POWER_MAX_W))[0]
            start_s = int(dataset["interval"].to_numpy()[step].astype("datetime64[s]").astype(int))
            raise BadInputError(
                f"{model.bus_label(int(bus))} {label(start_s)}: {units[step, bus]} W or var is "
                f"beyond {POWER_MAX_W}"
            )
        found.append(units.astype(np.int64).tolist())
    return found[0], found[1]


def _network(model: NetworkModel) -> dict[str, Any]:
    """Return a network as a certificate writes it."""
    equipment = model.equipment
    buses = [
        {"index": index, "name": name, "node": node, "shunt": shunt, "vn_kv": written(kv)}
        for index, name, node, shunt, kv in zip(
            model.bus.tolist(),
            model.bus_name,
            model.node.tolist(),
            _pairs(equipment.shunt),
            model.vn_kv.tolist(),
            strict=True,
        )
    ]
    held = [
        {"bus": bus, "v_pu": voltage}
        for bus, voltage in zip(model.held_bus.tolist(), _pairs(model.held_pu), strict=True)
    ]
    return {
        "base_mva": written(model.base_mva),
        "bus": buses,
        "held": held,
        "line": _branches(model.line),
        "trafo": _branches(model.trafo),
    }


def _branches(table: Branches) -> list[dict[str, Any]]:
    whole: dict[str, Int] = {
        name: getattr(table, name)
        for name in ("index", "from_bus", "to_bus", "from_node", "to_node")
    }
    columns: dict[str, Sequence[Any]] = {name: values.tolist() for name, values in whole.items()}
    columns |= {name: _pairs(getattr(table, name)) for name in _PORTS}
    for name in ("rated_from_ka", "rated_to_ka"):
        columns[name] = [written(value) for value in getattr(table, name).tolist()]
    columns["name"] = table.name
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _pairs(values: Complex) -> list[list[str]]:
    return [[written(value.real), written(value.imag)] for value in values.tolist()]
