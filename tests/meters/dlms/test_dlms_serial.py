"""HDLC over a serial line: a pseudo-terminal whose other end is a simulated meter."""

from __future__ import annotations

import asyncio
import os
import pty
import tty

import pytest

from meters.dlms.client import read_meter
from meters.dlms.counters import MemoryCounterStore
from meters.dlms.hdlc_link import HdlcLink
from meters.reading import Ciphering, MeterAddress, MeterRead, RegisterRow
from meters.simulator.dlms import DlmsConnection, MeterSetup, ServedMeter
from meters.simulator.points import MeterPoint

T = 1_782_000_000
EK, AK = bytes(range(16)), bytes(range(0xD0, 0xE0))
CLIENT = Ciphering(b"KHZ\x00\x00\x00\x00\x01", EK, AK)
METER = Ciphering(b"KHZ\x00\x00\x00\x00\x99", EK, AK)


class Line(asyncio.Transport):
    """The meter's end of a line; every `noisy`-th piece of what is written is spoilt."""

    def __init__(self, descriptor: int, noisy: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._noisy = noisy
        self._pieces = 0
        self.spoilt = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._pieces += 1
        octets = bytearray(data)
        if self._noisy and self._pieces % self._noisy == 0:
            self.spoilt += 1
            octets[len(octets) // 2] ^= 0x04
        os.write(self._descriptor, octets)

    def abort(self) -> None:
        raise AssertionError("the meter gave up")


def read(noisy: int) -> tuple[MeterRead, int]:
    ours, theirs = pty.openpty()
    tty.setraw(ours)
    tty.setraw(theirs)
    rows = [RegisterRow(T - 900 * back, (5_000 - back, 1, 2, 3)) for back in range(3, -1, -1)]
    meter = ServedMeter(
        MeterPoint("M-1", T, [5_000, 1, 2, 3], 230.0, rows),
        MeterSetup(ciphering=METER, link="hdlc"),
    )

    async def run() -> tuple[MeterRead, int]:
        loop = asyncio.get_running_loop()
        line, served = Line(ours, noisy), DlmsConnection(meter, set())
        served.connection_made(line)
        loop.add_reader(ours, lambda: served.data_received(os.read(ours, 4096)))
        url = f"hdlc+serial://{os.ttyname(theirs)}/1?baud=115200"
        address = MeterAddress("M-1", url, "cosem", "hls-gmac", b"", T - 2700, T, CLIENT)
        try:
            got, findings = await read_meter(
                address, at_s=T, timeout_s=20.0, counters=MemoryCounterStore()
            )
        finally:
            loop.remove_reader(ours)
        assert findings == []
        return got, line.spoilt

    try:
        return asyncio.run(run())
    finally:
        os.close(ours)
        os.close(theirs)


def test_meter_is_read_over_a_serial_line() -> None:
    got, _ = read(noisy=0)
    assert got.now.values == (5_000, 1, 2, 3)
    assert len(got.load_profile) == 4


def test_noise_on_the_line_costs_time_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HdlcLink, "retry_s", 0.1)
    quiet, _ = read(noisy=0)
    noisy, spoilt = read(noisy=5)
    assert spoilt > 2
    assert noisy == quiet
