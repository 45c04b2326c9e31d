"""What the sensors of a site would say, published to a broker: a plausible day, by a seed."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from grid import interval
from grid.site_sensors import PayloadForm, Sensor
from meters.mqtt.subscriber import Broker, back_off_s

PERIOD_S = 5.0

logger = logging.getLogger("khazri.simulator")


def value_at(sensor: Sensor, at_s: int, seed: int) -> float:
    """Return what a sensor measures at an instant: a daily wave within its bounds, and noise.

    A state is on through the hours of darkness, 18:00 to 06:00 UTC.
    """
    hour = at_s % interval.DAY_S / 3600
    if sensor.quantity.on_off:
        return float(hour >= 18 or hour < 6)
    low, high = sensor.bounds
    name = zlib.crc32(sensor.id.encode())
    draw = Random(f"{seed} {name} {at_s}")
    phase = name % 100 / 50.0
    wave = 0.5 - 0.5 * math.cos(2 * math.pi * (hour - phase) / 24)
    share = 0.3 + 0.3 * wave + 0.02 * draw.uniform(-1, 1)
    return round(low + (high - low) * share, 3)


def payloads(sensors: Sequence[Sensor], at_s: int, seed: int) -> dict[str, bytes]:
    """Return the message of each topic at an instant, as its sensors are read."""
    documents: dict[str, Any] = {}
    found: dict[str, bytes] = {}
    for sensor in sensors:
        value = value_at(sensor, at_s, seed)
        if sensor.payload is PayloadForm.JSON:
            document = _set(documents.get(sensor.topic), sensor.value, value)
            documents[sensor.topic] = _set(document, sensor.time, at_s) if sensor.time else document
        elif sensor.payload is PayloadForm.BOOLEAN:
            found[sensor.topic] = b"on" if value else b"off"
        else:
            found[sensor.topic] = repr(value).encode()
    return found | {topic: json.dumps(whole).encode() for topic, whole in documents.items()}


def _set(document: Any, pointer: str, value: float) -> Any:
    """Return a document with `value` where a JSON pointer leads."""
    if not pointer:
        return value
    document = document if isinstance(document, dict) else {}
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    part = document
    for name in way:
        if not isinstance(part.get(name), dict):
            part[name] = {}
        part = part[name]
    part[last] = value
    return document


async def publish(
    broker: Broker,
    sensors: Sequence[Sensor],
    *,
    clock: Callable[[], int],
    seed: int,
    draw: Random,
    period_s: float = PERIOD_S,
) -> None:
    """Publish every sensor each `period_s`, until cancelled; come back when the broker does."""
    import aiomqtt

    failures = 0
    while True:
        try:
            async with aiomqtt.Client(
                broker.host, broker.port, username=broker.user, password=broker.password,
                tls_context=broker.tls,
            ) as client:  # fmt: skip
                failures = 0
                while True:
                    for topic, payload in payloads(sensors, clock(), seed).items():
                        await client.publish(topic, payload, qos=1)
                    await asyncio.sleep(period_s)
        except (aiomqtt.MqttError, OSError) as error:
            failures += 1
            logger.warning("state=lost failures=%d reason=%s", failures, error)
            await asyncio.sleep(back_off_s(failures, draw))
