"""Targets of the DLMS/COSEM codec below the association: frames, values, APDUs."""

from __future__ import annotations

from contextlib import suppress

from grid import interval
from grid.errors import GridError
from meters import media, obis
from meters.dlms import (
    acse,
    action_blocks,
    civil_time,
    compact,
    cosem,
    data,
    hdlc,
    initiate,
    profile_generic,
    push,
    refusals,
    selection,
    set_list,
    wrapper,
    writing,
    xdlms,
)
from meters.dlms.action_blocks import ActionBlock, ActionNext, ActionResponseBlock, Method
from meters.dlms.data import BitString, Tag
from meters.dlms.errors import DlmsError
from meters.dlms.gbt import BlockTransfer
from meters.dlms.hdlc_link import HdlcClientLink, HdlcLink, HdlcServerLink
from meters.dlms.xdlms import Attribute
from tests.fuzz.target import Target, joined, parts

CLOCK = Attribute(cosem.CLOCK, obis.CLOCK, 2)
ENERGY = tuple(Attribute(cosem.REGISTER, code, 2) for code in obis.ENERGY)
DISCONNECT = Method(70, obis.DISCONNECT, 1)
CODE = Attribute(cosem.DATA, obis.EVENT_CODE, 2)
BERLIN = interval.zone("Europe/Berlin")
TIME = bytes.fromhex("07e8060f0614172d00ff8880")
ROW = (
    b"\x02\x05\x09\x0c" + TIME + b"\x06\x00\x00\x00\x01\x06\x00\x00\x00\x02\x00\x06\x00\x00\x00\x04"
)
PROFILE = b"\x01\x04" + ROW * 3 + b"\x02\x05\x00" + ROW[16:]
AARQ = acse.encode_aarq(
    acse.AssociationRequest(
        1, b"12345678", initiate.encode_request(initiate.InitiateRequest(0x7E1F, 1200))
    )
)
AARE = acse.encode_aare(
    acse.AssociationResponse(
        0, 0, initiate.encode_response(initiate.InitiateResponse(0x7E1F, 500)), challenge=b"c" * 16
    )
)
VALUES = (
    b"\x00",
    data.encode(Tag.BIT_STRING, BitString(13, b"\xd2\x80")),
    data.encode(Tag.FLOAT64, 1.5),
    data.encode(Tag.UTF8_STRING, "Xəzri"),
    data.encode(Tag.DATE_TIME, TIME),
    bytes.fromhex("02020fff161e"),
    bytes.fromhex("1302021112 06 010002030004"),
    PROFILE,
)
COMPACT = tuple(
    bytes.fromhex(text)
    for text in ("0608 00000001 00000002", "02021112 06 010002030004", "0100021104 01020304")
)
SELECTIONS = (
    selection.encode_range(TIME, TIME, obis.CLOCK, ENERGY[:2]),
    selection.encode_entries(1, 3, 2, 3),
)
GETS = (
    xdlms.encode_get(1, CLOCK),
    xdlms.encode_get(1, CLOCK, SELECTIONS[0]),
    xdlms.encode_get_list(2, [(CLOCK, b""), (CLOCK, SELECTIONS[1])]),
    xdlms.encode_next(1, 7),
)
ANSWERS = (
    xdlms.encode_response(1, PROFILE),
    xdlms.encode_access_result(1, 3),
    xdlms.encode_block(1, 1, False, PROFILE[:9]),
    xdlms.encode_list_response(1, xdlms.encode_results([b"\x00", 3, PROFILE])),
    refusals.encode_exception(1, 6, 77),
    bytes.fromhex("0e010601"),
)
WRITES = (
    writing.encode_set(1, CLOCK, b"\x09\x0c" + TIME),
    writing.encode_set_block(writing.SetBlock(1, CLOCK, 1, False, TIME)),
    writing.encode_set_block(writing.SetBlock(1, None, 2, True, TIME)),
    writing.encode_action(1, DISCONNECT, b"\x0f\x00"),
    set_list.encode_set_list(1, [(CLOCK, b"\x09\x0c" + TIME), (CODE, b"\x11\x01")]),
    set_list.encode_first(set_list.SetListBlock(1, (CLOCK, CODE), 1, False, TIME)),
    action_blocks.encode_block(ActionBlock(1, DISCONNECT, 1, False, b"\x0f")),
    action_blocks.encode_block(ActionBlock(1, None, 2, True, b"\x00")),
    action_blocks.encode_next(ActionNext(1, 1)),
)
WRITTEN = (
    writing.encode_set_response(1, 0),
    writing.encode_set_next(1, 1),
    writing.encode_set_last(1, 0, 2),
    writing.encode_action_response(1, 0, b"\x0f\x00"),
    set_list.encode_response(set_list.SetListResponse(1, (0, 3))),
    set_list.encode_response(set_list.SetListResponse(1, (0, 3), 2)),
    action_blocks.encode_response_next(1, 1),
    action_blocks.encode_response_block(ActionResponseBlock(1, 1, False, b"\0\1\0\x0f")),
)


