"""Our own problem file: a plan's whole input as JSON, to be solved apart from any site.

::

    {"format": "khazri-plan-1", "start_s": 1792540800, "interval_s": 900,
     "battery": [{"id": "bat-1", "usage_point": "u-1", "power_kw": 5, "energy_kwh": 10}],
     "demand_kw": [2.0, 2.0], "buy_price": [-0.1, 0.3], ...}

The fields are those of :class:`dispatch.plan.PlanInput`, and of the devices in
:mod:`grid.site_devices`. Prices of devices are in currency per kWh and amounts in currency, as
decimal numbers that hold no more than nano-currency. What may be left out has its default;
anything missing, unknown or of the wrong kind is refused by the path of its field.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from dispatch.inputs import check_input
from dispatch.plan import PlanInput
from grid.errors import BadInputError
from grid.quantities import NANO, WH_PER_KWH
from grid.site import Amount, Price

FORMAT = "khazri-plan-1"
MOST_BYTES = 64 * 2**20

_UNIT = {Price: Decimal(NANO // WH_PER_KWH), Amount: Decimal(NANO)}
"""Nano-currency per Wh in a price of one, nano-currency in an amount of one."""

_BY_ASSET = ("solar_available_kw", "wind_available_kw", "sheddable_kw", "energy_target_kwh")

_MOST = Decimal(10**6)
"""Of a price or an amount."""


def is_plan(octets: bytes) -> bool:
    """Return whether bytes call themselves a plan's input."""
    try:
        raw = json.loads(octets)
    except (ValueError, RecursionError):
        return False
    return isinstance(raw, dict) and "format" in raw


def read(path: Path) -> PlanInput:
    """Return the checked input of a file.

    Raises
    ------
    BadInputError
        Naming the file, the field, its value and the limit.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise BadInputError(f"{path.name}: {size} bytes, at most {MOST_BYTES}")
    try:
        return parse(path.read_bytes())
    except BadInputError as error:
        raise BadInputError(f"{path.name}: {error}") from error


def parse(octets: bytes) -> PlanInput:
    """Return the checked input of a file's bytes; see :func:`read`."""
    try:
        raw = json.loads(
            octets, parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_once
        )
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"no JSON: {str(error)[:120]}") from error
    if not isinstance(raw, dict) or raw.pop("format", None) != FORMAT:
        raise BadInputError(f"format must be {FORMAT!r}")
    found: PlanInput = _made(PlanInput, raw, "")
    # a list without rows does not say how long they would be
    bare: dict[str, Any] = {
        name: np.zeros((0, found.demand_kw.size), getattr(found, name).dtype)
        for name in _BY_ASSET
        if np.shape(getattr(found, name)) == (0,)
    }
    found = dataclasses.replace(found, **bare)
    check_input(found)
    return found


def _refuse(text: str) -> NoReturn:
    raise BadInputError(f"{text} is not a finite number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadInputError(f"{sorted(name for name, _ in pairs)[:20]}: one stands twice")
    return found


def _bad(where: str, value: object, wanted: str) -> NoReturn:
    raise BadInputError(f"{where} is {str(value)[:40]}, must be {wanted}")


def _made(kind: Any, raw: object, where: str) -> Any:
    """Return a dataclass of `kind` from an object."""
    if not isinstance(raw, dict):
        _bad(where, type(raw).__name__, "an object")
    hints = typing.get_type_hints(kind)
    before = f"{where}." if where else ""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in raw.keys() - fields.keys():
        raise BadInputError(f"{before}{str(name)[:60]} is unknown")
    for name, field in fields.items():
        if name not in raw and field.default is field.default_factory is dataclasses.MISSING:
            raise BadInputError(f"{before}{name} is missing")
    values = {name: _value(hints[name], part, f"{before}{name}") for name, part in raw.items()}
    try:
        return kind(**values)
    except BadInputError as error:
        raise BadInputError(f"{where}: {error}") from error


def _value(kind: Any, raw: Any, where: str) -> Any:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        (known,) = (part for part in inner if part is not types.NoneType)
        return None if raw is None else _value(known, raw, where)
    if origin is np.ndarray:
        return _array(typing.get_args(inner[1])[0], raw, where)
    if origin is tuple:
        parts = raw if isinstance(raw, list) else _bad(where, raw, "a list")
        return tuple(_value(inner[0], part, f"{where}[{i}]") for i, part in enumerate(parts))
    if origin is Mapping:
        named = raw if isinstance(raw, dict) else _bad(where, raw, "an object")
        return {name: _value(inner[1], part, f"{where}.{name}") for name, part in named.items()}
    if dataclasses.is_dataclass(kind):
        return _made(kind, raw, where)
    return _scalar(kind, raw, where)


def _scalar(kind: Any, raw: Any, where: str) -> Any:
    if kind in _UNIT:
        found = _number(raw, where)
        if not 0 <= found <= _MOST:
            _bad(where, raw, f"within 0 to {_MOST}")
        units = found * _UNIT[kind]
        if units != int(units):
            _bad(where, raw, "of whole nano-currency")
        return kind(int(units))
    base = getattr(kind, "__supertype__", kind)
    if base is float:
        return float(_number(raw, where))
    if base is int and (isinstance(raw, bool) or not isinstance(raw, int)):
        _bad(where, raw, "a whole number")
    if not isinstance(raw, base):
        _bad(where, raw, {str: "text", bool: "true or false"}.get(base, "a number"))
    return raw


def _number(raw: Any, where: str) -> Decimal:
    if isinstance(raw, bool) or not isinstance(raw, int | Decimal):
        _bad(where, raw, "a number")
    found = Decimal(raw)
    if not abs(found) < Decimal("1e300"):
        _bad(where, raw, "a finite number")
    return found


def _array(kind: Any, raw: Any, where: str) -> Any:
    """Return an array; what kind each of its numbers is of is :mod:`dispatch.inputs`' business."""
    wanted = bool if kind is np.bool_ else int if kind is np.int64 else (int, Decimal)
    stack = [raw]
    while stack:
        part = stack.pop()
        if isinstance(part, list):
            stack += part
        elif not isinstance(part, wanted) or (wanted is not bool and isinstance(part, bool)):
            _bad(where, part, f"a list of {np.dtype(kind).name}")
    try:
        return np.asarray(raw, dtype=kind)
    except (ValueError, OverflowError) as error:
        raise BadInputError(f"{where}: {str(error)[:120]}") from error


def written(plan_input: PlanInput) -> dict[str, Any]:
    """Return an input as a file has it."""
    return {"format": FORMAT, **_told(PlanInput, plan_input)}


def _told(kind: Any, facts: Any) -> Any:
    hints = typing.get_type_hints(kind)
    values = {name: getattr(facts, name) for name in hints}
    return {name: _plain(hints[name], value) for name, value in values.items() if value is not None}


def _plain(kind: Any, value: Any) -> Any:
    if kind in _UNIT:
        return float(Decimal(value) / _UNIT[kind])
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple):
        return [_plain(typing.get_args(kind)[0], part) for part in value]
    if dataclasses.is_dataclass(value):
        return _told(type(value), value)
    return dict(value) if isinstance(value, Mapping) else value
