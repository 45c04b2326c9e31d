"""Data-notifications of real meters and of whoever else finds the port."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from meters.dlms import listener, push, wrapper
from meters.dlms.counters import MemoryCounterStore
from meters.dlms.errors import DlmsError, ReplayError, SecurityError
from meters.dlms.listener import Pushed, PushListener
from meters.dlms.push import Notification
from meters.dlms.security import Cipher
from meters.reading import Ciphering
from meters.simulator.dlms import DlmsServers, MeterSetup
from meters.simulator.points import MeterPoint

T = 1_782_000_000
EK, AK = bytes(range(16)), bytes(range(0xD0, 0xE0))
OURS = Ciphering(b"KHZ\x00\x00\x00\x00\x01", EK, AK)
METER = Ciphering(b"KHZ\x00\x00\x00\x00\x99", EK, AK)
PUSH = push.encode_notification(Notification(7, b"", None), bytes.fromhex("0202110106000000ff"))

Tell = Callable[[int], Awaitable[None]]


def heard(
    tell: Tell, *, is_open: bool = False, known: bytes = METER.title
) -> tuple[list[Pushed], list[DlmsError]]:
    """Return what a listener took and refused while `tell` ran against its port."""
    taken: list[Pushed] = []
    refused: list[DlmsError] = []

    async def run() -> None:
        ears = PushListener(
            taken.append,
            refused.append,
            ciphering_of=lambda title: OURS if title == known else None,
            counters=MemoryCounterStore(),
            is_open=is_open,
        )
        port = await ears.start("127.0.0.1", 0)
        async with asyncio.timeout(10):
            await tell(port)
            while len(asyncio.all_tasks()) > 1:
                await asyncio.sleep(0.005)
        await ears.stop()

    asyncio.run(run())
    return taken, refused


def sending(*octets: bytes) -> Tell:
    async def tell(port: int) -> None:
        for part in octets:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(part)
            writer.close()
            await asyncio.sleep(0.05)

    return tell


def framed(apdu: bytes) -> bytes:
    return wrapper.frame(1, 103, apdu)


@pytest.mark.parametrize("ciphering", [None, METER])
def test_simulated_meter_pushes_its_registers(ciphering: Ciphering | None) -> None:
    async def tell(port: int) -> None:
        servers = DlmsServers()
        point = MeterPoint("M-1", T, [5_000, 4, 3, 2], 230.0)
        await servers.start([point], setups={"M-1": MeterSetup(ciphering=ciphering)})
        await servers.push("M-1", "127.0.0.1", port)
        await servers.stop()

    taken, refused = heard(tell, is_open=ciphering is None)
    assert refused == []
    assert [pushed.title for pushed in taken] == [b"" if ciphering is None else METER.title]
    assert len(taken[0].notification.value) == 6
    assert len(taken[0].notification.date_time) == 12


def test_notification_comes_back_as_it_was() -> None:
    time = bytes.fromhex("07e8060f0614172d00ff8880")
    octets = push.encode_notification(Notification(7, time, None), b"\x11\x05")
    assert octets.hex() == "0f000000070c" + time.hex() + "1105"
    assert push.decode_notification(octets) == Notification(7, time, 5)
    for length in range(len(octets)):
        with pytest.raises(DlmsError):
            push.decode_notification(octets[:length])


def test_notification_with_its_time_as_data_is_understood() -> None:
    octets = bytes.fromhex("0f4000000109 0c 07e8060f0614172d00ff8880 1105".replace(" ", ""))
    assert push.decode_notification(octets).value == 5


def test_notification_that_is_sent_again_is_a_replay() -> None:
    cipher = Cipher(METER, MemoryCounterStore())
    octets = framed(cipher.protect(PUSH))
    taken, refused = heard(sending(octets, octets))
    assert len(taken) == 1
    assert [type(error) for error in refused] == [ReplayError]
    assert refused[0].code == "meter.replay"


def test_what_is_not_protected_or_not_known_is_refused() -> None:
    stranger = Cipher(replace(METER, title=b"XXX\x00\x00\x00\x00\x01"), MemoryCounterStore())
    other = Cipher(replace(METER, encryption_key=bytes(16)), MemoryCounterStore())
    taken, refused = heard(
        sending(framed(PUSH), framed(stranger.protect(PUSH)), framed(other.protect(PUSH)))
    )
    assert taken == []
    assert [type(error) for error in refused] == [SecurityError] * 3


def test_rubbish_ends_its_connection_only() -> None:
    good = framed(PUSH)
    taken, refused = heard(
        sending(b"GET / HTTP/1.1\r\n\r\n", framed(b"\xe0"), framed(b"\x0f"), good, good[:9]),
        is_open=True,
    )
    assert len(taken) == 1
    assert len(refused) == 3


def test_flood_of_notifications_and_of_connections_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken, refused = heard(sending(framed(PUSH) * 1000), is_open=True)
    assert len(taken) == listener.MAX_NOTIFICATIONS
    assert "more than 64 notifications" in str(refused[0])
    monkeypatch.setattr(listener, "MAX_CONNECTIONS", 2)
    monkeypatch.setattr(listener, "IDLE_S", 0.5)
    ended: list[float] = []

    async def idle(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = time.monotonic()
        with suppress(ConnectionError):
            assert await reader.read() == b""
        ended.append(time.monotonic() - began)
        writer.close()

    async def tell(port: int) -> None:
        await asyncio.gather(*(idle(port) for _ in range(4)))

    heard(tell)
    assert [wait_s > 0.4 for wait_s in sorted(ended)] == [False, False, True, True]
