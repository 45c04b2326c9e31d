"""Many meters over real sockets, with silent and dead ones among them."""

import asyncio
import time

import pytest

from grid.errors import BadInputError
from meters.reader import read_meters
from meters.reading import MISSING, MeterAddress
from meters.simulator.modbus import ModbusServers
from meters.simulator.points import MeterPoint

AT_S = 1_774_746_000


def points(count: int) -> list[MeterPoint]:
    return [
        MeterPoint(f"m{n:03d}", AT_S, [1000 * n + 1, 2 * n, 3 * n, 4 * n], 230.5)
        for n in range(count)
    ]


def addresses(urls: dict[str, str]) -> list[MeterAddress]:
    return [MeterAddress(meter, url, "sdm630") for meter, url in urls.items()]


async def read_all(served: list[MeterPoint], timeout_s: float = 8.0):
    servers = ModbusServers()
    urls = await servers.start(served)
    try:
        return await read_meters(addresses(urls)[::-1], at_s=AT_S, timeout_s=timeout_s)
    finally:
        await servers.stop()


def test_forty_meters_are_read_to_the_watt_hour_in_order_of_their_names():
    served = points(40)
    reads, findings = asyncio.run(read_all(served))
    assert findings == []
    assert [read.meter for read in reads] == [point.meter for point in served]
    for read, point in zip(reads, served, strict=True):
        assert list(read.now.values) == point.registers
        assert read.now.at_s == AT_S
        assert read.voltage_v == pytest.approx(230.5)
        assert len(read.raw_sha256) == 32


def test_two_readings_of_the_same_field_are_equal_on_other_ports():
    first = asyncio.run(read_all(points(20)))
    assert first == asyncio.run(read_all(points(20)))


def test_a_silent_unit_costs_its_own_reading_only():
    served = points(16)
    served[3].silent = True
    started = time.perf_counter()
    reads, findings = asyncio.run(read_all(served))
    assert time.perf_counter() - started < 4.0
    assert len(reads) == 15
    (finding,) = findings
    assert (finding.code, finding.subject) == ("meter.silent", "m003")
    assert finding.message == "m003 2026-03-29T01:00Z gave no complete answer"


def test_a_unit_that_misses_one_request_is_asked_again():
    class Sleepy(MeterPoint):
        asked = 0

        @property
        def silent(self):
            self.asked += 1
            return self.asked == 1

        @silent.setter
        def silent(self, value):
            pass

    served = [*points(4), Sleepy("z", AT_S, [1, 2, 3, 4], 230.0)]
    reads, findings = asyncio.run(read_all(served, timeout_s=2.0))
    assert findings == []
    assert reads[-1].meter == "z"


def test_a_gateway_of_silent_units_but_one_is_read_within_the_time_limit():
    served = points(16)
    for point in served[:15]:
        point.silent = True
    started = time.perf_counter()
    reads, findings = asyncio.run(read_all(served, timeout_s=1.0))
    assert time.perf_counter() - started < 2.0
    assert [read.meter for read in reads] == ["m015"]
    assert len(findings) == 15


def test_a_dead_gateway_does_not_hold_up_the_others():
    async def run():
        servers = ModbusServers()
        dead = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        port = dead.sockets[0].getsockname()[1]
        urls = await servers.start(points(16))
        dead_urls = {f"z{n}": f"modbus://127.0.0.1:{port}/{n}" for n in range(1, 9)}
        try:
            return await read_meters(addresses(urls | dead_urls), at_s=AT_S, timeout_s=0.6)
        finally:
            await servers.stop()
            dead.close()

    started = time.perf_counter()
    reads, findings = asyncio.run(run())
    assert time.perf_counter() - started < 2.0
    assert len(reads) == 16
    assert [finding.subject for finding in findings] == [f"z{n}" for n in range(1, 9)]
    assert {finding.code for finding in findings} == {"meter.silent"}


def test_a_silent_dlms_meter_does_not_hold_up_modbus_meters():
    async def run():
        servers = ModbusServers()
        dead = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        port = dead.sockets[0].getsockname()[1]
        urls = await servers.start(points(4))
        silent = MeterAddress("d", f"dlms://127.0.0.1:{port}/1", "cosem")
        try:
            return await read_meters([silent, *addresses(urls)], at_s=AT_S, timeout_s=2.0)
        finally:
            await servers.stop()
            dead.close()

    reads, findings = asyncio.run(run())
    assert len(reads) == 4
    assert [(finding.code, finding.subject) for finding in findings] == [("meter.silent", "d")]


def test_a_refused_connection_is_a_silent_meter():
    async def run():
        closed = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        port = closed.sockets[0].getsockname()[1]
        closed.close()
        await closed.wait_closed()
        address = MeterAddress("a", f"modbus://127.0.0.1:{port}/1", "sdm630")
        return await read_meters([address], at_s=AT_S, timeout_s=1.0)

    reads, findings = asyncio.run(run())
    assert reads == []
    assert [finding.code for finding in findings] == ["meter.silent"]


@pytest.mark.parametrize(
    ("url", "profile"),
    [
        ("modbus://127.0.0.1/1", "sdm630"),
        ("modbus://127.0.0.1:502/0", "sdm630"),
        ("modbus://127.0.0.1:502/256", "sdm630"),
        ("modbus://127.0.0.1:99999/1", "sdm630"),
        ("modbus://[::/1", "sdm630"),
        ("modbus://127.0.0.1:502/1", "no-such-profile"),
        ("modbus://127.0.0.1:502/1", "../secret"),
        ("ftp://127.0.0.1:502/1", "sdm630"),
    ],
)
def test_a_wrong_address_is_a_finding_without_its_url(url, profile):
    reads, findings = asyncio.run(
        read_meters([MeterAddress("a", url, profile)], at_s=AT_S, timeout_s=0.5)
    )
    assert reads == []
    assert [finding.code for finding in findings] == ["meter.address"]
    assert url not in findings[0].message


def test_a_counter_that_is_no_number_is_missing_and_never_zero():
    served = points(1)
    served[0].registers = [float("nan"), 5000, float("inf"), -1]
    reads, findings = asyncio.run(read_all(served))
    assert reads[0].now.values == (MISSING, 5000, MISSING, MISSING)
    assert [finding.code for finding in findings] == ["meter.register"] * 3


def test_a_meter_without_any_counter_gives_no_reading():
    served = points(1)
    served[0].registers = [float("nan")] * 4
    reads, findings = asyncio.run(read_all(served))
    assert reads == []
    assert [finding.code for finding in findings] == ["meter.malformed"]


def test_an_implausible_voltage_is_no_voltage():
    served = points(1)
    served[0].voltage_v = float("nan")
    reads, _ = asyncio.run(read_all(served))
    assert reads[0].voltage_v is None


def test_a_meter_given_twice_is_refused():
    address = MeterAddress("a", "modbus://127.0.0.1:502/1", "sdm630")
    with pytest.raises(BadInputError, match="twice"):
        asyncio.run(read_meters([address, address], at_s=AT_S, timeout_s=0.5))
