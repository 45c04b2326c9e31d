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
from networks.equipment import Branches, Equipment, Switches, Switching
from networks.model import NetworkModel
from networks.sources import cache
from networks.topology import connect

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_CODE = re.compile(r"1-[A-Za-z0-9.]+-[A-Za-z0-9.]*-[A-Za-z0-9.]*-[012]-(no_)?sw", re.ASCII)
_PARTS = {"line": Branches, "trafo": Branches, "switch": Switches, "switching": Switching}
_TOLD = ("source", "base_dir", "kept")
_TEXTS = ("bus_name",)
_PART_TEXTS = ("name", "type")
_FACTS = ("base_mva", "geographic")


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


def _store(path: Path, equipment: Equipment) -> None:
    arrays: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    for field in dataclasses.fields(Equipment):
        value = getattr(equipment, field.name)
        if field.name in _PARTS:
            for part in dataclasses.fields(value):
                kept = facts if part.name in _PART_TEXTS else arrays
                kept[f"{field.name}.{part.name}"] = getattr(value, part.name)
        elif field.name not in _TOLD:
            (facts if field.name in _TEXTS + _FACTS else arrays)[field.name] = value
    cache.write(path, arrays, facts)


def _restore(path: Path, source: str, base_dir: Path | None) -> Equipment | None:
    stored = cache.read(path)
    if stored is None:
        return None
    arrays, facts = stored
    known: dict[str, Any] = arrays | facts
    try:
        made: dict[str, Any] = {
            name: part(
                **{
                    field.name: tuple(known[f"{name}.{field.name}"])
                    if field.name in _PART_TEXTS
                    else known[f"{name}.{field.name}"]
                    for field in dataclasses.fields(part)
                }
            )
            for name, part in _PARTS.items()
        }
        for field in dataclasses.fields(Equipment):
            if field.name not in (*_PARTS, *_TOLD):
                value = known[field.name]
                made[field.name] = tuple(value) if field.name in _TEXTS else value
        return Equipment(source=source, base_dir=base_dir, **made)
    except KeyError:
        return None


def equipment(source: str, *, base_dir: Path | None = None) -> Equipment:
    """Return the compiled equipment of a source, from the cache when it is there.

    Raises
    ------
    BadInputError
        See :func:`load`.
    """
    path = cache.cache_path("network", _content_key(source, base_dir))
    made = _restore(path, source, base_dir)
    if made is None:
        from networks.sources.compile import compile_net

        made = compile_net(read_net(source, base_dir=base_dir), source=source, base_dir=base_dir)
        _store(path, made)
        # What is read back is in one piece: strided arrays differ in the last bits of what is
        # computed from them, and a result must not depend on who compiled the network.
        made = _restore(path, source, base_dir) or made
    return made


def load(
    source: str, *, source_voltage_pu: float | None = None, base_dir: Path | None = None
) -> NetworkModel:
    """Return the compiled network of a source, switched as the source has it.

    Parameters
    ----------
    source : str
        ``simbench:CODE``, ``pandapower:NAME`` or ``file:PATH``.
    source_voltage_pu : float, optional
        Voltage held at every external grid, 0.8 to 1.2 pu; the network's own when not given.
    base_dir : Path, optional
        Folder that a relative ``file:`` path starts from.

    Raises
    ------
    BadInputError
        When the source is unknown, refused, or has an element that the power
        flow does not model; the message names the element.
    """
    given = source_voltage_pu
    if given is not None and not (np.isfinite(given) and 0.8 <= given <= 1.2):
        raise BadInputError(f"source_voltage_pu is {given}, must be within 0.8 to 1.2")
    made = equipment(source, base_dir=base_dir)
    held = made.head_pu if given is None else made.head_pu / np.abs(made.head_pu) * given
    return connect(made, held_pu=held)
