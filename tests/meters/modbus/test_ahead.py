"""Units asked in a row behind one gateway: each has its own answer, error and statistics."""

import asyncio
import random
import struct
import time

import pytest

from meters.modbus import gateway as module
from meters.modbus.ahead import MOST
from meters.modbus.gateway import Gateways, parse_url
from meters.reader import read_meters
from meters.reading import MeterAddress
from meters.simulator.modbus import GatewayConnection, ModbusServers
from meters.simulator.units import RegisterUnit

AT_S = 1_774_746_000
ZERO = 0x0000
SPAN = range(80)


class Meter(RegisterUnit):
    """An SDM630 whose import register shows its number in kWh; keeps what was asked."""

    def __init__(self, number, without=()):
        words = {address: ZERO for address in SPAN if address not in without}
        super().__init__(words, function=4)
        if 0x48 in words:
            self.words[0x48], self.words[0x49] = struct.unpack(">HH", struct.pack(">f", number))
        self.silent = False

    @property
    def asked(self):
        return [count for _, count in self.reads]


class Deaf(Meter):
    """Leaves requests unanswered, and counts them."""

    def __init__(self, number):
        super().__init__(number)
        self.times = 0

    @property
    def silent(self):
        self.times += 1
        return True

    @silent.setter
    def silent(self, _):
        pass


class Slow(GatewayConnection):
    """Takes its time for each answer."""

    def send(self, transaction, unit, pdu):
        asyncio.get_running_loop().call_later(0.02, super().send, transaction, unit, pdu)


def served(units, work, connection=None):
    """Return what `work` does with the urls of units behind one gateway."""

    async def run():
        async with ModbusServers() as servers:
            named = {f"m{number:03d}": unit for number, unit in enumerate(units)}
            urls = await servers.serve(named, connection=connection)
            return await work(urls)

    return asyncio.run(run())


def poll(gateways, times=1):
    async def work(urls):
        meters = [MeterAddress(meter, url, "sdm630") for meter, url in urls.items()]
        for _ in range(times):
            answer = await read_meters(meters, at_s=AT_S, timeout_s=4.0, gateways=gateways)
        return answer

    return work


def energies(reads):
    return {read.meter: read.now.values[0] for read in reads}


@pytest.fixture
def gateways(monkeypatch):
    monkeypatch.setattr(module, "ANSWER_S", 0.15)
    monkeypatch.setattr(module, "RETRY_S", 0.05)
    return Gateways(random.Random(1))


@pytest.mark.parametrize("count", [1, 2, 9, MOST + 9])
def test_each_unit_has_its_own_answer_and_is_asked_once(gateways, count):
    units = [Meter(number) for number in range(count)]
    reads, findings = served(units, poll(gateways))
    assert findings == []
    assert energies(reads) == {f"m{n:03d}": 1000 * n for n in range(count)}
    assert [unit.asked for unit in units] == [[80]] * count
    assert {one.requests for one in gateways.by_subject.values()} == {1}
    assert {one.successes for one in gateways.by_subject.values()} == {1}
    (endpoint,) = gateways.by_endpoint.values()
    assert (endpoint.requests, sum(endpoint.latency_count)) == (count, count)


def test_a_silent_unit_in_the_row_is_asked_twice_and_costs_no_other(gateways):
    units = [Meter(n) if n != 4 else Deaf(n) for n in range(9)]
    reads, findings = served(units, poll(gateways))
    assert [finding.subject for finding in findings] == ["m004"]
    assert energies(reads) == {f"m{n:03d}": 1000 * n for n in range(9) if n != 4}
    assert units[4].times == 2
    assert gateways.by_subject["m004"].timeouts == 2
    assert all(unit.asked == [80] for unit in units if not isinstance(unit, Deaf))


def test_a_wrong_answer_in_the_row_is_that_of_its_unit(gateways):
    class ShortOfFour(GatewayConnection):
        def send(self, transaction, unit, pdu):
            super().send(transaction, unit, pdu[:-2] if unit == 5 else pdu)

    class TwiceOfFour(GatewayConnection):
        def send(self, transaction, unit, pdu):
            for _ in range(2 if unit == 5 else 1):
                super().send(transaction, unit, pdu)

    units = [Meter(n) for n in range(9)]
    reads, findings = served(units, poll(gateways), ShortOfFour)
    assert [(one.subject, one.code) for one in findings] == [("m004", "meter.malformed")]
    assert energies(reads) == {f"m{n:03d}": 1000 * n for n in range(9) if n != 4}
    assert gateways.by_subject["m004"].malformed == 1
    # What stands behind a right answer is nobody's: the connection ends, all are read.
    reads, findings = served(units, poll(Gateways(random.Random(1))), TwiceOfFour)
    assert findings == []
    assert energies(reads) == {f"m{n:03d}": 1000 * n for n in range(9)}


def test_a_refused_block_in_the_row_is_read_in_parts_and_remembered(gateways):
    # Nothing but what is mapped can be read of this one.
    units = [Meter(n, without=range(2, 0x34) if n == 4 else ()) for n in range(9)]
    reads, findings = served(units, poll(gateways, times=2))
    assert findings == []
    assert energies(reads) == {f"m{n:03d}": 1000 * n for n in range(9)}
    assert units[4].asked.count(80) == 1
    assert len(units[4].asked) > 3
    assert all(unit.asked == [80, 80] for n, unit in enumerate(units) if n != 4)


def test_who_is_in_a_hurry_waits_for_one_answer_and_reads_what_stands_now():
    units = [Meter(n) for n in range(30)]
    gateways = Gateways(random.Random(1), keep_open=True)

    async def work(urls):
        polling = asyncio.create_task(poll(gateways)(urls))
        await asyncio.sleep(0.1)
        last = parse_url(urls["m029"])
        units[29].words[0x4A] = 0x4000
        began = time.perf_counter()
        answers = await gateways.ask(
            {"hurry": last},
            lambda client, unit, _: client.read(unit, 4, 0x4A, 2),
            timeout_s=2.0,
            urgent=True,
        )
        waited_s = time.perf_counter() - began
        reads, findings = await polling
        await gateways.close()
        return answers, waited_s, reads, findings

    answers, waited_s, reads, findings = served(units, work, Slow)
    assert answers == {"hurry": (0x4000, 0)}
    assert waited_s < 0.3  # of 0.6 s that all take
    assert findings == []
    assert len(reads) == 30
