"""Each wrong DLMS meter against the reader, with a right one beside it."""

import asyncio
import time

import pytest

from grid.errors import BadInputError, Severity, StoreError
from meters.bench_poll import AT_S, DAY, SECRET, ciphering, points
from meters.dlms.counters import MemoryCounterStore, name_of
from meters.reader import read_meters
from meters.reading import MeterAddress
from meters.simulator.dlms import DlmsServers, MeterSetup
from meters.simulator.hostile_dlms import DLMS_FAULTS, allot_all, catalogue

TIMEOUT_S = 1.0

OUTCOMES = {
    "bad-tag": ("meter.security", Severity.ALARM),
    "replay": ("meter.replay", Severity.ALARM),
    "downgrade": ("meter.security", Severity.ALARM),
    "invoke-id": ("meter.malformed", Severity.WARNING),
    "endless": ("meter.malformed", Severity.WARNING),
    "garbage": ("meter.malformed", Severity.WARNING),
    "drip": ("meter.silent", Severity.WARNING),
    "silent": ("meter.silent", Severity.WARNING),
}


class FullDisk(MemoryCounterStore):
    """Keeps counters until one key's name comes for the nth time, and none of it from then on."""

    def __init__(self, key, nth):
        super().__init__()
        self.name, self.left = name_of(key.encryption_key, key.title), nth

    def reserve(self, name, at_least, count):
        if name == self.name:
            self.left -= 1
            if self.left <= 0:
                raise StoreError(f"invocation counter {name} cannot be kept: no space left")
        return super().reserve(name, at_least, count)


async def read_beside(fault, counters=None):
    bad, good = (point.meter for point in points(2))
    setups = {
        meter: MeterSetup(SECRET, ciphering(number, 1)) for number, meter in enumerate((bad, good))
    }
    servers = DlmsServers()
    urls = await servers.start(
        points(2), setups=setups, connections={bad: DLMS_FAULTS[fault]} if fault else None
    )
    addresses = [
        MeterAddress(
            meter,
            url,
            "cosem",
            "hls-gmac",
            ciphering=ciphering(number, 0),
            since_s=AT_S - DAY * 900,
            until_s=AT_S,
        )
        for number, (meter, url) in enumerate(urls.items())
    ]
    began = time.perf_counter()
    try:
        told = await read_meters(
            addresses, at_s=AT_S, timeout_s=TIMEOUT_S, counters=counters or MemoryCounterStore()
        )
        return bad, good, told, time.perf_counter() - began
    finally:
        await servers.stop()


@pytest.mark.parametrize("fault", DLMS_FAULTS)
def test_a_wrong_meter_is_a_finding_and_its_neighbour_is_read(fault):
    bad, good, (reads, findings), spent_s = asyncio.run(read_beside(fault))
    assert [read.meter for read in reads] == [good]
    assert list(reads[0].now.values) == points(2)[1].registers
    assert [(one.subject, one.code, one.severity) for one in findings] == [(bad, *OUTCOMES[fault])]
    assert spent_s < TIMEOUT_S + 1.0


@pytest.mark.parametrize("nth", [1, 2, 4, 8, 14])
def test_a_counter_that_cannot_be_kept_is_an_alarm_and_the_neighbour_is_read(nth):
    """Nothing is sent under it, from its first use to the blocks of a load profile."""
    counters = FullDisk(ciphering(0, 0), nth)
    bad, good, (reads, findings), _ = asyncio.run(read_beside(None, counters))
    assert [read.meter for read in reads] == [good]
    (told,) = findings
    assert (told.subject, told.code, told.severity) == (bad, "meter.counter", Severity.ALARM)
    assert told.message.endswith("cannot be kept: no space left")


def test_faults_are_allotted_to_the_meters_that_can_have_them():
    modbus, dlms = [f"a{n}" for n in range(10)], [f"b{n}" for n in range(10)]
    allotted = allot_all(modbus, dlms, {"silent": 0.2, "replay": 0.1, "flood": 0.3}, 7)
    assert sorted(allotted[name] for name in modbus if name in allotted) == (
        ["flood"] * 3 + ["silent"] * 2
    )
    assert sorted(allotted[name] for name in dlms if name in allotted) == (
        ["replay"] + ["silent"] * 2
    )
    with pytest.raises(BadInputError):
        allot_all(modbus, dlms, {"none": 0.1}, 7)
    assert all(sentence.endswith(".") for sentence in catalogue().values())
