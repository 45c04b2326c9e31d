"""``khazri network contingency``: N-1, the outages that hurt most first."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from grid.console.cli.network.options import held_to, limits, loaded, network
from grid.console.cli.options import answer, whole

if TYPE_CHECKING:
    from networks.operating.contingency import BackFeed, Contingencies, Outage


def declare(verbs: Any) -> None:
    """Declare the options."""
    verb = verbs.add_parser("contingency", help="N-1: every line, transformer and source out")
    network(verb)
    limits(verb)
    verb.add_argument(
        "--load", type=whole(0, 1000), default=100, metavar="PERCENT", help="of the rated loads"
    )
    verb.add_argument("--top", type=whole(1, 10_000), default=10, help="outages to print")
    verb.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the outages that leave most unserved, or break most limits."""
    from networks.operating.contingency import contingencies
    from networks.operating.state import nominal

    model = loaded(options)
    found = contingencies(model, nominal(model, options.load / 100.0), held_to(options))
    answer(options, _facts(found), _text(found, options.top))
    return 0


def _text(found: Contingencies, top: int) -> str:
    from networks.operating.words import few, outage

    outages = found.outages
    restored = [one for one in outages if one.unserved and one.backfeed is not None]
    dark = [one for one in outages if one.unserved and one.backfeed is None]
    hurt = [one for one in outages if not one.unserved and (one.broken or not one.solved)]
    harmless = len(outages) - len(restored) - len(dark) - len(hurt)
    heading = (
        f"{len(outages)} outages: {harmless} do no harm, {len(hurt)} break limits, "
        f"{len(restored)} can be fed back by one tie, {len(dark)} leave load dark"
    )
    lines = [heading]
    if found.base:
        lines.append(f"broken already: {few([str(one) for one in found.base])}")
    lines += [outage(one) for one in outages[:top] if one.unserved or one.broken or not one.solved]
    return "\n".join(lines)


def _facts(found: Contingencies) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "base": [asdict(one) for one in found.base],
        "outages": [_outage(one) for one in found.outages],
    }


def _outage(one: Outage) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "table": one.table,
        "index": one.index,
        "name": one.name,
        "dead": list(one.dead),
        "unserved": [asdict(bus) for bus in one.unserved],
        "unserved_kw": one.unserved_kw,
        "broken": [asdict(limit) for limit in one.broken],
        "severity": one.severity if one.solved else None,
        "solved": one.solved,
        "backfeed": _backfeed(one.backfeed),
        "refused": _backfeed(one.refused),
    }


def _backfeed(one: BackFeed | None) -> dict[str, Any] | None:
    from dataclasses import asdict

    return None if one is None else asdict(one)
