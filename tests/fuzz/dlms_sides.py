"""Targets of the DLMS/COSEM state machines: a client, a meter, and both behind ciphering."""

from __future__ import annotations

from functools import lru_cache

from meters import obis
from meters.dlms import acse, cosem, data, initiate, wrapper, writing
from meters.dlms.connection import ClientConnection, State
from meters.dlms.counters import MemoryCounterStore
from meters.dlms.errors import DlmsError, SecurityError
from meters.dlms.events import Continues
from meters.dlms.initiate import Conformance
from meters.dlms.listener import PushListener
from meters.dlms.security import Cipher
from meters.dlms.wrapper import WrapperLink
from meters.dlms.xdlms import Attribute
from meters.reading import Ciphering, RegisterRow
from meters.simulator.dlms import DlmsConnection, MeterSetup, ServedMeter
from meters.simulator.points import MeterPoint
from tests.fuzz import dlms_bytes
from tests.fuzz.dlms_bytes import AARE, AARQ, ANSWERS, GETS, WRITES, WRITTEN
from tests.fuzz.target import Target, joined, parts

T = 1_782_000_000
EK, AK = bytes(range(16)), bytes(range(0xD0, 0xE0))
CLIENT = Ciphering(b"KHZ\x00\x00\x00\x00\x01", EK, AK)
METER = Ciphering(b"KHZ\x00\x00\x00\x00\x99", EK, AK)
BUFFER = Attribute(cosem.PROFILE_GENERIC, obis.LOAD_PROFILE, 2)
METHOD = writing.Method(70, obis.DISCONNECT, 1)
EVERYTHING = initiate.PROPOSED | Conformance.GENERAL_BLOCK_TRANSFER
AGREED = initiate.encode_response(initiate.InitiateResponse(EVERYTHING, 90))
_POINT = MeterPoint(
    "M-1", T, [5_000, 0, 0, 0], 230.0, [RegisterRow(T - 900 * n, (n, 0, 0, 0)) for n in (3, 2, 1)]
)


def _framed(apdu: bytes) -> bytes:
    return wrapper.frame(1, 16, apdu)


def _asked(connection: ClientConnection, what: int) -> None:
    """Send one of the questions that a client may have out."""
    if what & 7 == 0:
        connection.get(BUFFER)
    elif what & 7 == 1:
        connection.get_list([(BUFFER, b""), (BUFFER, b""), (BUFFER, b"")])
    elif what & 7 == 2:
        connection.set(BUFFER, data.encode(data.Tag.OCTET_STRING, b"v" * 200))
    elif what & 7 == 3:
        connection.action(METHOD, b"\x0f\x00")
    elif what & 7 == 4:
        connection.release()
    elif what & 7 == 5:
        connection.set_list([(BUFFER, b"\x09\x32" + b"v" * 50)])
    elif what & 7 == 6:
        connection.action(METHOD, data.encode(data.Tag.OCTET_STRING, b"v" * 200))


def _follow(connection: ClientConnection, octets: bytes) -> None:
    """Give APDUs and follow every event; each takes an APDU."""
    for piece in parts(octets):
        if not 0 < len(piece) <= wrapper.MAX_APDU:
            continue
        connection.receive_data(_framed(piece))
        try:
            event = connection.next_event()
        except DlmsError:
            assert connection.state is State.ERROR
            raise
        if isinstance(event, Continues):
            assert connection.proceed()
        elif event is not None and connection.state is State.READY:
            dlms_bytes.objects(getattr(event, "value", None))
            _asked(connection, piece[-1])


def client(octets: bytes) -> None:
    """A client that gets an AARE and answers; the first byte says how far it is."""
    connection = ClientConnection(WrapperLink(16, 1), conformance=EVERYTHING)
    connection.associate()
    if octets[:1] > b"\x07":
        connection.receive_data(_framed(acse.encode_aare(acse.AssociationResponse(0, 0, AGREED))))
        connection.next_event()
        _asked(connection, octets[0])
    _follow(connection, octets[1:])


