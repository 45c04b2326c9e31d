"""Ciphered associations over real sockets: every form gives the same reading, every trick fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grid.errors import BadInputError, Finding, Severity
from meters import obis
from meters.dlms import acse, cosem
from meters.dlms.association import Association
from meters.dlms.civil_time import encode_date_time
from meters.dlms.client import open_association, read_meter
from meters.dlms.counters import FileCounterStore, MemoryCounterStore, name_of
from meters.dlms.errors import AccessError, DlmsError, ReplayError, SecurityError, SilentError
from meters.dlms.hdlc import Parameters
from meters.dlms.selection import encode_entries, encode_range
from meters.dlms.xdlms import Attribute
from meters.reader import read_meters
from meters.reading import Ciphering, MeterAddress, MeterRead, RegisterRow
from meters.simulator.dlms import DlmsServers, MeterSetup
from meters.simulator.dlms_objects import EVENT_CLOCK_SET, EVENT_DISCONNECTED, EVENT_RECONNECTED
from meters.simulator.points import MeterPoint

T = 1_782_000_000
PASSWORD = b"s3cret!!"
EK, AK = bytes(range(16)), bytes(range(0xD0, 0xE0))
CLIENT = Ciphering(b"KHZ\x00\x00\x00\x00\x01", EK, AK)
METER = Ciphering(b"KHZ\x00\x00\x00\x00\x99", EK, AK)
BUFFER = Attribute(cosem.PROFILE_GENERIC, obis.LOAD_PROFILE, 2)


def point(meter: str = "M-1") -> MeterPoint:
    rows = [
        RegisterRow(T - 900 * back, (5_000_000 - 100 * back, 400_000, 30_000, 2_000))
        for back in range(96, -1, -1)
    ]
    return MeterPoint(meter, T, [5_000_050, 400_000, 30_000, 2_000], 231.4, rows)


@asynccontextmanager
async def served(setup: MeterSetup) -> AsyncIterator[tuple[DlmsServers, MeterAddress]]:
    servers = DlmsServers()
    urls = await servers.start([point()], setups={"M-1": setup})
    try:
        yield servers, MeterAddress("M-1", urls["M-1"], "cosem", since_s=T - 86_400, until_s=T)
    finally:
        await servers.stop()


def way_in(auth: str) -> tuple[MeterSetup, dict[str, Any]]:
    if auth == "none":
        return MeterSetup(), {}
    if auth == "lls":
        return MeterSetup(PASSWORD), {"auth": auth, "secret": PASSWORD}
    return MeterSetup(ciphering=METER), {"auth": auth, "ciphering": CLIENT}


async def read(address: MeterAddress) -> tuple[MeterRead, list[Finding]]:
    return await read_meter(address, at_s=T, timeout_s=5.0, counters=MemoryCounterStore())


@pytest.mark.parametrize("max_pdu", [128, 256, 1200])
@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
@pytest.mark.parametrize("auth", ["none", "lls", "hls-gmac"])
def test_every_way_in_gives_the_same_reading(auth: str, link: str, max_pdu: int) -> None:
    setup, changes = way_in(auth)
    setup = replace(setup, link=link, max_pdu=max_pdu, hdlc=Parameters(128, 128, 3, 3))

    async def run() -> tuple[MeterRead, list[Finding]]:
        async with served(setup) as (_, address):
            return await read(replace(address, **changes))

    got, findings = asyncio.run(run())
    assert findings == []
    assert got.now == RegisterRow(T, (5_000_050, 400_000, 30_000, 2_000))
    assert got.load_profile == tuple(point().rows)


FORMS = {
    "service-specific": {},
    "suite 1": {"suite": 1},
    "authenticated only": {"encrypted": False},
    "encrypted only": {"authenticated": False},
    "general-glo": {"general": True},
    "dedicated": {"dedicated": True},
    "general-ded": {"general": True, "dedicated": True},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_ciphering_gives_the_same_reading_and_hash(form: str) -> None:
    changes = FORMS[form]
    meter = {name: value for name, value in changes.items() if name != "dedicated"}

    async def run() -> list[MeterRead]:
        setup = MeterSetup(ciphering=replace(METER, **meter), max_pdu=256)
        async with served(setup) as (_, address):
            ciphering = replace(CLIENT, **changes)
            address = replace(address, auth="hls-gmac", ciphering=ciphering)
            store = MemoryCounterStore()
            return [
                (await read_meter(address, at_s=T, timeout_s=5.0, counters=store))[0]
                for _ in range(2)
            ]

    first, second = asyncio.run(run())
    assert first.invocation_counter is not None
    assert second.invocation_counter is not None
    assert second.invocation_counter > first.invocation_counter
    assert replace(first, invocation_counter=None) == replace(second, invocation_counter=None)
    assert first.load_profile == tuple(point().rows)


def test_password_may_be_given_inside_a_ciphered_association() -> None:
    async def run() -> MeterRead:
        async with served(MeterSetup(PASSWORD, METER)) as (_, address):
            return (await read(replace(address, auth="lls", secret=PASSWORD, ciphering=CLIENT)))[0]

    assert asyncio.run(run()).now.values[0] == 5_000_050


@pytest.mark.parametrize(
    "wrong", [{"encryption_key": bytes(16)}, {"authentication_key": bytes(16)}, {"suite": 1}]
)
def test_wrong_key_or_suite_is_refused(wrong: dict[str, Any]) -> None:
    async def run() -> None:
        async with served(MeterSetup(ciphering=METER)) as (_, address):
            await read(replace(address, auth="hls-gmac", ciphering=replace(CLIENT, **wrong)))

    with pytest.raises(AccessError, match="deciphering error"):
        asyncio.run(run())


def test_keys_never_show() -> None:
    address = MeterAddress("M-1", "dlms://h:1/1", "cosem", "hls-gmac", ciphering=CLIENT)
    shown = repr(address) + repr(CLIENT) + repr(MeterSetup(PASSWORD, METER))
    for secret in (EK, AK, PASSWORD):
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown


@pytest.mark.parametrize(
    "wrong",
    [{"title": b"short"}, {"encryption_key": b"short"}, {"suite": 2}]
    + [{"authenticated": False, "encrypted": False}],
)
def test_ciphering_of_another_form_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        replace(CLIENT, **wrong)


def test_ciphering_without_a_store_of_counters_is_refused() -> None:
    address = MeterAddress("M-1", "dlms://127.0.0.1:1/1", "cosem", "hls-gmac", ciphering=CLIENT)
    with pytest.raises(BadInputError, match="invocation counters"):
        asyncio.run(read_meter(address, at_s=T, timeout_s=1.0))
    with pytest.raises(BadInputError, match="system title"):
        asyncio.run(read_meter(replace(address, ciphering=None), at_s=T, timeout_s=1.0))


def test_counter_that_fell_behind_is_refreshed_by_the_public_client(tmp_path: Path) -> None:
    async def run() -> list[int]:
        async with served(MeterSetup(ciphering=METER)) as (servers, address):
            address = replace(address, auth="hls-gmac", ciphering=CLIENT)
            seen = []
            for folder in ("first", "lost"):  # the second store knows nothing of the first
                store = FileCounterStore(tmp_path / folder)
                for _ in range(2):
                    await read_meter(address, at_s=T, timeout_s=5.0, counters=store)
                    seen.append(servers.meters["M-1"].objects.counter())
            return seen

    seen = asyncio.run(run())
    assert seen == sorted(set(seen))


def test_public_client_of_a_ciphered_meter_sees_its_counter_and_no_energy() -> None:
    async def run() -> list[object]:
        async with served(MeterSetup(ciphering=METER)) as (_, address):
            async with open_association(address, timeout_s=5.0) as meter:
                counter = await meter.get(Attribute(cosem.DATA, obis.INVOCATION_COUNTER, 2))
                refused = []
                for ask in (
                    meter.get(Attribute(cosem.REGISTER, obis.ENERGY[0], 2)),
                    meter.disconnect(),
                    meter.set_clock(T),
                ):
                    try:
                        await ask
                    except AccessError as error:
                        refused.append(str(error))
            return [counter, *refused]

    assert asyncio.run(run()) == [
        0,
        "1-0:1.8.0 2 refused: read-write denied",
        "0-0:96.3.10 1 refused: read-write denied",
        "0-0:1.0.0 2 refused: read-write denied",
    ]


def with_meter(
    setup: MeterSetup, changes: dict[str, Any], ask: Callable[[Association], Any]
) -> Any:
    async def run() -> Any:
        async with (
            served(setup) as (_, address),
            open_association(
                replace(address, **changes), timeout_s=5.0, counters=MemoryCounterStore()
            ) as meter,
        ):
            return await ask(meter)

    return asyncio.run(run())


@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
@pytest.mark.parametrize("auth", ["none", "hls-gmac"])
def test_objects_are_read_set_and_acted_on(auth: str, link: str) -> None:
    setup, changes = way_in(auth)

    async def ask(meter: Association) -> None:
        objects = await meter.object_list()
        assert {(entry.class_id, entry.obis) for entry in objects} >= {
            (cosem.REGISTER, obis.ENERGY[0]),
            (cosem.PROFILE_GENERIC, obis.LOAD_PROFILE),
            (cosem.DISCONNECT_CONTROL, obis.DISCONNECT),
        }
        for entry in objects:
            await meter.get_all([Attribute(entry.class_id, entry.obis, i) for i in entry.readable])
        assert await meter.disconnect_state() == cosem.DisconnectState(
            True, cosem.ControlState.CONNECTED
        )
        await meter.disconnect()
        assert not (await meter.disconnect_state()).is_on
        await meter.set_clock(T + 30)
        assert (await meter.clock()).at_s == T + 30
        await meter.reconnect()
        assert (await meter.disconnect_state()).is_on
        assert [(row.at_s, row.code) for row in await meter.events(T - 1, T + 60)] == [
            (T, EVENT_DISCONNECTED),
            (T, EVENT_CLOCK_SET),
            (T + 30, EVENT_RECONNECTED),
        ]
        demand = await meter.demand(obis.DEMAND)
        assert (demand.last, demand.unit, demand.period_s) == (400, cosem.UNIT_WATT, 900)
        assert (await meter.extended(obis.MAXIMUM_DEMAND)).value == 400

    with_meter(replace(setup, link=link, max_pdu=200), changes, ask)


def test_entries_and_columns_are_selected() -> None:
    async def ask(meter: Association) -> None:
        rows = await meter.get(BUFFER, encode_entries(1, 3, 2, 3))
        values = [row.values for row in point().rows]
        scale = rows[0][0] // values[0][0]
        assert rows == [(scale * value[0], scale * value[1]) for value in values[:3]]
        newest = await meter.get(BUFFER, encode_entries(97, 0, 2, 2))
        assert newest == [(scale * values[-1][0],)]
        deviation = (await meter.clock()).deviation_minutes
        times = [encode_date_time(at_s, deviation) for at_s in (T - 900, T)]
        column = Attribute(cosem.REGISTER, obis.ENERGY[1], 2)
        chosen = await meter.get(BUFFER, encode_range(times[0], times[1], obis.CLOCK, [column]))
        assert chosen == [(scale * values[-2][1],), (scale * values[-1][1],)]

    with_meter(MeterSetup(), {}, ask)


class Tamper:
    """Stands between a client and a meter; changes the answers by `change`."""

    def __init__(self, change: Callable[[int, bytes], bytes | None]) -> None:
        self._change = change
        self.answers: list[bytes] = []

    async def before(self, url: str) -> tuple[asyncio.Server, str]:
        port = int(url.split(":")[2].split("/")[0])

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            from_meter, to_meter = await asyncio.open_connection("127.0.0.1", port)
            try:
                while True:
                    to_meter.write(await _frame(reader))
                    answer = await _frame(from_meter)
                    changed = self._change(len(self.answers), answer[8:])
                    self.answers.append(answer[8:])
                    if changed is not None:
                        writer.write(answer[:6] + len(changed).to_bytes(2, "big") + changed)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                to_meter.transport.abort()
                writer.transport.abort()

        server = await asyncio.start_server(relay, "127.0.0.1", 0)
        return server, f"dlms://127.0.0.1:{server.sockets[0].getsockname()[1]}/1"


async def _frame(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(8)
    return head + await reader.readexactly(int.from_bytes(head[6:], "big"))


def tampered(
    change: Callable[[int, bytes], bytes | None], *, readings: int = 1, auth: str = "hls-gmac"
) -> DlmsError:
    """Read with answers changed; return how that failed."""

    async def run() -> DlmsError:
        async with served(MeterSetup(PASSWORD, METER)) as (_, address):
            tamper = Tamper(change)
            server, url = await tamper.before(address.url)
            address = replace(
                address, url=url, auth=auth, secret=PASSWORD, ciphering=CLIENT, since_s=None
            )
            store = MemoryCounterStore()
            # A counter in use: the public client is not asked first.
            store.reserve(name_of(EK, CLIENT.title), 7, 1)
            async with server:
                for _ in range(readings - 1):
                    await read_meter(address, at_s=T, timeout_s=2.0, counters=store)
                with pytest.raises(DlmsError) as caught:
                    await read_meter(address, at_s=T, timeout_s=2.0, counters=store)
            return caught.value

    return asyncio.run(run())


def test_answer_that_is_sent_again_is_a_replay() -> None:
    kept: list[bytes] = []

    def again(place: int, answer: bytes) -> bytes:
        kept.append(answer)
        return kept[3] if place == 4 else answer

    error = tampered(again)
    assert isinstance(error, ReplayError)
    assert error.code == "meter.replay"


def test_session_that_is_sent_again_is_a_replay_even_without_a_challenge() -> None:
    kept: list[bytes] = []

    def again(place: int, answer: bytes) -> bytes:
        kept.append(answer)
        is_second = sum(one[0] == acse.AARE for one in kept) > 1
        return kept[0] if is_second else answer

    assert isinstance(tampered(again, readings=2, auth="lls"), ReplayError)


def test_flipped_bit_anywhere_in_an_answer_is_noticed() -> None:
    for bit in (7, 40, 60, 100, 200):
        error = tampered(
            lambda place, answer, bit=bit: (
                answer if place != 3 else _flip(answer, bit % (8 * len(answer)))
            )
        )
        assert isinstance(error, DlmsError)


def _flip(octets: bytes, bit: int) -> bytes:
    flipped = bytearray(octets)
    flipped[bit // 8] ^= 0x80 >> bit % 8
    return bytes(flipped)


def test_meter_without_the_key_cannot_prove_itself() -> None:
    """The proof of the meter is cut out of its answer, which is else whole."""

    def forged(place: int, answer: bytes) -> bytes:
        return answer if place != 1 else bytes.fromhex("c701c100010009110000000000") + bytes(12)

    error = tampered(forged)
    assert isinstance(error, SecurityError)
    assert "not protected" in str(error)


@pytest.mark.parametrize("place", [2, 3, 4])
def test_answer_in_clear_where_protection_was_agreed_is_a_downgrade(place: int) -> None:
    plain = bytes.fromhex("c401c100060000152e")
    error = tampered(lambda at, answer: plain if at == place else answer)
    assert isinstance(error, SecurityError)
    assert error.code == "meter.security"


def test_association_in_clear_where_ciphering_was_asked_is_a_downgrade() -> None:
    plain = bytes.fromhex(
        "6129a109060760857405080101a203020100a305a103020100be10040e0800065f1f040000501f01f40007"
    )
    error = tampered(lambda at, answer: plain if at == 0 else answer)
    assert isinstance(error, SecurityError)
    assert "application context 1" in str(error)


def test_association_without_a_challenge_where_a_proof_was_asked_is_a_downgrade() -> None:
    def without(place: int, answer: bytes) -> bytes:
        return answer.replace(bytes.fromhex("a305a10302010e"), bytes.fromhex("a305a103020100"))

    error = tampered(without)
    assert isinstance(error, SecurityError)
    assert "asks for no proof" in str(error)


def test_meter_that_falls_silent_in_the_handshake_is_silent() -> None:
    assert isinstance(tampered(lambda at, answer: None if at == 1 else answer), SilentError)


def test_replayed_answer_is_an_alarm_of_the_reading_of_all_meters() -> None:
    kept: list[bytes] = []

    def again(place: int, answer: bytes) -> bytes:
        kept.append(answer)
        return kept[3] if place == 4 else answer

    async def run() -> tuple[list[MeterRead], list[Finding]]:
        async with served(MeterSetup(PASSWORD, METER)) as (_, address):
            server, url = await Tamper(again).before(address.url)
            address = replace(address, url=url, auth="hls-gmac", ciphering=CLIENT, since_s=None)
            store = MemoryCounterStore()
            store.reserve(name_of(EK, CLIENT.title), 7, 1)
            async with server:
                return await read_meters([address], at_s=T, timeout_s=2.0, counters=store)

    reads, findings = asyncio.run(run())
    assert reads == []
    ((code, severity),) = [(one.code, one.severity) for one in findings]
    assert (code, severity) == ("meter.replay", Severity.ALARM)
