"""DLMS/COSEM servers: one meter behind each TCP port, as meters differ in the field."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from meters import obis
from meters.dlms import acse, cosem, key_transfer, push, writing, xdlms
from meters.dlms.acse import Mechanism
from meters.dlms.counters import CounterStore, MemoryCounterStore, name_of
from meters.dlms.errors import DlmsError
from meters.dlms.hdlc import Parameters
from meters.dlms.hdlc_link import HdlcServerLink
from meters.dlms.key_transfer import KeyId
from meters.dlms.link import Link
from meters.dlms.security import Cipher
from meters.dlms.server import Answered, ReleaseRequested, Request, ServerConnection
from meters.dlms.set_list import SetList
from meters.dlms.wrapper import WrapperServerLink, frame
from meters.reading import Ciphering
from meters.simulator.connections import ServedConnection, close_all
from meters.simulator.dlms_objects import PUBLIC_CLIENT, DlmsMeter
from meters.simulator.points import MeterPoint

WPORT = 1
_PUSH_PORT = 103
_TAKEN_S = 2.0


HDLC = Parameters(512, 512, 1, 1)


@dataclass(frozen=True, slots=True)
class MeterSetup:
    """How a simulated meter lets clients in.

    Attributes
    ----------
    secret : bytes
        Password of LLS; empty for a meter without passwords.
    ciphering : Ciphering or None
        The meter's system title and keys; with them it takes HLS-GMAC, and lets the
        public client see its clock, name and invocation counter only.
    link : str
        ``"wrapper"`` or ``"hdlc"``.
    max_pdu : int
        Longest APDU sent and taken, in bytes.
    hdlc : Parameters
        What an HDLC link offers.
    master_key : bytes
        Wraps the keys that replace those of `ciphering`; empty for a meter that takes none.
    """

    secret: bytes = field(default=b"", repr=False)
    ciphering: Ciphering | None = None
    link: str = "wrapper"
    max_pdu: int = 512
    hdlc: Parameters = HDLC
    master_key: bytes = field(default=b"", repr=False)


OPEN = MeterSetup()


class ServedMeter:
    """A meter with its setup, and the counters that all its connections share.

    `on_keys` is called with the meter and its keys when a client has replaced them.
    """

    def __init__(
        self,
        point: MeterPoint,
        setup: MeterSetup = OPEN,
        counters: CounterStore | None = None,
        on_keys: Callable[[str, Ciphering], None] | None = None,
    ) -> None:
        self._on_keys = on_keys
        self.objects = DlmsMeter(point)
        self.setup = setup
        self.counters: CounterStore = counters or MemoryCounterStore()
        self.client_title = b""
        self.objects.counter = self._counter

    def connection(self) -> ServerConnection:
        """Return the meter's side of a new connection."""
        setup = self.setup
        link: Link = HdlcServerLink(WPORT, setup.hdlc)
        if setup.link != "hdlc":
            link = WrapperServerLink()
        new_cipher = None if setup.ciphering is None else self.new_cipher
        return ServerConnection(link, max_pdu=setup.max_pdu, new_cipher=new_cipher)

    def new_cipher(self) -> Cipher:
        """Return the meter's protection of one association."""
        assert self.setup.ciphering is not None
        return Cipher(self.setup.ciphering, self.counters)

    def act(self, request: writing.ActionRequest) -> int:
        """Do what a method does; return the action-result, 0 being success."""
        method = request.method
        if (method.class_id, method.obis) != (cosem.SECURITY_SETUP, obis.SECURITY_SETUP):
            return self.objects.act(request)
        if method.index != key_transfer.TRANSFER:
            return xdlms.DENIED
        return self._take_keys(request.data)

    def _take_keys(self, content: bytes) -> int:
        """Take the keys of a transfer, all or none; they hold from the next association on."""
        own = self.setup.ciphering
        if own is None or not self.setup.master_key:
            return xdlms.DENIED
        try:
            wrapped = key_transfer.decode_transfer(content)
            keys = {
                which: key_transfer.unwrap(self.setup.master_key, octets)
                for which, octets in wrapped.items()
            }
        except DlmsError:
            return xdlms.OTHER_REASON
        fresh = replace(
            own,
            encryption_key=keys.get(KeyId.UNICAST_ENCRYPTION, own.encryption_key),
            authentication_key=keys.get(KeyId.AUTHENTICATION, own.authentication_key),
        )
        self.setup = replace(self.setup, ciphering=fresh)
        if self._on_keys is not None:
            self._on_keys(self.objects.point.meter, fresh)
        return 0

    def _counter(self) -> int:
        """Return the highest counter that a client used, as the meter shows it."""
        ciphering = self.setup.ciphering
        if ciphering is None or not self.client_title:
            return 0
        name = name_of(ciphering.encryption_key, self.client_title) + "-received"
        return max(0, self.counters.reserve(name, 0, 0) - 1)

    def refusal(self, request: acse.AssociationRequest, client: int) -> int:
        """Return the diagnostic that refuses an association; 0 when it is let in."""
        setup = self.setup
        needs_proof = bool(setup.secret) or setup.ciphering is not None
        if request.mechanism == Mechanism.NONE:
            is_let_in = not needs_proof or (setup.ciphering is not None and client == PUBLIC_CLIENT)
            return 0 if is_let_in else acse.AUTHENTICATION_REQUIRED
        if request.mechanism == Mechanism.HLS_GMAC and setup.ciphering is not None:
            self.client_title = request.title
            return 0
        if request.mechanism != Mechanism.LLS or not setup.secret:
            return acse.NOT_RECOGNISED
        if not hmac.compare_digest(request.secret, setup.secret):
            return acse.AUTHENTICATION_FAILURE
        return 0


