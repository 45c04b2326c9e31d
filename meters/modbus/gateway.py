"""Many units behind many gateways, asked side by side.

Units behind one gateway, or on one line, share one connection and one bounded
queue; gateways do not wait for each other. Units that answered last time are
asked first, and each unit still to be asked has an equal share of what is left
of the gateway's time, so that silent units never use up their neighbours'. A
unit that stays silent is asked again only when its back-off has ended.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

from meters.modbus.address import UnitAddress, parse_url
from meters.modbus.ahead import MOST, Answered, Pace
from meters.modbus.circuit import Circuit, Gateway
from meters.modbus.client import Client, FramingName
from meters.modbus.errors import BusyError, ModbusError, RefusedError, SilentError
from meters.modbus.framing import Request
from meters.modbus.spans import Group
from meters.statistics import Statistics
from meters.transport import Endpoint

__all__ = ["Gateways", "UnitAddress", "ask_units", "parse_url"]

CONNECTIONS = 128
"""Gateways that are asked at the same time."""

ANSWER_S = 1.0
"""Longest wait for one answer of one unit."""

RETRY_S = 0.5
"""Longest wait when a silent unit is asked once more, so that a pause is no gap."""

QUEUE = 512
"""Units that may wait for one gateway; what is more is not asked."""

T = TypeVar("T")
Ask = Callable[[Client, int, str], Awaitable[T]]
Plan = Callable[[str], tuple[int, Sequence[Group]]]
"""The function and the groups that are read of a subject."""


class Gateways:
    """The gateways of a site: queues, back-off and statistics that outlive one poll.

    Parameters
    ----------
    draw : random.Random
        For the jitter of back-offs; seeded by the caller.
    clock : callable
        Returns the time that back-offs are counted in, in seconds; a driven run
        passes its own.
    keep_open : bool
        Keep connections between polls in one event loop; then close them.

    Attributes
    ----------
    by_subject : dict of str to Statistics
        Of each meter or asset that was asked.
    """

    def __init__(
        self,
        draw: random.Random,
        *,
        clock: Callable[[], float] = time.monotonic,
        keep_open: bool = False,
    ) -> None:
        self._draw = draw
        self._clock = clock
        self._keep_open = keep_open
        self._gateways: dict[tuple[FramingName, Endpoint], Gateway] = {}
        self.by_subject: dict[str, Statistics] = {}

    @property
    def by_endpoint(self) -> dict[Endpoint, Statistics]:
        """Statistics of each gateway."""
        return {endpoint: one.statistics for (_, endpoint), one in self._gateways.items()}

    async def close(self) -> None:
        """End all connections."""
        for gateway in self._gateways.values():
            await gateway.client.close()

    async def ask(
        self,
        units: Mapping[str, UnitAddress],
        ask: Ask[T],
        *,
        timeout_s: float,
        urgent: bool = False,
        plan: Plan | None = None,
    ) -> dict[str, T | ModbusError]:
        """Return what `ask` returned or raised for each subject of `units`.

        Parameters
        ----------
        units : mapping of str to UnitAddress
            By subject: a meter or an asset.
        ask : callable
            Given a client, a unit id and the subject; may raise ModbusError. It waits for
            nothing but the client, which knows when the unit's time is up.
        timeout_s : float
            Longest time spent on one gateway, in seconds.
        urgent : bool
            Ask those too whose back-off has not ended.
        plan : callable, optional
            What `ask` will read of a subject, given its name: then units need not be waited
            for one by one.
        """
        queues: dict[tuple[FramingName, Endpoint], list[tuple[int, str]]] = {}
        for subject, address in units.items():
            key = address.framing, address.endpoint
            queues.setdefault(key, []).append((address.unit, subject))
        answers: dict[str, T | ModbusError] = {}
        slots = asyncio.Semaphore(CONNECTIONS)

        async def ask_gateway(gateway: Gateway, queue: Sequence[tuple[int, str]]) -> None:
            async with slots:
                poll = _Poll(self, gateway, ask, plan, timeout_s, answers)
                await poll.run(queue, urgent)

        async with asyncio.TaskGroup() as group:
            gateways = [(self._gateway(*key), sorted(queue)) for key, queue in queues.items()]
            # Those that failed are not in the way of the others.
            for gateway, queue in sorted(gateways, key=lambda one: one[0].has_failed):
                group.create_task(ask_gateway(gateway, queue))
        return answers

    def _gateway(self, framing: FramingName, endpoint: Endpoint) -> Gateway:
        key = framing, endpoint
        if key not in self._gateways:
            client = Client(endpoint, framing, request_s=ANSWER_S)
            self._gateways[key] = Gateway(client)
        return self._gateways[key]

    def _failed(self, circuit: Circuit) -> None:
        circuit.failed(self._clock(), self._draw)


class _Poll(Generic[T]):
    """One poll of the units behind one gateway."""

    def __init__(
        self,
        gateways: Gateways,
        gateway: Gateway,
        ask: Ask[T],
        plan: Plan | None,
        timeout_s: float,
        answers: dict[str, T | ModbusError],
    ) -> None:
        self._gateways = gateways
        self._gateway = gateway
        self._ask = ask
        self._plan = plan
        self._ahead: deque[Answered] = deque()
        self._answers = answers
        self._clock = asyncio.get_running_loop().time
        self._deadline = self._clock() + timeout_s

    async def run(self, queue: Sequence[tuple[int, str]], urgent: bool) -> None:
        """Ask each unit in turn, and the silent ones once more in the time that is left."""
        gateway = self._gateway
        lock = gateway.lock()
        chosen = self._admitted(queue, urgent)
        gateway.waiting += len(chosen)
        try:
            gateway.client.reachable = True
            await self._in_turn(lock, chosen, ANSWER_S)
            silent = [job for job in chosen if isinstance(self._answers[job[1]], SilentError)]
            gateway.client.reachable = True
            self._plan = None
            await self._in_turn(lock, silent, RETRY_S)
            self._judge(chosen)
        finally:
            gateway.waiting -= len(chosen)
            if not self._gateways._keep_open and not gateway.waiting:
                await gateway.client.close()

    def _admitted(self, queue: Sequence[tuple[int, str]], urgent: bool) -> list[tuple[int, str]]:
        """Return whom to ask, who answered last time first; the others have their answer."""
        gateway, now_s = self._gateway, self._gateways._clock()
        is_well = gateway.circuit.until_s <= now_s and not gateway.unit_circuit
        chosen: list[tuple[int, str]] = []
        for unit, subject in queue:
            statistics = self._gateways.by_subject.get(subject)
            if statistics is None:
                statistics = self._gateways.by_subject[subject] = Statistics()
            if not (is_well or urgent or gateway.due(unit, now_s)):
                statistics.skipped += 1
                self._answers[subject] = SilentError()
            elif gateway.waiting + len(chosen) >= QUEUE:
                statistics.skipped += 1
                self._answers[subject] = BusyError(QUEUE)
            else:
                chosen.append((unit, subject))
        if is_well:
            return chosen  # in order, as `queue` is
        return sorted(chosen, key=lambda job: (gateway.suspected(job[0]), job))

    async def _in_turn(
        self, lock: asyncio.Lock, queue: Sequence[tuple[int, str]], answer_s: float
    ) -> None:
        client, clock, deadline_s = self._gateway.client, self._clock, self._deadline
        for position, (unit, subject) in enumerate(queue):
            now_s = clock()
            if now_s >= deadline_s or not client.reachable:
                self._answers.setdefault(subject, SilentError())
                continue
            if lock.locked():
                self._gateway.contenders += 1
                is_ours = await _acquired(lock, deadline_s - now_s)
                self._gateway.contenders -= 1
                if not is_ours:
                    self._answers.setdefault(subject, SilentError())
                    continue
                now_s = clock()
            else:
                await lock.acquire()
            try:
                if position and self._plan is not None and not self._ahead:
                    await self._look_ahead(self._plan, queue[position:], answer_s)
                    now_s = clock()
                share_s = max(0.0, deadline_s - now_s) / (len(queue) - position)
                client.request_s = min(answer_s, share_s)
                client.until_s = now_s + share_s
                await self._one(unit, subject)
            finally:
                lock.release()

    async def _look_ahead(
        self, plan: Plan, queue: Sequence[tuple[int, str]], answer_s: float
    ) -> None:
        """Ask as many of `queue` as can be asked in a row; their answers then wait for them."""
        gateway, turns = self._gateway, 0
        requests: list[Request] = []
        for unit, subject in queue:
            asked = gateway.client.requests(unit, *plan(subject))
            if asked is None or len(requests) + len(asked) > MOST:
                break
            requests += asked
            turns += 1
        if turns < 2:
            return
        turns = len(requests) + len(queue) - turns
        pace = Pace(self._deadline, turns, answer_s, lambda: not gateway.contenders)
        self._ahead = await gateway.client.ask_ahead(requests, pace)

    async def _one(self, unit: int, subject: str) -> None:
        client = self._gateway.client
        client.ahead = self._ahead
        client.observers = self._gateway.statistics, self._gateways.by_subject[subject]
        try:
            self._answers[subject] = await self._ask(client, unit, subject)
        except ModbusError as error:
            self._answers[subject] = error

    def _judge(self, queue: Sequence[tuple[int, str]]) -> None:
        """Start the back-off of whoever gave no right answer, end that of the others."""
        gateway = self._gateway
        if queue and not gateway.client.reachable:
            self._gateways._failed(gateway.circuit)
            return
        if queue:
            gateway.circuit = Circuit()
        for unit, subject in queue:
            answer = self._answers[subject]
            if isinstance(answer, ModbusError) and not isinstance(answer, RefusedError):
                self._gateways._failed(gateway.unit_circuit.setdefault(unit, Circuit()))
            else:
                gateway.unit_circuit.pop(unit, None)


async def _acquired(lock: asyncio.Lock, wait_s: float) -> bool:
    try:
        async with asyncio.timeout(wait_s):
            return await lock.acquire()
    except TimeoutError:
        return False


async def ask_units(
    units: Mapping[str, UnitAddress], ask: Ask[T], *, timeout_s: float, plan: Plan | None = None
) -> dict[str, T | ModbusError]:
    """Ask once, with gateways of which nothing is kept; see :meth:`Gateways.ask`."""
    return await Gateways(random.Random(0)).ask(units, ask, timeout_s=timeout_s, plan=plan)
