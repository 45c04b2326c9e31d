"""Five hundred meters of which a fifth are black holes and one in twenty answers wrongly.

The slots are to this fleet what they are to one of two thousand, so that there are
more dead meters than slots.
"""

import asyncio
import gc
import random
import resource
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from grid.errors import Severity
from meters import patience as slots
from meters.bench_poll import AT_S, points
from meters.dlms import client
from meters.modbus import meter as modbus_meter
from meters.modbus.gateway import Gateways
from meters.patience import Patience
from meters.reader import read_meters
from meters.reading import CHANNELS, MISSING, MeterAddress
from meters.simulator.dlms import DlmsServers
from meters.simulator.hostile import FAULTS
from meters.simulator.modbus import GatewayConnection, ModbusServers
from meters.vee import Quality, validate

COUNT = 500
DEAD, WRONG = COUNT // 5, COUNT // 20
SLOTS = 32
TIMEOUT_S = 5.0
ROUNDS = 5
GROWTH_BYTES = 8_000_000
QUARTER_S = 900
KINDS = ("flood", "garbage", "hang-up", "short", "unit")


class Field:
    """Half Modbus behind gateways of sixteen, half DLMS; some turn bad and come back."""

    def __init__(self):
        self.points = points(COUNT)
        self.is_bad = False
        names = [point.meter for point in self.points]
        drawn = random.Random(7)
        self.modbus, self.dlms = names[: COUNT // 2], names[COUNT // 2 :]
        self.dead = set(drawn.sample(self.modbus, DEAD // 2) + drawn.sample(self.dlms, DEAD // 2))
        left = [name for name in self.modbus if name not in self.dead]
        chosen = drawn.sample(left, WRONG)
        self.wrong = {name: KINDS[place % len(KINDS)] for place, name in enumerate(chosen)}
        self.healthy = set(names) - self.dead - set(self.wrong)

    def _connection(self, fault):
        field = self

        class Turning(FAULTS[fault]):
            def send(self, transaction, unit, pdu):
                kind = super() if field.is_bad else GatewayConnection
                if kind is GatewayConnection:
                    kind.send(self, transaction, unit, pdu)
                else:
                    kind.send(transaction, unit, pdu)

        return Turning

    async def start(self, modbus, dlms):
        faults = dict.fromkeys(self.dead.intersection(self.modbus), "silent") | self.wrong
        kinds = {name: self._connection(fault) for name, fault in faults.items()}
        urls = await modbus.start(self.points[: COUNT // 2], connections=kinds)
        urls |= await dlms.start(self.points[COUNT // 2 :])
        return [
            MeterAddress(name, url, "cosem" if name in self.dlms else "sdm630")
            for name, url in urls.items()
        ]

    def turn(self, is_bad):
        self.is_bad = is_bad
        for point in self.points[COUNT // 2 :]:
            point.silent = is_bad and point.meter in self.dead

    def advance(self):
        for point in self.points:
            point.clock_s += QUARTER_S
            point.registers[0] += 250
            row = replace(point.rows[-1], at_s=point.clock_s, values=tuple(point.registers))
            point.rows.append(row)


@pytest.fixture
def answered_s(monkeypatch):
    """When each meter had answered, on the running loop's clock."""
    at = {}
    read_meter, read_unit = client.read_meter, modbus_meter._read_unit

    async def read_dlms(address, **how):
        told = await read_meter(address, **how)
        at[address.meter] = time.perf_counter()
        return told

    async def read_modbus(its_client, unit, meter, **how):
        told = await read_unit(its_client, unit, meter, **how)
        at[meter] = time.perf_counter()
        return told

    monkeypatch.setattr(client, "read_meter", read_dlms)
    monkeypatch.setattr(modbus_meter, "_read_unit", read_modbus)
    monkeypatch.setattr(slots, "CONNECTIONS", SLOTS)
    return at


def p99_s(latencies):
    return sorted(latencies)[len(latencies) * 99 // 100]


async def timed(addresses, answered_s, meters, at_s=AT_S, **kept):
    answered_s.clear()
    began = time.perf_counter()
    told = await read_meters(addresses, at_s=at_s, timeout_s=TIMEOUT_S, **kept)
    spent_s = time.perf_counter() - began
    unread = [one for one in told[1] if one.subject in meters]
    assert unread == []
    return told, p99_s([answered_s[meter] - began for meter in meters]), spent_s


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def codes(findings):
    return {finding.subject: finding.code for finding in findings}


async def live(answered_s):
    field = Field()
    now_s = [0.0]
    gateways = Gateways(random.Random(1), clock=lambda: now_s[0])
    kept = {"gateways": gateways, "patience": Patience()}
    dlms = DlmsServers()
    async with ModbusServers() as modbus:
        addresses = await field.start(modbus, dlms)
        usual = [one for one in addresses if one.meter in field.healthy]
        await timed(usual, answered_s, field.healthy)  # imports, profiles
        gc.freeze()  # as the control room does when it opens
        quiet = [await timed(usual, answered_s, field.healthy) for _ in range(3)]
        (reads, findings), usual_s, _ = sorted(quiet, key=lambda one: one[1])[1]
        assert (len(reads), findings) == (len(usual), [])
        before = {point.meter: tuple(point.registers) for point in field.points}

        field.turn(True)
        field.advance()
        at_s = AT_S + QUARTER_S
        held, ratios, spent = [], [], []
        for _ in range(ROUNDS):
            now_s[0] += 3600.0  # back-offs are over: everybody is asked every time
            (reads, findings), p99, spent_s = await timed(
                addresses, answered_s, field.healthy, at_s, **kept
            )
            held.append(resident_bytes())
            assert {read.meter for read in reads} == field.healthy
            told = codes(findings)
            assert {meter for meter in told if meter in field.dead} == field.dead
            assert {told[meter] for meter in field.dead} == {"meter.silent"}
            assert set(told) == field.dead | set(field.wrong)
            assert {finding.severity for finding in findings} == {Severity.WARNING}
            ratios.append(p99 / usual_s)
            spent.append(spent_s)

        field.turn(False)
        field.advance()
        at_s += QUARTER_S
        now_s[0] += 3600.0
        back = [
            replace(one, since_s=AT_S, until_s=at_s) if one.meter in field.dead else one
            for one in addresses
        ]
        (reads, findings), _, _ = await timed(back, answered_s, field.healthy, at_s, **kept)
        assert (len(reads), findings) == (COUNT, [])
        assert kept["patience"].silent == set()
        await dlms.stop()
    return field, before, reads, ratios, spent, held


def test_dead_and_wrong_meters_do_not_delay_the_others_and_leave_no_gap(answered_s):
    field, before, reads, ratios, spent, held = asyncio.run(live(answered_s))
    # The middle one: what else a machine does in one round says nothing of the meters.
    assert sorted(ratios)[len(ratios) // 2] <= 2.0
    # All dead meters were told of within the one time-out that each may take.
    assert max(spent) < TIMEOUT_S + 1.0
    # What the first two rounds needed is enough for the next three, floods included.
    assert max(held[2:]) < held[1] + GROWTH_BYTES
    _without_gap(field, before, reads)


def _without_gap(field, before, reads):
    """A silent DLMS meter has its rows; a Modbus meter's difference is shared out exactly."""
    at = [AT_S, AT_S + QUARTER_S, AT_S + 2 * QUARTER_S]
    by_meter = {read.meter: read for read in reads}
    for meter in sorted(field.dead.intersection(field.dlms)):
        rows = by_meter[meter].load_profile
        assert [row.at_s for row in rows][-2:] == at[1:]
        assert rows[-1].values == by_meter[meter].now.values
        assert rows[-1].values[0] - rows[-2].values[0] == 250
    meters = sorted(field.dead.intersection(field.modbus))
    shape = len(meters), 3
    laid = {channel: np.full(shape, MISSING, np.int64) for channel in CHANNELS}
    for place, meter in enumerate(meters):
        for number, channel in enumerate(CHANNELS):
            laid[channel][place, 0] = before[meter][number]
            laid[channel][place, 2] = by_meter[meter].now.values[number]
    registers = xr.Dataset(
        {name: (("meter", "boundary"), column) for name, column in laid.items()},
        coords={"meter": meters, "boundary": at},
    )
    mean = np.tile(np.array([100, 300], np.int64), (len(meters), 1))
    reference = xr.Dataset(
        dict.fromkeys(CHANNELS, (("meter", "interval"), mean)),
        coords={"meter": meters, "interval": at[:2]},
    )
    checked, _ = validate(
        registers,
        reference,
        limit_wh=np.full(len(meters), 100_000, np.int64),
        register_digits=np.full(len(meters), 12, np.int64),
        estimate_before_s=AT_S,
    )
    imported = checked[CHANNELS[0]].to_numpy()
    assert imported.tolist() == [[125, 375]] * len(meters)
    assert set(checked["quality"].to_numpy().ravel().tolist()) == {int(Quality.SCALED)}
