"""``khazri meter``: its own verbs, and those of the files beside this one."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from grid.console.cli.meter_exchange import declare_exchange
from grid.console.cli.meter_facts import declare_facts
from grid.console.cli.meter_files import declare_export, declare_import
from grid.console.cli.meter_losses import declare_losses
from grid.console.cli.meter_orders import declare_orders
from grid.console.cli.meter_readings import declare_edit, declare_trace
from grid.console.cli.meter_simulate import declare_simulate
from grid.console.cli.meter_statistics import declare_statistics
from grid.console.cli.options import (
    UsageError,
    answer,
    as_json,
    checked,
    directory,
    instant,
    seconds,
    whole,
)
from grid.errors import BadInputError, PeerError
from grid.interval import label

if TYPE_CHECKING:
    from grid.site import Mqtt, Site
    from meters.reading import Ciphering

_LLS_BYTES = 64
_URLS = (
    "modbus:// or modbus-rtu://HOST:PORT/UNIT, dlms:// or hdlc://HOST:PORT/SERVER; "
    "on a line modbus+serial:///dev/NAME/UNIT, hdlc+serial:///dev/NAME/SERVER"
)
_DLMS = ("dlms:", "hdlc:", "hdlc+serial:")
_MODBUS = ("modbus:", "modbus-rtu:", "modbus+serial:")


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the commands' options."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    read = verbs.add_parser("read", help="read one meter now")
    read.add_argument("url", type=_url, help=_URLS)
    read.add_argument("--profile", help="register map; by protocol when not given")
    read.add_argument(
        "--auth", type=_auth, default="none", help="none, lls:PASSWORD, or hls-gmac with --keys"
    )
    read.add_argument("--keys", type=Path, metavar="FILE", help="title and keys of a DLMS client")
    read.add_argument(
        "--counters", type=Path, metavar="DIR", help="where invocation counters are kept"
    )
    read.add_argument("--timeout", type=seconds(0.1, 600), default=5.0, help="seconds")
    as_json(read)
    read.set_defaults(run=run_read)
    declare_simulate(verbs)
    listen = verbs.add_parser("listen", help="store what a site's sensors say over MQTT")
    listen.add_argument("site", type=Path, metavar="SITE.toml")
    listen.add_argument(
        "--for", type=seconds(0.1, 1e9), dest="for_s", help="seconds; else for ever"
    )
    listen.add_argument("--until-eof", action="store_true", help="stop when the input closes")
    as_json(listen)
    listen.set_defaults(run=run_listen)
    leaks = verbs.add_parser("leaks", help="find leaks in the stored volumes of water")
    directory(leaks)
    leaks.add_argument("--at", type=instant, help="look at the days before; the site's time, else")
    leaks.add_argument("--days", type=whole(1, 62), default=14, help="days looked at")
    as_json(leaks)
    leaks.set_defaults(run=run_leaks)
    declare_losses(verbs)
    profiles = verbs.add_parser("profiles", help="list the register maps")
    as_json(profiles)
    profiles.set_defaults(run=run_profiles)
    declare_import(verbs)
    declare_export(verbs)
    declare_trace(verbs)
    declare_edit(verbs)
    declare_orders(verbs)
    declare_exchange(verbs)
    declare_facts(verbs)
    declare_statistics(verbs)


@checked
def _url(text: str) -> str:
    from meters.dlms.client import parse_url as dlms
    from meters.modbus.gateway import parse_url as modbus

    if not text.startswith((*_MODBUS, *_DLMS)):
        raise BadInputError(f"{text!r} must be {_URLS}")
    (dlms if text.startswith(_DLMS) else modbus)(text)
    return text


@checked
def _auth(text: str) -> str:
    word, _, password = text.partition(":")
    # The password is not shown again.
    if text not in ("none", "hls-gmac") and not (
        word == "lls" and 0 < len(password.encode()) <= _LLS_BYTES
    ):
        raise BadInputError(f"must be none, lls:PASSWORD of 1 to {_LLS_BYTES} bytes, or hls-gmac")
    return text


def _profile(url: str, name: str | None) -> str:
    """Return the register map to read with, checked against the protocol."""
    from meters.dlms.profile import load_profile as dlms
    from meters.modbus.profile import load_profile as modbus

    is_dlms = url.startswith(_DLMS)
    chosen = name or ("cosem" if is_dlms else "sdm630")
    try:
        (dlms if is_dlms else modbus)(chosen)
    except BadInputError as error:
        raise UsageError(f"--profile: {error}") from error
    return chosen


def _ciphering(options: argparse.Namespace) -> Ciphering | None:
    from meters.dlms.keys import read_keys

    if options.keys is None:
        if options.auth == "hls-gmac":
            raise UsageError("--auth hls-gmac needs --keys FILE")
        return None
    return read_keys(options.keys)


def run_read(options: argparse.Namespace) -> int:
    """Read one meter and print its registers."""
    from platformdirs import user_state_path

    from meters.dlms.counters import FileCounterStore
    from meters.reader import read_meters
    from meters.reading import CHANNELS, MeterAddress

    auth, _, password = options.auth.partition(":")
    address = MeterAddress(
        meter="meter",
        url=options.url,
        profile=_profile(options.url, options.profile),
        auth=auth,
        secret=password.encode(),
        ciphering=_ciphering(options),
    )
    now_s = int(time.time())
    counters = FileCounterStore(options.counters or user_state_path("khazri") / "counters")
    reads, findings = asyncio.run(
        read_meters(
            [address],
            at_s=now_s,
            timeout_s=options.timeout,
            counters=counters,
            clock=time.time,
        )
    )
    if not reads:
        raise PeerError("; ".join(finding.message for finding in findings))
    read = reads[0]
    registers = dict(zip(CHANNELS, read.now.values, strict=True))
    facts = {"at": label(read.now.at_s), **registers, "voltage_v": read.voltage_v}
    text = "\n".join(f"{name:<12} {value}" for name, value in facts.items())
    answer(options, facts, text)
    return 0


def run_listen(options: argparse.Namespace) -> int:
    """Store what sensors say until it is told to stop."""
    from grid.operation import commission, cycle, sensors

    site, mqtt = _with_sensors(options.site)
    commission.ensure(options.site, now_s=int(time.time()))
    place = sensors.broker(mqtt, options.site.parent)
    store = commission.open_store(options.site.parent)
    listener = sensors.Listener(
        site,
        store,
        sensors.clock(site, store),
        report=lambda text: print(text, file=sys.stderr, flush=True),
    )

    async def until() -> None:
        running = asyncio.create_task(sensors.run(listener, place, draw=Random()))
        if options.until_eof:
            asyncio.get_running_loop().add_reader(sys.stdin.fileno(), running.cancel)
        with contextlib.suppress(TimeoutError, asyncio.CancelledError):
            await asyncio.wait_for(running, options.for_s)

    try:
        with cycle.sole(options.site.parent, sensors.LOCK_FILE, does="listens to"):
            asyncio.run(until())
    except KeyboardInterrupt:
        pass
    finally:
        store.close()
    facts = {
        "stored": listener.stored,
        "connections": listener.traffic.connections,
        "dropped": listener.traffic.dropped,
        **listener.inbox.counts,
    }
    answer(options, facts, "\n".join(f"{name:<18} {value}" for name, value in facts.items()))
    return 0


def run_leaks(options: argparse.Namespace) -> int:
    """Find leaks, and keep them as findings of the site."""
    from grid import site_file
    from grid.operation import commission, leaks
    from grid.store import control

    site = site_file.read(options.dir / site_file.SITE_FILE)
    store = commission.open_store(options.dir)
    with store.write() as tx:
        at_s = options.at or control.clock_s(tx)
        found = leaks.find(tx, site, at_s, days=options.days)
        control.put_findings(tx, at_s, found)
    store.close()
    facts = {"at": label(at_s), "leaks": [asdict(one) for one in found]}
    answer(options, facts, "\n".join(one.message for one in found) or "no leak was found")
    return 0


def _with_sensors(path: Path) -> tuple[Site, Mqtt]:
    """Return the site of a file that has sensors, and their broker."""
    from grid import site_file

    site = site_file.read(path)
    if site.mqtt is None or not site.sensor:
        raise BadInputError(f"{path}: there is no [[sensor]] in it to listen to")
    return site, site.mqtt


def run_profiles(options: argparse.Namespace) -> int:
    """List the register maps that come with Khazri."""
    import meters

    names = sorted(path.stem for path in (Path(meters.__file__).parent / "profiles").glob("*.toml"))
    answer(options, {"profiles": names}, "\n".join(names))
    return 0
