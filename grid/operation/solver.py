"""The solver in a process of its own, which can be killed."""

from __future__ import annotations

import multiprocessing
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from dispatch.plan import InfeasiblePlan, Plan, PlanInput
from grid.errors import GridError, SolverError

_GRACE_S = 2.0


def _work(channel: Connection) -> None:
    from dispatch.solve import solve

    # The control room that closes its end, or dies, ends this process.
    with suppress(EOFError, ConnectionError):
        while True:
            plan_input, gap, nodes, in_force = channel.recv()
            try:
                answer: Any = solve(plan_input, gap=gap, nodes=nodes, in_force=in_force)
            except InfeasiblePlan as error:
                answer = error.reasons
            except GridError as error:
                answer = error
            channel.send(answer)


class Solver:
    """Plans in a child process; started when first needed, and after each failure."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._process: Any = None
        self._channel: Connection | None = None

    def start(self) -> None:
        """Start the child, so that it is ready when the first plan comes."""
        self._open()

    @property
    def pid(self) -> int | None:
        """The child's process id while there is one."""
        return None if self._process is None else self._process.pid

    def solve(
        self,
        plan_input: PlanInput,
        *,
        gap: float,
        nodes: int,
        deadline_s: float,
        in_force: Plan | None = None,
    ) -> Plan:
        """Return the plan, as :func:`dispatch.solve.solve` does.

        Raises
        ------
        SolverError
            The child was killed, crashed, gave no answer in `deadline_s`, or
            found no plan (then :class:`dispatch.plan.InfeasiblePlan`).
        BadInputError
            The input was refused.
        """
        channel = self._open()
        try:
            channel.send((plan_input, gap, nodes, in_force))
            if not channel.poll(deadline_s):
                raise SolverError(f"the solver gave no plan within {deadline_s:g} s")
            answer = channel.recv()
        except (EOFError, OSError) as error:
            self.close(at_once=True)
            raise SolverError("the solver process died") from error
        except SolverError:
            self.close(at_once=True)
            raise
        if isinstance(answer, GridError):
            raise answer
        if isinstance(answer, tuple):
            raise InfeasiblePlan(answer)
        plan: Plan = answer
        return plan

    def _open(self) -> Connection:
        if self._process is None or not self._process.is_alive() or self._channel is None:
            self.close()
            self._channel, theirs = self._context.Pipe()
            self._process = self._context.Process(target=_work, args=(theirs,), daemon=True)
            self._process.start()
            theirs.close()
        return self._channel

    def close(self, *, at_once: bool = False) -> None:
        """End the child: it goes by itself when it is idle, and is killed otherwise."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is not None:
            self._process.join(0 if at_once else _GRACE_S)
            self._process.kill()
            self._process.join()
            self._process = None
