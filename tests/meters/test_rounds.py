"""Whom a round asks, for what, and when again; and that what came before a break is kept."""

import asyncio

import pytest

from grid.errors import BadInputError
from meters.collecting import Limits, collect, gateways_of
from meters.dlms.profile_poll import read_profile
from meters.reading import MeterAddress, RegisterRow
from meters.rounds import NEVER_S, Pace, Question, Rounds, parts
from meters.simulator.bad_network import BadNetwork, Weather
from meters.simulator.dlms import DlmsServers
from meters.simulator.leaping_time import leap_through
from meters.simulator.points import MeterPoint
from meters.simulator.running import RunningPoint
from meters.statistics import Record

STEP_S, AT_S = 900, 1_774_746_000
PACE = Pace(retry_s=60, longest_retry_s=480, connections=3, per_gateway=2, rows_at_once=8)


def rounds(missing, gateways=None, pace=PACE, seed=0):
    return Rounds(missing, gateways or {}, pace, step_s=STEP_S, seed=seed)


def at(*places):
    return [AT_S + STEP_S * place for place in places]


def test_gaps_become_spans_and_the_oldest_is_asked_first():
    ask = rounds({"b": at(5, 6, 7), "a": at(3, 9, 10, 1), "c": [], "d": at(8)})
    assert ask.incomplete == {"a", "b", "d"}
    first, second, third = ask.due(0.0)
    assert first == Question("a", ((at(1)[0],) * 2, (at(3)[0],) * 2, tuple(at(9, 10))), 8)
    assert (second.meter, second.spans) == ("b", (tuple(at(5, 7)),))
    assert third.meter == "d"


def test_no_more_connections_than_allowed_and_none_twice():
    ask = rounds({name: at(0) for name in "abcde"})
    assert [one.meter for one in ask.due(0.0)] == ["a", "b", "c"]
    assert ask.due(0.0) == []
    ask.told("b", 1.0, [(AT_S, AT_S)], is_broken=False)
    assert [one.meter for one in ask.due(1.0)] == ["d"]


def test_meters_behind_one_gateway_wait_for_each_other_and_nobody_for_them():
    behind = dict.fromkeys("abc", "gate")
    ask = rounds({name: at(0) for name in "abc"} | {"d": at(4)}, behind)
    assert [one.meter for one in ask.due(0.0)] == ["a", "b", "d"]
    ask.told("d", 1.0, [(at(4)[0],) * 2], is_broken=False)
    assert ask.due(1.0) == []
    ask.told("a", 2.0, [], is_broken=True)
    assert [one.meter for one in ask.due(2.0)] == ["c"]


def test_what_was_answered_is_not_asked_again_and_what_is_not_there_neither():
    ask = rounds({"a": at(0, 1, 2, 3, 9)})
    ask.due(0.0)
    ask.told("a", 5.0, [tuple(at(0, 2))], is_broken=True)
    assert ask.due(5.0) == []
    (again,) = ask.due(5.0 + PACE.retry_s)
    assert again.spans == ((at(3)[0],) * 2, (at(9)[0],) * 2)
    assert again.rows_at_once == 8
    ask.told("a", 70.0, [tuple(at(3, 9))], is_broken=False)
    assert ask.is_over
    assert ask.due(1e9) == []


def test_pauses_grow_are_capped_differ_and_end_with_an_answer():
    ask = rounds({"a": at(*range(20)), "b": at(*range(20))})
    now_s, pauses = 0.0, {"a": [], "b": []}
    for _ in range(7):
        for question in ask.due(now_s):
            ask.told(question.meter, now_s, [], is_broken=True)
        for meter in "ab":
            (due_s,) = [when for when, name in ask._later if name == meter]
            pauses[meter].append(due_s - now_s)
        now_s = max(when for when, _ in ask._later)
    for longest_s, a, b in zip(
        (60, 120, 240, 480, 480, 480), pauses["a"], pauses["b"], strict=False
    ):
        assert longest_s / 2 <= a <= longest_s
        assert longest_s / 2 <= b <= longest_s
        assert a != b
    (question, _) = ask.due(now_s)
    assert question.rows_at_once == 1
    ask.told(question.meter, now_s, [tuple(at(0, 0))], is_broken=True)
    assert ask.wake_s() - now_s <= PACE.retry_s


def test_the_same_seed_gives_the_same_pauses_and_another_seed_others():
    def first(seed):
        ask = rounds({"a": at(0)}, seed=seed)
        ask.due(0.0)
        ask.told("a", 0.0, [], is_broken=True)
        return ask.wake_s()

    assert first(1) == first(1) != first(2)
    assert rounds({}).wake_s() == NEVER_S


def test_parts_cover_spans_without_overlap():
    spans = (tuple(at(0, 19)), tuple(at(30, 30)))
    cut = list(parts(spans, STEP_S, 8))
    assert cut == [tuple(at(0, 7)), tuple(at(8, 15)), tuple(at(16, 19)), tuple(at(30, 30))]


@pytest.mark.parametrize(
    "wrong", [{"retry_s": 0}, {"connections": 0}, {"retry_s": 100, "longest_retry_s": 50}]
)
def test_an_impossible_pace_is_refused(wrong):
    with pytest.raises(BadInputError, match="pace"):
        Pace(**wrong)


