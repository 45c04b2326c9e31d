"""Invocation counters: none is given twice, whoever is killed and whatever is damaged."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import StoreError
from meters.dlms import acse, counters, wrapper
from meters.dlms.counters import LIMIT, CounterStore, FileCounterStore, MemoryCounterStore
from meters.dlms.errors import DlmsError
from meters.dlms.security import Key
from meters.reading import Ciphering, MeterAddress, RegisterRow
from meters.simulator.dlms import DlmsServers, MeterSetup
from meters.simulator.points import MeterPoint

T = 1_782_000_000
EK, AK = bytes(range(16)), bytes(range(0xD0, 0xE0))
CLIENT = Ciphering(b"KHZ\x00\x00\x00\x00\x01", EK, AK)
METER = Ciphering(b"KHZ\x00\x00\x00\x00\x99", EK, AK)
ROUNDS = int(os.environ.get("KHAZRI_COUNTER_KILLS", "20"))
NAME = "0123456789abcdef-0102030405060708"


def forkserver() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["meters.dlms.client", "meters.dlms.counters"])
    return context


STORES = ["memory", "file"]


def store_of(kind: str, folder: Path) -> CounterStore:
    return MemoryCounterStore() if kind == "memory" else FileCounterStore(folder)


@pytest.mark.parametrize("kind", STORES)
def test_counters_rise_and_are_never_lowered(kind: str, tmp_path: Path) -> None:
    store = store_of(kind, tmp_path)
    assert [store.reserve(NAME, 0, 1) for _ in range(3)] == [0, 1, 2]
    assert store.reserve(NAME, 100, 1) == 100
    assert store.reserve(NAME, 50, 1) == 101
    first = store.reserve(NAME, 0, 1000)
    assert first >= 102
    assert store.reserve(NAME, 0, 1) >= first + 1000
    before = store.reserve(NAME, 0, 0)
    assert store.reserve(NAME, before, 0) == before == store.reserve(NAME, 0, 1)
    assert store.reserve("another", 0, 1) == 0


@pytest.mark.parametrize("kind", STORES)
def test_counter_that_is_used_up_is_refused(kind: str, tmp_path: Path) -> None:
    store = store_of(kind, tmp_path)
    assert store.reserve(NAME, LIMIT - 1, 1) == LIMIT - 1
    with pytest.raises(StoreError, match="used up"):
        store.reserve(NAME, 0, 1)


def test_later_store_goes_on_where_an_earlier_one_reserved(tmp_path: Path) -> None:
    given_before = [FileCounterStore(tmp_path).reserve(NAME, 0, 1) for _ in range(5)]
    assert given_before == [counters.BLOCK * place for place in range(5)]
    FileCounterStore(tmp_path).reserve(NAME, 7_000_000, 0)
    assert FileCounterStore(tmp_path).reserve(NAME, 0, 1) == 7_000_000


def test_disk_is_written_once_a_block(tmp_path: Path) -> None:
    store = FileCounterStore(tmp_path)
    path = tmp_path / f"{NAME}.counter"
    seen = set()
    for _ in range(2 * counters.BLOCK):
        store.reserve(NAME, 0, 1)
        seen.add(path.read_bytes())
    assert len(seen) == 2


def test_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be kept"):
        FileCounterStore(tmp_path / "file" / "in").reserve(NAME, 0, 1)
    with pytest.raises(StoreError, match="no name"):
        FileCounterStore(tmp_path).reserve("../up", 0, 1)


@given(st.lists(st.integers(0, 4), max_size=12), st.integers(0, 11), st.integers(0, 1))
def test_damaged_slot_never_gives_a_counter_again(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], octet: int, slot: int
) -> None:
    folder = tmp_path_factory.mktemp("counters")
    last = FileCounterStore(folder).reserve(NAME, 0, 1)
    for _ in steps:
        last = FileCounterStore(folder).reserve(NAME, 0, 1)
    path = folder / f"{NAME}.counter"
    octets = bytearray(path.read_bytes())
    at = slot * 4096 + octet
    if at < len(octets):
        octets[at] ^= 0x55
        path.write_bytes(octets)
    with suppress(StoreError):
        assert FileCounterStore(folder).reserve(NAME, 0, 1) > last


def _reserve_many(folder: Path, count: int, channel: Connection) -> None:
    counters.BLOCK = 7
    store = FileCounterStore(folder)
    channel.send([store.reserve(NAME, 0, 1) for _ in range(count)])


def test_processes_at_once_share_no_counter(tmp_path: Path) -> None:
    context = forkserver()
    channels, children = [], []
    for _ in range(4):
        ours, theirs = context.Pipe()
        child = context.Process(target=_reserve_many, args=(tmp_path, 300, theirs))
        child.start()
        channels.append(ours)
        children.append(child)
    given_out = [number for channel in channels for number in channel.recv()]
    for child in children:
        child.join()
    assert len(set(given_out)) == len(given_out) == 1200


def test_forked_child_uses_none_of_its_parents_counters(tmp_path: Path) -> None:
    store = FileCounterStore(tmp_path)
    store.reserve(NAME, 0, 1)
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(theirs, store.reserve(NAME, 0, 1).to_bytes(8, "big"))
        os._exit(0)
    os.waitpid(child, 0)
    assert int.from_bytes(os.read(ours, 8), "big") >= counters.BLOCK
    assert store.reserve(NAME, 0, 1) == 1


def _read_for_ever(url: str, folder: Path) -> None:
    from meters.dlms.client import read_meter

    counters.BLOCK = 3  # so that many kills fall into a write
    store = FileCounterStore(folder)
    address = MeterAddress("M-1", url, "cosem", "hls-gmac", ciphering=CLIENT)

    async def run() -> None:
        while True:
            with suppress(DlmsError):
                await read_meter(
                    replace(address, since_s=T - 2700, until_s=T),
                    at_s=T,
                    timeout_s=5.0,
                    counters=store,
                )

    asyncio.run(run())


class Tap:
    """Keeps the counter of every message that a client sends, in the order of the wire."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.counters: list[int] = []

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass a connection on."""
        from_meter, to_meter = await asyncio.open_connection("127.0.0.1", self._port)
        frames = wrapper.FrameBuffer()

        async def back() -> None:
            while chunk := await from_meter.read(65_536):
                writer.write(chunk)

        answering = asyncio.create_task(back())
        with suppress(ConnectionError):
            while chunk := await reader.read(65_536):
                frames.feed(chunk)
                while (whole := frames.take()) is not None:
                    self._keep(whole[2])
                to_meter.write(chunk)
        answering.cancel()
        to_meter.transport.abort()
        writer.transport.abort()

    def _keep(self, apdu: bytes) -> None:
        if apdu[0] == acse.AARQ:
            request = acse.decode_aarq(apdu)
            if not request.title:
                return  # the public client
            apdu = request.initiate
        if apdu[0] == acse.RLRQ or apdu[0] == 0xC0:
            return
        content = apdu[2:] if apdu[1] < 0x80 else apdu[3:]
        self.counters.append(int.from_bytes(content[1:5], "big"))
        if apdu[0] == 0xCB:
            plain = Key(EK).open(content[0], CLIENT.title + content[1:5], content[5:], AK)
            self.counters.append(int.from_bytes(plain[16:20], "big"))  # of the proof


def test_kill_at_any_point_of_a_session_never_reuses_a_counter(tmp_path: Path) -> None:
    """KHAZRI_COUNTER_KILLS says how often; the seed makes every run the same but for the clock."""
    context = forkserver()
    draw = random.Random(7)

    async def run() -> list[int]:
        servers = DlmsServers()
        rows = [RegisterRow(T - 900 * back, (5_000, 0, 0, 0)) for back in range(3, -1, -1)]
        point = MeterPoint("M-1", T, [5_000, 0, 0, 0], 230.0, rows)
        urls = await servers.start([point], setups={"M-1": MeterSetup(ciphering=METER)})
        tap = Tap(int(urls["M-1"].split(":")[2].split("/")[0]))
        server = await asyncio.start_server(tap.relay, "127.0.0.1", 0)
        url = f"dlms://127.0.0.1:{server.sockets[0].getsockname()[1]}/1"
        async with server:
            for _ in range(ROUNDS):
                before = len(tap.counters)
                child = context.Process(target=_read_for_ever, args=(url, tmp_path), daemon=True)
                child.start()
                while len(tap.counters) == before and child.is_alive():
                    await asyncio.sleep(0.001)
                await asyncio.sleep(draw.uniform(0, 0.05))
                assert child.is_alive()
                child.kill()
                await asyncio.to_thread(child.join)
                await asyncio.sleep(0.005)
        await servers.stop()
        return tap.counters

    used = asyncio.run(run())
    assert len(used) > 2 * ROUNDS
    assert len(set(used)) == len(used)
