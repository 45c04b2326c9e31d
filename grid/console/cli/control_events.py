"""``khazri control events``: what somebody outside asks of import and export, and the answer."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import answer, as_json, checked, directory, instant, number, whole
from grid.console.cli.users import by_user, user_of
from grid.interval import label
from grid.quantities import format_money, parse_price

if TYPE_CHECKING:
    from grid.operation.event_files import FileEvent
    from grid.site import Site
    from grid.store import Store
    from grid.store.events import Event

KINDS = ("import-limit", "import-reduction", "export-limit")
CAUSES = ("too-dear", "not-possible", "safety", "withdrawn", "other")
_NUMBER_MAX = 2**63 - 1
_price = checked(parse_price)


def declare_events(verbs: Any) -> None:
    """Declare the commands."""
    events = verbs.add_parser("events", help="what the utility asks for, the answer, the delivery")
    actions = events.add_subparsers(dest="action", metavar="COMMAND", required=True)
    adds = actions.add_parser("add", help="enter what somebody asks for")
    adds.add_argument("kind", choices=KINDS)
    adds.add_argument("--kw", type=number(0.0, 1e6, "kW"), required=True)
    adds.add_argument("--from", dest="start", type=instant, metavar="T", required=True)
    adds.add_argument("--to", dest="end", type=instant, metavar="T", required=True)
    adds.add_argument("--program", default="")
    adds.add_argument("--name", default="")
    _asked(adds, run_add)
    imports = actions.add_parser("import", help="take in a file of OpenADR 3 events")
    imports.add_argument("file", type=Path, metavar="FILE.json")
    _asked(imports, run_import)
    for verb, text in (
        ("accept", "promise to keep an event, or ask for a second operator"),
        ("approve", "agree to what another operator accepted"),
        ("decline", "say no to an event"),
        ("cancel", "take an event out of the plans"),
    ):
        decides = actions.add_parser(verb, help=text)
        _one(decides)
        if verb in ("decline", "cancel"):
            decides.add_argument(
                "--cause", choices=CAUSES, required=True, help="goes to the ledger"
            )
        by_user(decides, required=True)
        _common(decides, run_decide)
    weighs = actions.add_parser("weigh", help="plan with and without an event")
    _one(weighs)
    _common(weighs, run_weigh)
    reports = actions.add_parser("report", help="what an event delivered")
    _one(reports)
    reports.add_argument("--csv", type=Path, metavar="FILE", help="write its intervals there")
    reports.add_argument("--out", type=Path, metavar="FILE", help="write the report as hashed")
    _common(reports, run_report)
    _common(actions.add_parser("list", help="list events, the newest first"), run_list)


def _one(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("number", type=whole(1, _NUMBER_MAX), metavar="ID")


def _asked(parser: argparse.ArgumentParser, run: Any) -> None:
    parser.add_argument("--asked-by", required=True, metavar="WHO", help="utility or aggregator")
    parser.add_argument("--answer-by", type=instant, metavar="T", help="its start when not given")
    parser.add_argument("--reward", type=_price, default=0, help="per kWh delivered")
    parser.add_argument("--penalty", type=_price, default=0, help="per kWh above the limit")
    by_user(parser, required=True)
    _common(parser, run)


def _common(parser: argparse.ArgumentParser, run: Any) -> None:
    directory(parser)
    as_json(parser)
    parser.set_defaults(run=run)


def _opened(options: argparse.Namespace) -> tuple[Site, Store]:
    from grid import site_file
    from grid.operation import commission

    site = site_file.read(options.dir / site_file.SITE_FILE)
    return site, commission.open_store(options.dir)


def run_add(options: argparse.Namespace) -> int:
    """Enter one event."""
    from grid.operation.event_files import FileEvent
    from grid.store.events import EventKind

    power_w = (round(1000 * options.kw),)
    one = FileEvent(
        EventKind(options.kind), options.start, options.end, power_w, options.program, options.name
    )
    return _receive(options, [one])


def run_import(options: argparse.Namespace) -> int:
    """Take in the events of a file, all or none."""
    from grid import site_file
    from grid.operation import event_files

    site = site_file.read(options.dir / site_file.SITE_FILE)
    return _receive(options, event_files.read(options.file, site.interval_s))


def _receive(options: argparse.Namespace, found: list[FileEvent]) -> int:
    from grid.operation.event_asked import Asked
    from grid.operation.events import receive

    site, store = _opened(options)
    try:
        with store.write() as tx:
            user = user_of(tx, options.by, "events.add")
            made = [
                receive(
                    tx,
                    site,
                    Asked(
                        kind=one.kind,
                        start_s=one.start_s,
                        end_s=one.end_s,
                        powers_w=one.powers_w,
                        asked_by=options.asked_by,
                        received_by=user,
                        answer_by_s=options.answer_by,
                        reward=options.reward,
                        penalty=options.penalty,
                        program=one.program,
                        name=one.name,
                    ),
                )
                for one in found
            ]
    finally:
        store.close()
    lines = [_line(one) for one in made]
    lines += [f"weigh it: khazri control events weigh {one.id}" for one in made]
    answer(options, {"events": [_facts(one) for one in made]}, "\n".join(lines))
    return 0


def run_decide(options: argparse.Namespace) -> int:
    """Accept, approve, decline or cancel; 1 when it had expired."""
    from grid.operation import events
    from grid.store.events import Cause, EventState

    site, store = _opened(options)
    try:
        with store.write() as tx:
            user = user_of(tx, options.by, f"events.{options.action}")
            if options.action in ("accept", "approve"):
                decide = events.accept if options.action == "accept" else events.approve
                done = decide(tx, site, options.number, user)
            else:
                close = events.decline if options.action == "decline" else events.cancel
                done = close(tx, site, options.number, user, Cause(options.cause))
    finally:
        store.close()
    text = _line(done)
    if done.state is EventState.APPROVING:
        text += f"\nanother operator approves it: khazri control events approve {done.id} --by USER"
    answer(options, _facts(done), text)
    return 1 if done.state is EventState.EXPIRED else 0


def run_list(options: argparse.Namespace) -> int:
    """List events."""
    from grid.store import events

    _, store = _opened(options)
    try:
        with store.read() as tx:
            found = events.listed(tx)
    finally:
        store.close()
    text = "\n".join(map(_line, found)) or "nobody has asked for anything"
    answer(options, {"events": [_facts(one) for one in found]}, text)
    return 0


def run_weigh(options: argparse.Namespace) -> int:
    """Plan with and without an event; 1 when it cannot be kept."""
    from grid.operation import event_weighing

    site, store = _opened(options)
    room = event_weighing.beside(options.dir, site, store)
    try:
        facts = event_weighing.weigh_now(room, options.number)
    finally:
        room.solver.close()
        store.close()
    answer(options, facts, _weighed(facts, site.currency))
    return 0 if event_weighing.good(facts) else 1


def run_report(options: argparse.Namespace) -> int:
    """Tell what an event delivered; 1 when it was not kept throughout."""
    from grid.operation import event_delivery
    from grid.store import events
    from trading.ledger import canonical

    site, store = _opened(options)
    try:
        with store.read() as tx:
            one = events.get_event(tx, options.number)
            made = event_delivery.of_event(tx, site, one)
    finally:
        store.close()
    if options.csv:
        options.csv.write_text(event_delivery.as_csv(made))
    if options.out:
        options.out.write_bytes(canonical.encode(made))
    totals = made["totals"]
    answer(
        options, {"report": made, "sha256": one.report_sha256}, _report(one, made, site.currency)
    )
    return 0 if totals["kept"] == totals["intervals"] else 1


def _report(one: Event, made: dict[str, Any], currency: str) -> str:
    totals = made["totals"]
    lines = [_line(one)]
    lines += [
        f"{row['start']}  limit {_kwh(row['limit_wh'])}  metered {_kwh(row['metered_wh'])}  "
        f"baseline {_kwh(row['baseline_wh'])}  "
        + {True: "kept", False: f"{_kwh(row['above_wh'])} above", None: "not known"}[row["kept"]]
        for row in made["rows"]
    ]
    kept, missing = totals["kept"], totals["missing"]
    above, delivered = _kwh(totals["above_wh"]), _kwh(totals["delivered_wh"])
    method = made["baseline_method"] or "no baseline: too few like days"
    reward, penalty = (format_money(int(made[f"{name}_nano"])) for name in ("reward", "penalty"))
    lines.append(f"kept in {kept} of {totals['intervals']}, {missing} not known, {above} above")
    lines.append(f"delivered {delivered} ({method})")
    lines.append(f"reward {reward}, penalty {penalty} {currency}")
    lines.append(f"sha256 {one.report_sha256 or 'is made when all readings are there'}")
    return "\n".join(lines)


def _weighed(facts: dict[str, Any], currency: str) -> str:
    without, kept = facts["costs"]
    lines = [f"{facts['steps']} of {facts['of_steps']} intervals within the plan of {facts['at']}"]
    if without is None or kept is None:
        lines.append(f"no cost: the plans are {' and '.join(facts['sources'])}")
    else:
        lines.append(
            f"costs {kept - without:+.2f} {currency}: {without:.2f} without it, {kept:.2f} with "
            f"it; a reward of {facts['reward']:.2f} for {facts['spared_kwh']:.1f} kWh"
        )
    lines += [
        f"{name}: gives {a[0]:.1f} and takes {a[1]:.1f} kWh, with it {b[0]:.1f} and {b[1]:.1f} kWh"
        for name, a, b in facts["changes"]
    ]
    lines += [
        f"{at}: at most {limit:.1f} kW asked for, {needed:.1f} kW needed"
        for at, limit, needed in facts["short"]
    ]
    return "\n".join(lines)


def _kwh(wh: int | None) -> str:
    return "-" if wh is None else f"{wh / 1000:.3f} kWh"


def _facts(one: Event) -> dict[str, Any]:
    facts = asdict(one)
    for name in list(facts):
        if name.endswith("_s"):
            at_s = facts.pop(name)
            facts[name.removesuffix("_s")] = None if at_s is None else label(at_s)
    for name in ("weighed", "report"):
        facts[name] = None if facts[name] is None else json.loads(facts[name])
    return facts


def _line(one: Event) -> str:
    who = "".join(f", {by}" for by in (one.accepted_by, one.approved_by, one.closed_by) if by)
    return (
        f"{one.id} {one.kind} {one.asked_w / 1000:g} kW {label(one.start_s)} to "
        f"{label(one.end_s)} for {one.asked_by}: {one.state}{who}"
    )
