"""Frames with a check sum or a tag: one that is cut or has a bit changed says nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grid.errors import GridError
from meters.dlms import hdlc
from meters.dlms.counters import MemoryCounterStore
from meters.dlms.errors import DlmsError
from meters.dlms.hdlc import Frame, FrameBuffer, Unnumbered
from meters.dlms.hdlc_link import HdlcServerLink, Phase
from meters.dlms.security import Cipher
from meters.dlms.wrapper import WrapperLink, frame
from meters.modbus.framing import RtuExchange, TcpExchange
from meters.simulator import rtu
from meters.simulator.units import RegisterUnit
from tests.fuzz.dlms_bytes import ANSWERS, GETS, WRITES
from tests.fuzz.dlms_sides import CLIENT, METER
from tests.fuzz.modbus_bytes import READ, WRITE
from tests.fuzz.test_targets import flips

SNRM, UA = Unnumbered.SNRM | hdlc.POLL, Unnumbered.UA | hdlc.POLL
PARAMETERS = hdlc.encode_parameters(hdlc.Parameters(128, 128, 1, 1))
FRAMES = {
    "SNRM": Frame(b"\x03", b"\x21", SNRM, PARAMETERS),
    "UA": Frame(b"\x21", b"\x03", UA, PARAMETERS),
    "RR": Frame(b"\x21", b"\x03", 0x31),
    "I": Frame(b"\x21", b"\x02\x23", 0x10, b"\xe6\xe7\x00" + ANSWERS[1]),
    "segment": Frame(b"\x21", b"\x00\x02\x00\x23", 0x54, bytes(range(60)), True),
    "DISC": Frame(b"\x03", b"\x21", Unnumbered.DISC | hdlc.POLL),
}


def cut(octets: bytes) -> list[bytes]:
    return [octets[:length] for length in range(len(octets))]


def taken(octets: bytes) -> list[Frame]:
    buffer = FrameBuffer()
    buffer.feed(octets)
    frames = []
    while (one := buffer.take()) is not None:
        frames.append(one)
    return frames


@pytest.mark.parametrize("name", FRAMES)
def test_hdlc_frame_with_a_changed_bit_is_no_frame(name: str) -> None:
    octets = hdlc.encode(FRAMES[name])
    assert taken(octets) == [FRAMES[name]]
    for changed in (*flips(octets), *cut(octets)):
        assert taken(changed) == []
    # The next whole frame is heard behind it, at the latest when what was waited for is given up.
    for changed in flips(octets):
        buffer = FrameBuffer()
        buffer.feed(changed + octets + octets)
        heard = buffer.take()
        if heard is None:
            buffer.resync()
            heard = buffer.take()
        assert heard == FRAMES[name]


def test_hdlc_link_does_nothing_on_a_frame_with_a_changed_bit() -> None:
    for changed in flips(hdlc.encode(FRAMES["SNRM"])):
        link = HdlcServerLink(1)
        link.receive(changed)
        assert link.take() is None
        assert (link.phase, link.pending()) == (Phase.CLOSED, b"")


FORMS = {
    "glo": {},
    "ded": {},
    "general-glo": {"general": True},
    "general-ded": {"general": True},
    "suite 1": {"suite": 1},
    "authenticated only": {"encrypted": False},
}


@pytest.mark.parametrize("form", FORMS)
def test_protected_apdu_with_a_changed_bit_is_refused(form: str) -> None:
    kind = FORMS[form]
    meter = Cipher(replace(METER, **kind), MemoryCounterStore())
    client = Cipher(replace(CLIENT, **kind), MemoryCounterStore())
    meter.meet(CLIENT.title)
    client.meet(METER.title)
    if form.endswith("ded"):
        key = client.make_dedicated()
        meter.use_dedicated(key)
        client.use_dedicated()
    for sender, taker, apdus in ((meter, client, ANSWERS[:5]), (client, meter, GETS + WRITES[:3])):
        for plain in apdus:
            sealed = sender.protect(plain)
            for changed in (*flips(sealed), *cut(sealed), sealed + b"\0"):
                with pytest.raises(DlmsError):
                    taker.unprotect(changed)
            assert taker.unprotect(sealed) == plain


@pytest.mark.parametrize("request_", [READ, WRITE], ids=["read", "write"])
def test_rtu_answer_with_a_changed_bit_is_refused(request_: object) -> None:
    pdu = b"\x03\x04\x00\x01\x00\x02" if request_ is READ else b"\x10\x00\x64\x00\x02"
    for body in (b"\x09" + pdu, b"\x09\x83\x02" if request_ is READ else b"\x09\x90\x02"):
        octets = body + rtu.checksum(body)
        assert RtuExchange(request_).take(bytearray(octets), last=True) == body[1:]  # type: ignore[arg-type]
        for changed in (*flips(octets), *cut(octets)):
            try:
                assert RtuExchange(request_).take(bytearray(changed), last=True) is None  # type: ignore[arg-type]
            except GridError:
                continue


def test_rtu_request_with_a_changed_bit_is_not_done() -> None:
    for request in (READ, WRITE):
        body = b"\x09" + request.pdu
        octets = body + rtu.checksum(body)
        for changed in (*flips(octets), *cut(octets)):
            held = dict.fromkeys(range(90, 120), 7)
            unit = RegisterUnit(held)
            assert list(rtu.answers({9: unit}, bytearray(changed))) == []
            assert set(held.values()) == {7}


def test_modbus_tcp_answer_of_another_exchange_is_refused() -> None:
    pdu = b"\x03\x04\x00\x01\x00\x02"
    octets = b"\x00\x07\x00\x00" + (len(pdu) + 1).to_bytes(2, "big") + b"\x09" + pdu
    assert TcpExchange(READ, 7).take(bytearray(octets)) == pdu
    for changed in flips(octets[:9]):
        try:
            taken_pdu = TcpExchange(READ, 7).take(bytearray(changed + octets[9:]))
            assert taken_pdu is None or READ.mismatch(taken_pdu)
        except GridError:
            continue


def test_wrapper_of_other_ports_or_another_version_is_refused() -> None:
    octets = frame(1, 16, ANSWERS[1])
    for changed in flips(octets[:6]):
        link = WrapperLink(16, 1)
        link.receive(changed + octets[6:])
        with pytest.raises(DlmsError):
            link.take()
