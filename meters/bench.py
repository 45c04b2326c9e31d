"""Rows of the benchmark: polling over Modbus and DLMS, and validation."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from fractions import Fraction
from time import process_time_ns

from grid.benchmark import Error, Progress, Row, Timing, alternate, faster
from grid.errors import Finding
from meters import bench_fleet, bench_vee
from meters.bench_bare import Said, exchange, serve_canned
from meters.bench_poll import (
    AT_S,
    DAY,
    FRAMING,
    SECRET,
    Host,
    Relay,
    apart,
    ciphering,
    moved,
    points,
    serve_simulated,
)
from meters.dlms.counters import MemoryCounterStore, name_of
from meters.modbus.gateway import Gateways
from meters.reader import read_meters
from meters.reading import MeterAddress, MeterRead
from meters.simulator.points import MeterPoint

Answer = tuple[list[MeterRead], list[Finding]]

TIMEOUT_S = 60.0
PART = 128
"""Meters recorded at a time: whole gateways, and few sockets."""
ASKED = {
    "modbus": "80 registers (40 floats) each, SDM630",
    "ciphered": "registers and a day of load profile (96 rows) each, LLS, ciphered and "
    "authenticated with glo keys",
}


def rows(*, quick: bool, progress: Progress) -> Iterator[Row]:
    """Yield the rows, as they are measured.

    Parameters
    ----------
    quick : bool
        Few meters.
    """
    yield _poll("modbus", 32 if quick else 500, 2 if quick else 7, progress)
    yield _poll("ciphered", 8 if quick else 500, 2 if quick else 3, progress)
    yield bench_fleet.row(40 if quick else 5_000, progress)
    yield bench_vee.row(500 if quick else 20_000, 2 if quick else 5, progress)


def _poll(protocol: str, count: int, rounds: int, progress: Progress) -> Row:
    progress(f"meters: {protocol} poll of {count} meters")
    framing = FRAMING[protocol]
    with apart(serve_simulated, protocol, 0, count) as urls:
        simulated = [_address(number, *one) for number, one in enumerate(urls.items())]
        said = asyncio.run(_recorded(protocol, simulated))
    answers: list[Answer] = []
    # Connections end with each reading, as those of the bare client; statistics stay.
    gateways = Gateways(random.Random(0))
    cpu_ns: dict[str, list[int]] = {"ours": [], "bare": []}

    def timed(whose: str, work: Callable[[], object]) -> Callable[[int], None]:
        def run(_: int) -> None:
            began = process_time_ns()
            work()
            cpu_ns[whose].append(process_time_ns() - began)

        return run

    with apart(serve_canned, {peer: told for peer, (_, told) in said.items()}, framing) as where:
        addresses = [moved(address, where) for address in simulated]
        frames = {where[peer]: sent for peer, (sent, _) in said.items()}
        ours_ns, theirs_ns = alternate(
            rounds,
            timed("ours", lambda: answers.append(asyncio.run(_read(addresses, gateways)))),
            timed("bare", lambda: asyncio.run(exchange(frames, framing))),
        )
    ours_cpu, bare_cpu = min(cpu_ns["ours"]) / 1e6, min(cpu_ns["bare"]) / 1e6
    return Row(
        craft="meters",
        name="Modbus poll" if protocol == "modbus" else "DLMS poll",
        work=f"{count} meters, {ASKED[protocol]}: {sum(map(len, frames.values())):,} requests",
        unit="meters",
        taken=f"best of {rounds}",
        ours=Timing(count, ours_ns),
        peer="bare asyncio, the same frames",
        theirs=Timing(count, theirs_ns),
        reach=faster(Fraction(1, 2)),
        error=Error(
            _misread(protocol, answers[-1], points(count)), "meters", 0, "what the meters hold"
        ),
        note=f"CPU of the client {ours_cpu:.0f} ms, bare {bare_cpu:.0f} ms; both are answered by a "
        "bare server that says again what the meters said",
    )


def _address(number: int, meter: str, url: str) -> MeterAddress:
    if url.startswith("modbus://"):
        return MeterAddress(meter, url, "sdm630")
    return MeterAddress(
        meter,
        url,
        "cosem",
        auth="lls",
        secret=SECRET,
        ciphering=ciphering(number, 0),
        since_s=AT_S - DAY * 900,
        until_s=AT_S,
    )


async def _read(addresses: Sequence[MeterAddress], gateways: Gateways | None = None) -> Answer:
    counters = MemoryCounterStore()
    for address in addresses:
        if (own := address.ciphering) is not None:
            # A key in use: nobody asks the meter how far its counter has come.
            counters.reserve(name_of(own.encryption_key, own.title), 1, 0)
    return await read_meters(
        addresses, at_s=AT_S, timeout_s=TIMEOUT_S, counters=counters, gateways=gateways
    )


async def _recorded(protocol: str, addresses: Sequence[MeterAddress]) -> dict[Host, Said]:
    """Read every meter once; return what was said to each peer and by it."""
    said: dict[Host, Said] = {}
    split = FRAMING[protocol].split
    for first in range(0, len(addresses), PART):
        relay = Relay()
        async with AsyncExitStack() as stack:
            await _read([await relay.open(stack, a) for a in addresses[first : first + PART]])
        for peer, sent in relay.sent.items():
            said[peer] = split(bytes(sent)), split(bytes(relay.answered[peer]))
    return said


def _misread(protocol: str, answer: Answer, held: Sequence[MeterPoint]) -> int:
    """Return how many meters were not read as they are, or not without a finding."""
    by_meter = {read.meter: read for read in answer[0]}
    wrong = {finding.subject for finding in answer[1]}
    for point in held:
        read = by_meter.get(point.meter)
        rows = () if protocol == "modbus" else tuple(point.rows)
        if read is None or read.now.values != tuple(point.registers) or read.load_profile != rows:
            wrong.add(point.meter)
    return len(wrong)
