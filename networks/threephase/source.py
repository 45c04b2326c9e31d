"""The compiled three-phase model of a network source, from the cache when it is there.

Sources are those of :mod:`networks.sources.source`.
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from grid.errors import BadInputError, Finding, Severity
from networks.sources import cache
from networks.sources.source import read_net, split
from networks.threephase.model import SequenceBranches, ThreePhaseModel

_BRANCH_ARRAYS = tuple(f.name for f in dataclasses.fields(SequenceBranches) if f.name != "name")
_ARRAYS = (
    "bus", "vn_kv", "node", "node_kv", "source_z_pu", "nominal_wye", "nominal_delta",
)  # fmt: skip
_FACTS = ("source_voltage_pu", "base_mva", "bus_name", "slack_bus", "slack_node")


def load(
    source: str,
    *,
    source_voltage_pu: float | None = None,
    base_dir: Path | None = None,
    assume_zero_sequence: bool = False,
) -> ThreePhaseModel:
    """Return the compiled three-phase network of a source.

    Parameters
    ----------
    source : str
        ``simbench:CODE``, ``pandapower:NAME`` or ``file:PATH``.
    source_voltage_pu : float, optional
        Positive-sequence voltage held at the feeder head, 0.8 to 1.2 pu; by
        default what the source network says.
    base_dir : Path, optional
        Folder that a relative ``file:`` path starts from.
    assume_zero_sequence : bool
        Whether zero-sequence data that the source lacks are assumed
        (:mod:`networks.threephase.zero_sequence`) and told as ``model.findings``.

    Raises
    ------
    BadInputError
        When the source is unknown, refused, lacks zero-sequence data, or has an
        element that the power flow does not model; the message names it.
    SolverError
        When the unloaded network has no solution.
    """
    if source_voltage_pu is not None and not 0.8 <= source_voltage_pu <= 1.2:
        raise BadInputError(f"source_voltage_pu is {source_voltage_pu}, must be within 0.8 to 1.2")
    assumed = "assumed" if assume_zero_sequence else "given"
    path = cache.cache_path("threephase", _content_key(source, base_dir), assumed)
    model = _restore(path, source, base_dir)
    if model is None:
        from networks.threephase.compile import compile_net

        model = compile_net(
            read_net(source, base_dir=base_dir),
            source=source,
            base_dir=base_dir,
            assume_zero_sequence=assume_zero_sequence,
        )
        _store(path, model)
    if source_voltage_pu is None:
        return model
    return dataclasses.replace(model, source_voltage_pu=source_voltage_pu)


def _content_key(source: str, base_dir: Path | None) -> str:
    kind, name = split(source)
    if kind != "file":
        return source
    from networks.sources.tables import read_bytes

    path = Path(name)
    whole = path if path.is_absolute() or base_dir is None else base_dir / path
    return "file:" + hashlib.sha256(read_bytes(whole)).hexdigest()


def _store(path: Path, model: ThreePhaseModel) -> None:
    arrays = {name: getattr(model, name) for name in _ARRAYS}
    facts: dict[str, Any] = {name: getattr(model, name) for name in _FACTS}
    z = model.short_circuit_z_pu
    facts |= {"short_circuit_z_pu": [z.real, z.imag]}
    facts["findings"] = [
        [one.code, one.subject, one.interval, one.severity.value, one.message]
        for one in model.findings
    ]
    for sequence, matrix in enumerate(model.y):
        coo = matrix.tocoo()
        parts = {"row": coo.row, "column": coo.col, "value": coo.data}
        arrays |= {f"y{sequence}_{name}": values for name, values in parts.items()}
    for table in ("line", "trafo"):
        branches = getattr(model, table)
        arrays |= {f"{table}_{name}": getattr(branches, name) for name in _BRANCH_ARRAYS}
        facts[f"{table}_name"] = branches.name
    cache.write(path, arrays, facts)


def _restore(path: Path, source: str, base_dir: Path | None) -> ThreePhaseModel | None:
    stored = cache.read(path)
    if stored is None:
        return None
    arrays, facts = stored
    try:
        tables = {
            table: SequenceBranches(
                name=tuple(facts[f"{table}_name"]),
                **{name: arrays[f"{table}_{name}"] for name in _BRANCH_ARRAYS},
            )
            for table in ("line", "trafo")
        }
        known: dict[str, Any] = {name: arrays[name] for name in _ARRAYS}
        known |= {name: facts[name] for name in _FACTS} | tables
        known |= {"bus_name": tuple(facts["bus_name"])}
        known["short_circuit_z_pu"] = complex(*facts["short_circuit_z_pu"])
        known["findings"] = tuple(
            Finding(code, subject, interval, Severity(severity), message)
            for code, subject, interval, severity, message in facts["findings"]
        )
        known["y"] = tuple(
            _matrix(arrays, sequence, len(arrays["node_kv"])) for sequence in range(3)
        )
    except (KeyError, TypeError, ValueError):
        return None
    return ThreePhaseModel(source=source, base_dir=base_dir, **known)


def _matrix(arrays: dict[str, Any], sequence: int, size: int) -> Any:
    import scipy.sparse as sp

    value, row, column = (arrays[f"y{sequence}_{name}"] for name in ("value", "row", "column"))
    return sp.csr_array(sp.coo_array((value, (row, column)), shape=(size, size)))
