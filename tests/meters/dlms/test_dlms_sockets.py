"""Meters read over real TCP: what comes back, what it costs, what is refused."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from grid.errors import BadInputError, Finding
from meters import obis
from meters.dlms import served_association
from meters.dlms.client import StaticAnswers, parse_url, read_meter
from meters.dlms.errors import AccessError, DlmsError, SilentError
from meters.dlms.initiate import Conformance
from meters.dlms.xdlms import OTHER_REASON, GetList
from meters.reading import MISSING, MeterAddress, MeterRead, RegisterRow
from meters.simulator.dlms import DlmsConnection, DlmsServers
from meters.simulator.dlms_objects import DlmsMeter
from meters.simulator.points import MeterPoint
from meters.transport import connect

T = 1_782_000_000
SECRET = b"s3cret!!"


def point(meter: str = "M-1") -> MeterPoint:
    rows = [
        RegisterRow(T - 900 * back, (5_000_000 - 100 * back, 400_000, 30_000, 2_000))
        for back in range(200, -1, -1)
    ]
    return MeterPoint(meter, T, [5_000_050, 400_000, 30_000, 2_000], 231.4, rows)


@asynccontextmanager
async def field(
    *points: MeterPoint, secrets: dict[str, bytes] | None = None
) -> AsyncIterator[dict[str, MeterAddress]]:
    servers = DlmsServers()
    urls = await servers.start(points, secrets=secrets)
    try:
        yield {meter: MeterAddress(meter, url, "cosem") for meter, url in urls.items()}
    finally:
        await servers.stop()


def read_one(
    meter: MeterPoint,
    secrets: dict[str, bytes] | None = None,
    clock: Callable[[], float] | None = None,
    **changes: Any,
) -> tuple[MeterRead, list[Finding]]:
    async def run() -> tuple[MeterRead, list[Finding]]:
        async with field(meter, secrets=secrets) as addresses:
            address = replace(addresses[meter.meter], **changes)
            return await read_meter(address, at_s=T, timeout_s=5.0, clock=clock)

    return asyncio.run(run())


def variants() -> dict[tuple[int, int, bool], str]:
    """One meter identifier for each kind of simulated meter."""
    found: dict[tuple[int, int, bool], str] = {}
    for number in range(100):
        meter = DlmsMeter(point(f"M-{number}"))
        kind = meter.scaler, meter.deviation_minutes, meter.compressed
        found.setdefault(kind, meter.point.meter)
    return found


def test_simulated_meters_are_of_eight_kinds() -> None:
    assert len(variants()) == 8


@pytest.mark.parametrize("meter", sorted(variants().values()))
def test_every_kind_of_meter_gives_the_same_registers_and_rows(meter: str) -> None:
    read, findings = read_one(point(meter), since_s=T - 2700, until_s=T)
    assert findings == []
    assert read.now == RegisterRow(T, (5_000_050, 400_000, 30_000, 2_000))
    assert read.voltage_v == 231.4
    assert read.load_profile == tuple(point().rows[-4:])


def test_day_of_load_profile_comes_in_blocks() -> None:
    read, findings = read_one(point(), since_s=T - 86_400, until_s=T)
    assert findings == []
    assert read.load_profile == tuple(point().rows[-97:])


def test_range_is_closed_at_both_ends_and_empty_when_nothing_stands_in_it() -> None:
    read, _ = read_one(point(), since_s=T - 900, until_s=T - 900)
    assert [row.at_s for row in read.load_profile] == [T - 900]
    read, findings = read_one(point(), since_s=T + 1, until_s=T + 899)
    assert (read.load_profile, findings) == ((), [])


def test_range_longer_than_one_question_is_asked_in_parts() -> None:
    meter = point()
    meter.rows = [RegisterRow(T - 900 * back, (back, 0, 0, 0)) for back in range(96 * 65, -1, -1)]
    read, findings = read_one(meter, since_s=T - 65 * 86_400, until_s=T)
    assert findings == []
    assert read.load_profile == tuple(meter.rows)


def test_missing_energy_keeps_its_place_in_a_row_and_a_gap_stays_a_gap() -> None:
    meter = point()
    meter.rows[-2] = RegisterRow(T - 900, (MISSING, 7, MISSING, 9))
    del meter.rows[-3]
    read, findings = read_one(meter, since_s=T - 2700, until_s=T)
    assert findings == []
    assert read.load_profile == (
        RegisterRow(T - 2700, (4_999_700, 400_000, 30_000, 2_000)),
        RegisterRow(T - 900, (MISSING, 7, MISSING, 9)),
        meter.rows[-1],
    )


def test_registers_beyond_32_bits_are_read() -> None:
    meter = point()
    meter.registers[0] = 123_456_789_012
    assert read_one(meter)[0].now.values[0] == 123_456_789_012


def test_register_without_a_value_is_missing_with_a_finding() -> None:
    meter = point()
    meter.registers[2] = MISSING
    read, findings = read_one(meter)
    assert read.now.values == (5_000_050, 400_000, MISSING, 2_000)
    assert [(finding.code, finding.subject) for finding in findings] == [("meter.register", "M-1")]
    assert findings[0].message == "M-1 2026-06-21T00:00Z 1-0:3.8.0 is null"


def test_low_level_security_lets_in_with_the_password() -> None:
    read, _ = read_one(point(), {"M-1": SECRET}, auth="lls", secret=SECRET)
    assert read.now.values[0] == 5_000_050


@pytest.mark.parametrize(
    ("secrets", "auth", "secret", "message"),
    [
        ({"M-1": SECRET}, "lls", b"wrong", "refused the association: authentication failure"),
        ({"M-1": SECRET}, "none", b"", "refused the association: authentication required"),
        ({}, "lls", SECRET, "refused the association: authentication mechanism not recognised"),
    ],
)
def test_wrong_password_is_refused_with_its_reason(
    secrets: dict[str, bytes], auth: str, secret: bytes, message: str
) -> None:
    with pytest.raises(AccessError) as caught:
        read_one(point(), secrets, auth=auth, secret=secret)
    assert str(caught.value) == message
    assert caught.value.code == "meter.access"


def test_password_never_shows_in_an_address() -> None:
    assert "s3cret" not in repr(MeterAddress("M-1", "dlms://h:1/1", "cosem", "lls", SECRET))


def test_clock_within_a_minute_counts_as_the_time_of_reading() -> None:
    meter = point()
    meter.clock_s = T - 60
    read, findings = read_one(meter)
    assert (read.now.at_s, findings) == (T, [])


def test_a_captured_row_takes_the_place_of_what_was_counted_a_moment_later() -> None:
    meter = point()
    meter.clock_s = T + 9
    meter.registers = [5_000_057, 400_000, 30_001, 2_000]
    meter.rows[-1] = RegisterRow(T, (5_000_050, 400_000, MISSING, 2_000))
    read, findings = read_one(meter, since_s=T, until_s=T, clock=lambda: T + 7.2)
    assert read.now == RegisterRow(T, (5_000_050, 400_000, 30_001, 2_000))
    assert (read.clock_offset_s, findings) == (2, [])
    # A meter whose clock is behind has not captured it yet.
    del meter.rows[-1]
    read, _ = read_one(meter, since_s=T, until_s=T, clock=lambda: T + 7.2)
    assert read.now == RegisterRow(T, (5_000_057, 400_000, 30_001, 2_000))


def test_clock_that_is_off_is_found_and_its_load_profile_not_used() -> None:
    meter = point()
    meter.clock_s = T + 61
    read, findings = read_one(meter, since_s=T - 900, until_s=T)
    assert read.now.at_s == T + 61
    assert read.load_profile == ()
    assert [finding.message for finding in findings] == [
        "M-1 2026-06-21T00:00Z clock is +61 s off, limit is 60 s",
        "M-1 2026-06-21T00:00Z load profile is not used: the clock is off",
    ]


def test_rows_that_contradict_each_other_are_dropped_with_a_finding() -> None:
    meter = point()
    meter.rows += [meter.rows[-1], RegisterRow(T, (1, 1, 1, 1))]
    meter.rows.insert(-4, meter.rows[-5])
    read, findings = read_one(meter, since_s=T - 1800, until_s=T)
    assert [row.at_s for row in read.load_profile] == [T - 1800, T - 900]
    assert [finding.code for finding in findings] == ["meter.duplicate"]


def test_cache_changes_neither_the_reading_nor_its_hash() -> None:
    async def run() -> list[tuple[MeterRead, list[Finding]]]:
        cache = StaticAnswers()
        async with field(point()) as addresses:
            address = replace(addresses["M-1"], since_s=T - 2700, until_s=T)
            return [
                await read_meter(address, at_s=T, timeout_s=5.0, cache=kept)
                for kept in (None, cache, cache)
            ]

    without, cold, warm = asyncio.run(run())
    assert without == cold == warm


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the kinds of questions that simulated meters were asked, as they come."""
    kinds: list[str] = []
    answer = DlmsConnection._answer

    def noting(connection: DlmsConnection, request: Any) -> bytes:
        kinds.append(type(request).__name__)
        return answer(connection, request)

    monkeypatch.setattr(DlmsConnection, "_answer", noting)
    return kinds