class FallsSilent(MeterPoint):
    """A meter that answers so many requests, then nothing."""

    left = 10**9

    @property
    def silent(self):
        self.left -= 1
        return self.left < 0

    @silent.setter
    def silent(self, value):
        pass


def day(meter="m", kind=MeterPoint):
    rows = [RegisterRow(at_s, (10 * n, n, 0, 0)) for n, at_s in enumerate(at(*range(-95, 1)))]
    return kind(meter, AT_S, [1000, 100, 0, 0], 230.0, rows)


def test_rows_that_came_before_a_break_are_kept_and_the_rest_is_asked_next():
    point = day(kind=FallsSilent)
    point.left = 8  # the association, two lists, and five questions of rows
    span = (point.rows[0].at_s, point.rows[-1].at_s)

    async def run():
        servers = DlmsServers()
        url = (await servers.start([point]))["m"]
        loop = asyncio.get_running_loop()
        told, record = [], Record()
        question = Question("m", (span,), 12)
        address = MeterAddress("m", url, "cosem")
        how = {"clock": lambda: AT_S + loop.time(), "timeout_s": 30.0}
        before, _ = await read_profile(address, question, **how)
        point.left = 10**9
        addresses = {"m": address}
        ask = Rounds(
            {"m": [row.at_s for row in point.rows]}, gateways_of(addresses), PACE, step_s=STEP_S
        )
        ask.due(0.0)
        ask.told("m", AT_S, before.answered, is_broken=True)
        await collect(
            addresses,
            ask,
            clock=how["clock"],
            until_s=AT_S + 3600,
            took=lambda read, findings: told.append(read),
            limits=Limits(5.0, 60.0),
            record=record,
        )
        await servers.stop()
        return before, told, record, loop.time()

    before, told, record, took_s = leap_through(run())
    assert before.failure.code == "meter.silent"
    assert len(before.rows) % 12 == 0
    assert 0 < len(before.rows) < 96
    assert list(before.rows) == point.rows[: len(before.rows)]
    (after,) = told
    assert after.failure is None
    assert [*before.rows, *after.rows] == point.rows
    assert len(after.raw_sha256) == 32 != before.raw_sha256
    assert took_s < 30 + PACE.retry_s + 1
    assert record.meters["m"].success_percent == 100.0
    assert record.meters["m"].requests == sum(one.requests for one in record.gateways.values())


def test_the_network_is_as_slow_and_as_lossy_as_it_says():
    """Echo through it: a frame takes 0.1 to 1 s, 3 in 100 end their connection's direction."""
    weather = Weather(loss_percent=3.0, seed=5)

    async def once(reader, writer):
        await writer.drain()
        while content := await reader.read(100):
            writer.write(content)

    async def run():
        loop = asyncio.get_running_loop()
        peer = await asyncio.start_server(once, "127.0.0.1", 0)
        port = peer.sockets[0].getsockname()[1]
        trips, silent = [], 0
        async with BadNetwork(weather) as network:
            front = (await network.before({"m": f"dlms://127.0.0.1:{port}/1"}))["m"]
            port = int(front.rpartition(":")[2].partition("/")[0])
            for _ in range(400):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    async with asyncio.timeout(10):
                        for turn in range(3):
                            began_s = loop.time()
                            writer.write(b"frame")
                            await reader.readexactly(5)
                            if turn:
                                trips.append(loop.time() - began_s)
                except TimeoutError:
                    silent += 1
                writer.transport.abort()
            share = 100 * network.lost / network.frames
        peer.close()
        await peer.wait_closed()
        return trips, silent, share, network.frames

    trips, silent, share, frames = leap_through(run())
    assert min(trips) >= 0.2
    assert max(trips) <= 2.1
    assert 1.0 < sum(trips) / len(trips) < 1.25
    assert 2.0 < share < 4.0
    # Two frames to open and six to talk: 0.97**8 come through.
    assert 0.15 < silent / 400 < 0.30
    assert frames > 2500


def test_while_a_meter_is_unreachable_nothing_gets_through_and_then_it_does():
    rows = day().rows
    weather = Weather((0.2, 0.2), 0.0, unreachable={"m": [(0.0, 500.0)]})

    async def run():
        servers = DlmsServers()
        loop = asyncio.get_running_loop()
        point = RunningPoint("m", [1, 2, 3, 4], rows, now_s=lambda: AT_S + loop.time())
        reads = []
        async with BadNetwork(weather) as network:
            urls = await network.before(await servers.start([point]))
            addresses = {"m": MeterAddress("m", urls["m"], "cosem")}
            await collect(
                addresses,
                Rounds({"m": [r.at_s for r in rows]}, {}, PACE, step_s=STEP_S),
                clock=lambda: AT_S + loop.time(),
                until_s=AT_S + 3600,
                took=lambda read, findings: reads.append((loop.time(), read)),
                limits=Limits(5.0, 60.0),
            )
            await servers.stop()
        return reads

    reads = leap_through(run())
    assert [read.failure is None for _, read in reads] == [False] * (len(reads) - 1) + [True]
    assert reads[-1][0] > 500.0
    assert list(reads[-1][1].rows) == rows
