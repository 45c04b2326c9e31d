"""Whatever bytes come: the codec returns or raises its own error, and soon."""

import itertools
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meters import obis
from meters.dlms import acse, civil_time, cosem, data, profile_generic, set_list, writing, xdlms
from meters.dlms.connection import ClientConnection, State
from meters.dlms.data import BitString, Tag
from meters.dlms.errors import DlmsError, LocalProtocolError
from meters.dlms.events import Continues
from meters.dlms.exchange import MAX_RESPONSE
from meters.dlms.server import ServerConnection
from meters.dlms.wrapper import WrapperLink
from meters.dlms.xdlms import Attribute

AARE = bytes.fromhex(
    "6129a109060760857405080101a203020100a305a103020100be10040e0800065f1f040000501f01f40007"
)
ROW = bytes.fromhex("0205090c07e8060f061400000000000006000000010600000002000600000004")
PROFILE = b"\x01\x04" + ROW * 4
ANSWERS = {
    "value": bytes.fromhex("c401c100060000152e"),
    "scaler": bytes.fromhex("c401c10002020fff161e"),
    "clock": bytes.fromhex("c401c100090c07e8060f0614172d00ff8880"),
    "refusal": bytes.fromhex("c401c1010b"),
    "exception": bytes.fromhex("d80102"),
    "service error": bytes.fromhex("0e010601"),
    "block": bytes.fromhex("c402c100000000010004") + b"\x09\x06\x01\x02",
    "last block": bytes.fromhex("c402c101000000010004") + b"\x09\x02\x01\x02",
    "profile": bytes.fromhex("c401c100") + PROFILE,
}
COLUMNS = (
    Attribute(cosem.CLOCK, obis.CLOCK, 2),
    *(Attribute(cosem.REGISTER, code, 2) for code in obis.ENERGY),
)
LIMIT_S = 0.1
DECODE_S = 0.05


def framed(apdu: bytes) -> bytes:
    return bytes.fromhex("000100010010") + len(apdu).to_bytes(2, "big") + apdu


def associating() -> ClientConnection:
    connection = ClientConnection(WrapperLink(16, 1))
    connection.associate()
    return connection


def ready() -> ClientConnection:
    connection = associating()
    connection.receive_data(framed(AARE))
    connection.next_event()
    return connection


def getting() -> ClientConnection:
    connection = ready()
    connection.get(Attribute(7, obis.LOAD_PROFILE, 2))
    return connection


def releasing() -> ClientConnection:
    connection = ready()
    connection.release()
    return connection


def drain(connection: ClientConnection, octets: bytes) -> None:
    """Feed bytes and follow every event; at most one event for each eight bytes."""
    began = time.process_time()
    connection.receive_data(octets)
    try:
        for _ in range(len(octets) // 8 + 1):
            event = connection.next_event()
            if event is None:
                break
            if isinstance(event, Continues):
                connection.proceed()
            value = getattr(event, "value", None)
            for means in (
                lambda value: profile_generic.parse_rows(
                    value, COLUMNS, COLUMNS[1:], {}, clock=COLUMNS[0], period_s=900
                ),
                civil_time.decode_date_time,
                profile_generic.parse_capture_objects,
                lambda value: cosem.parse_scaler(value, cosem.UNIT_WH),
                lambda value: cosem.scale_energy(value, -1),
                lambda value: cosem.scale_voltage(value, -1),
            ):
                with suppress(DlmsError):
                    means(value)
        else:
            pytest.fail("more events than frames")
    except DlmsError:
        assert connection.state is State.ERROR
    assert time.process_time() - began < LIMIT_S


FRAMES: list[tuple[str, Callable[[], ClientConnection], bytes]] = [
    ("aare", associating, framed(AARE)),
    *((name, getting, framed(apdu)) for name, apdu in ANSWERS.items()),
    ("rlre", releasing, framed(bytes.fromhex("6303800100"))),
]


@pytest.mark.parametrize(("start", "octets"), [f[1:] for f in FRAMES], ids=[f[0] for f in FRAMES])
def test_every_truncation_ends(start: Callable[[], ClientConnection], octets: bytes) -> None:
    for length in range(len(octets)):
        drain(start(), octets[:length])
        # The same cut inside the APDU, in a wrapper that tells the shorter length.
        if length > 8:
            drain(start(), framed(octets[8:length]))


@pytest.mark.parametrize(("start", "octets"), [f[1:] for f in FRAMES], ids=[f[0] for f in FRAMES])
def test_every_bit_flip_ends(start: Callable[[], ClientConnection], octets: bytes) -> None:
    for bit in range(8 * len(octets)):
        flipped = bytearray(octets)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        drain(start(), bytes(flipped))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([associating, ready, getting, releasing]), st.binary(max_size=300))
def test_any_apdu_in_any_state_ends(start: Callable[[], ClientConnection], apdu: bytes) -> None:
    drain(start(), framed(apdu))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", b"\x60", b"\xc0\x01", b"\xc0\x02", b"\x62"]))
def test_meter_side_survives_any_request(octets: bytes, head: bytes) -> None:
    server = ServerConnection()
    server.receive_data(framed(head + octets))
    with suppress(DlmsError):
        server.next_request()


