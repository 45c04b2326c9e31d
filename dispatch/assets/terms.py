"""What every asset kind states: its attribute table, its variables, its rows and its flows.

Rows hold facts of the site alone; whatever differs from roll to roll stands in the bounds and
costs of variables (:class:`Block`) and in right-hand sides. So a model is compiled once, and a
roll only brings other numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pyomo.core.expr.numeric_expr import LinearExpression

from dispatch.plan import Floats, PlanInput

EARLY_PER_KWH = 1e-7
"""Tie-break, currency/kWh and step: of equal charges the earlier, of equal discharges the later."""

ORDER_PER_KWH = 1e-7
"""Tie-break, currency/kWh and rank: of equal batteries the one that stands first in the site."""

THROUGHPUT_PER_KWH = 1e-5
"""Tie-break, currency/kWh: a discharge that earns nothing is not made."""

CURTAIL_PER_KWH = 1e-6
"""Tie-break, currency/kWh: what costs nothing to produce is used before it is withheld.

Less than `THROUGHPUT_PER_KWH`, so that surplus is withheld and not burnt in a battery.
"""

IMPORT_PER_KWH = 1e-6
"""Tie-break, currency/kWh: at equal prices nothing circles through the connection."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A row of an asset's attribute table."""

    name: str
    type: str
    unit: str
    description: str


@dataclass(frozen=True, eq=False)
class Block:
    """The variables of one name, (asset, step) or (step,).

    Attributes
    ----------
    low, high : ndarray
        Bounds.
    cost : ndarray
        Currency per unit.
    binary : bool
    """

    low: Floats
    high: Floats
    cost: Floats
    binary: bool = False


Reals: TypeAlias = npt.NDArray[np.floating[Any]]
Blocks: TypeAlias = dict[str, Block]
Sides: TypeAlias = dict[str, Floats]
Flows: TypeAlias = dict[str, tuple[tuple[float, str], ...]]


def block(
    shape: tuple[int, ...],
    *,
    low: Reals | float = 0.0,
    high: Reals | float = np.inf,
    cost: Reals | float = 0.0,
    binary: bool = False,
) -> Block:
    """Return a block in which every number has its place."""

    def whole(one: Reals | float) -> Floats:
        return np.broadcast_to(np.asarray(one, dtype=np.float64), shape)

    return Block(whole(low), whole(high), whole(cost), binary)


def linear(pairs: Iterable[tuple[float, Any]], constant: float = 0.0) -> Any:
    """Return the sum of (coefficient, variable) and a constant as a Pyomo expression."""
    known = list(pairs)
    return LinearExpression(
        constant=constant,
        linear_coefs=[coefficient for coefficient, _ in known],
        linear_vars=[variable for _, variable in known],
    )


def by_asset(values: list[float]) -> Floats:
    """Return one number an asset as a column, to be spread over the steps."""
    return np.array(values, dtype=np.float64).reshape(-1, 1)


@dataclass(frozen=True, slots=True)
class AssetKind:
    """A kind of asset.

    Attributes
    ----------
    name : str
    attributes : tuple of Attribute
    blocks : callable
        Variables by name.
    sides : callable
        Right-hand sides by the name of their rows, (asset, step) or (step,).
    rows : callable
        Puts the constraints into a Pyomo model, given their right-hand sides.
    flows : callable
        By asset id the (sign, name of variable) that count as power given to the community.
    memory : callable
        How many steps back a row looks.
    constant : callable
        Currency that no decision changes.
    """

    name: str
    attributes: tuple[Attribute, ...]
    blocks: Callable[[PlanInput], Blocks]
    flows: Callable[[PlanInput], Flows]
    sides: Callable[[PlanInput], Sides] = lambda plan_input: {}
    rows: Callable[[Any, PlanInput, Mapping[str, Floats]], None] = lambda model, given, side: None
    memory: Callable[[PlanInput], int] = lambda plan_input: 0
    constant: Callable[[PlanInput], float] = lambda plan_input: 0.0
