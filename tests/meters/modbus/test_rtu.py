"""RTU frames over TCP and on a serial line: the same checks, and what a line does to bytes."""

import asyncio
import contextlib
import os
import struct
import time
import tty

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.errors import BadInputError
from meters.modbus.client import Client
from meters.modbus.errors import ModbusError, RefusedError, SilentError
from meters.modbus.framing import MAX_GARBAGE, RtuExchange, read_request, write_request
from meters.modbus.gateway import parse_url
from meters.reader import read_meters
from meters.reading import MeterAddress
from meters.simulator.modbus import ModbusServers
from meters.simulator.points import MeterPoint
from meters.simulator.rtu import checksum
from meters.transport import Serial, Tcp

AT_S = 1_774_746_000
TEN = bytes([4, 20]) + bytes(range(20))
WORDS = struct.unpack(">10H", bytes(range(20)))


def frame(unit, pdu):
    content = bytes([unit]) + pdu
    return content + checksum(content)


GOOD = frame(7, TEN)
ASKED = frame(7, bytes([4, 0, 0, 0, 10]))


def take(received, *, request=None, last=True):
    """Return what is made of bytes that come in one piece."""
    return RtuExchange(request or read_request(7, 4, 0, 10)).take(bytearray(received), last=last)


def test_the_checksum_is_that_of_the_serial_line_guide():
    # The example of the guide's appendix: 02 07 gives 41 12.
    assert checksum(b"\x02\x07") == b"\x41\x12"
    assert RtuExchange(read_request(7, 4, 0, 10)).frame == ASKED


@pytest.mark.parametrize("wire", ["rtu", "serial"])
def test_meters_are_read_to_the_watt_hour(wire):
    points = [MeterPoint(f"m{n}", AT_S, [1000 * n + 1, n, 3, 4], 230.5) for n in range(5)]
    points[2].silent = True

    async def run():
        servers = ModbusServers(wire)
        urls = await servers.start(points)
        addresses = [MeterAddress(meter, url, "sdm630") for meter, url in urls.items()]
        try:
            first = await read_meters(addresses, at_s=AT_S, timeout_s=4.0)
            # A line that was closed can be opened again at once.
            return first, await read_meters(addresses, at_s=AT_S, timeout_s=4.0)
        finally:
            await servers.stop()

    (reads, findings), again = asyncio.run(run())
    assert again == (reads, findings)
    assert [(one.code, one.subject) for one in findings] == [("meter.silent", "m2")]
    held = {point.meter: tuple(point.registers) for point in points if not point.silent}
    assert {read.meter: read.now.values for read in reads} == held


@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"\x00",
        bytes(range(7, 40)),
        b"\x07\x04\x14",
        b"\x07\x04\x14\x07\x04",
        b"\x07" * MAX_GARBAGE,
        ASKED,
        ASKED + b"\xff\xff",
        frame(8, TEN),
        frame(8, b"\x84\x02"),
        frame(7, bytes([3, 4, 1, 2, 3, 4])),
        frame(7, bytes([4, 4, 1, 2, 3, 4])),
        frame(7, TEN)[:-1] + b"\0",
    ],
    ids=lambda before: before[:12].hex() or "nothing",
)
def test_the_answer_is_found_behind_echo_garbage_and_the_answers_of_others(before):
    assert take(before + GOOD) == TEN
    exchange, received = RtuExchange(read_request(7, 4, 0, 10)), bytearray()
    found = None
    for byte in before + GOOD:
        received.append(byte)
        found = exchange.take(received) or found
    assert found == TEN


@pytest.mark.parametrize(
    ("received", "message"),
    [
        (frame(8, TEN), "as unit 8 instead of 7"),
        (frame(7, bytes([3, 20]) + bytes(20)), "function 3 instead of 4"),
        (frame(7, bytes([4, 4, 0, 1, 0, 2])), "4 bytes of registers instead of 20"),
        (frame(7, bytes([4, 22]) + bytes(22)), "22 bytes of registers instead of 20"),
        (frame(7, b"\x83\x02"), "function 131 instead of 4"),
        (ASKED + frame(8, TEN), "as unit 8 instead of 7"),
    ],
)
def test_a_sound_frame_that_is_no_answer_is_told_when_no_answer_follows(received, message):
    assert take(received, last=False) is None
    with pytest.raises(ModbusError, match=message):
        take(received)


def test_a_write_confirmed_for_other_registers_is_no_confirmation():
    request = write_request(7, 100, (1, 2))
    right = frame(7, bytes([16]) + struct.pack(">HH", 100, 2))
    assert take(RtuExchange(request).frame + right, request=request) == right[1:-2]
    with pytest.raises(ModbusError, match="another write"):
        take(frame(7, bytes([16]) + struct.pack(">HH", 100, 1)), request=request)


