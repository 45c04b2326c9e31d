"""Where a network comes from, and the compiled model of it.

``simbench:CODE``
    A SimBench grid with its taps acting.
``pandapower:NAME``
    A function of ``pandapower.networks`` that needs no argument.
``file:PATH``
    Our tables-only network file (:mod:`networks.sources.tables`). What others write comes in
    through :mod:`networks.sources.importing` and is such a file from then on.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from grid.errors import BadInputError
from networks.model import Branches, NetworkModel
from networks.sources import cache

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_CODE = re.compile(r"1-[A-Za-z0-9.]+-[A-Za-z0-9.]*-[A-Za-z0-9.]*-[012]-(no_)?sw", re.ASCII)
_BRANCH_ARRAYS = tuple(f.name for f in dataclasses.fields(Branches) if f.name != "name")
_ARRAYS = (
    "bus", "vn_kv", "x", "y", "node", "node_kv", "nominal_absorbed_kw", "nominal_injected_kw",
    "nominal_absorbed_kvar", "nominal_injected_kvar",
)  # fmt: skip
_FACTS = ("base_mva", "bus_name", "geographic", "slack_bus", "slack_node", "lv_bus")


def split(source: str) -> tuple[str, str]:
    """Return (kind, name) of a source.

    Raises
    ------
    BadInputError
        When it is not ``simbench:``, ``pandapower:`` or ``file:``.
    """
    kind, _, name = source.partition(":")
    if kind not in ("simbench", "pandapower", "file") or not name:
        raise BadInputError(
            f"network source {source!r} must be simbench:CODE, pandapower:NAME or file:PATH"
        )
    if kind == "simbench" and not _CODE.fullmatch(name):
        raise BadInputError(f"network source {source!r}: {name!r} is not a SimBench code")
    if kind == "pandapower" and not _NAME.fullmatch(name):
        raise BadInputError(f"network source {source!r}: {name!r} is not a function name")
    return kind, name


def _file_path(name: str, base_dir: Path | None) -> Path:
    path = Path(name)
    return path if path.is_absolute() or base_dir is None else base_dir / path


def _simbench_net(code: str) -> Any:
    import simbench

    try:
        net = simbench.get_simbench_net(code)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise BadInputError(f"SimBench has no grid {code!r}") from error
    # pandapower 3 ignores a tap whose changer has no type, and SimBench names none.
    net.trafo["tap_changer_type"] = net.trafo["tap_changer_type"].astype(object)
    net.trafo.loc[net.trafo["tap_side"].notna(), "tap_changer_type"] = "Ratio"
    return net


def _pandapower_net(name: str) -> Any:
    import pandapower.networks

    function = getattr(pandapower.networks, name, None)
    if not inspect.isfunction(function) or not function.__module__.startswith(
        "pandapower.networks"
    ):
        raise BadInputError(f"pandapower.networks has no function {name!r}")
    required = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    ]
    if required:
        raise BadInputError(f"pandapower.networks.{name} needs {', '.join(required)}")
    net = function()
    if not isinstance(net, pandapower.pandapowerNet):
        raise BadInputError(f"pandapower.networks.{name} does not return one network")
    return net


def read_net(source: str, *, base_dir: Path | None = None) -> Any:
    """Return the pandapower net of a source, with acting taps.

    Raises
    ------
    BadInputError
        When the source is unknown or its file is refused.
    """
    kind, name = split(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "simbench":
            return _simbench_net(name)
        if kind == "pandapower":
            return _pandapower_net(name)
        from networks.sources.exchange import to_net
        from networks.sources.tables import read_tables

        return to_net(read_tables(_file_path(name, base_dir)))


def _content_key(source: str, base_dir: Path | None) -> str:
    kind, name = split(source)
    if kind != "file":
        return source
    from networks.sources.tables import read_bytes

    return "file:" + hashlib.sha256(read_bytes(_file_path(name, base_dir))).hexdigest()


def _store(path: Path, model: NetworkModel) -> None:
    coo = model.ybus.tocoo()
    arrays = {name: getattr(model, name) for name in _ARRAYS}
    arrays |= {"ybus_row": coo.row, "ybus_column": coo.col, "ybus_value": coo.data}
    facts = {name: getattr(model, name) for name in _FACTS}
    for table in ("line", "trafo"):
        branches = getattr(model, table)
        arrays |= {f"{table}_{name}": getattr(branches, name) for name in _BRANCH_ARRAYS}
        facts[f"{table}_name"] = branches.name
    cache.write(path, arrays, facts)


def _restore(
    path: Path, source: str, source_voltage_pu: float, base_dir: Path | None
) -> NetworkModel | None:
    import scipy.sparse as sp

    stored = cache.read(path)
    if stored is None:
        return None
    arrays, facts = stored
    try:
        tables = {
            table: Branches(
                name=tuple(facts[f"{table}_name"]),
                **{name: arrays[f"{table}_{name}"] for name in _BRANCH_ARRAYS},
            )
            for table in ("line", "trafo")
        }
        size = len(arrays["node_kv"])
        entries = (arrays["ybus_value"], (arrays["ybus_row"], arrays["ybus_column"]))
        known: dict[str, Any] = {name: arrays[name] for name in _ARRAYS}
        known |= {name: facts[name] for name in _FACTS}
        known |= tables | {"bus_name": tuple(facts["bus_name"])}
        return NetworkModel(
            source=source,
            base_dir=base_dir,
            source_voltage_pu=source_voltage_pu,
            ybus=sp.csr_array(sp.coo_array(entries, shape=(size, size))),
            **known,
        )
    except KeyError:
        return None


def load(source: str, *, source_voltage_pu: float, base_dir: Path | None = None) -> NetworkModel:
    """Return the compiled network of a source, from the cache when it is there.

    Parameters
    ----------
    source : str
        ``simbench:CODE``, ``pandapower:NAME`` or ``file:PATH``.
    source_voltage_pu : float
        Voltage held at the feeder head, 0.8 to 1.2 pu.
    base_dir : Path, optional
        Folder that a relative ``file:`` path starts from.

    Raises
    ------
    BadInputError
        When the source is unknown, refused, or has an element that the power
        flow does not model; the message names the element.
    """
    if not (np.isfinite(source_voltage_pu) and 0.8 <= source_voltage_pu <= 1.2):
        raise BadInputError(f"source_voltage_pu is {source_voltage_pu}, must be within 0.8 to 1.2")
    path = cache.cache_path("network", _content_key(source, base_dir))
    model = _restore(path, source, source_voltage_pu, base_dir)
    if model is None:
        from networks.sources.compile import compile_net

        model = compile_net(
            read_net(source, base_dir=base_dir),
            source=source,
            source_voltage_pu=source_voltage_pu,
            base_dir=base_dir,
        )
        _store(path, model)
    return model
