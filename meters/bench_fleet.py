"""A fleet of both protocols in one reading: how long it takes, how long a meter waits.

The simulated meters share one process and the reader has another, so two cores do all of it.
Counters are kept on disk, as a head-end keeps them.
"""

from __future__ import annotations

import asyncio
import random
import resource
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns, process_time_ns

from grid.benchmark import Error, Progress, Row, Timing, per_second
from grid.errors import Finding
from meters.bench_poll import AT_S, DAY, SECRET, apart, ciphering, points
from meters.dlms.counters import CounterStore, FileCounterStore
from meters.modbus.gateway import Gateways
from meters.reader import read_meters
from meters.reading import MeterAddress, MeterRead
from meters.statistics import Statistics

LIMIT_S = 60
AUTHS = ("lls", "lls", "hls-gmac", "lls", "open")
"""How DLMS meters let us in, in turn: two in three of the ciphered by LLS, one in five plain."""

Answer = tuple[list[MeterRead], list[Finding]]


def serve_fleet(channel: Connection, count: int) -> None:
    """Serve half of `count` meters over Modbus, half over DLMS; send their urls. Never returns."""
    from meters.simulator.dlms import DlmsServers, MeterSetup
    from meters.simulator.modbus import ModbusServers

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    setups = {
        f"meter-{number:04d}": MeterSetup(
            SECRET, None if AUTHS[number % len(AUTHS)] == "open" else ciphering(number, 1)
        )
        for number in range(count // 2, count)
    }

    async def run() -> None:
        held = points(count)
        urls = await ModbusServers().start(held[: count // 2])
        urls |= await DlmsServers().start(held[count // 2 :], setups=setups)
        channel.send(urls)
        await asyncio.Event().wait()

    asyncio.run(run())


def fleet(urls: dict[str, str]) -> list[MeterAddress]:
    """Return the addresses of the meters that :func:`serve_fleet` serves."""
    return [_address(number, meter, url) for number, (meter, url) in enumerate(urls.items())]


def _address(number: int, meter: str, url: str) -> MeterAddress:
    if url.startswith("modbus"):
        return MeterAddress(meter, url, "sdm630")
    auth = AUTHS[number % len(AUTHS)]
    own = None if auth == "open" else ciphering(number, 0)
    if own is not None and auth == "hls-gmac":
        own = replace(own, general=True)
    return MeterAddress(
        meter,
        url,
        "cosem",
        auth="lls" if auth == "open" else auth,
        secret=SECRET,
        ciphering=own,
        since_s=AT_S - DAY * 900,
        until_s=AT_S,
    )


class Watched:
    """Counters, and how long each key was in use: about as long as its meter's session.

    Attributes
    ----------
    used_ns : dict of str to (int, int)
        First and last use, by key.
    """

    def __init__(self, counters: CounterStore) -> None:
        self._counters = counters
        self.used_ns: dict[str, tuple[int, int]] = {}

    def reserve(self, name: str, at_least: int, count: int) -> int:
        """Return the first of `count` counters; see :class:`CounterStore`."""
        first = self._counters.reserve(name, at_least, count)
        now_ns = perf_counter_ns()
        key = name[:16]
        self.used_ns[key] = self.used_ns.get(key, (now_ns, 0))[0], now_ns
        return first


def misread(answer: Answer, count: int) -> int:
    """Return how many meters of the fleet were not read as they are, or not without a finding."""
    by_meter = {read.meter: read for read in answer[0]}
    wrong = {finding.subject for finding in answer[1]}
    for number, point in enumerate(points(count)):
        read = by_meter.get(point.meter)
        rows = () if number < count // 2 else tuple(point.rows)
        if read is None or read.now.values != tuple(point.registers) or read.load_profile != rows:
            wrong.add(point.meter)
    return len(wrong)


def row(count: int, progress: Progress) -> Row:
    """Return the row of a fleet of `count` meters."""
    progress(f"meters: one reading of {count:,} meters of both protocols")
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with apart(serve_fleet, count) as urls, TemporaryDirectory() as folder:
        addresses = fleet(urls)
        counters = FileCounterStore(Path(folder))
        gateways = Gateways(random.Random(1))
        first, _ = _timed(addresses, counters, gateways)
        watched = Watched(counters)
        cpu_ns = process_time_ns()
        again, answer = _timed(addresses, watched, gateways)
        cpu_ns = process_time_ns() - cpu_ns
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
    sessions_ms = sorted((last - began) / 1e6 for began, last in watched.used_ns.values())
    ciphered = sum(address.ciphering is not None for address in addresses)
    return Row(
        craft="meters",
        name="fleet",
        work=f"{count:,} meters: half Modbus, half DLMS with a day of load profile, "
        f"{ciphered:,} of them ciphered (LLS and HLS-GMAC), counters on disk; the first reading "
        "ever, in which each of those is asked for its counter",
        unit="meters",
        taken="once",
        ours=Timing(count, first),
        peer="the same again",
        theirs=Timing(count, again),
        reach=per_second(-(-count // LIMIT_S)),
        error=Error(misread(answer, count), "meters", 0, "what the meters hold"),
        note=f"{first / 1e9:.1f} s the first time, {again / 1e9:.1f} s again, the reader's CPU "
        f"then {cpu_ns / 1e9:.1f} s; 99 % of DLMS sessions within "
        f"{sessions_ms[len(sessions_ms) * 99 // 100]:.0f} ms, of Modbus requests within "
        f"{_modbus_ms(list(gateways.by_subject.values()))} ms; {grown_mb:.0f} MB more at the peak",
    )


def _timed(
    addresses: Sequence[MeterAddress], counters: CounterStore, gateways: Gateways
) -> tuple[int, Answer]:
    began = perf_counter_ns()
    answer = asyncio.run(
        read_meters(addresses, at_s=AT_S, timeout_s=LIMIT_S, gateways=gateways, counters=counters)
    )
    return perf_counter_ns() - began, answer


def _modbus_ms(each: Sequence[Statistics]) -> int | None:
    together = Statistics()
    total: Counter[int] = Counter()
    for one in each:
        total.update(dict(enumerate(one.latency_count)))
    together.latency_count = [total[place] for place in range(len(together.latency_count))]
    return together.latency_ms(99)