async def read_twice(cache: StaticAnswers) -> list[MeterRead | DlmsError]:
    answers: list[MeterRead | DlmsError] = []
    async with field(point()) as addresses:
        address = replace(addresses["M-1"], since_s=T - 2700, until_s=T)
        for _ in range(2):
            try:
                read, findings = await read_meter(address, at_s=T, timeout_s=5.0, cache=cache)
                assert findings == []
                answers.append(read)
            except DlmsError as error:
                answers.append(error)
    return answers


def test_a_reading_costs_four_questions_and_a_later_one_three(asked: list[str]) -> None:
    """Name, what does not change, what does, the rows; and an association around them."""
    asyncio.run(read_twice(StaticAnswers()))
    gets = [kind for kind in asked if kind.startswith("Get")]
    first, later = ["GetRequest", "GetList", "GetList", "GetRequest"], ["GetRequest", "GetList"]
    assert gets == [*first, *later, "GetRequest"]
    assert len(asked) == len(gets) + 4


def test_a_meter_that_refuses_lists_is_asked_one_by_one(
    monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    listed = asyncio.run(read_twice(StaticAnswers()))[0]
    answer = DlmsConnection._answer

    def refusing(connection: DlmsConnection, request: Any) -> bytes:
        if isinstance(request, GetList):
            return connection._connection.deny(request.invoke_id, OTHER_REASON)
        return answer(connection, request)

    monkeypatch.setattr(DlmsConnection, "_answer", refusing)
    first, second = asyncio.run(read_twice(StaticAnswers()))
    assert isinstance(first, MeterRead)
    assert isinstance(second, MeterRead)
    assert isinstance(listed, MeterRead)
    assert first.raw_sha256 == second.raw_sha256 != listed.raw_sha256
    assert replace(first, raw_sha256=listed.raw_sha256) == listed


def test_a_meter_that_answers_a_list_wrongly_is_asked_again_one_by_one(
    monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    answer = DlmsConnection._answer

    def short(connection: DlmsConnection, request: Any) -> bytes:
        if isinstance(request, GetList):
            asked.append("GetList")
            results = [connection._get(item) for item in request.items[1:]]
            return connection._connection.answer_list(request.invoke_id, results)
        return answer(connection, request)

    monkeypatch.setattr(DlmsConnection, "_answer", short)
    cache = StaticAnswers()
    first, second = asyncio.run(read_twice(cache))
    assert isinstance(first, MeterRead)
    assert first == second, "what it answered wrongly leaves no trace in the reading"
    assert asked.count("GetList") == 1
    cache.forget("M-1")
    asyncio.run(read_twice(cache))
    assert asked.count("GetList") == 2


def test_a_meter_without_lists_is_not_asked_any(
    monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    monkeypatch.setattr(
        served_association, "OFFERED", served_association.OFFERED & ~Conformance.MULTIPLE_REFERENCES
    )
    asyncio.run(read_twice(StaticAnswers()))
    assert "GetList" not in asked


def test_exchanged_meter_is_asked_for_its_scaler_again() -> None:
    async def run() -> list[int]:
        cache, values = StaticAnswers(), []
        tenths = variants()[-1, 0, False]
        whole = variants()[0, 0, False]
        async with field(point(tenths), point(whole)) as addresses:
            for behind in (tenths, whole):
                address = replace(addresses[behind], meter="M-1")
                read, _ = await read_meter(address, at_s=T, timeout_s=5.0, cache=cache)
                values.append(read.now.values[0])
        return values

    assert asyncio.run(run()) == [5_000_050, 5_000_050]


def test_reading_is_hashed_by_what_the_meter_said() -> None:
    other = point()
    other.registers[3] += 1
    first, second, third = (read_one(meter)[0].raw_sha256 for meter in (point(), point(), other))
    assert first == second != third
    assert len(first) == 32


def test_silent_meter_costs_the_timeout_and_its_neighbours_nothing() -> None:
    async def run() -> tuple[list[object], float, float]:
        dead, alive = point("M-1"), point("M-2")
        dead.silent = True
        async with field(dead, alive) as addresses:
            began = time.monotonic()
            ended: dict[str, float] = {}

            async def read(meter: str) -> object:
                try:
                    return await read_meter(addresses[meter], at_s=T, timeout_s=0.5)
                finally:
                    ended[meter] = time.monotonic() - began

            answers = await asyncio.gather(read("M-1"), read("M-2"), return_exceptions=True)
            assert len(asyncio.all_tasks()) == 1
            return list(answers), ended["M-1"], ended["M-2"]

    answers, dead_s, alive_s = asyncio.run(run())
    assert isinstance(answers[0], SilentError)
    assert str(answers[0]) == "gave no complete answer"
    assert isinstance(answers[1], tuple)
    assert 0.5 <= dead_s < 5.0
    assert alive_s < dead_s


def against(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]],
) -> DlmsError:
    """Read from a server that behaves as `answer`; return how that failed."""

    async def run() -> DlmsError:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        address = MeterAddress("M-1", f"dlms://127.0.0.1:{port}/1", "cosem")
        async with server:
            with pytest.raises(DlmsError) as caught:
                await read_meter(address, at_s=T, timeout_s=0.5)
        return caught.value

    return asyncio.run(run())


def test_meter_that_hangs_up_or_cannot_be_reached_is_silent() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    assert isinstance(against(hang_up), SilentError)
    with pytest.raises(SilentError, match="gave no complete answer"):
        asyncio.run(
            read_meter(MeterAddress("M-1", "dlms://127.0.0.1:1/1", "cosem"), at_s=T, timeout_s=1.0)
        )


def test_peer_that_is_no_meter_is_malformed() -> None:
    async def web(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    error = against(web)
    assert error.code == "meter.malformed"
    assert "wrapper" in str(error)


def test_meter_that_dribbles_costs_the_timeout_only() -> None:
    async def dribble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for octet in bytes.fromhex("00010001001000ff") + bytes(255):
                writer.write(bytes((octet,)))
                await writer.drain()
                await asyncio.sleep(0.05)
        except ConnectionError:
            pass
        finally:
            writer.close()

    assert isinstance(against(dribble), SilentError)


def test_meter_ends_the_connection_of_a_client_that_sends_rubbish() -> None:
    async def run() -> bytes:
        async with field(point()) as addresses:
            reader, writer = await connect(parse_url(addresses["M-1"].url).endpoint)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            try:
                return await reader.read()
            except ConnectionError:
                return b""
            finally:
                writer.close()

    assert asyncio.run(run()) == b""


def test_service_outside_an_association_is_refused() -> None:
    async def run() -> bytes:
        async with field(point()) as addresses:
            reader, writer = await connect(parse_url(addresses["M-1"].url).endpoint)
            request = bytes.fromhex("c001c10003") + obis.ENERGY[0] + bytes.fromhex("0200")
            writer.write(bytes.fromhex("000100100001") + len(request).to_bytes(2, "big") + request)
            answer = await reader.readexactly(11)
            writer.close()
            return answer

    assert asyncio.run(run()).hex() == "0001000100100003d80101"


@pytest.mark.parametrize(
    "url",
    [
        *("dlms://host/1", "dlms://host:4059", "dlms://host:4059/0", "dlms://host:4059/x"),
        f"dlms://{'h' * 64}:4059/1",
        *("modbus://host:502/1", "dlms://:4059/1", "dlms://host:99999/1", "dlms://host:4059/65536"),
    ],
)
def test_address_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(BadInputError):
        parse_url(url)


@pytest.mark.parametrize("changes", [{"auth": "hls"}, {"auth": "lls"}, {"profile": "nothing"}])
def test_address_with_a_wrong_association_is_refused(changes: dict[str, str]) -> None:
    address = replace(MeterAddress("M-1", "dlms://127.0.0.1:1/1", "cosem"), **changes)
    with pytest.raises(BadInputError):
        asyncio.run(read_meter(address, at_s=T, timeout_s=1.0))


def test_fifty_meters_are_read_together() -> None:
    async def run() -> list[tuple[MeterRead, list[Finding]]]:
        points = [point(f"M-{number}") for number in range(50)]
        secrets = {meter.meter: SECRET for meter in points[::2]}
        async with field(*points, secrets=secrets) as addresses:
            asked = [
                replace(address, auth="lls", secret=SECRET) if meter in secrets else address
                for meter, address in addresses.items()
            ]
            return await asyncio.gather(
                *(
                    read_meter(
                        replace(address, since_s=T - 2700, until_s=T), at_s=T, timeout_s=10.0
                    )
                    for address in asked
                )
            )

    answers = asyncio.run(run())
    assert [read.meter for read, _ in answers] == [f"M-{number}" for number in range(50)]
    assert all(len(read.load_profile) == 4 and not findings for read, findings in answers)
