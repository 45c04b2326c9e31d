"""Bytes of the standards, written out: what we send and understand is theirs."""

import pytest

from grid import interval
from grid.errors import BadInputError
from meters import obis
from meters.dlms import acse, civil_time, data, initiate, wrapper, xdlms
from meters.dlms.connection import ClientConnection
from meters.dlms.errors import DlmsError
from meters.dlms.events import (
    AccessRefused,
    Associated,
    AssociationRefused,
    Released,
    ValueReceived,
)
from meters.dlms.initiate import InitiateRequest, InitiateResponse
from meters.dlms.security import Key
from meters.dlms.selection import encode_range
from meters.dlms.wrapper import WrapperLink
from meters.dlms.xdlms import Attribute

AARQ = "601da109060760857405080101be10040e01000000065f1f0400007e1f04b0"
AARQ_LLS = (
    "6036a1090607608574050801018a0207808b0760857405080201ac0a80083132333435363738"
    "be10040e01000000065f1f0400007e1f04b0"
)
AARE = "6129a109060760857405080101a203020100a305a103020100be10040e0800065f1f040000501f01f40007"
AARE_FAILED = "611fa109060760857405080101a203020101a305a103020102be0604040e010601"
CLOCK = Attribute(8, bytes.fromhex("0000010000ff"), 2)
IMPORT = Attribute(3, bytes.fromhex("0100010800ff"), 2)


def connected() -> ClientConnection:
    connection = ClientConnection(WrapperLink(16, 1))
    connection.associate()
    connection.receive_data(framed(AARE))
    assert connection.next_event() == Associated(0x00501F, 500)
    return connection


def framed(apdu: str) -> bytes:
    octets = bytes.fromhex(apdu)
    return bytes.fromhex("000100010010") + len(octets).to_bytes(2, "big") + octets


def test_aarq_without_security_is_the_one_of_the_standard() -> None:
    sent = ClientConnection(WrapperLink(16, 1)).associate()
    assert sent.hex() == "000100100001001f" + AARQ


def test_aarq_with_low_level_security_is_the_one_of_the_standard() -> None:
    connection = ClientConnection(
        WrapperLink(16, 1), mechanism=acse.Mechanism.LLS, secret=b"12345678"
    )
    assert connection.associate()[8:].hex() == AARQ_LLS


def test_meter_understands_both_aarq_of_the_standard() -> None:
    wanted = initiate.encode_request(InitiateRequest(0x007E1F, 1200))
    plain = acse.decode_aarq(bytes.fromhex(AARQ))
    assert plain == acse.AssociationRequest(0, b"", wanted)
    assert acse.decode_aarq(bytes.fromhex(AARQ_LLS)) == acse.AssociationRequest(
        1, b"12345678", wanted
    )
    assert initiate.decode_request(wanted) == InitiateRequest(0x007E1F, 1200)


def test_aare_of_the_standard_is_understood_and_written() -> None:
    response = acse.decode_aare(bytes.fromhex(AARE))
    agreed = InitiateResponse(0x00501F, 500)
    assert response == acse.AssociationResponse(0, 0, initiate.encode_response(agreed))
    assert initiate.decode_response(response.initiate) == agreed
    assert acse.encode_aare(response).hex() == AARE


def test_refused_aare_of_the_standard_names_its_reason() -> None:
    connection = ClientConnection(WrapperLink(16, 1))
    connection.associate()
    connection.receive_data(framed(AARE_FAILED))
    assert connection.next_event() == AssociationRefused("application context not supported")


def test_get_request_of_an_energy_register() -> None:
    assert connected().get(IMPORT)[8:].hex() == "c001c100030100010800ff0200"


def test_get_request_with_a_range_restricts_the_clock_column() -> None:
    since, until = (interval.parse(f"2024-06-15T{hour}:00Z") for hour in ("00", "01"))
    times = [civil_time.encode_date_time(at_s) for at_s in (since, until)]
    selection = encode_range(times[0], times[1], obis.CLOCK)
    request = connected().get(Attribute(7, obis.LOAD_PROFILE, 2), selection)[8:]
    assert request.hex() == (
        "c001c100070100630100ff0201"
        "01020402041200080906" + "0000010000ff" + "0f02120000"
        "090c07e8060f0600000000000000"
        "090c07e8060f0601000000000000"
        "0100"
    )
    decoded = xdlms.decode_request(request)
    assert isinstance(decoded, xdlms.GetRequest)
    assert decoded.selection is not None
    assert decoded.selection[0] == 1


def test_get_response_with_a_value() -> None:
    connection = connected()
    connection.get(IMPORT)
    connection.receive_data(framed("c401c100060000152e"))
    assert connection.next_event() == ValueReceived(5422)