NULLS = b"\x02\x7f" + bytes(127)
SHAPES = b"".join(
    b"\x02" + bytes((len(tags),)) + b"".join(bytes((tag,)) + bytes(tag > 0) for tag in tags)
    for count in (1, 2, 3, 4)
    for tags in itertools.product((0, 3, 15, 17, 22), repeat=count)
)
ELEMENTS = {
    "nulls": b"\x00",
    "numbers": b"\x0f\x00",
    "empty arrays": b"\x01\x00",
    "empty structures": b"\x02\x00",
    "empty octet strings": b"\x09\x00",
    "empty texts": b"\x0a\x00\x0c\x00",
    "texts": b"\x0a\x01a",
    "no bits": b"\x04\x00",
    "bits": b"\x04\x09\x00\x00",
    "null and number": b"\x00\x0f\x00",
    "seven nulls and a number": bytes(7) + b"\x0f\x00",
    "arrays in arrays": b"\x01\x01" * 14 + b"\x01\x00",
    "rows of nulls": NULLS,
    "rows of two kinds": b"\x02\x01\x00\x01\x00",
    "rows of many kinds": SHAPES,
}


def longest(element: bytes) -> tuple[bytes, int]:
    """Return an array as long as an answer may be, and the number of its elements."""
    each = at = 0
    while at < len(element):
        _, at = data.take(element, at)
        each += 1
    times = (MAX_RESPONSE - 5) // len(element)
    return b"\x01\x83" + (times * each).to_bytes(3, "big") + element * times, times * each


def slowness() -> float:
    """Return how much longer than 15 ms a bare loop takes here; limits are stated for those."""
    spent = []
    for _ in range(4):
        began, total = time.process_time(), 0
        for number in range(300_000):
            total += number & 7
        spent.append(time.process_time() - began)
    return max(1.0, min(spent) / 0.015)


def quickest_s(
    octets: bytes, decode: Callable[[bytes], object] = data.decode
) -> tuple[float, object]:
    """Return the CPU time of a decoding: the best of four, which no neighbour has slowed."""
    spent = []
    for _ in range(4):
        began = time.process_time()
        try:
            decoded = decode(octets)
        except DlmsError as error:
            decoded = error
        spent.append(time.process_time() - began)
    return min(spent) / slowness(), decoded


@pytest.mark.parametrize("name", ELEMENTS)
def test_longest_answer_allowed_is_decoded_within_the_limit(name: str) -> None:
    octets, count = longest(ELEMENTS[name])
    spent_s, decoded = quickest_s(octets)
    assert isinstance(decoded, list)
    assert len(decoded) == count
    assert spent_s < DECODE_S


COMPACT = {
    "numbers": ("11", b"\1", 60_000, 60_000),
    "texts": ("0a", b"\0", 32_000, 32_000),
    "bits": ("020404040404", b"\x09\0\0" * 4, 3_600, 3_600),
    "structures": ("02030602010011", b"\0\0\0\1\2", 6_000, 6_000),
    "arrays": ("01000311", b"\1\2\3", 8_000, 8_000),
}


@pytest.mark.parametrize("name", COMPACT)
def test_longest_compact_array_allowed_is_decoded_within_the_limit(name: str) -> None:
    kind, element, times, count = COMPACT[name]
    contents = element * times
    octets = b"\x13" + bytes.fromhex(kind) + data.length_bytes(len(contents)) + contents
    assert len(octets) <= MAX_RESPONSE
    spent_s, decoded = quickest_s(octets)
    assert isinstance(decoded, list)
    assert len(decoded) == count
    assert spent_s < DECODE_S


@pytest.mark.parametrize("one", ["131100", "13020000", "1302021111020102", "130201090100"])
def test_many_compact_arrays_are_refused_within_the_limit(one: str) -> None:
    spent_s, refused = quickest_s(longest(bytes.fromhex(one))[0])
    assert str(refused) == "compact arrays hold more than 32768 values"
    assert spent_s < DECODE_S


def test_values_of_a_list_share_what_they_may_build() -> None:
    # One byte builds four values: each alone is allowed, and 64 of them are not.
    one = b"\x13\x02\x02\x00\x11\x82\x03\xe8" + bytes(1000)
    assert data.decode(one) == [(None, 0)] * 1000
    clock = COLUMNS[0]
    for decode, octets in (
        (xdlms.take_results, xdlms.encode_results([one] * 64)),
        (xdlms.decode_request, xdlms.encode_get_list(1, [(clock, b"\1" + one)] * 64)),
        (writing.decode_set_request, set_list.encode_set_list(1, [(clock, one)] * 64)),
    ):
        spent_s, refused = quickest_s(octets, decode)
        assert str(refused) == "compact arrays hold more than 32768 values"
        assert spent_s < DECODE_S


def test_a_short_answer_builds_no_more_than_its_bytes_allow() -> None:
    nulls = b"\x13\x02\x81\xff" + bytes(254) + b"\x11\x7e" + bytes(126)
    spent_s, refused = quickest_s(nulls)
    assert str(refused) == f"compact arrays hold more than {4 * len(nulls) + 256} values"
    assert spent_s < DECODE_S / 10


