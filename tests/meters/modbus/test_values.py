"""Published SunSpec models over real sockets: every value by name and unit, and writing."""

import asyncio
import contextlib
import struct
import time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.errors import BadInputError
from meters.modbus.address import parse_url
from meters.modbus.chain import discover
from meters.modbus.client import Client
from meters.modbus.control import write_values
from meters.modbus.errors import ModbusError
from meters.modbus.registers import decode, encode
from meters.modbus.tables import KNOWN, offsets, table
from meters.modbus.values import Block, parse, place, read_values
from meters.simulator.modbus import ModbusServers
from meters.simulator.units import RegisterUnit

PUBLISHED_LENGTHS = {
    1: 66,
    101: 50,
    102: 50,
    103: 50,
    111: 60,
    112: 60,
    113: 60,
    120: 26,
    121: 30,
    122: 44,
    123: 24,
    124: 24,
    160: 8,
    201: 105,
    202: 105,
    203: 105,
    204: 105,
    701: 153,
    702: 50,
    703: 17,
    713: 7,
    714: 18,
    802: 62,
}
"""Registers after ID and length, without repeated groups, as the reference tells them."""


def fixed_length(model):
    return sum(point.size for _, point in offsets(model).values())


def chain(models, base=40_000):
    """Return the registers of a device with the given models: (ID, words after the length)."""
    words = [0x5375, 0x6E53]
    for model, content in models:
        words += [model, len(content), *content]
    words += [0xFFFF, 0]
    return dict(enumerate(words, start=base))


def filled(model, *, counts=None, scale=0):
    """Return words for a model: point number n holds n, strings their name, scales `scale`."""
    counts = counts or {}
    words = []

    def put(group):
        for point in group.points:
            if point.type == "string":
                text = point.name.encode()[: 2 * point.size].ljust(2 * point.size, b"\0")
                words.extend(struct.unpack(f">{point.size}H", text))
            elif point.type == "sunssf":
                words.extend(encode("int16", scale))
            else:
                value = counts.get(point.name, len(words) + 1)
                words.extend(encode(point.type, value))
        for inner in group.groups:
            for _ in range(counts.get(inner.count, 0) if inner.count else 1):
                put(inner)

    put(table(model))
    return words


def with_device(words, act, *, longest=125, asked=None):
    async def run():
        async with ModbusServers() as servers:
            unit = RegisterUnit(words, longest=longest, function=3)
            address = parse_url((await servers.serve({"a": unit}))["a"])
            async with Client(address.endpoint, request_s=1.0) as client:
                device = await discover(client, address.unit)
                result = await act(client, device)
            if asked is not None:
                asked.extend(unit.reads)
            return result, unit

    return asyncio.run(run())


@pytest.mark.parametrize("model", sorted(PUBLISHED_LENGTHS))
def test_the_tables_are_as_long_as_the_published_models(model):
    assert fixed_length(model) == PUBLISHED_LENGTHS[model]


def test_offsets_of_known_points_are_those_of_the_reference():
    published = {
        (1, "SN"): 50,
        (103, "W"): 14,
        (103, "WH"): 24,
        (103, "St"): 38,
        (113, "W"): 22,
        (120, "WRtg"): 3,
        (121, "WMax"): 2,
        (122, "WAval"): 31,
        (123, "WMaxLimPct"): 5,
        (123, "WMaxLim_Ena"): 9,
        (124, "StorCtl_Mod"): 5,
        (124, "OutWRte"): 12,
        (160, "N"): 8,
        (203, "W"): 18,
        (203, "TotWhExp"): 38,
        (701, "TotWhInj"): 19,
        (704, "WSet"): 24,
        (713, "SoC"): 4,
        (802, "SoC"): 11,
    }
    assert {key: offsets(key[0])[key[1]][0] for key in published} == published