def value(octets: bytes) -> None:
    """Decode a value; whoever passes over it must come to the same end."""
    decoded = error = None
    try:
        decoded = data.decode(octets)
    except DlmsError as caught:
        error = caught
    try:
        data.check(octets, 0)
    except DlmsError:
        assert error is not None
        raise
    assert error is None
    objects(decoded)


def objects(decoded: data.Value) -> None:
    """Take a decoded value for everything that a meter's objects may be."""
    columns = (CLOCK, *ENERGY)
    scalers = dict.fromkeys(ENERGY, -1)
    for means in (
        lambda: profile_generic.parse_rows(
            decoded, columns, ENERGY, scalers, clock=CLOCK, period_s=900, zone=BERLIN
        ),
        lambda: profile_generic.parse_events(decoded, (CLOCK, CODE), clock=CLOCK, code=CODE),
        lambda: profile_generic.parse_capture_objects(decoded),
        lambda: selection.parse_selection(1, decoded),
        lambda: selection.parse_selection(2, decoded),
        lambda: civil_time.decode_date_time(decoded),
        lambda: civil_time.decode_date_time(decoded, BERLIN),
        lambda: cosem.parse_object_list(decoded),
        lambda: cosem.parse_scaler(decoded, cosem.UNIT_WH),
        lambda: cosem.scale_energy(decoded, -12),
        lambda: cosem.scale_energy(decoded, 12),
        lambda: cosem.scale_voltage(decoded, 12),
        lambda: media.parse_register(bytes((8, 0, 1, 0, 0, 255)), decoded, (-3, 13)),
        lambda: media.parse_register(bytes((8, 0, 1, 0, 0, 255)), 7, decoded),
    ):
        with suppress(GridError):
            means()
    if type(decoded) is tuple and len(decoded) in (2, 3, 6):
        for parse in (cosem.parse_demand, cosem.parse_extended):
            with suppress(GridError):
                parse(decoded) if len(decoded) == (6 if parse is cosem.parse_demand else 3) else 0
        with suppress(GridError):
            cosem.parse_disconnect(decoded[0], decoded[1])


def compact_array(octets: bytes) -> None:
    """Decode a compact array."""
    elements, end = compact.take_array(octets, 0)
    assert end <= len(octets)
    assert isinstance(elements, list)


def instant(octets: bytes) -> None:
    """Decode a date-time, and write what it says again."""
    at = civil_time.decode_date_time(octets[:12], BERLIN if len(octets) > 12 else None)
    again = civil_time.encode_date_time(at.at_s, at.deviation_minutes, BERLIN)
    assert civil_time.decode_date_time(again, BERLIN).at_s == at.at_s


def association(octets: bytes) -> None:
    """Decode what opens an association; what is understood is written and understood again."""
    with suppress(DlmsError):
        request = acse.decode_aarq(octets)
        if len(request.secret) + len(request.initiate) + len(request.title) < 80:
            again = acse.decode_aarq(acse.encode_aarq(request))
            assert (again.initiate, again.title) == (request.initiate, request.title)
        initiate.decode_request(request.initiate)
    response = acse.decode_aare(octets)
    initiate.decode_response(response.initiate)


def initiates(octets: bytes) -> None:
    """Decode what both sides can do."""
    with suppress(DlmsError):
        initiate.decode_request(octets)
    initiate.decode_response(octets)


def requests(octets: bytes) -> None:
    """Decode what a client asks."""
    for decode in (
        xdlms.decode_request,
        writing.decode_set_request,
        writing.decode_action_request,
    ):
        with suppress(DlmsError):
            decode(octets)


def answers(octets: bytes) -> None:
    """Decode what a meter answers."""
    for decode in (writing.decode_set_response, writing.decode_action_response):
        with suppress(DlmsError):
            decode(octets)
    response = xdlms.decode_response(octets)
    if isinstance(response, xdlms.GetListResponse):
        xdlms.take_results(response.data)


def notification(octets: bytes) -> None:
    """Decode what a meter tells unasked."""
    objects(push.decode_notification(octets).value)


def general_blocks(octets: bytes) -> None:
    """Take general blocks while some of our own may be under way."""
    transfer = BlockTransfer()
    for piece in parts(octets):
        if piece[:1] == b"\xe0":
            transfer.receive(piece)
        elif piece and not transfer.under_way:
            assert all(len(block) <= 40 for block in transfer.start(piece, 40))
        if transfer.under_way:
            assert all(block[0] == 0xE0 for block in transfer.proceed())


