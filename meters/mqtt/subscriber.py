"""The connection to a broker: subscribe, hand on what comes, come back when it breaks.

MQTT 5, so that the broker itself keeps packets beyond `MAX_PACKET` from us. Sessions
are clean: what was sent while we were away would arrive without the time it was sent
and look fresh.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, cast

from grid.errors import BadInputError
from meters.mqtt.mapping import MAX_PAYLOAD, Message

if TYPE_CHECKING:
    import aiomqtt

MAX_PACKET = MAX_PAYLOAD + 2048
"""Bytes of a packet that the broker may send: a payload, its topic and properties."""
QUEUE = 4096
"""Messages that wait to be taken; the oldest makes room for the newest."""
_FIRST_S, _LONGEST_S = 0.5, 60.0
_STEADY_S = 10.0
_TOPICS_A_PACKET = 64
_KEEPALIVE_S = 30
_TIMEOUT_S = 10.0

logger = logging.getLogger("khazri.mqtt")
# Paho writes a line of each packet; what matters is told here.
_quiet = logging.getLogger("khazri.mqtt.client")
_quiet.setLevel(logging.CRITICAL)

Take = Callable[[list[Message]], Awaitable[None]]
Tell = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a broker answers and how it lets us in.

    `tls` is a context of :func:`tls_context`, or ``None`` for a connection in clear.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class Traffic:
    """What happened on the connection: how often it was made, and messages that found no room."""

    connections: int = 0
    failures: int = 0
    dropped: int = 0
    connected: bool = False


def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Return a context that checks the broker's certificate and its name.

    Raises
    ------
    BadInputError
        When the file of authorities cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise BadInputError(f"{ca_file}: no certificate authorities: {error}") from error


def back_off_s(failures: int, draw: Random) -> float:
    """Return how long to wait after so many failures in a row, with full jitter.

    The bound doubles from 0.5 s to 60 s; the wait is drawn between half of it and all.
    """
    bound_s = min(_FIRST_S * 2.0 ** min(failures - 1, 16), _LONGEST_S)
    return bound_s * draw.uniform(0.5, 1.0)


class _Newest(asyncio.Queue["aiomqtt.Message"]):
    """A queue that is never full: the oldest message makes room, and is counted."""

    def __init__(self, maxsize: int, traffic: Traffic) -> None:
        super().__init__(maxsize)
        self._traffic = traffic

    def put_nowait(self, item: aiomqtt.Message) -> None:
        """Add a message."""
        if self.full():
            self.get_nowait()
            self._traffic.dropped += 1
        super().put_nowait(item)


async def listen(
    broker: Broker,
    topics: Sequence[str],
    take: Take,
    *,
    clock: Callable[[], int],
    draw: Random,
    traffic: Traffic,
    tell: Tell = lambda kind, text: None,
) -> None:
    """Subscribe and hand on messages in the order of their arrival, until cancelled.

    Parameters
    ----------
    topics : sequence of str
        Topics or filters.
    take : callable
        Awaited with at most `QUEUE` messages; while it takes its time newer ones queue,
        and beyond `QUEUE` the oldest are dropped and counted.
    clock : callable
        Seconds UTC, asked once for what arrives together.
    draw : Random
        Seeded; for the jitter of reconnections.
    traffic : Traffic
        Filled meanwhile.
    tell : callable
        Told ``"connected"``, ``"lost"`` and ``"refused"`` with a reason.
    """
    failures = 0
    while True:
        began = asyncio.get_running_loop().time()
        reason = await _session(broker, topics, take, clock, traffic, tell)
        traffic.connected = False
        # One that lets us in and throws us out is no better than one that does not answer.
        steady = asyncio.get_running_loop().time() - began > _STEADY_S
        failures = 1 if steady else failures + 1
        traffic.failures += 1
        wait_s = back_off_s(failures, draw)
        tell("lost", f"{broker.host}:{broker.port}: {reason}")
        logger.warning("state=lost failures=%d wait_s=%.1f reason=%r", failures, wait_s, reason)
        await asyncio.sleep(wait_s)


async def _session(
    broker: Broker,
    topics: Sequence[str],
    take: Take,
    clock: Callable[[], int],
    traffic: Traffic,
    tell: Tell,
) -> str:
    """Connect, subscribe and hand on until the connection breaks; return why it did."""
    import aiomqtt

    queues: list[_Newest] = []

    def queue(maxsize: int) -> _Newest:
        queues.append(_Newest(QUEUE, traffic))
        return queues[-1]

    client = _client(broker, cast("type[asyncio.Queue[aiomqtt.Message]]", queue))
    try:
        async with client:
            await _subscribe(client, topics, tell)
            traffic.connections += 1
            traffic.connected = True
            tell("connected", f"{broker.host}:{broker.port}")
            logger.info("state=connected topics=%d", len(topics))
            async for first in client.messages:
                waiting = [first]
                while not queues[0].empty():
                    waiting.append(queues[0].get_nowait())
                at_s = clock()
                await take([_message(one, at_s) for one in waiting])
    except (aiomqtt.MqttError, OSError) as error:
        return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return "the broker closed the connection"


def _client(broker: Broker, queue_type: type[asyncio.Queue[aiomqtt.Message]]) -> aiomqtt.Client:
    import aiomqtt
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho has no types
    properties.MaximumPacketSize = MAX_PACKET
    properties.ReceiveMaximum = 256
    return aiomqtt.Client(
        broker.host,
        broker.port,
        username=broker.user,
        password=broker.password,
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=True,
        properties=properties,
        tls_context=broker.tls,
        keepalive=_KEEPALIVE_S,
        timeout=_TIMEOUT_S,
        queue_type=queue_type,
        logger=_quiet,
    )


async def _subscribe(client: aiomqtt.Client, topics: Sequence[str], tell: Tell) -> None:
    for first in range(0, len(topics), _TOPICS_A_PACKET):
        part = topics[first : first + _TOPICS_A_PACKET]
        answers: Any = await client.subscribe([(topic, 1) for topic in part])
        for topic, answer in zip(part, answers, strict=False):
            code = getattr(answer, "value", answer)
            if code >= 0x80:
                tell("refused", f"the broker refused to subscribe to {topic!r}: {answer}")


def _message(one: aiomqtt.Message, at_s: int) -> Message:
    payload = one.payload
    raw = bytes(payload) if isinstance(payload, bytes | bytearray) else str(payload or "").encode()
    return Message(str(one.topic), raw, one.retain, at_s)