class Transport:
    """Takes what a meter sends."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def write(self, octets: bytes) -> None:
        """Keep bytes."""
        self.sent.append(octets)

    def abort(self) -> None:
        """End."""


@lru_cache
def _served(setup: MeterSetup) -> ServedMeter:
    return ServedMeter(_POINT, setup)


def _meter(setup: MeterSetup) -> DlmsConnection:
    """Return a connection to a meter as it left the factory; making its objects takes longest."""
    served = _served(setup)
    served.counters, served.client_title = MemoryCounterStore(), b""
    served.objects.is_connected = True
    served.objects.events.clear()
    _POINT.clock_s = T
    connection = DlmsConnection(served, set())
    connection._transport = Transport()  # type: ignore[assignment]
    return connection


def meter(octets: bytes) -> None:
    """A meter that gets requests; with an odd first byte they come after an association."""
    served = _meter(MeterSetup(max_pdu=60 if octets[:1] < b"\x80" else 512))
    if octets and octets[0] & 1:
        wanted = initiate.InitiateRequest(EVERYTHING if octets[0] & 2 else 0x7E1F, 1200)
        request = acse.AssociationRequest(0, b"", initiate.encode_request(wanted))
        served.data_received(wrapper.frame(16, 1, acse.encode_aarq(request)))
    for piece in parts(octets[1:]):
        if piece:
            served.data_received(wrapper.frame(16, 1, piece))


def _ciphered_client() -> tuple[ClientConnection, Cipher]:
    """Return a client in an association, and the meter's end of the protection."""
    cipher, other = (Cipher(one, MemoryCounterStore()) for one in (CLIENT, METER))
    connection = ClientConnection(WrapperLink(16, 1), cipher=cipher, conformance=EVERYTHING)
    connection.associate()
    other.meet(CLIENT.title)
    response = acse.AssociationResponse(
        0, 0, other.protect(AGREED), acse.Context.CIPHERED, METER.title
    )
    connection.receive_data(_framed(acse.encode_aare(response)))
    connection.next_event()
    return connection, other


def ciphered(octets: bytes) -> None:
    """Bytes in place of a protected APDU: nothing but a valid tag is taken."""
    cipher = Cipher(CLIENT, MemoryCounterStore())
    cipher.meet(METER.title)
    for piece in parts(octets):
        try:
            plain = cipher.unprotect(piece)
        except DlmsError:
            continue
        assert piece in _SEALED
        assert plain in ANSWERS


def ciphered_client(octets: bytes) -> None:
    """A client whose meter has the keys and protects nonsense."""
    connection, other = _ciphered_client()
    _asked(connection, octets[0] if octets else 0)
    pieces = [other.protect(piece) for piece in parts(octets[1:]) if piece]
    _follow(connection, joined(*pieces))


def ciphered_meter(octets: bytes) -> None:
    """A meter whose client has the keys and protects nonsense."""
    served = _meter(MeterSetup(b"s3cret", METER, max_pdu=100))
    cipher = Cipher(CLIENT, MemoryCounterStore())
    cipher.meet(METER.title)
    wanted = initiate.encode_request(initiate.InitiateRequest(EVERYTHING, 1200))
    first = octets[0] if octets else 0
    mechanism, secret = (5, b"c" * 16) if first & 1 else (1, b"s3cret")
    request = acse.AssociationRequest(
        mechanism, secret, cipher.protect(wanted), acse.Context.CIPHERED, CLIENT.title
    )
    served.data_received(wrapper.frame(16, 1, acse.encode_aarq(request)))
    for piece in parts(octets[1:]):
        if piece:
            served.data_received(wrapper.frame(16, 1, cipher.protect(piece)))


def listener(octets: bytes) -> None:
    """What meters tell unasked, protected by one that is known or not at all."""
    heard = PushListener(
        lambda _: None,
        lambda _: None,
        ciphering_of=lambda title: CLIENT if title == METER.title else None,
        counters=MemoryCounterStore(),
        is_open=octets[:1] < b"\x80",
    )
    apdu = octets[1:]
    if octets[:1] >= b"\xc0" and apdu:
        try:
            other = Cipher(METER, MemoryCounterStore())
            apdu = other.protect(b"\x0f" + apdu)
        except SecurityError:
            return
    if apdu:
        heard.open(1, apdu)


def _sealed() -> tuple[bytes, ...]:
    other = Cipher(METER, MemoryCounterStore())
    other.meet(CLIENT.title)
    return tuple(other.protect(answer) for answer in ANSWERS)


_SEALED = _sealed()
_EACH = [*ANSWERS, *WRITTEN]
_REQUESTS = [*GETS, *WRITES, b"\x62\x03\x80\x01\x00"]
TARGETS = {
    "client": Target(
        client,
        [
            b"\x00" + joined(AARE),
            *(bytes((8 + n % 8,)) + joined(one) for n, one in enumerate(_EACH)),
        ],
        1024,
    ),
    "meter": Target(
        meter, [b"\x00" + joined(AARQ), *(b"\x03" + joined(one) for one in _REQUESTS)], 1024
    ),
    "ciphered": Target(ciphered, [joined(one) for one in _SEALED], 512),
    "ciphered-client": Target(
        ciphered_client, [bytes((n % 8,)) + joined(one) for n, one in enumerate(_EACH)], 512
    ),
    "ciphered-meter": Target(
        ciphered_meter, [bytes((n % 2,)) + joined(one) for n, one in enumerate(_REQUESTS)], 512
    ),
    "listener": Target(
        listener,
        [b"\x00" + one for one in dlms_bytes.TARGETS["push"].seeds]
        + [b"\xc0" + one[1:] for one in dlms_bytes.TARGETS["push"].seeds],
        512,
    ),
}
