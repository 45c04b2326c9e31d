"""Rows of the benchmark: polling over Modbus and DLMS, and validation."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from fractions import Fraction
from time import process_time_ns

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.benchmark import Error, Progress, Row, Timing, alternate, faster, per_second
from grid.errors import Finding
from meters import bench_fleet
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
from meters.reading import CHANNELS, MISSING, MeterAddress, MeterRead
from meters.simulator.points import MeterPoint
from meters.vee import validate
from meters.vee.facts import EventKind, Facts, FeederHead, MeterEvent, Tenure
from meters.vee.rules import RULES

Answer = tuple[list[MeterRead], list[Finding]]

TIMEOUT_S = 60.0
FAULTY = 5
"""Meters in a hundred with which something is wrong."""
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
    yield _vee(500 if quick else 20_000, 2 if quick else 5, progress)


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


def _vee(count: int, rounds: int, progress: Progress) -> Row:
    progress(f"meters: validation of {count:,} meter-days")
    registers, reference, whole_wh = _day(count)
    facts = _facts(registers, whole_wh)
    limit_wh, digits = np.full(count, 5_000), np.full(count, 8)
    known = [registers[channel].to_numpy() for channel in CHANNELS]
    results: list[tuple[xr.Dataset, list[Finding]]] = []

    def ours(turn: int) -> None:
        given = registers.copy(deep=False)
        late_s = AT_S + DAY * 900 * 10
        results[:] = [
            validate(
                given,
                reference,
                limit_wh=limit_wh,
                register_digits=digits,
                estimate_before_s=late_s,
                facts=facts,
            )
        ]

    ours_ns, theirs_ns = alternate(
        rounds, ours, lambda _: [np.diff(values, axis=1) for values in known]
    )
    readings = count * DAY * len(CHANNELS)
    intervals, findings = results[0]
    total_wh = intervals["import_wh"].to_numpy().sum(axis=1)
    noticed = len({finding.code for finding in findings})
    return Row(
        craft="meters",
        name="VEE",
        work=f"{count:,} meter-days of {len(CHANNELS)} registers, all {len(RULES)} rules on, one "
        f"meter in {100 // FAULTY} with a fault; one core",
        unit="readings",
        taken=f"best of {rounds}",
        ours=Timing(readings, ours_ns),
        peer="np.diff of the same registers",
        theirs=Timing(readings, theirs_ns),
        reach=per_second(20_000_000),
        error=Error(int(np.abs(total_wh - whole_wh).max()), "Wh a meter and day", 0, "what flowed"),
        note=f"{len(findings):,} findings of {noticed} kinds",
    )


def _day(count: int) -> tuple[xr.Dataset, xr.Dataset, npt.NDArray[np.int64]]:
    """Return registers, like days, and the energy imported (meter,) of a day with faults.

    Of each hundred meters one misses two hours, one half a day, and one has a register that
    is read wrongly once; one register goes round. None changes how much flowed.
    """
    draw = np.random.default_rng(1)
    meters = [f"meter-{number}" for number in range(count)]
    energy = draw.integers(0, 500, (count, DAY))
    register = np.zeros((count, DAY + 1), dtype=np.int64)
    np.cumsum(energy, axis=1, out=register[:, 1:])
    register += 1_000_000
    values = {name: register // (place + 1) for place, name in enumerate(CHANNELS)}
    values["import_wh"][25::100] += 99_000_000 - 10_000
    values["import_wh"][25::100] %= 10**8
    values["import_wh"][::100, 40:47] = MISSING
    values["import_wh"][75::100, 30:78] = MISSING
    values["import_wh"][50::100, 60] += 400_000
    boundary = np.arange(AT_S - DAY * 900, AT_S + 1, 900).astype("datetime64[s]")
    registers = xr.Dataset(
        {name: (("meter", "boundary"), of) for name, of in values.items()},
        {"meter": meters, "boundary": boundary},
    )
    shape = (("meter", "interval"), energy + 10)
    reference = xr.Dataset(
        dict.fromkeys(CHANNELS, shape), {"meter": meters, "interval": boundary[:-1]}
    )
    return registers, reference, energy.sum(axis=1)


def _facts(registers: xr.Dataset, whole_wh: npt.NDArray[np.int64]) -> Facts:
    """Return all that rules can need, with one meter in a hundred of which it is odd."""
    meters = [str(meter) for meter in registers["meter"].to_numpy()]
    count = len(meters)
    none = np.zeros((count, DAY), dtype=np.bool_)
    outage, voltage = none.copy(), np.full((count, DAY), 231.0, dtype=np.float32)
    outage[10::400, 20:24] = True
    voltage[110::400, 50] = 300.0
    captured = np.diff(registers["import_wh"].to_numpy(), axis=1)
    strange = (registers["import_wh"].to_numpy() < 0).any(axis=1) | (captured < 0).any(axis=1)
    captured[strange | (captured > 500).any(axis=1)] = MISSING
    average = whole_wh.copy()
    average[210::400] //= 100
    net = np.full(DAY, 250 * count)
    return Facts(
        captured={"import_wh": captured},
        captured_quality=np.ones((count, DAY), dtype=np.uint16),
        shape={"import_wh": np.full((count, DAY), 250)},
        outage=outage,
        active=np.arange(count) % 400 != 310,
        average_day_wh=average,
        zero_days=np.zeros(count, dtype=np.int64),
        estimated_days=np.zeros(count, dtype=np.int64),
        capture_s=np.full(count, 900),
        offset_s=np.zeros((count, DAY + 1), dtype=np.int64),
        ratio=np.ones(count, dtype=np.int64),
        voltage_v=voltage,
        nominal_v=np.full(count, 230.0),
        serial=np.array(meters),
        tenures=tuple(Tenure(meter, meter, None, None, 8) for meter in meters),
        events=tuple(
            MeterEvent(meter, AT_S - 9_000, EventKind.CLOCK_SET, 60) for meter in meters[60::400]
        ),
        siblings=True,
        checks=tuple(zip(meters[::400], meters[1::400], strict=False)),
        feeder=FeederHead(
            "F-1", net, net // 4, np.ones(DAY, np.bool_), net // 50, np.ones(count, np.bool_)
        ),
    )