class DlmsConnection(ServedConnection):
    """One client of a meter."""

    def __init__(self, meter: ServedMeter, open_connections: set[asyncio.Transport]) -> None:
        self._meter = meter
        super().__init__(open_connections)
        self._connection = meter.connection()
        self._is_public = False

    def data_received(self, data: bytes) -> None:
        """Answer each complete request; a request that is none ends the connection."""
        assert self._transport is not None
        if self._meter.objects.point.silent:
            return
        connection = self._connection
        connection.receive_data(data)
        try:
            while (request := connection.next_request()) is not None:
                if answer := self._answer(request):
                    self._transport.write(answer)
            if pending := connection.data_to_send():
                self._transport.write(pending)
        except DlmsError:
            self._transport.abort()

    def _answer(self, request: Request) -> bytes:
        connection = self._connection
        match request:
            case Answered():
                return request.apdu
            case acse.AssociationRequest():
                return self._associate(request)
            case ReleaseRequested():
                return connection.release()
        if not connection.associated:
            return connection.not_associated()
        match request:
            case xdlms.GetRequest():
                value = self._get(request)
                if isinstance(value, int):
                    return connection.deny(request.invoke_id, value)
                return connection.answer(request.invoke_id, value)
            case xdlms.GetList():
                values = [self._get(item) for item in request.items]
                return connection.answer_list(request.invoke_id, values)
            case xdlms.GetNext():
                return connection.answer_next(request)
            case writing.SetRequest():
                return connection.written(request.invoke_id, self._set(request))
            case SetList():
                results = [
                    self._set(writing.SetRequest(request.invoke_id, attribute, value))
                    for attribute, value in request.items
                ]
                return connection.written_list(request.invoke_id, results)
            case writing.ActionRequest():
                result = xdlms.DENIED if self._is_public else self._meter.act(request)
                return connection.acted(request.invoke_id, result)

    def _get(self, request: xdlms.GetRequest) -> bytes | int:
        return self._meter.objects.get(request, public=self._is_public)

    def _set(self, request: writing.SetRequest) -> int:
        return xdlms.DENIED if self._is_public else self._meter.objects.set(request)

    def _associate(self, request: acse.AssociationRequest) -> bytes:
        if diagnostic := self._meter.refusal(request, self._connection.link.client):
            return self._connection.refuse(diagnostic)
        is_named = request.mechanism != Mechanism.NONE
        self._is_public = self._meter.setup.ciphering is not None and not is_named
        return self._connection.accept()


