r"""A plan's problem in numbers: bounds, costs and right-hand sides of every asset and rule.

Power balances in each step; demand includes the estimated losses:

.. math:: \sum_a (\text{injected}_{a,t} - \text{absorbed}_{a,t}) = D_t

While islanded the forming batteries :math:`F` keep headroom :math:`r_t` both ways, in power
and in energy for one more step, because they alone carry what the forecast missed. Where it
cannot be kept it is short by :math:`\sigma` at `RESERVE_PENALTY_PER_KWH`:

.. math:: \sum_F (P - d + c) + \sigma^+ \ge r \qquad \sum_F (P - c + d) + \sigma^- \ge r

.. math:: \sum_F \tfrac{\eta^d}{h} (e - \underline e) + \sigma^+ \ge r \qquad
          \sum_F \tfrac{1}{h \eta^c} (\overline e - e) + \sigma^- \ge r

Without a forming battery the running gensets carry it:
:math:`\sum_g (P u - p) + \sigma^+ \ge r` and :math:`\sum_g (p - \underline P u) + \sigma^- \ge r`.
With the public network there, :math:`r = 0` and the rows hold by themselves.

Under a cap, what may still be emitted runs down with gensets and import:

.. math:: k_t = k_{t-1} - h \Big(\sum_g \epsilon_g\,p_{g,t} + \epsilon\,i_t\Big) \ge 0

An elastic problem has no cost but its violations: how many kW each rule must give way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dispatch.assets import REGISTRY
from dispatch.assets.terms import Block, Blocks, Flows, Sides, block
from dispatch.cost import RESERVE_PENALTY_PER_KWH
from dispatch.extras import Extras, Pairs, extras
from dispatch.plan import PlanInput
from dispatch.survival import SURVIVAL_PENALTY_PER_KWH, needs, others, survives


@dataclass(frozen=True, eq=False)
class Statement:
    """All of a problem but the coefficients of its rows.

    Attributes
    ----------
    plan_input : PlanInput
    elastic : bool
    blocks : dict of str to Block
        Variables by name.
    sides : dict of str to ndarray
        Right-hand sides by the name of their rows.
    flows : dict of str to tuple of (float, str)
        By asset id the signs and variables that count as power given to the community.
    extras : Extras
        Cuts, either-ors and what gives way: rows that come and go.
    constant : float
        Currency.
    """

    plan_input: PlanInput
    elastic: bool
    blocks: Blocks
    sides: Sides
    flows: Flows
    extras: Extras
    constant: float

    @property
    def key(self) -> tuple[Any, ...]:
        """What the coefficients of the rows follow from, extras aside."""
        given = self.plan_input
        facts = tuple(getattr(given, kind) for kind in (*REGISTRY,))
        given_too = (
            given.genset_fuel_kwh is not None, given.co2_cap_kg is not None, survives(given),
            given.import_limit_kw is not None, given.export_limit_kw is not None,
        )  # fmt: skip
        return (*facts, given.n, given.interval_s, self.elastic, keeps_reserve(given), *given_too)


def statement(
    plan_input: PlanInput, pairs: Pairs = frozenset(), *, elastic: bool = False
) -> Statement:
    """Return the problem of a checked input.

    Parameters
    ----------
    plan_input : PlanInput
    pairs : frozenset of (str, int)
        Asset (or grid) and step at which doing both directions at once is excluded by a binary.
    elastic : bool
        Let the balance, the cuts and the end energy give way, and minimise by how much.
    """
    blocks: Blocks = {}
    sides: Sides = {"balance": np.asarray(plan_input.demand_kw, dtype=np.float64)}
    flows: Flows = {}
    constant = 0.0
    soft = replace(plan_input, end_energy_min_kwh=None) if elastic else plan_input
    for kind in REGISTRY.values():
        blocks.update(kind.blocks(soft))
        sides.update(kind.sides(soft))
        flows.update(kind.flows(soft))
        constant += kind.constant(soft)
    if keeps_reserve(plan_input):
        blocks.update(_reserve_blocks(plan_input))
        sides.update(_reserve_sides(plan_input))
    if survives(plan_input):
        cost = SURVIVAL_PENALTY_PER_KWH
        blocks["survival_short"] = block((plan_input.n,), cost=cost)
        for name, kept in others(plan_input).items():
            least = sum(b.discharge_efficiency * b.min_energy_kwh for b in kept)
            sides[name] = needs(plan_input)[name] + least
    if plan_input.co2_cap_kg is not None:
        allowed = np.zeros(plan_input.n)
        allowed[0] = plan_input.co2_cap_kg
        blocks["co2_left"], sides["emitted"] = block((plan_input.n,)), allowed
    if elastic:
        blocks = {name: replace(one, cost=np.zeros_like(one.low)) for name, one in blocks.items()}
        free = block((plan_input.n,), cost=1.0)
        blocks |= {"short": free, "surplus": free}
        constant = 0.0
    return Statement(
        plan_input, elastic, blocks, sides, flows,
        extras(plan_input, flows, pairs, elastic=elastic), constant,
    )  # fmt: skip


def keeps_reserve(plan_input: PlanInput) -> bool:
    """Return whether any step asks for headroom."""
    return bool((~plan_input.grid_available & (plan_input.reserve_kw > 0.0)).any())


def _need(plan_input: PlanInput) -> Any:
    return np.where(plan_input.grid_available, 0.0, plan_input.reserve_kw)


def _reserve_blocks(plan_input: PlanInput) -> Blocks:
    need = _need(plan_input)
    missing: Block = block(
        need.shape,
        high=np.where(need > 0.0, np.inf, 0.0),
        cost=plan_input.hours * RESERVE_PENALTY_PER_KWH,
    )
    return {"short_up": missing, "short_down": missing}


def _reserve_sides(plan_input: PlanInput) -> Sides:
    need, h = _need(plan_input), plan_input.hours
    forming = [battery for battery in plan_input.battery if battery.forming]
    if not forming:
        return {"reserve_up": need, "reserve_down": need}
    power = sum(b.power_kw for b in forming)
    stored = sum(b.discharge_efficiency / h * b.min_energy_kwh for b in forming)
    room = sum(b.energy_kwh / (h * b.charge_efficiency) for b in forming)
    return {
        "reserve_up": need - power,
        "reserve_down": need - power,
        "reserve_stored": need + stored,
        "reserve_room": need - room,
    }