@pytest.mark.parametrize("block", [b"\x82\x40\x00" + b"\x00" * 0x4000, b"\x00"])
def test_blocks_without_end_are_cut_off(block: bytes) -> None:
    connection = getting()
    acknowledged = 0

    def transfer() -> None:
        nonlocal acknowledged
        while True:
            head = bytes.fromhex("c402c100") + (acknowledged + 1).to_bytes(4, "big") + b"\x00"
            connection.receive_data(framed(head + block))
            connection.next_event()
            connection.proceed()
            acknowledged += 1

    with pytest.raises(DlmsError, match="longer than"):
        transfer()
    assert acknowledged == (4 if len(block) > 1 else 1 << 14)


def test_asking_out_of_turn_is_our_own_bug() -> None:
    with pytest.raises(LocalProtocolError, match="get is not allowed in state IDLE"):
        ClientConnection(WrapperLink(16, 1)).get(COLUMNS[0])
    with pytest.raises(LocalProtocolError, match="GETTING"):
        getting().release()


def _integers(tag: Tag, bits: int, *, signed: bool) -> st.SearchStrategy[tuple[Tag, object]]:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return st.integers(low, high).map(lambda value: (tag, value))


SCALARS = st.one_of(
    st.just((Tag.NULL, None)),
    st.booleans().map(lambda value: (Tag.BOOLEAN, value)),
    *(
        _integers(tag, bits, signed=signed)
        for tag, bits, signed in (
            (Tag.INT8, 8, True),
            (Tag.INT16, 16, True),
            (Tag.INT32, 32, True),
            (Tag.INT64, 64, True),
            (Tag.UINT8, 8, False),
            (Tag.UINT16, 16, False),
            (Tag.UINT32, 32, False),
            (Tag.UINT64, 64, False),
            (Tag.ENUM, 8, False),
        )
    ),
    st.floats(allow_nan=False).map(lambda value: (Tag.FLOAT64, value)),
    st.floats(allow_nan=False, width=32).map(lambda value: (Tag.FLOAT32, value)),
    st.binary(max_size=300).map(lambda value: (Tag.OCTET_STRING, value)),
    st.text(st.characters(max_codepoint=127), max_size=20).map(lambda v: (Tag.VISIBLE_STRING, v)),
    st.text(max_size=20).map(lambda value: (Tag.UTF8_STRING, value)),
    st.binary(min_size=12, max_size=12).map(lambda value: (Tag.DATE_TIME, value)),
    st.binary(min_size=5, max_size=5).map(lambda value: (Tag.DATE, value)),
    st.binary(min_size=4, max_size=4).map(lambda value: (Tag.TIME, value)),
    st.binary(min_size=2, max_size=2).map(lambda value: (Tag.BIT_STRING, BitString(13, value))),
)
TYPED = st.recursive(
    SCALARS,
    lambda inner: st.tuples(
        st.sampled_from((Tag.ARRAY, Tag.STRUCTURE)), st.lists(inner, max_size=5)
    ),
    max_leaves=20,
)


def _plain(tag: Tag, value: object) -> object:
    if tag is Tag.ARRAY:
        return [_plain(*element) for element in value]
    if tag is Tag.STRUCTURE:
        return tuple(_plain(*element) for element in value)
    return value


@settings(max_examples=200, deadline=None)
@given(TYPED)
def test_every_value_comes_back_as_it_was(typed: tuple[Tag, object]) -> None:
    octets = data.encode(*typed)
    assert data.decode(octets) == _plain(*typed)
    for length in range(min(len(octets), 60)):
        with pytest.raises(DlmsError):
            data.decode(octets[:length])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=3000), st.integers(20, 600))
def test_block_transfer_of_any_value_comes_back(octets: bytes, max_pdu: int) -> None:
    client, server = ClientConnection(WrapperLink(16, 1)), ServerConnection(max_pdu=max_pdu)
    server.receive_data(client.associate())
    assert isinstance(server.next_request(), acse.AssociationRequest)
    client.receive_data(server.accept())
    client.next_event()
    server.receive_data(client.get(COLUMNS[0]))
    request = server.next_request()
    assert isinstance(request, xdlms.GetRequest)
    answer = server.answer(request.invoke_id, data.encode(Tag.OCTET_STRING, octets))
    for _ in range(len(octets) + 2):
        assert len(answer) - 8 <= max_pdu
        client.receive_data(answer)
        event = client.next_event()
        if not isinstance(event, Continues):
            break
        server.receive_data(client.proceed())
        following = server.next_request()
        assert isinstance(following, xdlms.GetNext)
        answer = server.answer_next(following)
    assert event.value == octets


@settings(max_examples=100, deadline=None)
@given(st.integers(631_300_000, 7_258_000_000), st.integers(-840, 840))
def test_every_instant_comes_back_whatever_the_deviation(at_s: int, deviation: int) -> None:
    octets = civil_time.encode_date_time(at_s, deviation)
    assert civil_time.decode_date_time(octets) == civil_time.Instant(at_s, deviation, True)
