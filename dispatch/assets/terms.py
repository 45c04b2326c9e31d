"""What every asset gives to the model: its attribute table, its flows and its costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from dispatch.plan import PlanInput

Pairs: TypeAlias = frozenset[tuple[str, int]]
"""(asset id, step) at which an either-or needs a binary."""

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


@dataclass(slots=True)
class Terms:
    """What an asset kind adds to the balance, the cuts and the objective.

    `injection` holds per (asset id, step) the pairs (sign, variable in kW) that count as power
    given to the community; `cost` the pairs (currency per unit, variable); `constant` currency.
    """

    injection: dict[tuple[str, int], list[tuple[float, Any]]] = field(default_factory=dict)
    cost: list[tuple[float, Any]] = field(default_factory=list)
    constant: float = 0.0

    def join(self, other: Terms) -> None:
        """Take the terms of another kind in."""
        self.injection.update(other.injection)
        self.cost.extend(other.cost)
        self.constant += other.constant


@dataclass(frozen=True, slots=True)
class AssetKind:
    """A kind of asset: `add` puts its variables and constraints into a Pyomo model."""

    name: str
    attributes: tuple[Attribute, ...]
    add: Callable[[Any, PlanInput, Pairs], Terms]