class DlmsServers:
    """Serves meter points, each on a TCP port that the system chose.

    Parameters
    ----------
    counters : CounterStore, optional
        Where the meters keep their counters; without, they forget them with the process.
    on_keys : callable, optional
        Called with a meter and its keys when a client has replaced them, before it is told.

    Attributes
    ----------
    meters : dict of str to ServedMeter
    """

    def __init__(
        self,
        counters: CounterStore | None = None,
        on_keys: Callable[[str, Ciphering], None] | None = None,
    ) -> None:
        self._on_keys = on_keys
        self.meters: dict[str, ServedMeter] = {}
        self._counters = counters
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.Transport] = set()

    async def start(
        self,
        points: Sequence[MeterPoint],
        *,
        secrets: Mapping[str, bytes] | None = None,
        setups: Mapping[str, MeterSetup] | None = None,
        host: str = "127.0.0.1",
        connections: Mapping[str, type[DlmsConnection]] | None = None,
    ) -> dict[str, str]:
        """Serve the points; return the url of each by meter.

        Parameters
        ----------
        points : sequence of MeterPoint
        secrets : mapping of str to bytes, optional
            LLS password by meter; a meter without one asks for none.
        setups : mapping of str to MeterSetup, optional
            By meter; goes before `secrets`.
        host : str
        connections : mapping of str to type, optional
            Kind of connection by meter, as those of :mod:`meters.simulator.hostile_dlms`.
        """
        loop = asyncio.get_running_loop()
        urls: dict[str, str] = {}
        for point in points:
            setup = MeterSetup((secrets or {}).get(point.meter, b""))
            setup = (setups or {}).get(point.meter, setup)
            meter = ServedMeter(point, setup, self._counters, self._on_keys)
            self.meters[point.meter] = meter
            kind = (connections or {}).get(point.meter, DlmsConnection)
            server = await loop.create_server(self._accept(meter, kind), host, 0)
            self._servers.append(server)
            port = server.sockets[0].getsockname()[1]
            scheme = "hdlc" if meter.setup.link == "hdlc" else "dlms"
            urls[point.meter] = f"{scheme}://{host}:{port}/{WPORT}"
        return urls

    async def push(self, meter: str, host: str, port: int) -> None:
        """Let a meter tell its registers to whoever listens there, protected if it can."""
        objects = self.meters[meter].objects
        await self._tell(meter, objects.clock_time(), objects.registers(), host, port)

    async def gasp(self, meter: str, at_s: int, host: str, port: int) -> None:
        """Let a meter tell that it lost its supply at an instant; return once that was taken."""
        when, value = self.meters[meter].objects.last_gasp(at_s)
        await self._tell(meter, when, value, host, port)

    async def _tell(self, meter: str, when: bytes, value: bytes, host: str, port: int) -> None:
        served = self.meters[meter]
        apdu = push.encode_notification(push.Notification(1, when, None), value)
        if served.setup.ciphering is not None:
            apdu = served.new_cipher().protect(apdu)
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(frame(WPORT, _PUSH_PORT, apdu))
        writer.write_eof()
        with suppress(OSError, TimeoutError):
            # Whoever listens closes the connection when it has taken all.
            async with asyncio.timeout(_TAKEN_S):
                await reader.read()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def stop(self) -> None:
        """Close every port and connection."""
        await close_all(self._servers, self._open)

    def _accept(
        self, meter: ServedMeter, kind: type[DlmsConnection]
    ) -> Callable[[], DlmsConnection]:
        return lambda: kind(meter, self._open)
