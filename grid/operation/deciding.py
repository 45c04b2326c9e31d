"""Why a set-point of a site is not another: made when somebody asks, and kept for who asks next.

The plan of the cycle is made again from what is stored (:mod:`grid.operation.next_plan`), which
takes seconds, and each device asks for some ten more plans (:mod:`dispatch.decisions`). So it is no
part of a cycle, and one question is worked on at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from dispatch.decisions import decisions
from dispatch.plan import NEW_PLAN, Reason
from grid.operation.loss_cases import looked_at
from grid.operation.next_plan import NextPlan, next_plan
from grid.operation.planning import input_hash
from grid.store import Store, control


@dataclass(frozen=True)
class Decided:
    """What is said of a set-point.

    Attributes
    ----------
    reasons : tuple of Reason
        None of them where the plan is a fallback, which no optimum stands behind.
    as_sent : bool
        Whether it was made from the input of the stored plan.
    """

    reasons: tuple[Reason, ...]
    as_sent: bool


class Deciding:
    """Answers for a site; knows the newest plan it was asked about.

    Parameters
    ----------
    directory : Path
    store : Store
    """

    def __init__(self, directory: Path, store: Store) -> None:
        self._directory, self._store = directory, store
        self._lock = threading.Lock()
        self._made: tuple[int, NextPlan, bool] | None = None
        self._known: dict[str, Decided] = {}

    def of(self, at_s: int, assets: Sequence[str]) -> Decided:
        """Return why devices do what they do in the first step of the plan of a cycle.

        Raises
        ------
        BadInputError
            When no plan is stored for the cycle, or a device is none of it.
        SolverError
            When the plan cannot be made again.
        """
        with self._lock:
            if self._made is None or self._made[0] != at_s:
                self._known = {}
                self._made = (at_s, *self._again(at_s))
            _, made, as_sent = self._made
            if made.plan.source != NEW_PLAN:
                return Decided((), as_sent)
            key = " ".join(assets)
            if key not in self._known:
                self._known[key] = Decided(decisions(made.plan_input, assets=assets), as_sent)
            return self._known[key]

    def _again(self, at_s: int) -> tuple[NextPlan, bool]:
        room = looked_at(self._directory, self._store)
        with closing(room.solver):
            made = next_plan(room, at_s)
        with self._store.read() as tx:
            stored = control.get_plan(tx, at_s)
        told = None if stored is None else stored["detail"].get("input_sha256")
        return made, told == input_hash(made.plan_input, made.in_force)
