"""A meter that keeps what it is given, and clients that ask it over real sockets."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from meters.dlms import acse, cosem, data, gbt, initiate, writing, xdlms
from meters.dlms.client import link_to, parse_url
from meters.dlms.connection import ClientConnection
from meters.dlms.counters import MemoryCounterStore
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
from meters.reading import Ciphering
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
    if link == "hdlc":
        # A lost turn is an error here, not a pause after which the client asks again.
        connection.link.retry_s = 60.0  # type: ignore[misc]
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
