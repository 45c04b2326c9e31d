"""Each wrong gateway against the reader, with a right one beside it."""

import asyncio
import time

import pytest

from grid.errors import BadInputError, Severity
from meters.modbus.profile import load_profile
from meters.reader import read_meters
from meters.reading import MeterAddress
from meters.simulator.hostile import FAULTS, allot, catalogue
from meters.simulator.metering import ProfileUnit
from meters.simulator.modbus import ModbusServers
from meters.simulator.points import MeterPoint

AT_S = 1_774_746_000
TIMEOUT_S = 1.0

OUTCOMES = {
    "unit": "meter.malformed",
    "transaction": "meter.malformed",
    "short": "meter.malformed",
    "late": "meter.silent",
    "flood": "meter.malformed",
    "silent": "meter.silent",
    "garbage": "meter.malformed",
    "exception": "meter.access",
    "drip": "meter.silent",
    "hang-up": "meter.silent",
}


async def read_beside(fault):
    make, urls = load_profile("sdm630"), {}
    async with ModbusServers() as servers:
        for meter, connection in (("bad", FAULTS.get(fault)), ("good", None)):
            unit = ProfileUnit(MeterPoint(meter, AT_S, [1, 2, 3, 4], 230.0), make)
            urls |= await servers.serve({meter: unit}, connection=connection)
        addresses = [MeterAddress(meter, url, "sdm630") for meter, url in urls.items()]
        started = time.perf_counter()
        told = await read_meters(addresses, at_s=AT_S, timeout_s=TIMEOUT_S)
        return told, time.perf_counter() - started


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_gateway_is_a_finding_and_its_neighbour_is_read(fault):
    (reads, findings), spent_s = asyncio.run(read_beside(fault))
    assert [(read.meter, list(read.now.values)) for read in reads] == [("good", [1, 2, 3, 4])]
    (finding,) = findings
    assert (finding.subject, finding.severity) == ("bad", Severity.WARNING)
    assert finding.code == OUTCOMES[fault]
    assert spent_s < TIMEOUT_S + 1.0


def test_faults_are_allotted_by_share_and_seed():
    meters = [f"m{n:03d}" for n in range(100)]
    shares = {"silent": 0.2, "flood": 0.05}
    allotted = allot(meters, shares, 7)
    assert allotted == allot(meters[::-1], shares, 7)
    assert allotted != allot(meters, shares, 8)
    assert sorted(allotted.values()) == ["flood"] * 5 + ["silent"] * 20


@pytest.mark.parametrize("shares", [{"none": 0.1}, {"silent": 1.1}, {"silent": 0.6, "late": 0.6}])
def test_wrong_shares_are_refused(shares):
    with pytest.raises(BadInputError):
        allot(["a"], shares, 1)


def test_each_fault_says_what_it_does():
    assert list(catalogue()) == list(FAULTS)
    assert all(sentence.endswith(".") for sentence in catalogue().values())


def test_a_field_serves_the_named_meters_wrongly():
    async def run():
        async with ModbusServers() as servers:
            points = [MeterPoint(name, AT_S, [1, 2, 3, 4], 230.0) for name in "abc"]
            urls = await servers.start(points, connections={"b": FAULTS["garbage"]})
            addresses = [MeterAddress(meter, url, "sdm630") for meter, url in urls.items()]
            return await read_meters(addresses, at_s=AT_S, timeout_s=TIMEOUT_S)

    reads, findings = asyncio.run(run())
    assert [read.meter for read in reads] == ["a", "c"]
    assert [finding.subject for finding in findings] == ["b"]
