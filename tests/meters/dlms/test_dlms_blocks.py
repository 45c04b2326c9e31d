"""Long values in both directions over real sockets: data blocks, lists, general blocks."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from meters import obis
from meters.dlms import acse, cosem, data, gbt, initiate, writing, xdlms
from meters.dlms.client import link_to, open_association, parse_url
from meters.dlms.connection import ClientConnection
from meters.dlms.counters import MemoryCounterStore
from meters.dlms.errors import AccessError, DlmsError, LocalProtocolError
from meters.dlms.events import (
    AccessRefused,
    Acted,
    Associated,
    Event,
    ListWritten,
    ValueReceived,
    ValuesReceived,
    Written,
)
from meters.dlms.hdlc import Parameters
from meters.dlms.initiate import Conformance
from meters.dlms.security import Cipher
from meters.dlms.server import Request
from meters.dlms.session import Session
from meters.dlms.set_list import SetList
from meters.dlms.xdlms import Attribute
from meters.reading import Ciphering, MeterAddress
from meters.simulator.dlms import DlmsConnection, DlmsServers, MeterSetup
from meters.simulator.points import MeterPoint

T = 1_782_000_000
EK, AK = bytes(range(16)), bytes(range(0xD0, 0xE0))
CLIENT = Ciphering(b"KHZ\x00\x00\x00\x00\x01", EK, AK)
METER = Ciphering(b"KHZ\x00\x00\x00\x00\x99", EK, AK)
NARROW, WIDE = Parameters(128, 128, 1, 1), Parameters(64, 64, 3, 5)
METHOD = writing.Method(18, bytes.fromhex("00002c0000ff"), 3)
CELLS = [Attribute(cosem.DATA, bytes((0, 0, 96, 1, n, 255)), 2) for n in range(6)]
LOCKED = Attribute(cosem.DATA, bytes((0, 0, 96, 1, 99, 255)), 2)
GENERAL = initiate.PROPOSED | Conformance.GENERAL_BLOCK_TRANSFER
BARE = initiate.PROPOSED & ~(
    Conformance.BLOCK_TRANSFER_WITH_SET | Conformance.BLOCK_TRANSFER_WITH_ACTION
)


def octets(length: int, salt: int = 0) -> bytes:
    """Return an octet string that repeats nowhere."""
    content = b"".join(
        hashlib.sha256(bytes((salt, *n.to_bytes(2, "big")))).digest()
        for n in range(length // 32 + 1)
    )
    return data.encode(data.Tag.OCTET_STRING, content[:length])


class Memory(DlmsConnection):
    """A meter that keeps what is written, and whose one method returns its parameter."""

    kept: dict[Attribute, bytes]
    requests: list[str]

    def _answer(self, request: Request) -> bytes:
        connection = self._connection
        self.requests.append(type(request).__name__)
        if not connection.associated:
            return super()._answer(request)
        match request:
            case xdlms.GetRequest():
                return connection.answer(request.invoke_id, self.kept[request.attribute])
            case xdlms.GetList():
                values = [self.kept.get(item.attribute, 4) for item in request.items]
                return connection.answer_list(request.invoke_id, values)
            case writing.SetRequest():
                return connection.written(
                    request.invoke_id, self._keep(request.attribute, request.data)
                )
            case SetList():
                results = [self._keep(*item) for item in request.items]
                return connection.written_list(request.invoke_id, results)
            case writing.ActionRequest():
                if request.method != METHOD:
                    return connection.acted(request.invoke_id, xdlms.DENIED)
                return connection.acted(request.invoke_id, 0, request.data)
        return super()._answer(request)

    def _keep(self, attribute: Attribute, value: bytes) -> int:
        if attribute == LOCKED:
            return xdlms.DENIED
        self.kept[attribute] = value
        return 0


class Asked:
    """A client's session, and what the meter keeps."""

    def __init__(self, session: Session, meter: type[Memory]) -> None:
        self.session = session
        self.meter = meter

    async def ask(self, question: str, *what: Any) -> Event:
        return await self.session.ask(getattr(self.session.connection, question)(*what))


