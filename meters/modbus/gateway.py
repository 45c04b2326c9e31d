"""Many units behind many gateways, asked side by side.

Units behind one gateway share one connection and one queue; gateways do not
wait for each other. Each unit still to be asked has an equal share of what is
left of the gateway's time, so that silent units never use up their
neighbours'.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

from grid.errors import BadInputError
from meters.modbus.client import Client
from meters.modbus.errors import ModbusError, SilentError

CONNECTIONS = 128
"""Gateways that are asked at the same time."""

ANSWER_S = 1.0
"""Longest wait for one answer of one unit."""

RETRY_S = 0.5
"""Longest wait when a silent unit is asked once more, so that a pause is no gap."""

_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}", re.ASCII)

T = TypeVar("T")
Ask = Callable[[Client, int, str], Awaitable[T]]


class UnitAddress(NamedTuple):
    """A unit behind a gateway."""

    host: str
    port: int
    unit: int


def parse_url(url: str) -> UnitAddress:
    """Return the parts of ``modbus://HOST:PORT/UNIT``.

    Raises
    ------
    BadInputError
        When the text is not of this form, or the unit is not 1 to 255.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    unit = parts.path.removeprefix("/") if host else ""
    well_formed = (
        host
        and port
        and parts.scheme == "modbus"
        and _HOST.fullmatch(host)
        and re.fullmatch(r"[1-9][0-9]{0,2}", unit, re.ASCII)
        and int(unit) <= 255
        and not (parts.query or parts.fragment or parts.username or parts.password)
    )
    if not well_formed or host is None or port is None:
        raise BadInputError("url must be modbus://HOST:PORT/UNIT with a unit of 1 to 255")
    return UnitAddress(host, port, int(unit))


async def ask_units(
    units: Mapping[str, UnitAddress], ask: Ask[T], *, timeout_s: float
) -> dict[str, T | ModbusError]:
    """Return what `ask` returned or raised for each subject of `units`.

    Parameters
    ----------
    units : mapping of str to UnitAddress
        By subject: a meter or an asset.
    ask : callable
        Given a client, a unit id and the subject; may raise ModbusError.
    timeout_s : float
        Longest time spent on one gateway, in seconds.
    """
    queues: dict[tuple[str, int], list[tuple[int, str]]] = {}
    for subject, address in units.items():
        queues.setdefault((address.host, address.port), []).append((address.unit, subject))
    answers: dict[str, T | ModbusError] = {}
    slots = asyncio.Semaphore(CONNECTIONS)

    async def ask_gateway(host: str, port: int, queue: Sequence[tuple[int, str]]) -> None:
        async with slots:
            answers.update(await _ask_queue(host, port, queue, ask, timeout_s))

    async with asyncio.TaskGroup() as group:
        for (host, port), queue in queues.items():
            group.create_task(ask_gateway(host, port, sorted(queue)))
    return answers


async def _ask_queue(
    host: str, port: int, queue: Sequence[tuple[int, str]], ask: Ask[T], timeout_s: float
) -> dict[str, T | ModbusError]:
    """Ask each unit in turn, and the silent ones once more in the time that is left."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    answers: dict[str, T | ModbusError] = {}
    async with Client(host, port, request_s=ANSWER_S) as client:
        await _ask_in_turn(client, queue, ask, deadline, ANSWER_S, answers)
        silent = [job for job in queue if isinstance(answers[job[1]], SilentError)]
        client.reachable = True
        await _ask_in_turn(client, silent, ask, deadline, RETRY_S, answers)
    return answers


async def _ask_in_turn(
    client: Client,
    queue: Sequence[tuple[int, str]],
    ask: Ask[T],
    deadline: float,
    answer_s: float,
    answers: dict[str, T | ModbusError],
) -> None:
    clock = asyncio.get_running_loop().time
    for position, (unit, subject) in enumerate(queue):
        share = max(0.0, deadline - clock()) / (len(queue) - position)
        client.request_s = min(answer_s, share)
        if not client.reachable or share == 0:
            answers.setdefault(subject, SilentError())
            continue
        try:
            async with asyncio.timeout(share):
                answers[subject] = await ask(client, unit, subject)
        except ModbusError as error:
            answers[subject] = error
        except TimeoutError:
            answers[subject] = SilentError()
