"""New keys for a meter: wrapped as RFC 3394 says, taken whole or not at all, never in clear."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from grid.errors import BadInputError
from meters import obis
from meters.dlms import cosem, key_transfer
from meters.dlms import data as axdr
from meters.dlms.association import Association
from meters.dlms.client import open_association
from meters.dlms.counters import CounterStore, MemoryCounterStore, name_of
from meters.dlms.data import Tag
from meters.dlms.errors import AccessError, DlmsError, SecurityError
from meters.dlms.key_transfer import KeyId, decode_transfer, encode_transfer, unwrap, wrap
from meters.dlms.writing import Method
from meters.reading import Ciphering, MeterAddress
from meters.simulator.dlms import DlmsServers, MeterSetup, ServedMeter
from meters.simulator.points import MeterPoint

T = 1_782_000_000
EK, AK, MASTER = bytes(range(16)), bytes(range(0xD0, 0xE0)), b"m" * 16
CLIENT = Ciphering(b"KHZ\x00\x00\x00\x00\x01", EK, AK)
METER = Ciphering(b"KHZ\x00\x00\x00\x00\x99", EK, AK)
SETUP = MeterSetup(ciphering=METER, master_key=MASTER)
FRESH, OTHER = b"n" * 16, b"o" * 16
TRANSFER = Method(cosem.SECURITY_SETUP, obis.SECURITY_SETUP, key_transfer.TRANSFER)


def test_the_vector_of_rfc_3394_wraps_and_unwraps() -> None:
    """Section 4.1: 128 bits of key data with a 128-bit key."""
    key = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    wrapped = bytes.fromhex("1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5")
    assert wrap(EK, key) == wrapped
    assert unwrap(EK, wrapped) == key


@pytest.mark.parametrize("at", range(24))
def test_a_wrapped_key_with_any_bit_changed_does_not_unwrap(at: int) -> None:
    wrapped = bytearray(wrap(MASTER, FRESH))
    wrapped[at] ^= 1
    with pytest.raises(SecurityError, match="does not unwrap"):
        unwrap(MASTER, bytes(wrapped))


@pytest.mark.parametrize("octets", [b"", b"x" * 7, b"x" * 16, b"x" * 23, b"x" * 4096])
def test_what_is_no_wrapped_key_is_refused(octets: bytes) -> None:
    with pytest.raises(SecurityError):
        unwrap(MASTER, octets)
    with pytest.raises(BadInputError, match="must have 16"):
        wrap(MASTER, octets[:15])


def test_a_wrapped_key_of_another_length_is_refused() -> None:
    from cryptography.hazmat.primitives.keywrap import aes_key_wrap

    with pytest.raises(SecurityError, match="32 bytes, must have 16"):
        unwrap(MASTER, aes_key_wrap(MASTER, b"k" * 32))


def _pair(which: int, wrapped: bytes) -> bytes:
    parts = [axdr.encode(Tag.ENUM, which), axdr.encode(Tag.OCTET_STRING, wrapped)]
    return axdr.structure(parts)


@pytest.mark.parametrize(
    "content",
    [
        axdr.array([]),
        axdr.array([_pair(0, FRESH), _pair(0, FRESH)]),
        axdr.array([_pair(9, FRESH)]),
        axdr.array([b"\x00"]),
        axdr.array([_pair(n % 3, FRESH) for n in range(4)]),
        axdr.encode(Tag.OCTET_STRING, FRESH),
        b"\x01\x01\x02\x02\x16",
    ],
)
def test_a_malformed_transfer_is_refused(content: bytes) -> None:
    with pytest.raises(DlmsError):
        decode_transfer(content)


def _with(
    ask: Callable[[ServedMeter, Callable[..., object]], Awaitable[None]],
    setup: MeterSetup = SETUP,
) -> None:
    async def run() -> None:
        servers = DlmsServers()
        point = MeterPoint("M-1", T, [5000, 0, 0, 0], 230.0)
        urls = await servers.start([point], setups={"M-1": setup})
        address = MeterAddress("M-1", urls["M-1"], "cosem", "hls-gmac", ciphering=CLIENT)
        store = MemoryCounterStore()

        def opened(ciphering: Ciphering = CLIENT, counters: CounterStore = store) -> object:
            way = replace(address, ciphering=ciphering)
            return open_association(way, timeout_s=5.0, counters=counters)

        try:
            await ask(servers.meters["M-1"], opened)
        finally:
            await servers.stop()

    asyncio.run(run())


def test_a_meter_answers_under_its_new_keys_only_and_counts_anew() -> None:
    fresh = replace(CLIENT, encryption_key=FRESH, authentication_key=OTHER)
    store = MemoryCounterStore()

    async def ask(served: ServedMeter, opened: Callable[..., object]) -> None:
        keys = {KeyId.UNICAST_ENCRYPTION: FRESH, KeyId.AUTHENTICATION: OTHER}
        meter: Association
        async with opened(CLIENT, store) as meter:
            await meter.transfer_keys(MASTER, keys)
            # This association goes on as it began.
            assert (await meter.clock()).at_s == T
        used = store.reserve(name_of(EK, CLIENT.title), 0, 0)
        assert used > 4
        with pytest.raises(DlmsError):
            async with opened(CLIENT, store):
                pass
        async with opened(fresh, store) as meter:
            assert (await meter.clock()).at_s == T
        assert 0 < store.reserve(name_of(FRESH, CLIENT.title), 0, 0) < used
        assert served.counters.reserve(name_of(FRESH, METER.title), 0, 0) > 0

    _with(ask)


@pytest.mark.parametrize("form", ["general", "dedicated"])
def test_keys_go_in_every_form_of_ciphering(form: str) -> None:
    ours = replace(CLIENT, **{form: True})
    meters = METER if form == "dedicated" else replace(METER, general=True)

    async def ask(served: ServedMeter, opened: Callable[..., object]) -> None:
        async with opened(ours) as meter:
            await meter.transfer_keys(MASTER, {KeyId.UNICAST_ENCRYPTION: FRESH})
        async with opened(replace(ours, encryption_key=FRESH)) as meter:
            await meter.clock()

    _with(ask, replace(SETUP, ciphering=meters))


@pytest.mark.parametrize(
    ("setup", "method", "content"),
    [
        (SETUP, TRANSFER, encode_transfer(b"w" * 16, {KeyId.UNICAST_ENCRYPTION: FRESH})),
        # One of two does not unwrap: none is taken.
        (
            SETUP,
            TRANSFER,
            axdr.array([_pair(0, wrap(MASTER, FRESH)), _pair(2, wrap(b"w" * 16, OTHER))]),
        ),
        (SETUP, TRANSFER, b"\x00"),
        (SETUP, replace(TRANSFER, index=1), b"\x16\x00"),
        (
            replace(SETUP, master_key=b""),
            TRANSFER,
            encode_transfer(MASTER, {KeyId.UNICAST_ENCRYPTION: FRESH}),
        ),
    ],
)
def test_what_a_meter_refuses_leaves_its_keys(
    setup: MeterSetup, method: Method, content: bytes
) -> None:
    async def ask(served: ServedMeter, opened: Callable[..., object]) -> None:
        async with opened() as meter:
            with pytest.raises(AccessError, match="refused"):
                await meter.act(method, content)
        assert served.setup.ciphering == METER
        async with opened() as meter:
            await meter.clock()

    _with(ask, setup)


def test_the_public_client_gives_no_keys_and_no_text_shows_one() -> None:
    async def run() -> None:
        servers = DlmsServers()
        urls = await servers.start(
            [MeterPoint("M-1", T, [5000, 0, 0, 0], 230.0)], setups={"M-1": SETUP}
        )
        address = MeterAddress("M-1", urls["M-1"], "cosem")
        try:
            async with open_association(address, timeout_s=5.0) as meter:
                with pytest.raises(AccessError, match="refused"):
                    await meter.transfer_keys(MASTER, {KeyId.UNICAST_ENCRYPTION: FRESH})
            assert servers.meters["M-1"].setup.ciphering == METER
        finally:
            await servers.stop()

    asyncio.run(run())
    assert MASTER.decode() not in repr(SETUP)
    assert FRESH not in encode_transfer(MASTER, {KeyId.UNICAST_ENCRYPTION: FRESH})
