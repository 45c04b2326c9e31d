"""SunSpec devices over real sockets: states, set-points, hostile chains."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import BadInputError
from meters.device import DeviceAddress, DeviceState, Setpoint
from meters.modbus import models
from meters.modbus.registers import SIZES
from meters.modbus.sunspec import quantise, read_devices, send_setpoints
from meters.reading import MISSING
from meters.simulator.modbus import ModbusServers
from meters.simulator.points import DevicePoint
from meters.simulator.units import RegisterUnit

AT_S = 1_774_746_000


def device(asset: str, kind: str, rating_w: int = 30_000, **facts) -> DevicePoint:
    values = {
        "energy_rating_wh": 50_000 if kind == "storage" else 0,
        "charged_wh": 12_345,
        "discharged_wh": 6_543_210_987,
        "throttled_w": 0,
        "available_w": 0,
        "energy_wh": 20_123 if kind == "storage" else None,
        "running": True,
        "alarm": 0,
        "setpoint": Setpoint(asset, kind, limit_w=rating_w if kind == "limit" else 0),
    }
    return DevicePoint(asset, kind, rating_w, **(values | facts))


def over_sockets(served, act):
    async def run():
        servers = ModbusServers()
        urls = await servers.start(devices=served)
        try:
            return await act([DeviceAddress(asset, url) for asset, url in urls.items()])
        finally:
            await servers.stop()

    return asyncio.run(run())


def read(served, timeout_s=4.0):
    return over_sockets(served, lambda at: read_devices(at, at_s=AT_S, timeout_s=timeout_s))


def send(served, setpoints, timeout_s=4.0):
    return over_sockets(served, lambda at: send_setpoints(at, setpoints, timeout_s=timeout_s))


def test_the_states_of_each_kind_are_read_as_they_are():
    served = [
        device("battery", "storage", setpoint=Setpoint("battery", "storage", charge_w=4_321)),
        device("diesel", "genset", running=False, alarm=1 << 20),
        device("solar", "limit", throttled_w=1_234, available_w=17_001),
    ]
    states, findings = read(served)
    assert findings == []
    assert states == [
        DeviceState(
            asset=point.asset,
            at_s=AT_S,
            charged_wh=point.charged_wh,
            discharged_wh=point.discharged_wh,
            throttled_w=point.throttled_w,
            available_w=point.available_w,
            energy_wh=point.energy_wh,
            running=point.running,
            alarm=point.alarm,
            setpoint=point.setpoint,
            power_w=power_w,
            remaining_s=0,
        )
        for point, power_w in zip(served, (-4_321, 0, 15_767), strict=True)
    ]


@pytest.mark.parametrize(
    "setpoint",
    [
        Setpoint("a", "storage", charge_w=29_999, revert_s=900),
        Setpoint("a", "storage", discharge_w=1),
        Setpoint("a", "storage"),
        Setpoint("a", "storage", discharge_w=7_000, revert_w=1_380),
        Setpoint("a", "storage", charge_w=7_000, revert_w=0),
        Setpoint("a", "genset", discharge_w=12_345, running=True),
        Setpoint("a", "genset", running=False),
        Setpoint("a", "limit", limit_w=0),
        Setpoint("a", "limit", limit_w=12_345),
        Setpoint("a", "limit", limit_w=30_000, revert_s=4_000_000_000),
        Setpoint("a", "limit", limit_w=99_999),
        Setpoint("a", "limit", limit_w=12_345, revert_w=6_789),
        Setpoint("a", "limit", limit_w=12_345, revert_w=0),
    ],
)
def test_a_setpoint_is_taken_once_and_read_back_as_quantised(setpoint):
    taken = []
    point = device("a", setpoint.kind, on_setpoint=taken.append)
    wanted = quantise(setpoint, point.rating_w)
    held, findings = send([point], [wanted])
    assert (held, findings) == ([wanted], [])
    assert taken == [wanted]
    assert point.setpoint == wanted
    assert read([point])[0][0].setpoint == wanted


def test_a_charge_point_says_what_it_takes_as_power_below_zero():
    served = [device("a", "limit", throttled_w=3_000, available_w=11_000, absorbs=True)]
    (state,), _ = read(served)
    assert (state.power_w, state.available_w, state.throttled_w) == (-8_000, 11_000, 3_000)


def test_a_battery_beyond_sixteen_bits_gets_whole_watts():
    wanted = Setpoint("a", "storage", discharge_w=1_234_567)
    held, _ = send([device("a", "storage", rating_w=2_000_000)], [wanted])
    assert held == [wanted]


def test_a_value_that_was_not_quantised_is_a_finding_with_what_is_held():
    point = device("a", "limit", rating_w=30_000)
    held, findings = send([point], [Setpoint("a", "limit", limit_w=12_346)])
    assert held == [Setpoint("a", "limit", limit_w=12_345)]
    (finding,) = findings
    assert finding.code == "device.setpoint"
    assert finding.message == (
        "a holds at most 12345 W for 1800 s where at most 12346 W for 1800 s was sent"
    )


@given(
    limit_w=st.integers(0, 2**31 - 1),
    rating_w=st.integers(1, 10**9),
)
def test_quantising_twice_changes_nothing_and_never_raises_a_limit(limit_w, rating_w):
    once = quantise(Setpoint("a", "limit", limit_w=limit_w), rating_w)
    assert quantise(once, rating_w) == once
    assert once.limit_w <= limit_w
    held_w = models.held_rating(rating_w)
    assert min(limit_w, held_w) - once.limit_w <= held_w / 10_000


@given(limit_w=st.integers(0, 10_000), rating_w=st.integers(1, 10_000))
def test_limits_up_to_ten_kilowatts_lose_nothing(limit_w, rating_w):
    once = quantise(Setpoint("a", "limit", limit_w=limit_w), rating_w)
    assert once.limit_w == min(limit_w, rating_w)


def test_a_device_that_reverted_shows_its_default():
    served = [
        device("b", "storage", setpoint=Setpoint("b", "storage", discharge_w=5, revert_s=0)),
        device("s", "limit", setpoint=Setpoint("s", "limit", limit_w=5, revert_s=0)),
    ]
    states, _ = read(served)
    assert [state.setpoint for state in states] == [
        Setpoint("b", "storage", revert_s=0),
        Setpoint("s", "limit", limit_w=30_000, revert_s=0),
    ]


def test_a_silent_device_is_a_finding_and_its_neighbours_are_served():
    served = [device(f"d{n}", "limit") for n in range(4)]
    served[1].silent = True
    wanted = [Setpoint(point.asset, "limit", limit_w=3_000) for point in served]
    held, findings = send(served, wanted)
    assert [setpoint.asset for setpoint in held] == ["d0", "d2", "d3"]
    assert [(finding.code, finding.subject) for finding in findings] == [("device.silent", "d1")]
    states, findings = read(served)
    assert [state.asset for state in states] == ["d0", "d2", "d3"]
    assert [finding.code for finding in findings] == ["device.silent"]


def test_large_ratings_are_served_with_scale_factors():
    point = device("a", "limit", rating_w=250_000, throttled_w=12_340, available_w=200_000)
    (state,), _ = read([point])
    assert (state.throttled_w, state.available_w) == (12_340, 200_000)
    big = device("b", "storage", rating_w=250_000, energy_rating_wh=900_000, energy_wh=123_450)
    assert read([big])[0][0].energy_wh == 123_400


def test_a_setpoint_without_address_is_a_finding():
    held, findings = send([], [Setpoint("a", "limit", limit_w=1)])
    assert held == []
    assert [finding.code for finding in findings] == ["device.address"]


@pytest.mark.parametrize(
    "setpoint",
    [
        Setpoint("a", "storage", charge_w=-1),
        Setpoint("a", "storage", charge_w=1, discharge_w=1),
        Setpoint("a", "genset", charge_w=1),
        Setpoint("a", "limit", limit_w=2**31),
        Setpoint("a", "limit", limit_w=1.5),
        Setpoint("a", "limit", revert_s=0),
        Setpoint("a", "limit", revert_w=-1),
        Setpoint("a", "other"),
    ],
)
def test_an_impossible_setpoint_is_refused_before_anything_is_sent(setpoint):
    with pytest.raises(BadInputError, match="a: "):
        asyncio.run(send_setpoints([], [setpoint], timeout_s=1.0))


def ask_registers(words, longest=125):
    async def run():
        servers = ModbusServers()
        urls = await servers.serve({"a": RegisterUnit(words, longest=longest)})
        try:
            return await read_devices([DeviceAddress("a", urls["a"])], at_s=AT_S, timeout_s=4.0)
        finally:
            await servers.stop()

    return asyncio.run(run())


def image(point):
    """The registers that the simulated device shows, by address."""
    from meters.simulator.sunspec import SunSpecUnit

    unit = SunSpecUnit(point)
    words = {}
    address = models.BASE
    while (content := unit.read(3, address, 1)) is not None:
        words[address] = int.from_bytes(content, "big")
        address += 1
    return words


def chain(*headers):
    words = {40_000 + n: word for n, word in enumerate(models.MARKER)}
    address = 40_002
    for model, length in headers:
        words |= {address: model, address + 1: length}
        words |= {address + 2 + n: 0 for n in range(min(length, 200))}
        address += 2 + length
    return words


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (dict.fromkeys(range(40000, 40200), 0), "no SunSpec marker"),
        (chain((1, 66), (1, 0)), "impossible length 0"),
        (chain((0, 66)), "model 0 with the impossible length"),
        (chain((1, 66), (701, 60_000)), "impossible length 60000"),
        (chain(*[(900 + n, 1) for n in range(80)]), "more than 64 models"),
        (chain(*[(1, 1)] * 80), "more than 64 models"),
        (chain((1, 66), (701, 5), (0xFFFF, 0)), "model 701 with only 5 registers"),
        (chain((1, 66), (0xFFFF, 0)), "does not have SunSpec model"),
        (chain((1, 66), (701, 153), (0xFFFF, 0)), "does not have SunSpec model"),
        (chain((1, 66)), "refused with exception code 2"),
        ({}, "refused with exception code 2"),
    ],
)
def test_a_hostile_model_chain_ends_in_a_finding(words, message):
    states, findings = ask_registers(words)
    assert states == []
    assert len(findings) == 1
    assert message in findings[0].message


def test_a_device_that_gives_few_registers_a_request_is_still_walked():
    words = image(device("a", "storage"))
    states, findings = ask_registers(words, longest=122)
    assert findings == []
    assert states[0].energy_wh == 20_123


def test_values_that_are_not_implemented_are_missing_and_never_zero():
    words = image(device("a", "limit"))
    base = next(at for at, word in words.items() if word == 701 and words[at + 1] == 153)
    for name in ("TotWhInj", "TotWhAbs", "W", "ThrotPct"):
        point = models.MODELS[701].points[name]
        for n in range(SIZES[point.type]):
            words[base + point.offset + n] = 0xFFFF
    words[base + models.MODELS[701].points["W"].offset] = 0x8000
    (state,), findings = ask_registers(words)
    assert findings == []
    assert (state.charged_wh, state.discharged_wh) == (MISSING, MISSING)
    assert (state.throttled_w, state.available_w) == (MISSING, MISSING)


@pytest.mark.parametrize("word", [0x8000, 11, 0xFFF0, 0x7FFF])
def test_a_scale_factor_that_is_none_is_refused(word):
    words = image(device("a", "limit"))
    base = next(at for at, word in words.items() if word == 701 and words[at + 1] == 153)
    words[base + models.MODELS[701].points["TotWh_SF"].offset] = word
    states, findings = ask_registers(words)
    assert states == []
    assert findings[0].code == "device.malformed"
    assert "TotWh_SF" in findings[0].message


@pytest.mark.parametrize("kind", ["storage", "limit", "genset"])
def test_every_register_of_a_device_may_hold_anything(kind):
    words = image(device("a", kind))

    async def run():
        servers = ModbusServers()
        unit = RegisterUnit(dict(words))
        urls = await servers.serve({"a": unit})
        address = [DeviceAddress("a", urls["a"])]
        try:
            for at in words:
                for word in (0x8000, 0xFFFF) if at % 2 else (0, 0x7FFF):
                    unit.words = words | {at: word}
                    states, findings = await read_devices(address, at_s=AT_S, timeout_s=4.0)
                    assert len(states) + len(findings) == 1
        finally:
            await servers.stop()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("setpoint", "enable"),
    [
        (Setpoint("a", "limit", limit_w=5_000), 14),
        (Setpoint("a", "storage", charge_w=5_000), 22),
        (Setpoint("a", "genset", discharge_w=5_000), 22),
    ],
)
def test_values_come_first_then_the_timer_then_the_enable_which_is_never_withdrawn(
    setpoint, enable
):
    words = image(device("a", setpoint.kind))
    controls = next(at for at, word in words.items() if word == 704 and words[at + 1] == 65)

    async def run():
        servers = ModbusServers()
        unit = RegisterUnit(words)
        urls = await servers.serve({"a": unit})
        try:
            await send_setpoints([DeviceAddress("a", urls["a"])], [setpoint], timeout_s=4.0)
        finally:
            await servers.stop()
        return unit.writes

    writes = asyncio.run(run())
    assert writes[-1] == (controls + enable, (1,))
    assert 1_800 in writes[-2][1]
    touched = [address for at, sent in writes[:-1] for address in range(at, at + len(sent))]
    assert controls + enable not in touched


def test_the_layouts_are_those_of_the_published_models():
    lengths = {1: 66, 122: 44, 701: 153, 702: 50, 703: 17, 704: 65, 713: 7}
    assert {model: facts.length for model, facts in models.MODELS.items()} == lengths
    published = json.loads(
        '{"701": {"TotWhInj": 19, "W_SF": 116, "TotWh_SF": 120},'
        ' "702": {"CtrlModes": 23, "WMax": 26, "W_SF": 45},'
        ' "704": {"WMaxLimPct": 15, "WSet": 24, "WSetRvrtTms": 31, "WSet_SF": 55},'
        ' "713": {"WHAvail": 3, "SoC": 4, "WH_SF": 7}, "122": {"WAval": 31}}'
    )
    for model, offsets in published.items():
        points = models.MODELS[int(model)].points
        assert {name: points[name].offset for name in offsets} == offsets
