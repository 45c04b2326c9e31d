"""General block transfer: windows, lost blocks, and what a peer may not do with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from itertools import pairwise

import pytest

from grid.errors import BadInputError
from meters.dlms import client, gbt
from meters.dlms.counters import MemoryCounterStore
from meters.dlms.errors import DlmsError, LocalProtocolError
from meters.dlms.profile import load_profile, parse_profile
from meters.reading import MeterAddress, MeterRead, RegisterRow
from meters.simulator.dlms import DlmsServers, MeterSetup
from meters.simulator.points import MeterPoint
from tests.meters.dlms.memory_meter import (
    CELLS,
    CLIENT,
    METER,
    WAYS,
    T,
    block,
    exercise,
    octets,
    opened,
)


class Lossy:
    """A relay between client and meter that drops each APDU that `drops` picks, once."""

    def __init__(self, drops: Callable[[str, bytes], bool]) -> None:
        self._drops = drops
        self._dropped: set[tuple[str, bytes]] = set()
        self.passed: list[tuple[str, bytes]] = []
        self.lost = 0
        self._server: asyncio.Server | None = None

    async def before(self, url: str) -> str:
        port = int(url.split(":")[2].split("/")[0])

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            from_meter, to_meter = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(
                self._pass("client", reader, to_meter), self._pass("meter", from_meter, writer)
            )

        self._server = await asyncio.start_server(relay, "127.0.0.1", 0)
        return f"dlms://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/1"

    async def _pass(
        self, side: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while True:
                head = await reader.readexactly(8)
                apdu = await reader.readexactly(int.from_bytes(head[6:], "big"))
                if (side, apdu) not in self._dropped and self._drops(side, apdu):
                    self._dropped.add((side, apdu))
                    self.lost += 1
                    continue
                self.passed.append((side, apdu))
                writer.write(head + apdu)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@pytest.mark.parametrize("ciphered", [False, True], ids=["plain", "hls-gmac"])
def test_blocks_lost_within_a_window_are_sent_again(ciphered: bool) -> None:
    # Of each window the middle is lost, not its end, in both directions.
    lossy = Lossy(lambda _, apdu: apdu[0] == gbt.TAG and bool(apdu[1] & 0x40) and apdu[3] % 3 == 2)

    async def run() -> None:
        async with opened(ciphered=ciphered, conformance=WAYS["general blocks"][0],
                          through=lossy.before) as asked:  # fmt: skip
            await exercise(asked)

    asyncio.run(run())
    assert lossy.lost > 10
    numbers = [apdu[3] for side, apdu in lossy.passed if side == "meter" and apdu[0] == gbt.TAG]
    assert any(after <= before for before, after in pairwise(numbers))


def test_windows_are_streamed_as_wide_as_the_peer_takes_them() -> None:
    lossy = Lossy(lambda _side, _apdu: False)

    async def run() -> None:
        async with opened(conformance=WAYS["general blocks"][0], through=lossy.before) as asked:
            await asked.ask("set", CELLS[0], octets(4000))
            await asked.ask("get", CELLS[0])

    asyncio.run(run())
    blocks = [(side, apdu) for side, apdu in lossy.passed if apdu[0] == gbt.TAG]
    acknowledgements = [side for side, apdu in blocks if len(apdu) == 7]
    # 34 blocks each way, seven at a time once the window is known; the last needs none.
    assert acknowledgements == ["meter"] * 5 + ["client"] * 4
    assert len(blocks) == 2 * 34 + 9
    assert all(apdu[1] & 0x3F == gbt.WINDOW for _, apdu in blocks)


def transferred(apdu: bytes, max_pdu: int, window: int) -> tuple[bytes | None, int]:
    """Move an APDU between two transfers; return what came and the number of blocks."""
    sender, taker = gbt.BlockTransfer(), gbt.BlockTransfer()
    blocks, count, whole = sender.start(apdu, max_pdu), 0, None
    while blocks:
        for one in blocks:
            whole = taker.receive(one)
            count += 1
        if whole is not None:
            return whole, count
        (answer,) = taker.proceed()
        assert sender.receive(bytes((answer[0], 0x80 | window)) + answer[2:]) is None
        blocks = sender.proceed()
    return None, count


def test_longest_apdu_in_blocks_of_one_byte_comes_to_the_last_number() -> None:
    apdu = b"\xc4" + bytes(gbt.MAX_APDU - 1)
    assert transferred(apdu, gbt.BlockTransfer.SMALLEST, 63) == (apdu, 0xFFFF)
    with pytest.raises(LocalProtocolError, match="does not fit"):
        gbt.BlockTransfer().start(apdu + b"\0", 100)


@pytest.mark.parametrize("window", [1, 2, 63])
def test_a_window_of_the_peer_is_kept(window: int) -> None:
    sender = gbt.BlockTransfer()
    assert len(sender.start(bytes(1000), 19)) == 1
    sender.receive(block(1, window=window, acknowledges=1))
    sent = sender.proceed()
    assert len(sent) == window
    assert [one[1] & 0x40 for one in sent] == [0x40] * (window - 1) + [0]


def test_a_window_of_nothing_is_refused() -> None:
    sender = gbt.BlockTransfer()
    sender.start(bytes(1000), 19)
    with pytest.raises(DlmsError, match="window is 0"):
        sender.receive(block(1, window=0, acknowledges=1))


@pytest.mark.parametrize("acknowledges", [0, 3, 0xFFFF])
def test_acknowledging_what_was_not_sent_or_nothing_for_ever_is_refused(acknowledges: int) -> None:
    sender = gbt.BlockTransfer()
    sender.start(bytes(1000), 19)
    sender.receive(block(1, acknowledges=1))
    sender.proceed()

    def again() -> None:
        for number in range(2, 10):
            sender.receive(block(number, acknowledges=acknowledges or 1))
            assert len(sender.proceed()) == 1

    with pytest.raises(
        DlmsError, match="acknowledged, must be" if acknowledges else "lost 4 times"
    ):
        again()


def received(blocks: list[bytes]) -> list[bytes | None]:
    taker = gbt.BlockTransfer()
    return [taker.receive(one) for one in blocks]


def test_a_block_that_comes_again_is_taken_once() -> None:
    blocks = [block(1, b"\xc4\1"), block(1, b"\xc4\1"), block(2, b"\2", last=True)]
    assert received(blocks) == [None, None, b"\xc4\1\2"]


def test_a_block_out_of_order_is_asked_for_again_and_not_for_ever() -> None:
    taker = gbt.BlockTransfer()
    assert taker.receive(block(1, b"\xc4", streaming=True)) is None
    assert not taker.under_way
    assert taker.receive(block(3, b"\3", last=True)) is None
    (asks,) = taker.proceed()
    assert asks[4:6] == b"\0\1"
    assert taker.receive(block(2, b"\2", streaming=True)) is None
    assert taker.receive(block(3, b"\3", last=True)) == b"\xc4\2\3"

    def never() -> None:
        for _ in range(200):
            taker.receive(block(9, b"\1"))
            taker.proceed()

    with pytest.raises(DlmsError, match="block 1 does not come"):
        never()


@pytest.mark.parametrize("size", [1, 100, 5000])
def test_blocks_of_which_none_is_the_last_are_bounded(size: int) -> None:
    taker = gbt.BlockTransfer()
    taken = 0

    def endless() -> None:
        nonlocal taken
        while True:
            taken += 1
            taker.receive(block(taken & 0xFFFF, bytes(size), streaming=True, window=63))

    with pytest.raises(DlmsError, match=r"longer than 65535 bytes|does not come"):
        endless()
    assert taken * size <= gbt.MAX_APDU + (gbt.MAX_IDLE + 2) * size


@pytest.mark.parametrize(
    "octets",
    [
        block(1),
        block(1, streaming=True),
        block(1, last=True),
        block(1, b"\xe0\0", last=True),
        block(1, b"\xc4")[:-1],
        block(1, b"\xc4") + b"\0",
        block(1)[:6],
        *(bytes((gbt.TAG, 0, 0, 1, 0, 0, size)) for size in (0x80, 0x85, 0xFF)),
    ],
)
def test_general_block_that_is_empty_or_malformed_is_refused(octets: bytes) -> None:
    with pytest.raises(DlmsError):
        received([octets])


@pytest.mark.parametrize("ciphered", [False, True], ids=["plain", "hls-gmac"])
def test_profile_of_a_make_asks_for_general_blocks(
    ciphered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = replace(load_profile("cosem"), general_blocks=True)
    monkeypatch.setattr(client, "load_profile", lambda _: profile)
    rows = [RegisterRow(T - 900 * back, (5000 - back, 40, 3, 2)) for back in range(96, -1, -1)]
    lossy = Lossy(lambda _side, _apdu: False)

    async def run() -> MeterRead:
        servers = DlmsServers()
        urls = await servers.start(
            [MeterPoint("M-1", T, [5000, 40, 3, 2], 230.0, rows)],
            setups={"M-1": MeterSetup(b"", METER if ciphered else None, max_pdu=128)},
        )
        address = MeterAddress("M-1", await lossy.before(urls["M-1"]), "cosem")
        address = replace(address, since_s=T - 86_400, until_s=T)
        if ciphered:
            address = replace(address, auth="hls-gmac", ciphering=CLIENT)
        read, findings = await client.read_meter(
            address, at_s=T, timeout_s=5.0, counters=MemoryCounterStore()
        )
        assert findings == []
        await servers.stop()
        return read

    assert asyncio.run(run()).load_profile == tuple(rows)
    assert any(apdu[0] == gbt.TAG and apdu[1] & 0x40 for _, apdu in lossy.passed)


def test_profile_says_whether_by_a_word() -> None:
    text = files("meters").joinpath("profiles", "cosem.toml").read_text(encoding="utf-8")
    assert parse_profile("a", "general_blocks = true\n" + text).general_blocks
    assert not parse_profile("a", text).general_blocks
    with pytest.raises(BadInputError, match="general_blocks is 1, must be true or false"):
        parse_profile("a", "general_blocks = 1\n" + text)
