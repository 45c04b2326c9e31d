"""The Modbus client against peers that answer wrongly, over real sockets."""

import asyncio
import struct
import time

import pytest

from meters.modbus.client import Client
from meters.modbus.errors import ModbusError, RefusedError, SilentError
from meters.simulator.modbus import ModbusServers
from meters.simulator.points import MeterPoint
from meters.transport import Tcp


def frame(transaction, unit, pdu, protocol=0, length=None):
    size = len(pdu) + 1 if length is None else length
    return struct.pack(">HHHB", transaction, protocol, size, unit) + pdu


TEN = bytes([4, 20]) + bytes(range(20))
GOOD = frame(1, 7, TEN)


def ask(answer, *, act=None, timeout_s=0.2, close=False):
    """Return what the client makes of `answer`, sent for any request."""

    async def serve(reader, writer):
        await reader.read(64)
        writer.write(answer)
        await writer.drain()
        if close:
            writer.close()

    async def run():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            async with Client(Tcp("127.0.0.1", port), request_s=timeout_s) as client:
                return await (act(client) if act else client.read(7, 4, 0, 10))
        finally:
            server.close()

    return asyncio.run(run())


def test_a_right_answer_is_taken():
    assert ask(GOOD) == struct.unpack(">10H", bytes(range(20)))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (frame(1, 7, bytes([4, 4, 0, 1, 0, 2])), "4 bytes of registers instead of 20"),
        (frame(1, 7, bytes([4, 20, 0, 1, 0, 2])), "4 bytes of registers instead of 20"),
        (frame(1, 7, bytes([4, 4]) + bytes(20)), "20 bytes of registers instead of 20"),
        (frame(1, 7, TEN + b"\0\0"), "22 bytes of registers instead of 20"),
        (frame(1, 8, TEN), "as unit 8 instead of 7"),
        (frame(2, 7, TEN), "another transaction id"),
        (frame(0, 7, TEN), "another transaction id"),
        (frame(1, 7, TEN, protocol=1), "no Modbus frame"),
        (frame(1, 7, TEN, length=0), "no Modbus frame"),
        (frame(1, 7, TEN, length=60_000), "no Modbus frame"),
        (frame(1, 7, bytes([3, 20]) + bytes(20)), "function 3 instead of 4"),
        (frame(1, 7, b"\x84\x02\x00"), "exception of the wrong length"),
        (frame(1, 7, b"\x83\x02"), "function 131 instead of 4"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no Modbus frame"),
        (b"\xff" * 100_000, "no Modbus frame"),
    ],
)
def test_a_wrong_answer_is_an_error_at_once(answer, message):
    started = time.perf_counter()
    with pytest.raises(ModbusError, match=message) as caught:
        ask(answer, timeout_s=5.0)
    assert caught.value.code == "malformed"
    assert time.perf_counter() - started < 3.0


@pytest.mark.parametrize(("answer", "close"), [(b"", False), (b"", True), (GOOD[:20], True)])
def test_no_complete_answer_is_silence(answer, close):
    with pytest.raises(SilentError, match=r"^gave no complete answer$"):
        ask(answer, close=close)


def test_an_exception_code_is_a_refusal_with_its_name():
    with pytest.raises(RefusedError, match=r"code 2 \(illegal register address\)") as caught:
        ask(frame(1, 7, b"\x84\x02"))
    assert (caught.value.code, caught.value.exception_code) == ("access", 2)


@pytest.mark.parametrize("code", [0x0A, 0x0B])
def test_a_gateway_that_cannot_reach_its_unit_makes_it_silent(code):
    with pytest.raises(SilentError):
        ask(frame(1, 7, bytes([0x84, code])))


def test_a_write_confirmed_for_other_registers_is_an_error():
    with pytest.raises(ModbusError, match="another write"):
        ask(
            frame(1, 7, bytes([16]) + struct.pack(">HH", 100, 1)),
            act=lambda client: client.write(7, 100, (1, 2)),
        )


def test_late_registers_of_one_unit_never_reach_the_next_request():
    async def serve(reader, writer):
        first = await reader.readexactly(12)
        await asyncio.sleep(0.15)
        writer.write(frame(int.from_bytes(first[:2], "big"), 1, bytes([4, 2, 0xBA, 0xD0])))
        try:
            second = await reader.readexactly(12)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        writer.write(frame(int.from_bytes(second[:2], "big"), 2, bytes([4, 2, 0, 7])))

    async def run():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with Client(Tcp("127.0.0.1", port), request_s=0.1) as client:
            with pytest.raises(SilentError):
                await client.read(1, 4, 0, 1)
            await asyncio.sleep(0.1)
            # The second connection is as slow: silence, not the first unit's value.
            with pytest.raises(SilentError):
                await client.read(2, 4, 0, 1)
        server.close()

    asyncio.run(run())


