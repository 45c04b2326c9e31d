"""``khazri control``: hold devices, agree to it, safety tags, events, what devices really hold."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from grid.console.cli.control_charge import declare_charge
from grid.console.cli.control_events import declare_events
from grid.console.cli.control_tags import declare_tags
from grid.console.cli.options import answer, as_json, directory, number, whole
from grid.console.cli.users import by_user, user_of
from grid.interval import label

if TYPE_CHECKING:
    from meters.device import DeviceState

_ACTIONS = ("charge", "discharge", "run", "limit", "off")
_REASONS = ("maintenance", "network", "safety", "device-fault", "test", "other")
_NUMBER_MAX = 2**63 - 1


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the commands."""
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    holds = verbs.add_parser("hold", help="hold a device at a set-point, or off, for a time")
    holds.add_argument("asset", metavar="NAME")
    holds.add_argument("action", choices=_ACTIONS)
    holds.add_argument("--kw", type=number(0.0, 1e6, "kW"), default=0.0, help="power; not for off")
    holds.add_argument(
        "--minutes", type=whole(1, 10_080), default=60, help="from the next cycle on"
    )
    holds.add_argument("--reason", choices=_REASONS, required=True, help="goes to the ledger")
    holds.add_argument("--note", default="", help="for people; stays out of the ledger")
    by_user(holds, required=True)
    _common(holds, run_hold)
    for verb, text in (
        ("approve", "agree to what another operator asked for"),
        ("end", "give a device back to the plan"),
    ):
        decides = verbs.add_parser(verb, help=text)
        decides.add_argument("number", type=whole(1, _NUMBER_MAX), metavar="ID")
        by_user(decides, required=True)
        _common(decides, run_decide)
    _common(verbs.add_parser("overrides", help="list overrides, the newest first"), run_list)
    _common(verbs.add_parser("look", help="ask every device what it holds and does"), run_look)
    declare_tags(verbs)
    declare_events(verbs)
    declare_charge(verbs)


def _common(parser: argparse.ArgumentParser, run: Any) -> None:
    directory(parser)
    as_json(parser)
    parser.set_defaults(run=run)


def run_hold(options: argparse.Namespace) -> int:
    """Hold a device, or ask for a second operator."""
    from grid import site_file
    from grid.operation import commission
    from grid.operation.overrides import Wanted, ask
    from grid.store.overrides import Action, OverrideState, Reason

    site = site_file.read(options.dir / site_file.SITE_FILE)
    store = commission.open_store(options.dir)
    try:
        with store.write() as tx:
            wanted = Wanted(
                options.asset,
                Action(options.action),
                round(1000 * options.kw),
                options.minutes,
                Reason(options.reason),
                user_of(tx, options.by, "overrides.ask"),
                options.note,
            )
            made = ask(tx, site, wanted)
    finally:
        store.close()
    text = _line(made)
    if made.state is OverrideState.ASKED:
        text += f"\nanother operator approves it: khazri control approve {made.id} --by USER"
    answer(options, _facts(made), text)
    return 0


def run_decide(options: argparse.Namespace) -> int:
    """Approve an override or end it."""
    from grid import site_file
    from grid.operation import commission
    from grid.operation.overrides import approve, end
    from grid.store.overrides import OverrideState

    site = site_file.read(options.dir / site_file.SITE_FILE)
    store = commission.open_store(options.dir)
    decide = approve if options.verb == "approve" else end
    try:
        with store.write() as tx:
            user = user_of(tx, options.by, f"overrides.{options.verb}")
            done = decide(tx, site, options.number, user)
    finally:
        store.close()
    answer(options, _facts(done), _line(done))
    return 1 if done.state is OverrideState.LAPSED else 0


def run_list(options: argparse.Namespace) -> int:
    """List overrides."""
    from grid.operation import commission
    from grid.store import overrides

    store = commission.open_store(options.dir)
    try:
        with store.read() as tx:
            found = overrides.listed(tx)
    finally:
        store.close()
    text = "\n".join(map(_line, found)) or "the plan has every device"
    answer(options, {"overrides": [_facts(one) for one in found]}, text)
    return 0


def run_look(options: argparse.Namespace) -> int:
    """Ask every device; 1 when one does not answer."""
    import asyncio
    import time

    from grid.operation import commission, cycle
    from meters.device import DeviceAddress
    from meters.modbus.sunspec import read_devices

    store = commission.open_store(options.dir)
    try:
        site, _ = cycle.facts(options.dir, store)
    finally:
        store.close()
    link = cycle.field_of(options.dir, site, time.time)
    states, findings = asyncio.run(
        read_devices(
            [DeviceAddress(name, url) for name, url in link.devices.items()],
            at_s=int(time.time()),
            timeout_s=site.operation.read_timeout_s,
        )
    )
    lines = [_state_line(state) for state in states] + [one.message for one in findings]
    facts = {
        "devices": [asdict(state) for state in states],
        "findings": [asdict(one) for one in findings],
    }
    answer(options, facts, "\n".join(lines))
    return 1 if findings else 0


def _state_line(state: DeviceState) -> str:
    held = state.setpoint
    told = f"at most {held.limit_w} W" if held.kind == "limit" else (
        f"charge {held.charge_w} W, discharge {held.discharge_w} W"
    )  # fmt: skip
    if held.kind == "genset" and not held.running:
        told = "off"
    left = f"for {state.remaining_s} s" if held.revert_s else "in its safe state"
    power = "-" if state.power_w is None else f"{state.power_w} W"
    return f"{state.asset:20} {power:>10}  holds {told}, {left}"


def _facts(one: Any) -> dict[str, Any]:
    facts = asdict(one)
    for name in ("start", "end", "asked", "lapses", "approved", "ended"):
        at_s = facts.pop(f"{name}_s")
        facts[name] = None if at_s is None else label(at_s)
    return facts


def _line(one: Any) -> str:
    what = one.action if one.action == "off" else f"{one.action} {one.power_w / 1000:g} kW"
    who = f" by {one.asked_by}" + (f" and {one.approved_by}" if one.approved_by else "")
    return f"{one.id} {one.asset} {what} until {label(one.end_s)}, {one.reason}: {one.state}{who}"