def test_registers_that_look_like_a_refusal_are_registers():
    inner = frame(7, b"\x84\x02")
    pdu = bytes([4, 20]) + inner + bytes(15)
    whole = frame(7, pdu)
    exchange, received = RtuExchange(read_request(7, 4, 0, 10)), bytearray()
    found = None
    for byte in whole:
        received.append(byte)
        found = exchange.take(received) or found
    assert found == pdu


def test_every_truncation_and_bit_flip_of_an_answer_is_no_answer():
    for end in range(len(GOOD)):
        assert take(GOOD[:end]) is None
    for bit in range(8 * len(GOOD)):
        mutant = bytearray(GOOD)
        mutant[bit // 8] ^= 1 << bit % 8
        with contextlib.suppress(ModbusError):
            assert take(mutant) is None


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=4), st.booleans())
def test_any_bytes_in_any_pieces_end_within_bounds(pieces, unit_first):
    exchange, received = RtuExchange(read_request(7, 4, 0, 10)), bytearray()
    started = time.process_time()
    with contextlib.suppress(ModbusError):
        for piece in pieces:
            received += (b"\x07\x04\x14" if unit_first else b"") + piece
            exchange.take(received)
            assert len(received) <= MAX_GARBAGE + 25
        exchange.take(received, last=True)
    assert time.process_time() - started < 0.5


def test_an_endless_flood_ends_at_once_on_either_kind_of_wire():
    async def flood(reader, writer):
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"\x07\x04\x14" * 20_000)
                await writer.drain()
        writer.close()

    async def run():
        server = await asyncio.start_server(flood, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with Client(Tcp("127.0.0.1", port), "rtu", request_s=2.0) as client:
            with pytest.raises(ModbusError, match="sent more than 256 bytes that are no answer"):
                await client.read(7, 4, 0, 10)
        server.close()

    started = time.process_time()
    asyncio.run(run())
    assert time.process_time() - started < 0.5


@contextlib.contextmanager
def serial_line():
    ours, theirs = os.openpty()
    tty.setraw(ours)
    tty.setraw(theirs)
    try:
        yield ours, Serial(os.ttyname(theirs), baud=115200)
    finally:
        os.close(ours)
        os.close(theirs)


async def told(descriptor, count):
    loop = asyncio.get_running_loop()
    received = b""
    while len(received) < count:
        ready = loop.create_future()
        loop.add_reader(descriptor, ready.set_result, None)
        try:
            await ready
        finally:
            loop.remove_reader(descriptor)
        received += os.read(descriptor, count - len(received))
    return received


def test_a_late_answer_on_a_line_is_not_taken_for_the_next_one():
    async def run(ours, endpoint):
        async def line():
            await told(ours, 8)
            await asyncio.sleep(0.15)
            os.write(ours, frame(7, bytes([4, 2, 0xBA, 0xD0])))
            await told(ours, 8)
            os.write(ours, frame(7, bytes([4, 2, 0, 5])))

        served = asyncio.create_task(line())
        async with Client(endpoint, "rtu", request_s=0.12) as client:
            with pytest.raises(SilentError):
                await client.read(7, 4, 0, 1)
            words = await client.read(7, 4, 100, 1)
        await served
        return words

    with serial_line() as (ours, endpoint):
        assert asyncio.run(run(ours, endpoint)) == (5,)


def test_a_line_with_echo_and_a_refusal():
    async def run(ours, endpoint):
        async def line():
            for pdu in (TEN, b"\x84\x02"):
                os.write(ours, await told(ours, 8) + frame(7, pdu))

        served = asyncio.create_task(line())
        async with Client(endpoint, "rtu", request_s=1.0) as client:
            words = await client.read(7, 4, 0, 10)
            with pytest.raises(RefusedError):
                await client.read(7, 4, 0, 10)
        await served
        return words

    with serial_line() as (ours, endpoint):
        assert asyncio.run(run(ours, endpoint)) == WORDS


def test_a_line_that_is_not_there_is_silent():
    async def run():
        async with Client(Serial("/dev/khazri-none"), "rtu", request_s=0.5) as client:
            await client.read(7, 4, 0, 1)

    with pytest.raises(SilentError):
        asyncio.run(run())


@pytest.mark.parametrize("unit", [0, 256, -1])
def test_nobody_reads_or_writes_by_broadcast(unit):
    with pytest.raises(ValueError, match="unit is"):
        read_request(unit, 4, 0, 1)
    with pytest.raises(ValueError, match="unit is"):
        write_request(unit, 0, (1,))


@pytest.mark.parametrize(
    "url",
    [
        "modbus-rtu://h:502/0",
        "modbus-rtu://h:502/248",
        "modbus+serial:///dev/ttyUSB0/0",
        "modbus+serial:///dev/ttyUSB0/248",
        "modbus://h:502/256",
        "modbus-tls://h:502/1",
        "dlms://h:502/1",
    ],
)
def test_a_unit_that_no_wire_has_is_refused(url):
    with pytest.raises(BadInputError, match="must be modbus://HOST:PORT/UNIT"):
        parse_url(url)