@asynccontextmanager
async def opened(
    link: str = "wrapper",
    max_pdu: int = 128,
    *,
    ciphered: bool = False,
    conformance: int = initiate.PROPOSED,
    through: Callable[[str], Awaitable[str]] | None = None,
    hdlc: Parameters = NARROW,
) -> AsyncIterator[Asked]:
    kind = type("Kept", (Memory,), {"kept": {}, "requests": []})
    servers = DlmsServers()
    setup = MeterSetup(b"", METER if ciphered else None, link, max_pdu, hdlc)
    urls = await servers.start(
        [MeterPoint("M-1", T, [0, 0, 0, 0], 230.0, [])],
        setups={"M-1": setup},
        connections={"M-1": kind},
    )
    url = urls["M-1"] if through is None else await through(urls["M-1"])
    station = parse_url(url)
    connection = ClientConnection(
        link_to(station, 16),
        mechanism=acse.Mechanism.HLS_GMAC if ciphered else acse.Mechanism.NONE,
        cipher=Cipher(CLIENT, MemoryCounterStore()) if ciphered else None,
        max_pdu=max_pdu,
        conformance=conformance,
    )
    session = await Session.open(station.endpoint, connection)
    try:
        async with asyncio.timeout(20):
            assert isinstance(await session.ask(connection.associate()), Associated)
            yield Asked(session, kind)
            await session.release()
    finally:
        await session.close()
        await servers.stop()


async def exercise(asked: Asked) -> None:
    """Write, read and act with long values; everything comes back as it was."""
    long, short = octets(1500), octets(7)
    assert await asked.ask("set", CELLS[0], long) == Written()
    assert asked.meter.kept[CELLS[0]] == long
    assert await asked.ask("get", CELLS[0]) == ValueReceived(data.decode(long))
    assert await asked.ask("action", METHOD, long) == Acted(data.decode(long))
    assert await asked.ask("action", METHOD, short) == Acted(data.decode(short))
    items = [(cell, octets(300, n)) for n, cell in enumerate(CELLS[:2])]
    items.insert(1, (LOCKED, octets(300, 9)))
    written = await asked.ask("set_list", items)
    denied = AccessRefused("read-write denied")
    assert written == ListWritten((Written(), denied, Written()))
    listed = await asked.ask("get_list", [(cell, b"") for cell, _ in items])
    assert isinstance(listed, ValuesReceived)
    first, _, last = (data.decode(value) for _, value in items)
    assert [getattr(one, "value", None) for one in listed.values] == [first, None, last]
    assert await asked.ask("set_list", [(CELLS[5], short)]) == ListWritten((Written(),))
    assert await asked.ask("action", writing.Method(1, METHOD.obis, 9), long) == denied
    assert await asked.ask("set", LOCKED, long) == denied
    assert await asked.ask("set", LOCKED, short) == denied


WAYS = {
    "data blocks": (initiate.PROPOSED, NARROW),
    "general blocks": (GENERAL & ~(BARE ^ initiate.PROPOSED), NARROW),
    "both, wide windows": (GENERAL, WIDE),
}


@pytest.mark.parametrize("max_pdu", [128, 256])
@pytest.mark.parametrize("ciphered", [False, True], ids=["plain", "hls-gmac"])
@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
@pytest.mark.parametrize("way", WAYS)
def test_long_values_cross_whole_in_both_directions(
    way: str, link: str, ciphered: bool, max_pdu: int
) -> None:
    conformance, hdlc = WAYS[way]

    async def run() -> float:
        loop = asyncio.get_running_loop()
        async with opened(
            link, max_pdu, ciphered=ciphered, conformance=conformance, hdlc=hdlc
        ) as asked:
            began = loop.time()
            await exercise(asked)
            return loop.time() - began

    # A lost turn of an HDLC link shows as the two seconds after which a client asks again.
    assert asyncio.run(run()) < 1.9


def test_without_blocks_agreed_a_long_value_goes_as_one_apdu() -> None:
    async def run() -> None:
        async with opened(conformance=BARE) as asked:
            await exercise(asked)

    asyncio.run(run())


