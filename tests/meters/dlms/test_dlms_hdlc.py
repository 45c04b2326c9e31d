"""HDLC: frames that check, links that negotiate, cut, acknowledge and repair."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meters.dlms import hdlc
from meters.dlms.errors import DlmsError, LocalProtocolError
from meters.dlms.hdlc import Frame, FrameBuffer, Parameters
from meters.dlms.hdlc_link import HdlcClientLink, HdlcServerLink, Phase

SNRM = "7ea0070321930f017e"
CLIENT, SERVER = b"\x21", b"\x03"


def test_check_sequence_is_the_one_of_the_standard() -> None:
    # CRC-16/X-25 of the digits 1 to 9 is 0x906E, sent low byte first.
    assert hdlc.fcs(b"123456789").hex() == "6e90"
    assert hdlc.encode(Frame(SERVER, CLIENT, 0x93)).hex() == SNRM


@pytest.mark.parametrize(
    ("number", "octets"),
    [(1, "03"), (16, "21"), (1 << 7 | 17, "0223"), (1 << 14 | 17, "00020023"), (0x3FFF, "feff")],
)
def test_addresses_of_one_two_and_four_bytes(number: int, octets: str) -> None:
    assert hdlc.address(number).hex() == octets
    assert hdlc.number(bytes.fromhex(octets)) == number


@given(
    st.sampled_from([b"\x03", b"\x02\x23", b"\x00\x02\x00\x23"]),
    st.integers(0, 255),
    st.binary(max_size=hdlc.MAX_INFORMATION),
    st.booleans(),
)
def test_every_frame_comes_back_as_it_was(
    address: bytes, control: int, information: bytes, segmented: bool
) -> None:
    frame = Frame(address, CLIENT, control, information, segmented)
    buffer = FrameBuffer()
    for octet in hdlc.encode(frame):
        buffer.feed(bytes((octet,)))
    assert buffer.take() == frame
    assert buffer.take() is None


def test_frames_may_share_a_flag() -> None:
    octets = hdlc.encode(Frame(SERVER, CLIENT, 0x93))
    buffer = FrameBuffer()
    buffer.feed(octets + octets[1:] + b"\x7e\x7e" + octets)
    assert [buffer.take() is not None for _ in range(4)] == [True, True, True, False]


@given(st.binary(max_size=60), st.binary(min_size=1, max_size=40))
def test_noise_before_a_frame_is_passed_over(noise: bytes, information: bytes) -> None:
    frame = Frame(SERVER, CLIENT, 0x10, information)
    buffer = FrameBuffer()
    # A whole longest frame of other octets lets any length in the noise end.
    buffer.feed(noise + hdlc.encode(frame) + bytes(hdlc.MAX_FRAME) + hdlc.encode(frame))
    frames = []
    while (got := buffer.take()) is not None:
        frames.append(got)
    assert frames[-1] == frame


def test_a_frame_longer_than_its_length_field_is_our_own_bug() -> None:
    with pytest.raises(LocalProtocolError, match="2047"):
        hdlc.encode(Frame(SERVER, CLIENT, 0x10, bytes(2048)))


def test_parameters_of_the_standard() -> None:
    octets = "8180140502008006020080070400000001080400000001"
    assert hdlc.decode_parameters(bytes.fromhex(octets)) == Parameters()
    said = Parameters(1024, 256, 3, 7)
    assert hdlc.decode_parameters(hdlc.encode_parameters(said)) == said
    for length in range(1, len(octets) // 2):
        with pytest.raises(DlmsError):
            hdlc.decode_parameters(bytes.fromhex(octets)[:length])


class Line:
    """Two ends and what flows between them; loses frames by a seed."""

    def __init__(
        self, client: Parameters, server: Parameters, *, loss: float = 0.0, seed: int = 0
    ) -> None:
        self.client = HdlcClientLink(16, 1, client)
        self.server = HdlcServerLink(1, server)
        self.frames = 0
        self.retries = 0
        self._loss = loss
        self._random = random.Random(seed)

    def exchange(self, request: bytes, answer: bytes) -> tuple[bytes, bytes]:
        """Return what the server took and what the client took."""
        to_server, to_client = self.client.send(request), b""
        asked = None
        for _ in range(2000):
            self.server.receive(self._carry(to_server))
            got = self.server.take()
            to_client = self.server.pending()
            if got is not None:
                asked = got
                to_client += self.server.send(answer)
            self.client.receive(self._carry(to_client))
            told = self.client.take()
            to_server = self.client.pending()
            if told is not None:
                assert to_server == b""
                assert asked is not None
                return asked, told
            if not to_server:
                self.retries += 1
                to_server = self.client.retry()
        raise AssertionError("no end")

    def _carry(self, octets: bytes) -> bytes:
        kept = b""
        buffer = FrameBuffer()
        buffer.feed(octets)
        while (frame := buffer.take()) is not None:
            self.frames += 1
            if self._random.random() >= self._loss:
                kept += hdlc.encode(frame)
        return kept


PARAMETERS = st.builds(
    Parameters,
    st.integers(20, 2030),
    st.integers(20, 2030),
    st.integers(1, 7),
    st.integers(1, 7),
)
APDU = st.binary(min_size=1, max_size=3000)


@settings(max_examples=60, deadline=None)
@given(PARAMETERS, PARAMETERS, st.lists(st.tuples(APDU, APDU), min_size=1, max_size=4))
def test_apdus_cross_whole_whatever_was_negotiated(
    client: Parameters, server: Parameters, exchanges: list[tuple[bytes, bytes]]
) -> None:
    line = Line(client, server)
    for request, answer in exchanges:
        assert line.exchange(request, answer) == (request, answer)
    agreed = line.client.agreed
    assert agreed.send_information == min(client.send_information, server.receive_information)
    assert agreed.receive_window == min(client.receive_window, server.send_window)
    assert line.retries == 0


@settings(max_examples=60, deadline=None)
@given(PARAMETERS, st.integers(0, 1 << 30))
def test_lost_frames_are_sent_again(parameters: Parameters, seed: int) -> None:
    line = Line(parameters, parameters, loss=0.2, seed=seed)
    for number in range(4):
        request, answer = bytes((number, 1)) * 200, bytes((number, 2)) * 700
        assert line.exchange(request, answer) == (request, answer)


def test_window_saves_acknowledgements() -> None:
    narrow, wide = (
        Line(Parameters(128, 128, window, window), Parameters(128, 128, window, window))
        for window in (1, 7)
    )
    for line in (narrow, wide):
        line.exchange(b"\x01", bytes(128 * 7 - 3))
    assert narrow.frames == 2 + 1 + 7 + 6
    assert wide.frames == 2 + 1 + 7


def test_link_closes_and_a_closed_one_answers_disconnected() -> None:
    line = Line(Parameters(), Parameters())
    line.exchange(b"\x01", b"\x02")
    line.server.receive(line.client.close())
    assert line.server.take() is None
    line.client.receive(line.server.pending())
    assert line.client.take() is None
    assert line.client.phase is Phase.CLOSED
    line.server.receive(hdlc.encode(Frame(SERVER, CLIENT, 0x10, b"\xe6\xe6\x00\x01")))
    assert line.server.take() is None
    assert line.server.pending() == hdlc.encode(Frame(CLIENT, SERVER, 0x1F))


def test_meter_that_refuses_or_leaves_the_link_is_an_error() -> None:
    client = HdlcClientLink(16, 1)
    client.send(b"\x01")
    client.receive(hdlc.encode(Frame(CLIENT, SERVER, 0x1F)))
    with pytest.raises(DlmsError, match="refuses the HDLC link"):
        client.take()
    line = Line(Parameters(), Parameters())
    line.exchange(b"\x01", b"\x02")
    line.client.send(b"\x01")
    line.client.receive(hdlc.encode(Frame(CLIENT, SERVER, 0x1F)))
    with pytest.raises(DlmsError, match="left the HDLC link"):
        line.client.take()


def opened() -> HdlcClientLink:
    client = HdlcClientLink(16, 1)
    client.send(b"\x01")
    client.receive(hdlc.encode(Frame(CLIENT, SERVER, 0x73)))
    assert client.take() is None
    client.pending()
    return client


def test_apdu_without_end_and_frames_without_news_are_cut_off() -> None:
    def feed(frame: Callable[[int], Frame]) -> None:
        client = opened()
        for number in range(1000):
            client.receive(hdlc.encode(frame(number)))
            client.take()

    part = b"\xe6\xe7\x00" + bytes(1000)
    with pytest.raises(DlmsError, match="longer than"):
        feed(lambda number: Frame(CLIENT, SERVER, 0x20 | (number % 8) << 1, part, segmented=True))
    with pytest.raises(DlmsError, match="nothing new"):
        feed(lambda _: Frame(CLIENT, SERVER, 0x11))


def test_acknowledging_what_was_not_sent_is_refused() -> None:
    client = opened()
    client.receive(hdlc.encode(Frame(CLIENT, SERVER, 0x11 | 5 << 5)))
    with pytest.raises(DlmsError, match="frame 5 is acknowledged"):
        client.take()


def test_apdu_without_the_meters_llc_header_is_refused() -> None:
    client = opened()
    client.receive(hdlc.encode(Frame(CLIENT, SERVER, 0x30, b"\xe6\xe6\x00\x01")))
    with pytest.raises(DlmsError, match="LLC"):
        client.take()
