"""Carries rounds out: asks meters for the gaps of their load profiles until time is up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grid.errors import Finding
from meters.reading import MeterAddress, ProfileRead
from meters.rounds import Question, Rounds
from meters.statistics import Record
from meters.transport import name_of

if TYPE_CHECKING:
    from meters.dlms.counters import CounterStore
    from meters.dlms.static_answers import StaticAnswers

Took = Callable[[ProfileRead, list[Finding]], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long is waited for.

    Attributes
    ----------
    answer_s : float
        One answer, s.
    session_s : float
        One connection with a meter, s.
    """

    answer_s: float = 5.0
    session_s: float = 120.0


async def collect(
    addresses: Mapping[str, MeterAddress],
    rounds: Rounds,
    *,
    clock: Callable[[], float],
    until_s: float,
    took: Took,
    limits: Limits,
    meter_clock: Callable[[], float] | None = None,
    cache: StaticAnswers | None = None,
    counters: CounterStore | None = None,
    record: Record | None = None,
) -> None:
    """Ask whom `rounds` says are due, until nothing is left to ask or `clock` is at `until_s`.

    Parameters
    ----------
    addresses : mapping of str to MeterAddress
        Of every meter of `rounds`; DLMS only.
    rounds : Rounds
        Told of each outcome.
    clock : callable
        Gives our time, seconds UTC; it runs as the loop's does.
    until_s : float
        Nobody is asked after it; who is being asked then has told what it told.
    took : callable
        Takes each read as soon as it is there, with its findings.
    limits : Limits
    meter_clock : callable, optional
        Gives the time that meters' clocks are compared with, where that is not `clock`: the
        time of a simulated field stands still while it is read.
    cache : StaticAnswers, optional
        Kept by the caller between readings.
    counters : CounterStore, optional
        Needed by ciphered meters.
    record : Record, optional
        Counts the questions.

    Raises
    ------
    BadInputError
        When an address is wrong.
    """
    from meters.dlms.profile_poll import read_profile
    from meters.dlms.session import Watch

    gateways = gateways_of(addresses)
    something = asyncio.Event()
    running = 0

    async def ask(question: Question) -> None:
        nonlocal running
        address = addresses[question.meter]
        observers = (
            record.observers(question.meter, gateways[question.meter]) if record is not None else ()
        )
        read, findings = await read_profile(
            address,
            question,
            clock=meter_clock or clock,
            timeout_s=max(0.0, min(limits.session_s, until_s - clock())),
            cache=cache,
            counters=counters,
            watch=Watch(limits.answer_s, observers),
        )
        took(read, findings)
        rounds.told(question.meter, clock(), read.answered, is_broken=read.failure is not None)
        running -= 1
        something.set()

    async with asyncio.TaskGroup() as group:
        while (now_s := clock()) < until_s and not (rounds.is_over and not running):
            something.clear()
            for question in rounds.due(now_s):
                running += 1
                group.create_task(ask(question))
            wait_s = min(rounds.wake_s(), until_s) - now_s
            try:
                async with asyncio.timeout(max(wait_s, 0.001)):
                    await something.wait()
            except TimeoutError:
                pass


def gateways_of(addresses: Mapping[str, MeterAddress]) -> dict[str, str]:
    """Return what stands between us and each meter, as :class:`~meters.rounds.Rounds` takes it.

    Raises
    ------
    BadInputError
        When an address is wrong.
    """
    from meters.dlms.client import parse_url

    return {meter: name_of(parse_url(address.url).endpoint) for meter, address in addresses.items()}
