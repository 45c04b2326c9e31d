"""Listens to a site's sensors beside the control room and keeps what they say.

A process or task of its own, with short transactions of its own: a cycle never waits for
it, and what comes while the store is busy waits in bounded queues.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from grid import interval
from grid.errors import BadInputError, Finding, Severity, StoreError
from grid.site import Mqtt, Site
from grid.store import Store, control, sensors
from meters.mqtt.inbox import Inbox
from meters.mqtt.mapping import Message, SensorSample
from meters.mqtt.subscriber import Broker, Traffic, listen, tls_context

LOCK_FILE = "sensors.lock"
FLUSH_S = 1.0
"""Samples are stored at least so often."""
PENDING = 20_000
"""Samples that wait to be stored; beyond them messages wait in the subscriber's queue."""
_FINDINGS = 1_000
_LOOK_S = 1.0

logger = logging.getLogger("khazri.operation")


def broker(mqtt: Mqtt, directory: Path) -> Broker:
    """Return where a site's broker answers, with the password of its file.

    Raises
    ------
    BadInputError
        When the file of the password or of the authorities cannot be read.
    """
    password = None
    if mqtt.password_file:
        path = directory / mqtt.password_file
        try:
            password = path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            raise BadInputError(f"password_file {path}: {reason}") from error
    ca_file = directory / mqtt.ca_file if mqtt.ca_file else None
    tls = tls_context(ca_file) if mqtt.tls else None
    return Broker(mqtt.host, mqtt.port, tls, mqtt.user or None, password)


class SiteClock:
    """The time at a site, seconds UTC, as its control room has moved it; never backwards.

    Between two cycles it goes on second by second from where the last one left it.
    """

    def __init__(self, store: Store, interval_s: int) -> None:
        self._store = store
        self._interval_s = interval_s
        self._looked = self._moved = -_LOOK_S
        self._base_s = self._now_s = 0

    def __call__(self) -> int:
        """Return the time; the store is asked for it at most once a second."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_S:
            self._looked = now
            with contextlib.suppress(StoreError), self._store.read() as tx:
                base_s = control.clock_s(tx) - self._interval_s
                if base_s != self._base_s:
                    self._base_s, self._moved = base_s, now
        self._now_s = max(self._now_s, self._base_s + int(now - self._moved))
        return self._now_s


def clock(site: Site, store: Store) -> Callable[[], int]:
    """Return the clock of a site: that of its control room when its field is simulated."""
    if site.field.kind == "simulated":
        return SiteClock(store, site.interval_s)
    return lambda: int(time.time())


@dataclass
class Listener:
    """Takes messages of a site's sensors and stores what is new in them.

    Attributes
    ----------
    report : callable
        Told each change of the connection, for people.
    inbox : Inbox
    traffic : Traffic
    stored : int
        Samples that the store did not know.
    """

    site: Site
    store: Store
    clock: Callable[[], int]
    report: Callable[[str], None] = lambda text: None
    inbox: Inbox = field(init=False)
    traffic: Traffic = field(default_factory=Traffic)
    stored: int = 0
    _pending: list[SensorSample] = field(default_factory=list)
    _findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        now_s = self.clock()
        self.inbox = Inbox(self.site.sensor, now_s=now_s)
        with self.store.read() as tx:
            limits_s = {str(one.id): one.stale_after_s for one in self.site.sensor}
            known = sensors.latest(tx, limits_s, now_s=now_s)
        for name, last in known.items():
            self.inbox.restore(name, at_s=last.at_s, value=last.value, since_s=last.since_s)

    @property
    def waiting(self) -> int:
        """Samples that are not stored yet."""
        return len(self._pending)

    async def take(self, messages: list[Message]) -> None:
        """Turn messages into samples; wait while too many are not stored yet."""
        for message in messages:
            self._pending += self.inbox.take(message)
        while len(self._pending) >= PENDING:
            await asyncio.sleep(FLUSH_S / 10)

    def tell(self, kind: str, text: str) -> None:
        """Make a finding of what happened to the connection."""
        self.report(f"{kind}: {text}")
        if kind == "connected":
            return
        at = interval.label(interval.floor(self.clock(), self.site.interval_s))
        message = f"sensors {at} {text}"
        self._findings.append(Finding(f"mqtt.{kind}", "mqtt", at, Severity.WARNING, message))

    async def flush(self) -> None:
        """Store what waits; what the store refuses waits for the next time."""
        now_s = self.clock()
        self._pending += self.inbox.stale(now_s)
        self._findings = (self._findings + self.inbox.findings())[-_FINDINGS:]
        if not self._pending and not self._findings:
            return
        pending, self._pending = self._pending, []
        findings, self._findings = self._findings, []
        try:
            new = await asyncio.to_thread(self._write, pending, findings, now_s)
        except StoreError as error:
            self._pending, self._findings = pending + self._pending, findings + self._findings
            logger.warning("stage=sensors state=waits samples=%d reason=%s", len(pending), error)
            return
        self.stored += new
        logger.info("stage=sensors samples=%d findings=%d", new, len(findings))

    def _write(self, pending: list[SensorSample], findings: list[Finding], now_s: int) -> int:
        step_s = self.site.interval_s
        with self.store.write() as tx:
            new = sensors.put_samples(tx, pending, interval_s=step_s)
            control.put_findings(tx, interval.floor(now_s, step_s), findings)
        return new

    async def flush_often(self) -> None:
        """Store what waits, again and again."""
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.flush()


async def run(listener: Listener, place: Broker, *, draw: Random) -> None:
    """Listen and store until cancelled; what was taken by then is stored.

    Parameters
    ----------
    draw : Random
        Seeded; for the jitter of reconnections.
    """
    mqtt = listener.site.mqtt
    topics = listener.inbox.filters(mqtt.subscribe if mqtt else ())
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(listener.flush_often())
            group.create_task(
                listen(
                    place,
                    topics,
                    listener.take,
                    clock=listener.clock,
                    draw=draw,
                    traffic=listener.traffic,
                    tell=listener.tell,
                )
            )
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await listener.flush()