def test_get_response_with_a_data_access_result() -> None:
    connection = connected()
    connection.get(IMPORT)
    connection.receive_data(framed("c401c10103"))
    assert connection.next_event() == AccessRefused("read-write denied")


def test_block_transfer_is_acknowledged_block_by_block() -> None:
    connection = connected()
    connection.get(IMPORT)
    connection.receive_data(framed("c402c1000000000100" + "04" + "09060102"))
    assert connection.next_event() is not None
    assert connection.proceed()[8:].hex() == "c002c100000001"
    connection.receive_data(framed("c402c1010000000200" + "04" + "03040506"))
    assert connection.next_event() == ValueReceived(bytes(range(1, 7)))


def test_block_with_another_number_is_refused() -> None:
    connection = connected()
    connection.get(IMPORT)
    connection.receive_data(framed("c402c1000000000200" + "04" + "09060102"))
    with pytest.raises(DlmsError, match="data block 2 came, must be 1"):
        connection.next_event()


def test_exception_response_is_a_refusal() -> None:
    connection = connected()
    connection.get(IMPORT)
    connection.receive_data(framed("d80102"))
    assert connection.next_event() == AccessRefused(
        "exception: service not allowed, service not supported"
    )


@pytest.mark.parametrize("rlre", ["6303800100", "6300", "63", "630380", "6303800100ff"])
def test_release_is_tolerated_however_the_meter_says_it(rlre: str) -> None:
    connection = connected()
    assert connection.release()[8:].hex() == "6203800100"
    connection.receive_data(framed(rlre))
    assert connection.next_event() == Released()


def test_answer_with_another_invoke_id_is_refused() -> None:
    connection = connected()
    connection.get(IMPORT, invoke_id=2)
    connection.receive_data(framed("c401c100060000152e"))
    with pytest.raises(DlmsError, match="invoke id 1, must have 2"):
        connection.next_event()
    with pytest.raises(DlmsError, match="failed before"):
        connection.next_event()


def test_answer_of_another_logical_device_is_refused() -> None:
    connection = connected()
    connection.get(IMPORT)
    connection.receive_data(bytes.fromhex("00010002001000 09 c401c100060000152e".replace(" ", "")))
    with pytest.raises(DlmsError, match="another logical device"):
        connection.next_event()


def test_bytes_that_are_no_wrapper_are_refused_at_the_second_byte() -> None:
    frames = wrapper.FrameBuffer()
    frames.feed(b"HT")
    with pytest.raises(DlmsError, match="wrapper"):
        frames.take()


def test_clock_vector_has_a_signed_deviation() -> None:
    instant = civil_time.decode_date_time(bytes.fromhex("07e8060f0614172d00ff8880"))
    assert instant == civil_time.Instant(interval.parse("2024-06-15T18:23:45Z"), -120, True)
    assert civil_time.encode_date_time(instant.at_s, -120).hex() == "07e8060f0614172d00ff8800"


def test_unspecified_deviation_takes_the_zone_and_needs_one() -> None:
    octets = bytes.fromhex("07e8060f0614172dff800000")
    zone = interval.zone("Asia/Baku")
    assert civil_time.decode_date_time(octets, zone).at_s == interval.parse("2024-06-15T16:23:45Z")
    with pytest.raises(DlmsError, match="no standard zone"):
        civil_time.decode_date_time(octets)


def test_both_hours_of_an_autumn_change_stay_distinct() -> None:
    zone = interval.zone("Europe/Berlin")
    summer = bytes.fromhex("07ea0a19070 21e00 00 8000 80".replace(" ", ""))
    winter = summer[:-1] + b"\x00"
    first, second = (civil_time.decode_date_time(octets, zone).at_s for octets in (summer, winter))
    assert interval.label(first) == "2026-10-25T00:30Z"
    assert interval.label(second) == "2026-10-25T01:30Z"
    with pytest.raises(DlmsError, match="two instants"):
        civil_time.decode_date_time(summer[:-1] + b"\xff", zone)
    assert civil_time.encode_date_time(first, None, zone) == summer
    assert civil_time.encode_date_time(second, None, zone) == winter


