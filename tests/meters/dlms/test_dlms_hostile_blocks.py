"""Blocks used wrongly, over sockets: meters against our client, clients against our meter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from meters.dlms import acse, data, initiate, writing, xdlms
from meters.dlms.client import link_to, parse_url
from meters.dlms.connection import ClientConnection
from meters.dlms.errors import DlmsError
from meters.dlms.session import Session
from meters.simulator.dlms import DlmsServers
from meters.simulator.points import MeterPoint
from tests.meters.dlms.memory_meter import (
    CELLS,
    METHOD,
    WAYS,
    T,
    block,
    octets,
    opened,
)

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


def test_general_blocks_that_were_not_agreed_are_refused() -> None:
    async def run() -> None:
        async with opened() as asked:
            link = asked.session.connection.link
            with pytest.raises(DlmsError, match="gave no complete answer"):
                await asked.session._exchange(link.send(block(1, b"\xc0")))

    asyncio.run(run())
    with pytest.raises(DlmsError, match="not agreed"):
        raise against("get", (CELLS[0],), lambda a, n: [block(1, b"\xc4")], initiate.PROPOSED)


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


def test_another_request_or_another_id_ends_a_long_one() -> None:
    first = _set_block(1, b"\x09", first=True)
    other_id = bytearray(_set_block(2, b"\x01\x07", last=True))
    other_id[2] ^= 1
    requests = [
        first,
        xdlms.encode_get(1, CELLS[1]),
        _set_block(2, b"\x01\x07", last=True),
        first,
        writing.encode_set(1, CELLS[1], b"\x11\x06"),
        _set_block(2, b"\x01\x07", last=True),
        first,
        bytes(other_id),
        first,
        _set_block(2, b"\x01\x07", last=True),
    ]
    answers = asked_raw([writing.encode_set(1, CELLS[1], b"\x11\x05"), *requests])
    assert [one.hex() for one in answers] == [
        "c501c100", "c502c100000001", "c401c1001105", "c501c112", "c502c100000001", "c501c100",
        "c501c112", "c502c100000001", "c501c013", "c502c100000001", "c503c10000000002",
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
