"""``khazri meter losses``: lost energy in what a site has stored, and a study of the search."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import UsageError, answer, as_json, directory, instant, seed, whole
from grid.console.cli.users import by_user, user_of
from grid.interval import label

if TYPE_CHECKING:
    from grid.operation.loss_cases import Look
    from grid.operation.loss_watch import Outlook
    from meters.losses import Case

_REASONS = ("confirmed", "not_confirmed")


def declare_losses(verbs: Any) -> None:
    """Declare the command's options."""
    losses = verbs.add_parser("losses", help="find energy that flows and no meter counts")
    directory(losses)
    losses.add_argument("--from", type=instant, dest="from_s", help="first day that is trusted")
    losses.add_argument(
        "--until", type=instant, help="look at the days before; the site's time, else"
    )
    losses.add_argument(
        "--study", action="store_true", help="try the search on simulated months of the demo"
    )
    losses.add_argument("--households", type=whole(1, 86), default=86, help="bypasses of the study")
    losses.add_argument(
        "--fleets",
        type=whole(0, 1000),
        default=24,
        help="clean feeders of the study, six weeks each",
    )
    losses.add_argument("--seed", type=seed, default=1, help="of the study")
    losses.add_argument(
        "--close",
        type=whole(1, 2**63 - 1),
        metavar="CASE",
        help="close a case that was looked into",
    )
    losses.add_argument("--reason", choices=_REASONS, help="whether what it told was found")
    losses.add_argument("--comment", default="", help="what was found where somebody looked")
    by_user(losses)
    as_json(losses)
    losses.set_defaults(run=run_losses)


def run_losses(options: argparse.Namespace) -> int:
    """Print the cases of a site, or the figures of a study."""
    if options.study:
        return _study(options)
    if options.close is not None:
        return _close(options)
    from grid.operation import commission, cycle, loss_cases

    store = commission.open_store(options.dir)
    try:
        room = loss_cases.looked_at(options.dir, store)
        until_s = options.until if options.until is not None else cycle.clock(room)
        from_s = options.from_s if options.from_s is not None else room.first_cycle_s
        if until_s <= from_s:
            raise UsageError(f"--until {label(until_s)} must be after {label(from_s)}")
        _progress(f"looking at the days from {label(from_s)} to {label(until_s)}")
        with store.read() as tx:
            found = loss_cases.look(room, tx, from_s, until_s)
    finally:
        store.close()
    answer(options, _facts(found), _text(found))
    return 0


def _close(options: argparse.Namespace) -> int:
    from grid import site_file
    from grid.operation import commission, loss_cases

    if options.reason is None:
        raise UsageError(f"--close needs --reason {' or '.join(_REASONS)}")
    site = site_file.read(options.dir / site_file.SITE_FILE)
    store = commission.open_store(options.dir)
    try:
        with store.write() as tx:
            by = user_of(tx, options.by, "lost_energy.close")
            loss_cases.close(
                tx, site, options.close, by=by, reason=options.reason, comment=options.comment
            )
    finally:
        store.close()
    facts = {"case": options.close, "reason": options.reason, "closed_by": by}
    answer(options, facts, f"case {options.close} closed by {by}: {options.reason}")
    return 0


def _study(options: argparse.Namespace) -> int:
    from grid.operation import losses_study

    figures = losses_study.study(
        _progress, households=options.households, fleets=options.fleets, seed=options.seed
    )
    answer(options, figures, losses_study.table(figures))
    return 0


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _facts(found: Look) -> dict[str, Any]:
    from grid.operation.loss_watch import Waiting

    if isinstance(found.outlook, Waiting):
        waiting = found.outlook
        return {"state": "not enough data", "days": waiting.days, "needed": waiting.needed}
    return {
        "state": "judged",
        "learned_from": label(found.learned_s),
        "judged_from": label(found.outlook.start_s),
        "days": len(found.outlook.day_wh),
        "cases": [_case(case) for case in found.outlook.cases],
    }


def _case(case: Case) -> dict[str, Any]:
    times = {"since": label(case.since_s), "found": label(case.found_s)}
    return {**asdict(case), **times, "narrowed": case.narrowed, "message": case.message}


def _text(found: Look) -> str:
    from grid.operation.loss_watch import Waiting

    if isinstance(found.outlook, Waiting):
        waiting = found.outlook
        return f"not enough data: {waiting.days} of {waiting.needed} days"
    lines = [_span(found, found.outlook)]
    if not found.outlook.cases:
        return "\n".join([*lines, "no case"])
    lines.append(f"{'kind':<11}{'where':<34}{'since':<12}{'told':<12}{'kWh a day':>16}")
    for case in found.outlook.cases:
        amount = f"{case.kwh_per_day:.2f} ± {case.kwh_per_day_sd:.2f}"
        since, told = label(case.since_s)[:10], label(case.found_s)[:10]
        lines.append(f"{case.kind:<11}{_where(case):<34}{since:<12}{told:<12}{amount:>16}")
        lines += [f"    {item.words}" for item in case.evidence]
        shares = ", ".join(f"{point} {100 * share:.0f} %" for point, share in case.suspects)
        lines.append(f"    suspects: {shares}, no usage point {100 * case.elsewhere:.0f} %")
        lines.append(f"    next: {case.next_step}")
    return "\n".join(lines)


def _span(found: Look, outlook: Outlook) -> str:
    days = len(outlook.day_wh)
    return (
        f"learned from 28 days since {label(found.learned_s)[:10]}, "
        f"judged {days} days since {label(outlook.start_s)[:10]}"
    )


def _where(case: Case) -> str:
    if case.located:
        return " and ".join(case.subject)
    return f"one of {', '.join(case.narrowed)}" if case.narrowed else "not located"