def test_a_short_set_in_the_middle_of_a_long_one_ends_it() -> None:
    async def run() -> list[Event]:
        async with opened() as asked:
            connection = asked.session.connection
            first = connection.set(CELLS[0], octets(500))
            await asked.session._exchange(first)  # acknowledged, and not gone on with
            connection.state = type(connection.state).READY
            short = await asked.ask("set", CELLS[1], octets(3))
            assert CELLS[0] not in asked.meter.kept
            return [short]

    assert asyncio.run(run()) == [Written()]


def test_objects_of_a_simulated_meter_are_written_in_a_list() -> None:
    clock = Attribute(cosem.CLOCK, obis.CLOCK, 2)
    register = Attribute(cosem.REGISTER, obis.ENERGY[0], 2)
    time = data.encode(data.Tag.OCTET_STRING, bytes.fromhex("07e8060f0614172d00ff8880"))

    async def run() -> tuple[list[AccessError | None], int]:
        servers = DlmsServers()
        point = MeterPoint("M-1", T, [0, 0, 0, 0], 230.0, [])
        urls = await servers.start([point], setups={"M-1": MeterSetup(max_pdu=128)})
        address = MeterAddress("M-1", urls["M-1"], "cosem")
        async with open_association(address, timeout_s=5.0) as meter:
            items = [(register, b"\x06\0\0\0\1"), (clock, time), (clock, b"\x11\x01")] * 5
            results = await meter.set_all(items)
            objects = await meter.object_list()
            keys = [Attribute(one.class_id, one.obis, 1) for one in objects]
            names = await meter.get_all(keys * 3)
            assert list(names) == [key.obis for key in keys] * 3
        await servers.stop()
        return results, point.clock_s

    results, clock_s = asyncio.run(run())
    assert clock_s == 1_718_475_825
    told = [None if one is None else str(one) for one in results]
    assert told == [
        "1-0:1.8.0 2 refused: read-write denied", None, "0-0:1.0.0 2 refused: type unmatched"
    ] * 5  # fmt: skip


def test_list_that_a_block_has_no_room_for_is_our_own_bug() -> None:
    async def run() -> None:
        async with opened(max_pdu=128) as asked:
            connection = asked.session.connection
            assert connection.most_references == 4
            with pytest.raises(LocalProtocolError, match="must have 1 to 4"):
                connection.set_list([(CELLS[0], b"\0")] * 5)

    asyncio.run(run())


# General block transfer: what a peer may do with it.

HEAD = gbt.BlockTransfer()


def block(
    number: int,
    content: bytes = b"",
    *,
    last: bool = False,
    streaming: bool = False,
    window: int = 1,
    acknowledges: int = 0,
) -> bytes:
    control = 0x80 * last | 0x40 * streaming | window
    head = bytes((gbt.TAG, control)) + number.to_bytes(2, "big") + acknowledges.to_bytes(2, "big")
    return head + data.length_bytes(len(content)) + content


