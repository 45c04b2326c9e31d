"""``khazri meter simulate``: a field to try a head-end against, with wrong meters in it."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from random import Random
from typing import TYPE_CHECKING

from grid.console.cli.options import answer, as_json, checked, directory, whole
from grid.errors import BadInputError

if TYPE_CHECKING:
    from grid.site import Site
    from grid.store import Store


def declare_simulate(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command's options."""
    simulate = verbs.add_parser("simulate", help="serve the simulated field of a site folder")
    directory(simulate)
    simulate.add_argument(
        "--mqtt", type=_broker, help="HOST:PORT: publish the site's sensors there"
    )
    simulate.add_argument(
        "--hostile",
        type=_share,
        action="append",
        default=[],
        metavar="NAME=SHARE",
        help="part of the meters that answers wrongly so; 'list' shows the names",
    )
    simulate.add_argument(
        "--seed", type=whole(0, 1 << 31), default=1, help="which meters those are"
    )
    as_json(simulate)
    simulate.set_defaults(run=run_simulate)


@checked
def _share(text: str) -> tuple[str, float]:
    name, _, share = text.partition("=")
    try:
        return name, float(share or 0.05)
    except ValueError:
        raise BadInputError(f"{text[:80]!r} must be NAME or NAME=SHARE") from None


@checked
def _broker(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port[:6]) < 0x10000:
        raise BadInputError(f"{text[:80]!r} must be HOST:PORT")
    return host.strip("[]"), int(port)


def run_simulate(options: argparse.Namespace) -> int:
    """Serve the field until it is told to stop."""
    from grid import site_file
    from grid.operation import commission
    from grid.operation.field.serve import serve
    from grid.store import control
    from meters.simulator import hostile, hostile_dlms

    shares = dict(options.hostile)
    if "list" in shares:
        told = hostile_dlms.catalogue() | hostile.catalogue()
        answer(options, told, "\n".join(f"{name:<12} {does}" for name, does in told.items()))
        return 0
    hostile_dlms.allot_all([], [], shares, options.seed)
    commission.ensure(options.dir / site_file.SITE_FILE, now_s=int(time.time()))
    store = commission.open_store(options.dir)
    with store.read() as tx:
        start_s = int(control.get_meta(tx, "first_cycle_s") or 0)
    site = site_file.read(options.dir / site_file.SITE_FILE)
    print(f"serving {len(site.meter)} meters; addresses in {options.dir / 'field.json'}")
    modbus = [meter.id for meter in site.meter if meter.protocol == "modbus"]
    dlms = [meter.id for meter in site.meter if meter.protocol == "dlms"]
    wrong = hostile_dlms.allot_all(modbus, dlms, shares, options.seed)
    if shares:
        lines = "\n".join(f"{meter:<12} {fault}" for meter, fault in wrong.items())
        answer(options, {"hostile": wrong}, lines or "no meter answers wrongly")
        sys.stdout.flush()

    async def both() -> None:
        publishing = asyncio.create_task(_publish(site, store, options.mqtt))
        try:
            await serve(options.dir, site, start_s=start_s, hostile=wrong)
        finally:
            publishing.cancel()

    try:
        asyncio.run(both())
    finally:
        store.close()
    return 0


async def _publish(site: Site, store: Store, mqtt: tuple[str, int] | None) -> None:
    """Publish what the site's sensors would say, until cancelled."""
    if mqtt is None:
        return
    from grid.operation.sensors import clock
    from meters.mqtt.subscriber import Broker
    from meters.simulator.sensors import publish

    place, now = Broker(*mqtt), clock(site, store)
    draw = Random(site.field.seed)
    await publish(place, site.sensor, clock=now, seed=site.field.seed, draw=draw)
