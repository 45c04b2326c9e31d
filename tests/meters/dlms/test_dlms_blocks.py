"""Long values in both directions over real sockets: data blocks, lists, general blocks."""

from __future__ import annotations

import asyncio

import pytest

from meters import obis
from meters.dlms import cosem, data
from meters.dlms.client import open_association
from meters.dlms.errors import AccessError, LocalProtocolError
from meters.dlms.events import (
    Event,
    Written,
)
from meters.dlms.xdlms import Attribute
from meters.reading import MeterAddress
from meters.simulator.dlms import DlmsServers, MeterSetup
from meters.simulator.points import MeterPoint
from tests.meters.dlms.memory_meter import (
    BARE,
    CELLS,
    WAYS,
    T,
    exercise,
    octets,
    opened,
)


@pytest.mark.parametrize("max_pdu", [128, 256])
@pytest.mark.parametrize("ciphered", [False, True], ids=["plain", "hls-gmac"])
@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
@pytest.mark.parametrize("way", WAYS)
def test_long_values_cross_whole_in_both_directions(
    way: str, link: str, ciphered: bool, max_pdu: int
) -> None:
    conformance, hdlc = WAYS[way]

    async def run() -> None:
        async with opened(
            link, max_pdu, ciphered=ciphered, conformance=conformance, hdlc=hdlc
        ) as asked:
            await exercise(asked)

    asyncio.run(run())


def test_without_blocks_agreed_a_long_value_goes_as_one_apdu() -> None:
    async def run() -> None:
        async with opened(conformance=BARE) as asked:
            await exercise(asked)

    asyncio.run(run())


def test_a_short_set_in_the_middle_of_a_long_one_ends_it() -> None:
    async def run() -> list[Event]:
        async with opened() as asked:
            connection = asked.session.connection
            first = connection.set(CELLS[0], octets(500))
            await asked.session._exchange(first)  # acknowledged, and not gone on with
            connection.state = type(connection.state).READY
            short = await asked.ask("set", CELLS[1], octets(3))
            assert CELLS[0] not in asked.meter.kept
            return [short]

    assert asyncio.run(run()) == [Written()]


def test_objects_of_a_simulated_meter_are_written_in_a_list() -> None:
    clock = Attribute(cosem.CLOCK, obis.CLOCK, 2)
    register = Attribute(cosem.REGISTER, obis.ENERGY[0], 2)
    time = data.encode(data.Tag.OCTET_STRING, bytes.fromhex("07e8060f0614172d00ff8880"))

    async def run() -> tuple[list[AccessError | None], int]:
        servers = DlmsServers()
        point = MeterPoint("M-1", T, [0, 0, 0, 0], 230.0, [])
        urls = await servers.start([point], setups={"M-1": MeterSetup(max_pdu=128)})
        address = MeterAddress("M-1", urls["M-1"], "cosem")
        async with open_association(address, timeout_s=5.0) as meter:
            items = [(register, b"\x06\0\0\0\1"), (clock, time), (clock, b"\x11\x01")] * 5
            results = await meter.set_all(items)
            objects = await meter.object_list()
            keys = [Attribute(one.class_id, one.obis, 1) for one in objects]
            names = await meter.get_all(keys * 3)
            assert list(names) == [key.obis for key in keys] * 3
        await servers.stop()
        return results, point.clock_s

    results, clock_s = asyncio.run(run())
    assert clock_s == 1_718_475_825
    told = [None if one is None else str(one) for one in results]
    assert told == [
        "1-0:1.8.0 2 refused: read-write denied", None, "0-0:1.0.0 2 refused: type unmatched"
    ] * 5  # fmt: skip


def test_list_that_a_block_has_no_room_for_is_our_own_bug() -> None:
    async def run() -> None:
        async with opened(max_pdu=128) as asked:
            connection = asked.session.connection
            assert connection.most_references == 4
            with pytest.raises(LocalProtocolError, match="must have 1 to 4"):
                connection.set_list([(CELLS[0], b"\0")] * 5)

    asyncio.run(run())
