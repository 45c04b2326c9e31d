"""Samples of sensors reach the store through a real broker, whatever happens to it."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from random import Random
from typing import Any

import aiomqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from grid import interval
from grid.errors import BadInputError
from grid.operation import commission
from grid.operation.demo_site import demo_site
from grid.operation.sensors import FLUSH_S, PENDING, Listener, broker, run
from grid.site import Site
from grid.site_file import parse
from grid.store import Store, control, sensors
from meters.mqtt.mapping import Message
from meters.mqtt.subscriber import QUEUE, Broker, Traffic, listen
from meters.simulator.sensors import payloads, publish
from meters.vee import Quality

Start = Callable[..., Any]
"""Starts mosquitto with some options: `port`, `start()` and `kill()`."""
NOON_S = interval.parse("2026-05-29T12:00Z")

SENSORS = """
[mqtt]
host = "127.0.0.1"
port = {port}
subscribe = ["city/#"]

[[sensor]]
id = "T-1"
kind = "temperature_celsius"
topic = "city/square/temperature"
location = "the square"
stale_after_s = 2

[[sensor]]
id = "PM-1"
kind = "pm25_ug_m3"
topic = "city/school/air"
usage_point = "UP-001"
payload = "json"
value = "/air/pm25"
time = "/at"

[[sensor]]
id = "L-1"
kind = "street_light_on"
topic = "city/road/7/on"
location = "road, pole 7"
payload = "boolean"
"""


@pytest.fixture(scope="module")
def text() -> str:
    return demo_site() + SENSORS


def _site(text: str, port: int) -> Site:
    return parse(text.format(port=port) if "{port}" in text else text)


def _now_s() -> int:
    return int(time.time())


@asynccontextmanager
async def _listening(store: Store, site: Site) -> AsyncIterator[Listener]:
    assert site.mqtt is not None
    listener = Listener(site, store, _now_s)
    task = asyncio.create_task(run(listener, broker(site.mqtt, Path(".")), draw=Random(1)))
    await _until(lambda: listener.traffic.connected)
    try:
        yield listener
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _until(condition: Callable[[], bool], limit_s: float = 15.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.02)


async def _publish(port: int, *messages: tuple[str, object], **options: Any) -> None:
    async with aiomqtt.Client("127.0.0.1", port) as client:
        for topic, payload in messages:
            raw = payload if isinstance(payload, bytes) else str(payload)
            await client.publish(topic, raw, qos=1, **options)


def _stored(store: Store, sensor: str) -> list[tuple[float, int]]:
    with store.read() as tx:
        got = sensors.get_samples(tx, sensor, _now_s() - 86_400, _now_s() + 60)
    return list(zip(got["value"].values.tolist(), got["quality"].values.tolist(), strict=True))


def _findings(store: Store) -> dict[tuple[str, str], str]:
    with store.read() as tx:
        return {(row["code"], row["subject"]): row["message"] for row in control.findings(tx)}


def _air(value: object, at_s: int) -> str:
    return json.dumps({"air": {"pm25": value}, "at": at_s})


def test_samples_arrive_with_their_qualities(store: Store, mosquitto: Start, text: str) -> None:
    port = mosquitto().port
    site, now_s = _site(text, port), _now_s()

    async def scene() -> None:
        async with _listening(store, site) as listener:
            await _publish(
                port,
                ("city/square/temperature", "21.5"),
                ("city/school/air", _air(12.0, now_s - 20)),
                ("city/school/air", _air(9999.0, now_s - 10)),
                ("city/school/air", _air(None, now_s - 5)),
                ("city/road/7/on", "on"),
            )
            await _until(lambda: listener.stored >= 5)

    asyncio.run(scene())
    assert _stored(store, "T-1")[0] == (21.5, Quality.VALID)
    assert _stored(store, "L-1") == [(1.0, Quality.VALID)]
    air = _stored(store, "PM-1")
    assert air[:2] == [(12.0, Quality.VALID), (9999.0, Quality.SUSPECT)]
    assert air[2][1] == Quality.MISSING
    assert air[2][0] != air[2][0]
    assert "9999 ug_m3, must be within 0 to 2000" in _findings(store)["sensor.range", "PM-1"]


def test_a_broker_that_is_killed_and_started_again_is_found_again(
    store: Store, mosquitto: Start, text: str
) -> None:
    server = mosquitto()
    site = _site(text, server.port)

    async def scene() -> None:
        async with _listening(store, site) as listener:
            await _publish(server.port, ("city/road/7/on", "on"))
            await _until(lambda: listener.stored >= 1)
            server.kill()
            await _until(lambda: not listener.traffic.connected)
            await _until(lambda: ("sensor.stale", "T-1") in _findings(store))
            server.start()
            await _until(lambda: listener.traffic.connected)
            await _publish(server.port, ("city/square/temperature", "20"))
            await _until(lambda: (20.0, Quality.VALID) in _stored(store, "T-1"))
            assert listener.traffic.connections == 2

    asyncio.run(scene())
    assert f"127.0.0.1:{server.port}" in _findings(store)["mqtt.lost", "mqtt"]
    values = _stored(store, "T-1")
    assert [quality for _, quality in values][:2] == [Quality.MISSING, Quality.VALID]


def test_retained_and_duplicate_messages_are_not_taken_as_news(
    store: Store, mosquitto: Start, text: str
) -> None:
    port = mosquitto().port
    site, at_s = _site(text, port), _now_s() - 100

    async def scene() -> None:
        old = (("city/square/temperature", "5"), ("city/school/air", _air(7.0, at_s)))
        await _publish(port, *old, retain=True)
        async with _listening(store, site) as listener:
            await _until(lambda: listener.inbox.counts["retained"] == 2)
            again = ("city/school/air", _air(7.0, at_s))
            await _publish(port, again, again)
            await _until(lambda: listener.inbox.counts["duplicates"] == 2)
            await _until(lambda: listener.stored >= 1)

    asyncio.run(scene())
    assert _stored(store, "PM-1") == [(7.0, Quality.VALID)]
    assert (5.0, Quality.VALID) not in _stored(store, "T-1")
    with store.read() as tx:
        got = sensors.get_samples(tx, "PM-1", at_s, at_s + 1)
        assert got["retained"].values.tolist() == [True]
        assert not sensors.latest(tx, {"PM-1": 900}, now_s=at_s + 1)["PM-1"].fresh


def test_garbage_is_refused_by_topic_and_reason_and_hurts_nothing(
    store: Store, mosquitto: Start, text: str
) -> None:
    port = mosquitto().port
    site, draw = _site(text, port), Random(7)
    junk = [("city/square/temperature", draw.randbytes(draw.randrange(200))) for _ in range(300)]

    async def scene() -> None:
        async with _listening(store, site) as listener:
            await _publish(port, *junk, ("city/school/air", b"{" * 4000))
            await _publish(port, ("city/square/temperature", b"1" * 100_000))
            await _publish(port, ("city/nobody", "1"), ("city/road/7/on", "off"))
            await _until(lambda: listener.inbox.counts["unknown"] == 1)
            await _until(lambda: (0.0, Quality.VALID) in _stored(store, "L-1"))
            assert listener.inbox.counts["refused"] > 250
            assert listener.traffic.connections == 1

    asyncio.run(scene())
    found = _findings(store)
    assert "city/square/temperature" in found["sensor.payload", "T-1"]
    assert "city/school/air '{{{" in found["sensor.payload", "PM-1"]
    assert "no sensor is mapped to 'city/nobody'" in found["sensor.unknown", "mqtt"]


async def _first_word(place: Broker) -> str:
    """Return the first that is told of a connection to a broker."""
    told: asyncio.Queue[str] = asyncio.Queue()

    async def take(messages: list[Message]) -> None:
        raise AssertionError(messages)

    listening = asyncio.create_task(
        listen(
            *(place, ["city/#"], take),
            clock=_now_s,
            draw=Random(1),
            traffic=Traffic(),
            tell=lambda kind, reason: told.put_nowait(f"{kind} {reason}"),
        )
    )
    try:
        return await asyncio.wait_for(told.get(), 15)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


def test_a_password_is_asked_for_and_given(tmp_path: Path, mosquitto: Start, text: str) -> None:
    (tmp_path / "users").write_text("khazri:secret\n")
    subprocess.run(["mosquitto_passwd", "-U", str(tmp_path / "users")], check=True)
    port = mosquitto("allow_anonymous false", f"password_file {tmp_path / 'users'}").port
    (tmp_path / "password").write_text("secret\n")
    login = f'port = {port}\nuser = "khazri"\npassword_file = "password"'
    site = parse(text.replace("port = {port}", login))
    assert site.mqtt is not None
    right = broker(site.mqtt, tmp_path)
    wrong = Broker(right.host, right.port, None, "khazri", "guess")
    assert asyncio.run(_first_word(right)).startswith("connected")
    assert "Not authorized" in asyncio.run(_first_word(wrong))
    assert "secret" not in repr(right)
    with pytest.raises(BadInputError, match=r"password_file .*: No such file"):
        broker(site.mqtt, tmp_path / "elsewhere")


def test_a_broker_must_prove_its_name_under_tls(
    tmp_path: Path, mosquitto: Start, text: str
) -> None:
    for name in ("here", "other"):
        _certificate(tmp_path / name)
    keys = [f"certfile {tmp_path}/here.pem", f"keyfile {tmp_path}/here.key"]
    port = mosquitto("allow_anonymous true", *keys).port

    def place(ca_file: str) -> Broker:
        login = f'port = {port}\ntls = true\nca_file = "{ca_file}"'
        site = parse(text.replace("port = {port}", login))
        assert site.mqtt is not None
        return broker(site.mqtt, tmp_path)

    assert asyncio.run(_first_word(place("here.pem"))).startswith("connected")
    assert "certificate verify failed" in asyncio.run(_first_word(place("other.pem")))
    with pytest.raises(BadInputError, match="no certificate authorities"):
        place("absent.pem")


def _certificate(path: Path) -> None:
    """Write a certificate for loopback that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, path.name)])
    now = datetime.now(UTC)
    host = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(host, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.with_suffix(".pem").write_bytes(made.public_bytes(Encoding.PEM))
    path.with_suffix(".key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )


FLOOD_S, FLOOD_HZ = 3.0, 10_000


def test_ten_thousand_messages_a_second_stay_within_bounds(
    tmp_path: Path, mosquitto: Start, text: str
) -> None:
    port = mosquitto().port
    site = _site(text, port)
    store = Store(f"sqlite:///{tmp_path / 'flood.sqlite3'}", create=True)
    flood = subprocess.Popen(
        [sys.executable, "-c", _FLOOD, str(port), str(FLOOD_S), str(FLOOD_HZ)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )

    async def scene() -> tuple[int, int, int]:
        async with _listening(store, site) as listener:
            assert flood.stdin is not None
            flood.stdin.close()
            deepest, before, largest = 0, _resident_mb(), 0
            while flood.poll() is None or listener.inbox.counts["unknown"] == 0:
                deepest = max(deepest, listener.waiting)
                largest = max(largest, _resident_mb())
                await asyncio.sleep(0.02)
            await _publish(port, ("city/road/7/on", "on"))
            await _until(lambda: bool(_stored(store, "L-1")))
            seen = listener.inbox.counts["messages"] + listener.traffic.dropped
            return deepest, seen, largest - before

    deepest, seen, grown_mb = asyncio.run(scene())
    assert flood.stdout is not None
    sent, took_s = flood.stdout.read().split()
    assert int(sent) / float(took_s) > 0.7 * FLOOD_HZ
    assert seen <= int(sent) + 1
    assert seen > 10_000
    assert deepest <= PENDING
    assert grown_mb < 64
    # One sample a second of a sensor that says nothing of its time, however often it speaks.
    assert 1 <= sum(value == 21.5 for value, _ in _stored(store, "T-1")) <= 2 * FLOOD_S + 10
    store.close()


def _resident_mb() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 2**20


def test_while_messages_are_not_taken_the_newest_wait_and_the_rest_are_counted(
    mosquitto: Start,
) -> None:
    port, sent = mosquitto("max_queued_messages 0", "allow_anonymous true").port, 2 * QUEUE

    async def scene() -> tuple[list[bytes], Traffic]:
        taken: list[bytes] = []
        traffic, go_on = Traffic(), asyncio.Event()

        async def take(messages: list[Message]) -> None:
            taken.extend(message.payload for message in messages)
            await go_on.wait()

        place = Broker("127.0.0.1", port)
        options = {"clock": _now_s, "draw": Random(1), "traffic": traffic}
        listening = asyncio.create_task(listen(place, ["n"], take, **options))
        await _until(lambda: traffic.connected)
        await _publish(port, ("n", "first"))
        await _until(lambda: bool(taken))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x10\x11\x00\x04MQTT\x04\x02\x00\x3c\x00\x05flood")
        await reader.readexactly(4)
        bodies = (b"\x00\x01n%d" % number for number in range(sent))
        writer.write(b"".join(b"\x30" + bytes([len(body)]) + body for body in bodies))
        await writer.drain()
        await _until(lambda: traffic.dropped == sent - QUEUE)
        writer.close()
        go_on.set()
        await _until(lambda: len(taken) > QUEUE)
        listening.cancel()
        return taken, traffic

    taken, traffic = asyncio.run(scene())
    assert taken == [b"first", *(b"%d" % number for number in range(sent - QUEUE, sent))]
    assert traffic.dropped == sent - QUEUE


# Bare MQTT 3.1.1: CONNECT, then PUBLISH packets of quality 0 at a steady pace.
_FLOOD = """
import socket, sys, time
port, seconds, hertz = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
def publish(topic, payload):
    body = len(topic).to_bytes(2, "big") + topic + payload
    return b"\\x30" + bytes([len(body)]) + body
link = socket.create_connection(("127.0.0.1", port))
link.sendall(b"\\x10\\x11\\x00\\x04MQTT\\x04\\x02\\x00\\x3c\\x00\\x05flood")
assert len(link.recv(4)) == 4
sys.stdin.read()
hundredth = hertz // 100
sent, began = 0, time.monotonic()
for turn in range(int(seconds * 100)):
    part = b"".join(
        publish(b"city/square/temperature", b"21.5") if n % 2 else
        publish(b"city/nobody/%d" % n, b"x" * 60) for n in range(hundredth)
    )
    link.sendall(part)
    sent += hundredth
    time.sleep(max(0.0, began + (turn + 1) / 100 - time.monotonic()))
print(sent, time.monotonic() - began)
link.sendall(b"\\xe0\\x00")
"""


def test_a_busy_store_holds_nobody_up_and_loses_nothing(
    tmp_path: Path, mosquitto: Start, text: str
) -> None:
    port = mosquitto().port
    site = _site(text, port)
    store = Store(f"sqlite:///{tmp_path / 'busy.sqlite3'}", create=True)

    async def scene() -> None:
        async with _listening(store, site) as listener:
            # A cycle's transaction holds the store while the sensors speak.
            with store.write() as tx:
                control.put_meta(tx, "cycle", "runs")
                await _publish(port, ("city/road/7/on", "on"))
                await _until(lambda: listener.inbox.counts["samples"] == 1)
                await asyncio.sleep(1.5 * FLUSH_S)
                await _publish(port, ("city/square/temperature", "21.5"))
                await _until(lambda: listener.inbox.counts["samples"] == 2)
            await _until(lambda: bool(_stored(store, "L-1")) and bool(_stored(store, "T-1")))

    asyncio.run(scene())
    assert _stored(store, "L-1") == [(1.0, Quality.VALID)]
    store.close()


def test_simulated_sensors_are_stored_by_the_command(
    tmp_path: Path, mosquitto: Start, text: str
) -> None:
    port = mosquitto().port
    written = text.replace("{port}", str(port)).replace("stale_after_s = 2\n", "")
    path = tmp_path / "SITE.toml"
    path.write_text(written)
    site = parse(written)
    commission.commission(tmp_path, written, at_s=NOON_S, seed=1)

    async def scene() -> bytes:
        command = [sys.executable, "-m", "grid.console.cli", "meter", "listen", str(path)]
        listening = await asyncio.create_subprocess_exec(
            *command, "--for", "3", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert listening.stderr is not None
        assert b"connected" in await listening.stderr.readline()
        publishing = asyncio.create_task(
            publish(
                Broker("127.0.0.1", port), site.sensor, clock=lambda: NOON_S - 890,
                seed=1, draw=Random(1), period_s=0.1,
            )
        )  # fmt: skip
        out, _ = await listening.communicate()
        publishing.cancel()
        return out

    facts = json.loads(asyncio.run(scene()).splitlines()[-1])
    assert facts["connections"] == 1
    assert facts.get("refused", 0) == facts["dropped"] == 0
    with Store.at(tmp_path).read() as tx:
        (air,) = sensors.get_samples(tx, "PM-1", NOON_S - 900, NOON_S)["value"].values.tolist()
        lamp = sensors.get_samples(tx, "L-1", NOON_S - 900, NOON_S)["value"].values.tolist()
    said = json.loads(payloads(site.sensor, NOON_S - 890, 1)["city/school/air"])
    assert air == said["air"]["pm25"]
    assert set(lamp) == {0.0}
