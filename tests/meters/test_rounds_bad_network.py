"""Every daily profile over a network of the field's kind, within an hour and by the morning.

Round trips of 0.2 to 2 s and 3 % of all frames lost, so that hardly one reading in three comes
through at once; some meters cannot be reached for a part of the hour, some for the night.
Time is leapt over, not scaled: see :mod:`meters.simulator.leaping_time`.
"""

import asyncio
import os
import resource
import sys
from random import Random

import pytest

from meters.collecting import Limits, collect, gateways_of
from meters.dlms.counters import MemoryCounterStore
from meters.dlms.static_answers import StaticAnswers
from meters.reading import Ciphering, MeterAddress, RegisterRow
from meters.rounds import Pace, Rounds
from meters.simulator.bad_network import BadNetwork, Weather
from meters.simulator.dlms import DlmsServers, MeterSetup
from meters.simulator.leaping_time import leap_through
from meters.simulator.running import RunningPoint
from meters.statistics import Record, Statistics

COUNT = int(os.environ.get("KHAZRI_ROUNDS", "200"))
MIDNIGHT_S = 1_774_728_000
STEP_S, ROWS = 900, 96
HOUR_S, MORNING_S = 3600, 6 * 3600
SECRET = b"rounds-secret"
AUTHS = ("lls", "lls", "hls-gmac", "lls", "none")
LIMITS = Limits(answer_s=5.0, session_s=120.0)
PACE = Pace(retry_s=60, longest_retry_s=900, connections=128)
ONCE = Pace(retry_s=1e9, longest_retry_s=1e9, connections=128)


def now_s():
    """Seconds UTC of the running loop; midnight before it runs."""
    try:
        return MIDNIGHT_S + asyncio.get_running_loop().time()
    except RuntimeError:
        return MIDNIGHT_S


def ciphering(number, side):
    title = b"KHZ" + bytes((side,)) + number.to_bytes(4, "big")
    return Ciphering(title, number.to_bytes(16, "big"), bytes(range(16)))


def name(number):
    return f"meter-{number:04d}"


def points(count):
    captured = [MIDNIGHT_S - STEP_S * (ROWS - 1 - place) for place in range(ROWS)]
    return [
        RunningPoint(
            name(number),
            [10**5, 0, 0, 0],
            [
                RegisterRow(at_s, (7 * number + 13 * place, number, 5 * place, 3))
                for place, at_s in enumerate(captured)
            ],
            now_s=now_s,
        )
        for number in range(count)
    ]


def absences(count, draw):
    """Meters that are away: 4 % for 5 to 40 min of the hour, 1 % until 1:30 to 6:00, 0.1 % on."""
    away = {}
    drawn = iter(draw.sample(range(count), count))
    for _ in range(count * 4 // 100):
        from_s = draw.uniform(0, HOUR_S / 2)
        away[name(next(drawn))] = [(from_s, from_s + draw.uniform(300, 2400))]
    for _ in range(count // 100):
        away[name(next(drawn))] = [(0.0, draw.uniform(1.5 * HOUR_S, MORNING_S))]
    for _ in range(count // 1000):
        away[name(next(drawn))] = [(0.0, 1e9)]
    return away


def setup_of(number):
    auth = AUTHS[number % len(AUTHS)]
    if auth == "none":
        return MeterSetup()
    return MeterSetup(SECRET, ciphering(number, 1) if number % 2 or auth == "hls-gmac" else None)


def address_of(number, url):
    auth = AUTHS[number % len(AUTHS)]
    own = ciphering(number, 0) if setup_of(number).ciphering else None
    return MeterAddress(name(number), url, "cosem", auth=auth, secret=SECRET, ciphering=own)


class Night:
    """One night of a head-end: two readings, and what the meters had told after each."""

    def __init__(self, count, pace, seed=1):
        self.count, self.pace, self.seed = count, pace, seed
        self.points = points(count)
        self.held = {point.meter: {} for point in self.points}
        self.record = Record()
        self.reads = self.broken = 0

    def took(self, read, findings):
        assert findings == []
        self.reads += 1
        self.broken += read.failure is not None
        self.held[read.meter].update({row.at_s: row for row in read.rows})

    def complete_percent(self):
        whole = sum(
            [rows[at_s] for at_s in sorted(rows)] == point.rows
            for point, rows in ((point, self.held[point.meter]) for point in self.points)
        )
        return 100 * whole / self.count

    async def run(self):
        """Read for an hour after midnight, and for an hour in the morning; return both shares."""
        weather = Weather(seed=self.seed, unreachable=absences(self.count, Random(self.seed)))
        servers = DlmsServers()
        loop = asyncio.get_running_loop()
        setups = {name(number): setup_of(number) for number in range(self.count)}
        async with BadNetwork(weather) as network:
            urls = await network.before(await servers.start(self.points, setups=setups))
            addresses = {
                meter: address_of(number, url) for number, (meter, url) in enumerate(urls.items())
            }
            kept = {"cache": StaticAnswers(), "counters": MemoryCounterStore()}
            shares = []
            for begins_s in (0, MORNING_S):
                await asyncio.sleep(begins_s - loop.time())
                missing = {
                    point.meter: [
                        r.at_s for r in point.rows if r.at_s not in self.held[point.meter]
                    ]
                    for point in self.points
                }
                await collect(
                    addresses,
                    Rounds(missing, gateways_of(addresses), self.pace, step_s=STEP_S),
                    clock=now_s,
                    until_s=MIDNIGHT_S + begins_s + HOUR_S,
                    took=self.took,
                    limits=LIMITS,
                    record=self.record,
                    **kept,
                )
                shares.append(self.complete_percent())
            await servers.stop()
        self.network = network
        return shares


@pytest.fixture(autouse=True)
def many_sockets():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def total(record):
    all_of_it = Statistics()
    for one in record.meters.values():
        all_of_it.add(one)
    return all_of_it


def told(night, shares):
    asked = total(night.record)
    sys.stderr.write(
        f"\n{night.count} meters: {shares[0]:.2f} % after the hour, "
        f"{shares[1]:.2f} % after the morning's; {night.reads} sessions, {night.broken} broken, "
        f"{night.network.frames} frames, {night.network.lost} lost; "
        f"{asked.requests} questions, {asked.success_percent:.1f} % answered, "
        f"p50 {asked.latency_ms(50)} ms, p99 {asked.latency_ms(99)} ms\n"
    )


def test_98_percent_within_the_hour_and_995_by_the_morning():
    night = Night(COUNT, PACE)
    shares = leap_through(night.run())
    told(night, shares)
    assert shares[0] >= 98.0
    assert shares[1] >= 99.5


def test_asking_each_meter_once_falls_far_short():
    night = Night(200, ONCE)
    shares = leap_through(night.run())
    told(night, shares)
    assert shares[0] < 70.0
    assert shares[1] < 98.0
