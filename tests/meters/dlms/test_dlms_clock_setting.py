"""Clocks of meters: measured over a slow network, set where that is allowed, read back."""

import asyncio

import pytest

from grid.errors import Severity
from meters.clocks import ONCE_S, ClockLimits, ClockSet, Verdict, outcome, told
from meters.dlms.clock_setting import set_clocks
from meters.dlms.counters import MemoryCounterStore
from meters.dlms.profile_poll import read_profile
from meters.reading import Ciphering, MeterAddress, RegisterRow
from meters.rounds import Question
from meters.simulator import dlms_access
from meters.simulator.bad_network import BadNetwork, Weather
from meters.simulator.dlms import DlmsServers, MeterSetup
from meters.simulator.dlms_objects import EVENT_CLOCK_SET
from meters.simulator.leaping_time import leap_through
from meters.simulator.running import RunningPoint

AT_S = 1_774_746_000
LIMITS = ClockLimits(5, 10, 300)
SLOW = Weather((0.2, 2.0), 0.0, seed=3)


@pytest.mark.parametrize(
    ("offset_s", "last_set_s", "verdict"),
    [
        (0, None, Verdict.FINE),
        (-5, None, Verdict.FINE),
        (6, None, Verdict.TELL),
        (10, None, Verdict.TELL),
        (-11, None, Verdict.SET),
        (300, AT_S - ONCE_S, Verdict.SET),
        (300, AT_S - ONCE_S + 1, Verdict.TELL),
        (-301, None, Verdict.ALARM),
        (10**6, AT_S, Verdict.ALARM),
    ],
)
def test_limits_hold_on_both_sides_and_once_an_hour(offset_s, last_set_s, verdict):
    assert LIMITS.judge(offset_s, AT_S, last_set_s) is verdict


def test_without_a_correcting_limit_none_is_set():
    assert ClockLimits(5, None, 300).judge(200, AT_S, None) is Verdict.TELL


def test_findings_have_subject_value_and_limit():
    one = told("M-1", AT_S, -301, Verdict.ALARM, LIMITS)
    assert (one.code, one.severity) == ("meter.clock_beyond", Severity.ALARM)
    assert one.message.startswith("M-1 2026-03-29T01:00Z clock is -301 s off, beyond 300 s")
    assert outcome(ClockSet("M-1", 40, 0), AT_S, LIMITS).code == "meter.clock_set"
    assert outcome(ClockSet("M-1", 40, 38), AT_S, LIMITS).severity is Severity.ALARM
    refused = outcome(ClockSet("M-1", 40, None, "refused"), AT_S, LIMITS)
    assert (refused.code, refused.severity) == ("meter.clock_not_set", Severity.WARNING)
    assert ClockSet("M-1", 40, 0).shift_s == -40
    assert ClockSet("M-1", None, None, "gave no complete answer").shift_s == 0


def keys(side):
    return Ciphering(b"KHZ" + bytes((side, 0, 0, 0, 1)), bytes(range(16)), bytes(range(16, 32)))


class Held:
    """A served meter behind a slow network, with its clock `offset_s` ahead."""

    def __init__(self, offset_s=0.0, drift_ppm=0.0, setup=None, weather=SLOW):
        self.offset_s, self.drift_ppm, self.weather = offset_s, drift_ppm, weather
        self.setup = setup or MeterSetup()

    async def __aenter__(self):
        self.loop = asyncio.get_running_loop()
        rows = [RegisterRow(AT_S - 900 * n, (100 - n, 0, 0, 0)) for n in range(12, -1, -1)]
        self.point = RunningPoint(
            "m",
            [100, 0, 0, 0],
            rows,
            now_s=self.now_s,
            drift_ppm=self.drift_ppm,
            offset_s=self.offset_s,
        )
        self.servers = DlmsServers()
        urls = await self.servers.start([self.point], setups={"m": self.setup})
        self.network = BadNetwork(self.weather)
        self.url = (await self.network.before(urls))["m"]
        return self

    async def __aexit__(self, *failure):
        await self.network.stop()
        await self.servers.stop()

    def now_s(self):
        return AT_S + self.loop.time()

    def address(self, **how):
        return MeterAddress("m", self.url, "cosem", **how)

    async def set(self, address, **how):
        (done,) = await set_clocks([address], clock=self.now_s, timeout_s=60.0, **how)
        return done

    @property
    def times_set(self):
        events = self.servers.meters["m"].objects.events
        return sum(code == EVENT_CLOCK_SET for _, code in events)

    def error_s(self):
        return self.point.clock_s - self.now_s()


