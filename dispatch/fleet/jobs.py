"""What a worker does with problems: plan each, and say what it costs or why there is no plan."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from dispatch.fleet.problems import Problem
from dispatch.plan import Floats, InfeasiblePlan, Plan, PlanInput
from dispatch.solve import solve as plan_of
from grid.errors import BadInputError, Finding, Severity, SolverError

QUANTITIES = (
    "cost", "gap", "steps", "demand_kwh", "import_kwh", "export_kwh", "curtailed_kwh", "shed_kwh",
    "highest_import_kw", "highest_price",
)  # fmt: skip
"""What is kept of a plan; cost in currency, price per kWh."""

COLUMNS = ("charge_kw", "discharge_kw", "produce_kw", "shed_kw", "import_kw", "export_kw")


@dataclass(frozen=True)
class Batch:
    """Problems of one task, and how exactly they are solved."""

    problems: tuple[Problem, ...]
    gap: float
    nodes: int


@dataclass(frozen=True, eq=False)
class Outcome:
    """A plan.

    Attributes
    ----------
    number : int
        Of the problem.
    values : ndarray (quantity,) or None
        In the order of :data:`QUANTITIES`; None when there is no plan.
    digest : bytes
        SHA-256 of its schedule.
    findings : tuple of Finding
    """

    number: int
    values: Floats | None
    digest: bytes
    findings: tuple[Finding, ...]


def solve(batch: Batch) -> list[Outcome]:
    """Return the plans of a batch; what stops one of them is a finding of that one."""
    return [_planned(problem, batch) for problem in batch.problems]


def _planned(problem: Problem, batch: Batch) -> Outcome:
    try:
        given = problem.read()
        plan = plan_of(given, gap=batch.gap, nodes=batch.nodes)
    except InfeasiblePlan as error:
        return refused(problem.number, "fleet.infeasible", f"{problem.name}: {error}")
    except (BadInputError, SolverError) as error:
        return refused(problem.number, "fleet.refused", f"{problem.name}: {error}")
    return Outcome(problem.number, quantities(given, plan), schedule_digest(plan), ())


def quantities(given: PlanInput, plan: Plan) -> Floats:
    """Return what is kept of a plan."""
    s, h = plan.schedule, given.hours

    def energy(name: str) -> float:
        return h * float(s[name].values.sum())

    return np.array(
        [
            plan.objective, plan.gap, given.n, h * float(given.demand_kw.sum()),
            energy("import_kw"), energy("export_kw"), energy("curtail_kw"), energy("shed_kw"),
            float(s["import_kw"].values.max()), float(s["marginal_price"].values.max()),
        ]
    )  # fmt: skip


def schedule_digest(plan: Plan) -> bytes:
    """Return a SHA-256 over all flows of a schedule."""
    digest = hashlib.sha256()
    for name in COLUMNS:
        digest.update(np.ascontiguousarray(plan.schedule[name].values).tobytes())
    return digest.digest()


def refused(number: int, code: str, message: str) -> Outcome:
    """Return the outcome of a problem that has no plan."""
    name = f"problem {number}"
    finding = Finding(code, name, "", Severity.ALARM, f"{name}: {message}")
    return Outcome(number, None, bytes(32), (finding,))
