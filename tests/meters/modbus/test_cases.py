"""Every shipped register map: registers in, reading out, and back, over real sockets."""

import asyncio
import tomllib
from pathlib import Path

import pytest

from meters.modbus.profile import load_profile
from meters.reader import read_meters
from meters.reading import CHANNELS, MISSING, MeterAddress
from meters.simulator.modbus import ModbusServers
from meters.simulator.points import MeterPoint
from meters.simulator.units import RegisterUnit

AT_S = 1_774_746_000
HERE = Path(__file__).parent
PROFILES = sorted(
    path.stem
    for path in (HERE.parents[2] / "meters" / "profiles").glob("*.toml")
    if "function" in tomllib.loads(path.read_text())
)


def case(name):
    return tomllib.loads((HERE / "cases" / f"{name}.toml").read_text())


def words_of(registers):
    words = {}
    for address, content in registers.items():
        words |= enumerate((int(word, 16) for word in content.split()), start=int(address, 0))
    return words


def image(name):
    """Return all registers of a case, with others between them as a meter has."""
    words = words_of(case(name)["registers"])
    return dict.fromkeys(range(min(words), max(words) + 1), 0x5A5A) | words


def read(name, words):
    profile = load_profile(name)

    async def run():
        unit = RegisterUnit(words, longest=profile.block, function=profile.function)
        async with ModbusServers() as servers:
            urls = await servers.serve({"m": unit})
            address = MeterAddress("m", urls["m"], name)
            return await read_meters([address], at_s=AT_S, timeout_s=4.0), unit.reads

    return asyncio.run(run())


def test_every_map_has_a_case_and_every_case_a_map():
    assert {path.stem for path in (HERE / "cases").glob("*.toml")} == set(PROFILES)
    assert {
        *("sdm120", "sdm630", "iem3000", "abb-b23"),
        *("em24", "em24-e1", "em340", "umg96", "umg604"),
    } <= set(PROFILES)


@pytest.mark.parametrize("name", PROFILES)
def test_the_registers_of_the_manual_are_the_reading(name):
    told = case(name)["reading"]
    words = image(name)
    ((meter,), findings), reads = read(name, words)
    assert findings == []
    assert list(meter.now.values) == [told.get(channel, MISSING) for channel in CHANNELS]
    assert meter.voltage_v == pytest.approx(told["voltage_v"], rel=1e-6)
    profile = load_profile(name)
    assert set(profile.register) == set(told)
    for quantity in ("power_w", "frequency_hz"):
        assert profile.value(quantity, words) == pytest.approx(told[quantity], rel=1e-6)
    assert max(count for _, count in reads) <= profile.block
    assert len(reads) == len(set(reads))


@pytest.mark.parametrize("name", PROFILES)
def test_what_the_meter_does_not_have_is_missing_and_never_zero(name):
    absent = case(name)["absent"]
    words = image(name) | words_of(absent)
    ((meter,), findings), _ = read(name, words)
    profile = load_profile(name)
    gone = {
        quantity
        for quantity, register in profile.register.items()
        if register.address in {int(address, 0) for address in absent}
    }
    assert len(gone) == len(absent)
    assert meter.voltage_v is None
    for place, channel in enumerate(CHANNELS):
        known = channel in profile.register and channel not in gone
        assert (meter.now.values[place] != MISSING) == known
    assert {finding.code for finding in findings} == {"meter.register"}
    assert len(findings) == len(gone & set(CHANNELS))


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("wire", ["tcp", "rtu"])
def test_the_simulated_meter_of_each_make_reads_as_its_point(name, wire):
    point = MeterPoint("m", AT_S, [12_345_600, 700, 77_500, 100], 230.5)

    async def run():
        servers = ModbusServers(wire)
        urls = await servers.start([point], profile=name)
        try:
            address = MeterAddress("m", urls["m"], name)
            return await read_meters([address], at_s=AT_S, timeout_s=4.0)
        finally:
            await servers.stop()

    (meter,), findings = asyncio.run(run())
    profile = load_profile(name)
    held = dict(zip(CHANNELS, point.registers, strict=True))
    shown = [held[channel] if channel in profile.register else MISSING for channel in CHANNELS]
    assert findings == []
    assert list(meter.now.values) == shown
    assert meter.voltage_v == pytest.approx(230.5)


def test_integral_counters_are_exact_where_a_float_would_not_be():
    point = MeterPoint("m", AT_S, [123_456_789_012_345, 16_777_217, 0, 0], 230.0)

    async def run():
        servers = ModbusServers()
        urls = await servers.start([point], profile="iem3000")
        try:
            address = MeterAddress("m", urls["m"], "iem3000")
            return await read_meters([address], at_s=AT_S, timeout_s=4.0)
        finally:
            await servers.stop()

    (meter,), _ = asyncio.run(run())
    assert list(meter.now.values) == point.registers