@pytest.mark.parametrize(
    "octets",
    [
        "ffff060f0614172d00000000",  # year unspecified
        "07e8ff0f0614172d00000000",  # month unspecified
        "07e8060f06ff172d00000000",  # hour unspecified
        "07e8021e0614172d00000000",  # 30 February
        "07e8060f0614172d007fff00",  # deviation of 22 days
        "07e8060f0614172d0000",
    ],
)
def test_date_time_that_is_no_instant_is_refused(octets: str) -> None:
    with pytest.raises(DlmsError):
        civil_time.decode_date_time(bytes.fromhex(octets))


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        ("00", None),
        ("0301", True),
        ("040ad280", data.BitString(10, b"\xd2\x80")),
        ("05fffffffe", -2),
        ("06fffffffe", 0xFFFFFFFE),
        ("0903010203", b"\x01\x02\x03"),
        ("0a03414243", "ABC"),
        ("0c02d6b7", "ַ"),
        ("0fff", -1),
        ("10fffe", -2),
        ("11ff", 255),
        ("12ffff", 65535),
        ("14ffffffffffffffff", -1),
        ("15ffffffffffffffff", 2**64 - 1),
        ("161e", 30),
        ("173f800000", 1.0),
        ("183ff0000000000000", 1.0),
        ("1907e8060f0614172d00ff8880", bytes.fromhex("07e8060f0614172d00ff8880")),
        ("1a07e8060f06", bytes.fromhex("07e8060f06")),
        ("1b14172d00", bytes.fromhex("14172d00")),
        ("01020f010f02", [1, 2]),
        ("02020fff161e", (-1, 30)),
        ("09810141", b"A"),
    ],
)
def test_data_types_of_the_standard(octets: str, value: object) -> None:
    assert data.decode(bytes.fromhex(octets)) == value


@pytest.mark.parametrize("octets", ["", "060000", "09ff", "010502", "0981", "13", "0185ff", "0f"])
def test_values_that_are_cut_short_or_unknown_are_refused(octets: str) -> None:
    with pytest.raises(DlmsError):
        data.decode(bytes.fromhex(octets))


def test_count_above_the_bytes_that_remain_is_refused_at_once() -> None:
    with pytest.raises(DlmsError, match="4294967295 bytes or elements are claimed, 0 bytes remain"):
        data.decode(bytes.fromhex("0184ffffffff"))


def test_depth_is_bounded() -> None:
    assert data.decode(b"\x01\x01" * 16 + b"\x00") is not None
    with pytest.raises(DlmsError, match="deeper"):
        data.decode(b"\x01\x01" * 17 + b"\x00")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1-0:1.8.0", "0100010800ff"),
        ("1.0.99.1.0.255", "0100630100ff"),
        ("0-0:1.0.0*1", "000001000001"),
    ],
)
def test_obis_codes_in_both_notations(text: str, code: str) -> None:
    assert obis.parse(text).hex() == code
    assert obis.parse(obis.label(bytes.fromhex(code))).hex() == code


@pytest.mark.parametrize("text", ["", "1.8.0", "1-0:1.8.256", "1-0:1.8.0.", "١-0:1.8.0"])
def test_text_that_is_no_obis_code_is_refused(text: str) -> None:
    with pytest.raises(BadInputError):
        obis.parse(text)


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        ("13 06 08 00000001 00000002", [1, 2]),
        ("13 02 02 11 12 06 010002 030004", [(1, 2), (3, 4)]),
        ("13 02 03 00 11 00 02 0506", [(None, 5, None), (None, 6, None)]),
        ("13 02 02 09 0f 06 02aabb7f 00ff", [(b"\xaa\xbb", 127), (b"", -1)]),
        ("13 01 0002 11 04 01020304", [[1, 2], [3, 4]]),
        ("13 11 00", []),
        ("02 02 13 11 01 07 11 08", ([7], 8)),
    ],
)
def test_compact_array_has_its_type_once(octets: str, value: object) -> None:
    assert data.decode(bytes.fromhex(octets.replace(" ", ""))) == value


@pytest.mark.parametrize(
    "octets",
    [
        *("13", "1302", "130211", "1306", "130603000000", "13060500000001ff", "13130100"),
        *("130001ff", "1301000000 0101", "13 01 ffff 00 01 01", "13 02 8101 02 00"),
    ],
)
def test_compact_array_that_is_malformed_or_endless_is_refused(octets: str) -> None:
    with pytest.raises(DlmsError):
        data.decode(bytes.fromhex(octets.replace(" ", "")))


def test_compact_array_is_bounded_by_what_it_builds() -> None:
    nulls = b"\x02\x81\xff" + b"\x00" * 254 + b"\x11"
    contents = bytes(60_000)
    octets = b"\x13" + nulls + b"\x82" + len(contents).to_bytes(2, "big") + contents
    with pytest.raises(DlmsError, match="more than 32768 values"):
        data.decode(octets)


def test_ciphering_vector_of_the_standard() -> None:
    key, authentication_key = Key(bytes(range(16))), bytes(range(0xD0, 0xE0))
    nonce = bytes.fromhex("4d4d4d0000bc614e01234567")
    plain = bytes.fromhex("c0010000080000010000ff0200")
    sealed = key.seal(0x30, nonce, plain, authentication_key)
    assert sealed.hex() == "411312ff935a47566827c467bc7d825c3be4a77c3fcc056b6b"
    assert key.open(0x30, nonce, sealed, authentication_key) == plain