@pytest.mark.parametrize("model", sorted(KNOWN))
def test_every_model_is_read_into_named_values_with_units(model):
    counts = dict.fromkeys(("N", "NPt", "NCrv", "NCrvSet", "NCtl", "NPrt"), 2)
    content = filled(model, counts=counts, scale=-1)

    async def read(client, device):
        return await read_values(client, device, [model])

    asked = []
    words = chain([(1, filled(1)), (64_900, [7] * 30), (model, content)])
    if model == 1:
        words = chain([(64_900, [7] * 30), (1, content)])
    (block,), _ = with_device(words, read, asked=asked)
    assert block.name == str(model)

    def compare(group, block, at):
        for point in group.points:
            raw = None
            if point.type != "string":
                raw = decode(point.type, content[at : at + point.size])
            if point.type == "pad":
                assert point.name not in block.values
            elif point.type == "string":
                assert point.name.startswith(str(block.values[point.name].value))
            elif point.scale:
                told = block.values[point.name]
                assert told.value == Decimal(raw) / 10
                assert told.unit == point.unit
            else:
                assert block.values[point.name].value == raw
            at += point.size
        for inner in group.groups:
            repeated = block.groups[inner.name]
            assert len(repeated) == (2 if inner.count else 1)
            for one in repeated:
                at = compare(inner, one, at)
        return at

    assert compare(table(model), block, 0) == len(content)


def test_no_value_is_read_in_two_requests():
    async def read(client, device):
        return await read_values(client, device, [701])

    asked = []
    with_device(chain([(1, filled(1)), (701, filled(701))]), read, asked=asked)
    base = 40_002 + 68
    spans = [(base + at, point.size) for at, point in offsets(701).values()]
    # The first requests walk the chain.
    reads = [(at, count) for at, count in asked if count < 125]
    for first, size in spans:
        assert any(at <= first and first + size <= at + count for at, count in reads)


@pytest.mark.parametrize("base", [40_000, 0, 50_000])
def test_the_marker_is_looked_for_where_it_may_stand(base):
    async def read(client, device):
        return await read_values(client, device)

    (common, inverter), _ = with_device(chain([(1, filled(1)), (103, filled(103))], base), read)
    assert common.values["Mn"].value == "Mn"
    assert inverter.values["W"].unit == "W"


def test_values_that_are_not_implemented_are_none_for_each_type():
    absent = {
        "uint16": [0xFFFF],
        "int16": [0x8000],
        "enum16": [0xFFFF],
        "bitfield16": [0xFFFF],
        "uint32": [0xFFFF] * 2,
        "int32": [0x8000, 0],
        "bitfield32": [0xFFFF] * 2,
        "uint64": [0xFFFF] * 4,
        "acc32": [0, 0],
        "acc64": [0] * 4,
        "float32": [0x7FC0, 0],
        "sunssf": [0x8000],
        "count": [0xFFFF],
        "pad": [0x8000],
    }
    for model in sorted(KNOWN):
        layout = table(model)
        content = []
        for point in layout.points:
            content += [0] * point.size if point.type == "string" else absent[point.type]
        words = dict(enumerate(content, start=2))
        block = parse(place(layout, 2 + len(content), words), words, model)
        assert {value.value for value in block.values.values()} <= {None}


def test_a_number_whose_scale_factor_is_not_there_says_nothing():
    content = filled(103)
    content[offsets(103)["W_SF"][0] - 2] = 0x8000

    async def read(client, device):
        return await read_values(client, device)

    (block,), _ = with_device(chain([(103, content)]), read)
    assert block.values["W"].value is None
    assert block.values["Hz"].value is not None


def test_a_scale_factor_beyond_ten_is_refused():
    content = filled(103)
    content[offsets(103)["W_SF"][0] - 2] = 11

    async def read(client, device):
        return await read_values(client, device)

    with pytest.raises(ModbusError, match="W_SF of SunSpec model 103 at 11, outside -10 to 10"):
        with_device(chain([(103, content)]), read)


def test_groups_that_do_not_fit_in_the_length_are_refused():
    content = filled(705, counts={"NCrv": 2, "NPt": 2})
    content[offsets(705)["NCrv"][0] - 2] = 40_000

    async def read(client, device):
        return await read_values(client, device)

    with pytest.raises(ModbusError, match="NCrv of SunSpec model 705 at 40000"):
        with_device(chain([(705, content)]), read)


def test_a_model_of_an_earlier_edition_has_the_points_it_is_long_enough_for():
    async def read(client, device):
        return await read_values(client, device)

    (block,), _ = with_device(chain([(103, filled(103)[:20])]), read)
    assert "W" in block.values
    assert "St" not in block.values