def hdlc_frames(octets: bytes) -> None:
    """Find frames in bytes; every one that is found is written as it came."""
    frames = hdlc.FrameBuffer()
    for at in range(0, len(octets), 40):
        frames.feed(octets[at : at + 40])
        while (frame := frames.take()) is not None:
            assert hdlc.encode(frame)[1:-1] in octets
            if frame.control & ~hdlc.POLL in (hdlc.Unnumbered.SNRM, hdlc.Unnumbered.UA):
                with suppress(DlmsError):
                    hdlc.decode_parameters(frame.information)
    assert len(frames) <= hdlc.MAX_FRAME + 2 + 40


def _drive(link: HdlcLink, octets: bytes, own: bytes, peer: bytes) -> None:
    """Give a link frames that check: a control byte and the information of each."""
    for piece in parts(octets):
        if not piece:
            link.retry()
        elif piece[0] == 0xFF:
            link.receive(piece[1:])
        else:
            segmented = bool(piece[0] & 0x80) and len(piece) > 1 and piece[1] & 1 == 1
            content = piece[1:2000]
            link.receive(hdlc.encode(hdlc.Frame(own, peer, piece[0], content, segmented)))
        for _ in range(len(piece) + 2):
            if (apdu := link.take()) is None:
                break
            assert apdu
            if link.is_open:
                with suppress(DlmsError):
                    link.send(apdu)
        link.pending()


def hdlc_client(octets: bytes) -> None:
    """A client's link, that has sent an APDU."""
    link = HdlcClientLink(16, 1, hdlc.Parameters(40, 40, 3, 3))
    link.send(b"\xc0" * 200)
    _drive(link, octets, hdlc.address(16), hdlc.address(1))


def hdlc_server(octets: bytes) -> None:
    """A meter's link."""
    link = HdlcServerLink(1, hdlc.Parameters(40, 40, 3, 3))
    _drive(link, octets, hdlc.address(1), hdlc.address(16))


def wrapped(octets: bytes) -> None:
    """The TCP wrapper of both ends."""
    client, server = wrapper.WrapperLink(16, 1), wrapper.WrapperServerLink()
    for link in (server, client):
        for at in range(0, len(octets), 30):
            link.receive(octets[at : at + 30])
            while link.take() is not None:
                pass


_SNRM = hdlc.Unnumbered.SNRM | hdlc.POLL
_UA = hdlc.Unnumbered.UA | hdlc.POLL
_PARAMETERS = hdlc.encode_parameters(hdlc.Parameters(100, 100, 2, 2))
TARGETS = {
    "axdr": Target(value, VALUES, 2048),
    "compact": Target(compact_array, COMPACT, 512),
    "clock": Target(instant, (TIME, TIME + b"z"), 13),
    "acse": Target(association, (AARQ, AARE), 256),
    "initiate": Target(
        initiates,
        (
            initiate.encode_request(initiate.InitiateRequest(0x7E1F, 1200, b"k" * 16)),
            initiate.encode_response(initiate.InitiateResponse(0x7E1F, 500)),
        ),
        64,
    ),
    "requests": Target(requests, (*GETS, *WRITES), 512),
    "answers": Target(answers, (*ANSWERS, *WRITTEN), 512),
    "push": Target(
        notification,
        [push.encode_notification(push.Notification(1, TIME, None), one) for one in VALUES],
        512,
    ),
    "gbt": Target(
        general_blocks,
        (
            joined(b"\xc0" * 90, bytes.fromhex("e0c70001000000"), bytes.fromhex("e08000020003 00")),
            joined(bytes.fromhex("e007000100000401020304"), bytes.fromhex("e0870002000001ff")),
        ),
        512,
    ),
    "hdlc": Target(
        hdlc_frames,
        [
            hdlc.encode(hdlc.Frame(b"\x03", b"\x21", _SNRM, _PARAMETERS)),
            hdlc.encode(hdlc.Frame(b"\x02\x23", b"\x21", 0x10, b"\xe6\xe7\x00" + ANSWERS[0]))[:-1]
            + hdlc.encode(hdlc.Frame(b"\x21", b"\x03", 0x31)),
        ],
        4200,
    ),
    "hdlc-client": Target(
        hdlc_client,
        [
            joined(
                bytes((_UA,)) + _PARAMETERS,
                b"\x31",
                b"",
                b"\x51",
                b"\xd0\xe6\xe7\x00" + AARE,
                b"\x73",
            )
        ],
        1024,
    ),
    "hdlc-server": Target(
        hdlc_server,
        [
            joined(
                bytes((_SNRM,)) + _PARAMETERS,
                b"\x10\xe6\xe6\x00" + AARQ,
                b"\x31",
                b"\x51",
                b"\xff\x7e\xa0",
                bytes((0x53,)),
            )
        ],
        1024,
    ),
    "wrapper": Target(wrapped, [wrapper.frame(1, 16, AARE) + wrapper.frame(16, 1, GETS[0])], 512),
}