class Wire:
    """A peer that answers each request with the next of the given byte strings."""

    def __init__(self):
        self.answer = b""

    async def serve(self, reader, writer):
        try:
            while await reader.read(300):
                writer.write(self.answer)
                writer.write_eof()
        except ConnectionError:
            pass
        finally:
            writer.close()


RECORDED = [
    (lambda client: client.read(7, 4, 0, 10), GOOD),
    (lambda client: client.read(1, 3, 40_000, 2), frame(1, 1, b"\x03\x04SunS")),
    (lambda client: client.read(1, 4, 0, 2), frame(1, 1, b"\x84\x02")),
    (
        lambda client: client.write(3, 40_300, (1, 2)),
        frame(1, 3, bytes([16]) + struct.pack(">HH", 40_300, 2)),
    ),
]


@pytest.mark.parametrize(("act", "recorded"), RECORDED)
def test_every_truncation_and_bit_flip_returns_or_raises_our_error(act, recorded):
    mutants = [recorded[:end] for end in range(len(recorded))]
    for bit in range(8 * len(recorded)):
        mutant = bytearray(recorded)
        mutant[bit // 8] ^= 1 << bit % 8
        mutants.append(bytes(mutant))

    async def run():
        wire = Wire()
        server = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        returned = 0
        for mutant in mutants:
            wire.answer = mutant
            started = time.process_time()
            try:
                async with Client(Tcp("127.0.0.1", port), request_s=1.0) as client:
                    await act(client)
                returned += 1
            except ModbusError:
                pass
            assert time.process_time() - started < 0.1, mutant.hex()
        server.close()
        return returned

    returned = asyncio.run(run())
    values = 8 * max(0, recorded[8]) if recorded[7] in (3, 4) else 0
    # Only flips in the register values cannot be seen in the frame.
    assert returned == values


def test_an_endless_flood_ends_at_once():
    async def serve(reader, writer):
        try:
            while True:
                writer.write(b"\xa5" * 65_536)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def run():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with Client(Tcp("127.0.0.1", port), request_s=1.0) as client:
            with pytest.raises(ModbusError):
                await client.read(1, 4, 0, 2)
        server.close()

    started = time.process_time()
    asyncio.run(run())
    assert time.process_time() - started < 0.5


class Spotted:
    """A unit that refuses blocks with register 5 in them."""

    silent = False

    def __init__(self):
        self.asked = []

    def read(self, function, address, count):
        self.asked.append((address, count))
        if address <= 5 < address + count:
            return None
        return b"".join(n.to_bytes(2, "big") for n in range(address, address + count))

    def write(self, address, words):
        return False


def spans_of(spans, *, times=1, **options):
    async def run():
        unit, servers = Spotted(), ModbusServers()
        urls = await servers.serve({"a": unit})
        port = int(urls["a"].split(":")[2].split("/")[0])
        try:
            async with Client(Tcp("127.0.0.1", port), request_s=1.0) as client:
                for _ in range(times):
                    words = await client.read_spans(1, 3, spans, **options)
            return words, unit.asked
        finally:
            await servers.stop()

    return asyncio.run(run())


def test_neighbouring_registers_are_read_in_one_request():
    words, asked = spans_of([(20, 2), (10, 4), (100, 2)])
    assert asked == [(10, 92)]
    assert (words[10], words[101]) == (10, 101)


def test_blocks_are_no_longer_than_the_meter_gives():
    words, asked = spans_of([(10, 300)])
    assert asked == [(10, 125), (135, 125), (260, 50)]
    assert [words[at] for at in range(10, 310)] == list(range(10, 310))
    assert spans_of([(10, 4), (80, 4)], block=20)[1] == [(10, 4), (80, 4)]


def test_an_illegal_address_between_values_is_read_around_and_remembered():
    words, asked = spans_of([(2, 2), (8, 2)], times=2)
    assert words == {2: 2, 3: 3, 8: 8, 9: 9}
    assert asked == [(2, 8), (2, 2), (8, 2), (2, 2), (8, 2)]


def test_an_illegal_address_in_a_value_is_a_refusal():
    with pytest.raises(RefusedError):
        spans_of([(4, 2), (8, 2)])


def test_the_transaction_id_wraps_without_zero():
    async def run():
        servers = ModbusServers()
        point = MeterPoint("m", 0, [1, 2, 3, 4], 230.0)
        urls = await servers.start([point])
        port = int(urls["m"].split(":")[2].split("/")[0])
        try:
            async with Client(Tcp("127.0.0.1", port), request_s=1.0) as client:
                client._transaction = 0xFFFE
                for _ in range(3):
                    await client.read(1, 4, 0, 2)
                return client._transaction
        finally:
            await servers.stop()

    assert asyncio.run(run()) == 2