class Lossy:
    """A relay between client and meter that drops each APDU that `drops` picks, once."""

    def __init__(self, drops: Callable[[str, bytes], bool]) -> None:
        self._drops = drops
        self._dropped: set[tuple[str, bytes]] = set()
        self.passed: list[tuple[str, bytes]] = []
        self.lost = 0
        self._server: asyncio.Server | None = None

    async def before(self, url: str) -> str:
        port = int(url.split(":")[2].split("/")[0])

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            from_meter, to_meter = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(
                self._pass("client", reader, to_meter), self._pass("meter", from_meter, writer)
            )

        self._server = await asyncio.start_server(relay, "127.0.0.1", 0)
        return f"dlms://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/1"

    async def _pass(
        self, side: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while True:
                head = await reader.readexactly(8)
                apdu = await reader.readexactly(int.from_bytes(head[6:], "big"))
                if (side, apdu) not in self._dropped and self._drops(side, apdu):
                    self._dropped.add((side, apdu))
                    self.lost += 1
                    continue
                self.passed.append((side, apdu))
                writer.write(head + apdu)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@pytest.mark.parametrize("ciphered", [False, True], ids=["plain", "hls-gmac"])
def test_blocks_lost_within_a_window_are_sent_again(ciphered: bool) -> None:
    # Of each window the middle is lost, not its end, in both directions.
    lossy = Lossy(lambda _, apdu: apdu[0] == gbt.TAG and bool(apdu[1] & 0x40) and apdu[3] % 3 == 2)

    async def run() -> None:
        async with opened(ciphered=ciphered, conformance=WAYS["general blocks"][0],
                          through=lossy.before) as asked:  # fmt: skip
            await exercise(asked)

    asyncio.run(run())
    assert lossy.lost > 10
    numbers = [apdu[3] for side, apdu in lossy.passed if side == "meter" and apdu[0] == gbt.TAG]
    assert any(after <= before for before, after in pairwise(numbers))


def test_windows_are_streamed_as_wide_as_the_peer_takes_them() -> None:
    lossy = Lossy(lambda _side, _apdu: False)

    async def run() -> None:
        async with opened(conformance=WAYS["general blocks"][0], through=lossy.before) as asked:
            await asked.ask("set", CELLS[0], octets(4000))
            await asked.ask("get", CELLS[0])

    asyncio.run(run())
    blocks = [(side, apdu) for side, apdu in lossy.passed if apdu[0] == gbt.TAG]
    acknowledgements = [side for side, apdu in blocks if len(apdu) == 7]
    # 34 blocks each way, seven at a time once the window is known; the last needs none.
    assert acknowledgements == ["meter"] * 5 + ["client"] * 4
    assert len(blocks) == 2 * 34 + 9
    assert all(apdu[1] & 0x3F == gbt.WINDOW for _, apdu in blocks)


def transferred(apdu: bytes, max_pdu: int, window: int) -> tuple[bytes | None, int]:
    """Move an APDU between two transfers; return what came and the number of blocks."""
    sender, taker = gbt.BlockTransfer(), gbt.BlockTransfer()
    blocks, count, whole = sender.start(apdu, max_pdu), 0, None
    while blocks:
        for one in blocks:
            whole = taker.receive(one)
            count += 1
        if whole is not None:
            return whole, count
        (answer,) = taker.proceed()
        assert sender.receive(bytes((answer[0], 0x80 | window)) + answer[2:]) is None
        blocks = sender.proceed()
    return None, count


def test_longest_apdu_in_blocks_of_one_byte_comes_to_the_last_number() -> None:
    apdu = b"\xc4" + bytes(gbt.MAX_APDU - 1)
    assert transferred(apdu, gbt.BlockTransfer.SMALLEST, 63) == (apdu, 0xFFFF)
    with pytest.raises(LocalProtocolError, match="does not fit"):
        gbt.BlockTransfer().start(apdu + b"\0", 100)


@pytest.mark.parametrize("window", [1, 2, 63])
def test_a_window_of_the_peer_is_kept(window: int) -> None:
    sender = gbt.BlockTransfer()
    assert len(sender.start(bytes(1000), 19)) == 1
    sender.receive(block(1, window=window, acknowledges=1))
    sent = sender.proceed()
    assert len(sent) == window
    assert [one[1] & 0x40 for one in sent] == [0x40] * (window - 1) + [0]


def test_a_window_of_nothing_is_refused() -> None:
    sender = gbt.BlockTransfer()
    sender.start(bytes(1000), 19)
    with pytest.raises(DlmsError, match="window is 0"):
        sender.receive(block(1, window=0, acknowledges=1))


@pytest.mark.parametrize("acknowledges", [0, 3, 0xFFFF])
def test_acknowledging_what_was_not_sent_or_nothing_for_ever_is_refused(acknowledges: int) -> None:
    sender = gbt.BlockTransfer()
    sender.start(bytes(1000), 19)
    sender.receive(block(1, acknowledges=1))
    sender.proceed()

    def again() -> None:
        for number in range(2, 10):
            sender.receive(block(number, acknowledges=acknowledges or 1))
            assert len(sender.proceed()) == 1

    with pytest.raises(
        DlmsError, match="acknowledged, must be" if acknowledges else "lost 4 times"
    ):
        again()


def received(blocks: list[bytes]) -> list[bytes | None]:
    taker = gbt.BlockTransfer()
    return [taker.receive(one) for one in blocks]


def test_a_block_that_comes_again_is_taken_once() -> None:
    blocks = [block(1, b"\xc4\1"), block(1, b"\xc4\1"), block(2, b"\2", last=True)]
    assert received(blocks) == [None, None, b"\xc4\1\2"]


def test_a_block_out_of_order_is_asked_for_again_and_not_for_ever() -> None:
    taker = gbt.BlockTransfer()
    assert taker.receive(block(1, b"\xc4", streaming=True)) is None
    assert not taker.under_way
    assert taker.receive(block(3, b"\3", last=True)) is None
    (asks,) = taker.proceed()
    assert asks[4:6] == b"\0\1"
    assert taker.receive(block(2, b"\2", streaming=True)) is None
    assert taker.receive(block(3, b"\3", last=True)) == b"\xc4\2\3"

    def never() -> None:
        for _ in range(200):
            taker.receive(block(9, b"\1"))
            taker.proceed()

    with pytest.raises(DlmsError, match="block 1 does not come"):
        never()


@pytest.mark.parametrize("size", [1, 100, 5000])
def test_blocks_of_which_none_is_the_last_are_bounded(size: int) -> None:
    taker = gbt.BlockTransfer()
    taken = 0

    def endless() -> None:
        nonlocal taken
        while True:
            taken += 1
            taker.receive(block(taken & 0xFFFF, bytes(size), streaming=True, window=63))

    with pytest.raises(DlmsError, match=r"longer than 65535 bytes|does not come"):
        endless()
    assert taken * size <= gbt.MAX_APDU + (gbt.MAX_IDLE + 2) * size


@pytest.mark.parametrize(
    "octets",
    [
        block(1),
        block(1, streaming=True),
        block(1, last=True),
        block(1, b"\xe0\0", last=True),
        block(1, b"\xc4")[:-1],
        block(1, b"\xc4") + b"\0",
        block(1)[:6],
        *(bytes((gbt.TAG, 0, 0, 1, 0, 0, size)) for size in (0x80, 0x85, 0xFF)),
    ],
)
def test_general_block_that_is_empty_or_malformed_is_refused(octets: bytes) -> None:
    with pytest.raises(DlmsError):
        received([octets])


def test_general_blocks_that_were_not_agreed_are_refused() -> None:
    async def run() -> None:
        async with opened() as asked:
            link = asked.session.connection.link
            with pytest.raises(DlmsError, match="gave no complete answer"):
                await asked.session._exchange(link.send(block(1, b"\xc0")))

    asyncio.run(run())
    with pytest.raises(DlmsError, match="not agreed"):
        raise against("get", (CELLS[0],), lambda a, n: [block(1, b"\xc4")], initiate.PROPOSED)


# Hostile meters against our client, over sockets.

Answer = Callable[[bytes, int], list[bytes]]


def against(question: str, what: tuple[Any, ...], answer: Answer, conformance: int) -> DlmsError:
    """Ask a meter that answers as `answer` says; return how that failed."""
    agreed = initiate.encode_response(initiate.InitiateResponse(conformance, 128))
    aare = acse.encode_aare(acse.AssociationResponse(0, 0, agreed))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for place in range(1 << 20):
                head = await reader.readexactly(8)
                apdu = await reader.readexactly(int.from_bytes(head[6:], "big"))
                for one in [aare] if place == 0 else answer(apdu, place):
                    writer.write(bytes.fromhex("000100010010") + len(one).to_bytes(2, "big") + one)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> DlmsError:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        station = parse_url(f"dlms://127.0.0.1:{server.sockets[0].getsockname()[1]}/1")
        connection = ClientConnection(link_to(station, 16), conformance=conformance)
        session = await Session.open(station.endpoint, connection)
        async with server, asyncio.timeout(10):
            await session.ask(connection.associate())
            with pytest.raises(DlmsError) as caught:
                await session.ask(getattr(connection, question)(*what))
            await session.close()
        return caught.value

    return asyncio.run(run())


SET = ("set", (CELLS[0], octets(1000)))
ACTION = ("action", (METHOD, octets(1000)))
LIST = ("set_list", ([(CELLS[0], octets(500)), (CELLS[1], octets(500))],))
SHORT = ("action", (METHOD, octets(3)))
_RESULT = b"\0\1\0" + octets(50)


def _pblock(number: int, content: bytes, *, last: bool = False) -> bytes:
    head = bytes((0xC7, 2, 0xC1, last)) + number.to_bytes(4, "big")
    return head + data.length_bytes(len(content)) + content


HOSTILE: dict[str, tuple[tuple[str, tuple[Any, ...]], Answer, str]] = {
    "SET acknowledged ahead": (SET, lambda a, n: [writing.encode_set_next(1, 2)], "SET block 2"),
    "SET acknowledged twice": (SET, lambda a, n: [writing.encode_set_next(1, 1)], "SET block 1"),
    "SET done early": (SET, lambda a, n: [writing.encode_set_response(1, 0)], "before its last"),
    "SET of another id": (SET, lambda a, n: [writing.encode_set_next(2, n)], "invoke id 2"),
    "SET answered by ACTION": (SET, lambda a, n: [b"\xc7\1\xc1\0"], "no SET-response"),
    "list with one result": (
        LIST,
        lambda a, n: [
            bytes((0xC5, 2, 0xC1)) + n.to_bytes(4, "big") if n < 10 else b"\xc5\4\xc1\1\0\0\0\0\x0a"
        ],
        "results came|not sent",
    ),
    "list without a list": (LIST, lambda a, n: [b"\xc5\1\xc1\0"], "one result came"),
    "ACTION acknowledged ahead": (ACTION, lambda a, n: [b"\xc7\4\xc1\0\0\0\2"], "ACTION block 2"),
    "ACTION acknowledged at its end": (
        SHORT, lambda a, n: [b"\xc7\4\xc1\0\0\0\1"], "ACTION block 1"
    ),
    "ACTION done early": (ACTION, lambda a, n: [b"\xc7\1\xc1\0\0"], "before its last"),
    "ACTION result early": (ACTION, lambda a, n: [_pblock(1, _RESULT)], "before its last"),
    "result out of order": (SHORT, lambda a, n: [_pblock(2, _RESULT)], "block 2 came, must be 1"),
    "result repeated": (SHORT, lambda a, n: [_pblock(1, _RESULT)], "block 1 came, must be 2"),
    "result without end": (SHORT, lambda a, n: [_pblock(n, bytes(60_000))], "longer than 65536"),
    "result of nothing": (SHORT, lambda a, n: [_pblock(n, b"")], "16384 blocks"),
    "result that is none": (SHORT, lambda a, n: [_pblock(1, b"\0\7", last=True)], "malformed"),
    "result cut by a whole one": (
        SHORT, lambda a, n: [_pblock(1, _RESULT) if n == 1 else b"\xc7\1\xc1\0\0"], "in the middle"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_meter_that_takes_or_gives_blocks_wrongly_is_refused(case: str) -> None:
    (question, what), answer, message = HOSTILE[case]
    error = against(question, what, answer, initiate.PROPOSED)
    assert error.code == "meter.malformed"
    assert any(part in str(error) for part in message.split("|")), str(error)


GET = ("get", (CELLS[0],))
HOSTILE_GENERAL: dict[str, tuple[tuple[str, tuple[Any, ...]], Answer, str]] = {
    "window of 0": (ACTION, lambda a, n: [block(n, window=0, acknowledges=n)], "window is 0"),
    "acknowledged ahead": (ACTION, lambda a, n: [block(1, acknowledges=7)], "7 is acknowledged"),
    "acknowledges nothing": (ACTION, lambda a, n: [block(n, acknowledges=0)], "lost 4 times"),
    "answer before the question": (ACTION, lambda a, n: [block(1, b"\xc7")], "was sent"),
    "everything at once": (
        GET,
        lambda a, n: [block(k, bytes(500), streaming=True, window=63) for k in range(1, 200)],
        "longer than 65535",
    ),
    "never the last": (GET, lambda a, n: [block(n, bytes(5000))], "longer than 65535"),
    "always the first": (GET, lambda a, n: [block(1, b"\xc4")], "block 2 does not come"),
    "never the first": (GET, lambda a, n: [block(2, b"\xc4")], "block 1 does not come"),
    "blocks of nothing": (GET, lambda a, n: [block(n, b"", streaming=True)], "hold no APDU"),
    "blocks in blocks": (
        GET, lambda a, n: [block(1, block(1, b"\xc4"), last=True)], "hold general blocks"
    ),
    "window of 255": (GET, lambda a, n: [bytes((0xE0, 0xFF, 0, n, 0, 0, 1, 0xC4))], "cut short"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE_GENERAL)
def test_meter_that_uses_general_blocks_wrongly_is_refused(case: str) -> None:
    (question, what), answer, message = HOSTILE_GENERAL[case]
    error = against(question, what, answer, WAYS["general blocks"][0])
    assert error.code == "meter.malformed"
    assert message in str(error)


# Hostile clients against our meter.


def asked_raw(requests: list[bytes], *, conformance: int = initiate.PROPOSED) -> list[bytes]:
    """Send APDUs to a simulated meter, after an association; return its answers."""

    async def run() -> list[bytes]:
        async with opened(conformance=conformance) as asked:
            transport = asked.session._transport
            assert transport is not None
            answers: list[bytes] = []
            heard = asyncio.Event()
            asked.session.data_received = lambda octets: (  # type: ignore[method-assign]
                answers.append(octets), heard.set()
            )  # fmt: skip
            for request in requests:
                heard.clear()
                transport.write(asked.session.connection.link.send(request))
                await asyncio.wait_for(heard.wait(), 5)
            asked.session._lost = True
            transport.abort()
            return [octets[8:] for octets in answers]

    return asyncio.run(run())


def _set_block(number: int, content: bytes, *, first: bool = False, last: bool = False) -> bytes:
    attribute = CELLS[0] if first else None
    return writing.encode_set_block(writing.SetBlock(1, attribute, number, last, content))


def _action_block(number: int, content: bytes, *, first: bool = False) -> bytes:
    what = METHOD.class_id.to_bytes(2, "big") + METHOD.obis + bytes((METHOD.index,))
    head = bytes((0xC3, 4, 0xC1)) + what if first else bytes((0xC3, 6, 0xC1))
    return head + b"\0" + number.to_bytes(4, "big") + data.length_bytes(len(content)) + content


def test_client_that_sends_blocks_wrongly_is_refused_and_the_association_stays() -> None:
    requests = [
        _set_block(2, b"\x09"),
        _set_block(1, b"\x09", first=True),
        _set_block(3, b"\x09"),
        _set_block(2, b"\x09"),
        _action_block(2, b"\x09"),
        _action_block(1, b"\x09", first=True),
        _action_block(1, b"\x09"),
        _action_block(1, b"\x09", first=True),
        _set_block(2, b"\x09"),
        bytes.fromhex("c302c100000001"),
        bytes.fromhex("c002c100000001"),
        writing.encode_set(1, CELLS[1], b"\x11\x05"),
    ]
    assert [one.hex() for one in asked_raw(requests)] == [
        "c501c112", "c502c100000001", "c501c113", "c501c112",
        "c701c11000", "c704c100000001", "c701c10f00", "c704c100000001", "c501c112",
        "c701c11000", "c401c10110", "c501c100",
    ]  # fmt: skip


def test_client_that_never_ends_a_value_is_cut_off() -> None:
    requests = [_set_block(1, b"\x09" + bytes(60_000), first=True), _set_block(2, bytes(60_000))]
    assert [one.hex() for one in asked_raw(requests)] == ["c502c100000001", "c501c113"]


def test_blocks_before_an_association_are_refused() -> None:
    async def run() -> bytes:
        servers = DlmsServers()
        urls = await servers.start([MeterPoint("M-1", T, [0, 0, 0, 0], 230.0, [])])
        port = int(urls["M-1"].split(":")[2].split("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        apdu = _set_block(1, b"\x09", first=True)
        writer.write(bytes.fromhex("000100100001") + len(apdu).to_bytes(2, "big") + apdu)
        answer = await reader.readexactly(11)
        writer.close()
        await servers.stop()
        return answer[8:]

    assert asyncio.run(run()).hex() == "d80101"