@settings(max_examples=200, deadline=None)
@given(
    model=st.sampled_from(sorted(KNOWN)),
    length=st.integers(0, 300),
    seed=st.randoms(use_true_random=False),
)
def test_any_registers_are_values_or_our_error_within_bounds(model, length, seed):
    choice = [0, 1, 2, 0x7FFF, 0x8000, 0xFFFF, 0x7FC0, 0xFF80]
    words = {at: seed.choice(choice) for at in range(2, 2 + max(length, 200))}
    started = time.process_time()
    with contextlib.suppress(ModbusError):
        placed = place(table(model), 2 + length, words)
        assert isinstance(parse(placed, words, model), Block)
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    ("model", "values", "order"),
    [
        (
            123,
            {"WMaxLim_Ena": 1, "WMaxLimPct_RvrtTms": 900, "WMaxLimPct": 50},
            ["WMaxLimPct", "WMaxLimPct_RvrtTms", "WMaxLim_Ena"],
        ),
        (
            124,
            {"StorCtl_Mod": 3, "InOutWRte_RvrtTms": 900, "OutWRte": -40, "InWRte": 40},
            ["InWRte", "OutWRte", "InOutWRte_RvrtTms", "StorCtl_Mod"],
        ),
        (
            704,
            {"WSetEna": 1, "WSet": -5_000, "WSetMod": 1, "WSetRvrtTms": 900, "WSetEnaRvrt": 0},
            ["WSet", "WSetEnaRvrt", "WSetMod", "WSetRvrtTms", "WSetEna"],
        ),
        (802, {"SetOp": 1, "AlmRst": 1}, ["AlmRst", "SetOp"]),
    ],
)
def test_values_come_first_then_the_timer_then_the_enable(model, values, order):
    if model == 704:
        order = sorted(order[:-2], key=lambda name: (name.endswith("Ena"), name)) + order[-2:]
    writable = filled(model, scale=0)

    async def write(client, device):
        return await write_values(client, device, model, values)

    block, unit = with_device(chain([(1, filled(1)), (model, writable)]), write)
    base = 40_002 + 68
    at = {base + offset: name for name, (offset, _) in offsets(model).items()}
    written = [at[address] for address, _ in unit.writes]
    assert written == order
    assert {name: block.values[name].value for name in values} == values


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"WMaxLimPct": Decimal("50.005")}, "cannot hold 50.005 exactly"),
        ({"WMaxLimPct": 70_000}, "cannot hold 70000"),
        ({"WMaxLimPct": -1}, "cannot hold -1"),
        ({"WMaxLimPct_SF": 1}, "cannot be written"),
        ({"Nothing": 1}, "cannot be written"),
    ],
)
def test_what_a_point_cannot_hold_is_refused_and_nothing_is_written(values, message):
    unit = {}

    async def write(client, device):
        try:
            return await write_values(
                client, device, 123, {"WMaxLimPct_RvrtTms": 900, **values, "WMaxLim_Ena": 1}
            )
        except BadInputError as error:
            unit["error"] = str(error)

    _, served = with_device(chain([(123, filled(123, scale=-2))]), write)
    assert message in unit["error"]
    assert served.writes == []


def test_713_tells_and_takes_nothing():
    async def write(client, device):
        await write_values(client, device, 713, {"SoC": 50})

    with pytest.raises(BadInputError, match="SoC of SunSpec model 713 cannot be written"):
        with_device(chain([(713, filled(713))]), write)


def test_a_device_that_does_not_hold_what_was_written_is_told():
    class Stubborn(RegisterUnit):
        def write(self, address, words):
            return True

    async def run():
        async with ModbusServers() as servers:
            unit = Stubborn(chain([(123, filled(123))]), function=3)
            address = parse_url((await servers.serve({"a": unit}))["a"])
            async with Client(address.endpoint, request_s=1.0) as client:
                device = await discover(client, address.unit)
                await write_values(client, device, 123, {"WMaxLimPct": 50})

    with pytest.raises(ModbusError, match=r"in WMaxLimPct of SunSpec model 123 where \(50,\)"):
        asyncio.run(run())