def test_a_clock_that_stepped_is_set_to_within_the_network_and_reads_back_so():
    async def run():
        setup = MeterSetup(b"secret", keys(1))
        async with Held(setup=setup) as meter:
            meter.point.step(meter.now_s() + 47)
            address = meter.address(auth="hls-gmac", ciphering=keys(0))
            done = await meter.set(address, counters=MemoryCounterStore())
            return done, meter.error_s(), meter.times_set

    done, error_s, times = leap_through(run())
    assert done.failure == ""
    assert abs(done.before_s - 47) <= 2
    assert abs(done.after_s) <= 2
    assert abs(done.shift_s + 47) <= 3
    assert -2.5 <= error_s <= 1.5  # the request was on its way for up to a second
    assert times == 1
    assert outcome(done, AT_S, LIMITS).severity is Severity.INFO


def test_what_an_association_does_not_allow_is_not_tried(monkeypatch):
    monkeypatch.setattr(dlms_access, "_READ_WRITE", 1)

    async def run():
        async with Held(offset_s=47) as meter:
            done = await meter.set(meter.address())
            return done, meter.error_s(), meter.times_set

    done, error_s, times = leap_through(run())
    assert "does not allow the clock to be written" in done.failure
    assert done.shift_s == 0
    assert error_s > 45
    assert times == 0


def test_a_meter_that_refuses_or_is_silent_is_told_of_and_unchanged():
    async def run(setup, unreachable):
        weather = Weather((0.2, 2.0), 0.0, unreachable={"m": [(0.0, unreachable)]})
        async with Held(offset_s=47, setup=setup, weather=weather) as meter:
            done = await meter.set(meter.address())
            return done, meter.error_s()

    # The public client of a meter with keys may look at its clock, and no more.
    done, error_s = leap_through(run(MeterSetup(ciphering=keys(1)), 0.0))
    assert "refused" in done.failure
    assert abs(done.before_s - 47) <= 2
    assert error_s > 45
    done, error_s = leap_through(run(None, 1e6))
    assert (done.before_s, done.failure) == (None, "gave no complete answer")


def test_drift_is_measured_day_by_day_while_profiles_are_read():
    """100 ppm too fast are 8.64 s a day; the network hides no more than a second or two of it."""

    async def run():
        offsets = []
        async with Held(drift_ppm=100.0) as meter:
            for day in range(6):
                await asyncio.sleep(day * 86_400 - meter.loop.time())
                question = Question("m", ((AT_S - 9000, AT_S),), 12)
                read, findings = await read_profile(
                    meter.address(), question, clock=meter.now_s, timeout_s=60.0
                )
                assert read.failure is None
                assert findings == []
                assert len(read.rows) == 11
                offsets.append(read.clock_offset_s)
        return offsets

    for day, offset_s in enumerate(leap_through(run())):
        assert abs(offset_s - 8.64 * day) <= 2


def test_rows_of_a_clock_that_is_far_off_are_not_taken():
    async def run():
        async with Held(offset_s=75) as meter:
            question = Question("m", ((AT_S - 9000, AT_S),), 12)
            return await read_profile(meter.address(), question, clock=meter.now_s, timeout_s=60.0)

    read, findings = leap_through(run())
    assert (read.rows, read.answered) == ((), ())
    assert abs(read.clock_offset_s - 75) <= 2
    assert "clock is off" in str(read.failure)
    assert [one.code for one in findings] == ["meter.clock"]
