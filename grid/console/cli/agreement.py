"""``khazri agreement list|party|move-in|move-out|terms|erase``: who stands for what."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import answer, as_json, day, directory, whole
from grid.console.cli.users import acting, by_user, user_of
from grid.interval import label

if TYPE_CHECKING:
    from trading.agreements import Agreement

MAY = "agreements.listed"


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the commands' options."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    lists = verbs.add_parser("list", help="list agreements, those that ended too")
    lists.add_argument("usage_point", nargs="?", metavar="USAGE_POINT", help="one; all, else")
    _common(lists, run_list)
    party = verbs.add_parser("party", help="add a party that agreements can be with")
    party.add_argument("party", metavar="PARTY")
    party.add_argument("--name", required=True)
    party.add_argument("--kind", default="household", help="household or business")
    by_user(party)
    _common(party, run_party)
    moves = verbs.add_parser("move-in", help="let a party stand for a usage point from a day on")
    moves.add_argument("usage_point", metavar="USAGE_POINT")
    moves.add_argument("party", metavar="PARTY")
    _dated(moves)
    _terms(moves)
    _common(moves, run_move_in)
    out = verbs.add_parser("move-out", help="let an agreement end; the community follows")
    out.add_argument("usage_point", metavar="USAGE_POINT")
    _dated(out)
    _common(out, run_move_out)
    terms = verbs.add_parser("terms", help="change tariff, share or consent from a day on")
    terms.add_argument("usage_point", metavar="USAGE_POINT")
    _dated(terms)
    _terms(terms)
    _common(terms, run_terms)
    erase = verbs.add_parser("erase", help="ask to erase a person, or approve what another asked")
    erase.add_argument("party", metavar="PARTY")
    erase.add_argument("--reason", default="", help="of the first who asks")
    by_user(erase, required=True)
    _common(erase, run_erase)


def _common(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int]) -> None:
    directory(parser)
    as_json(parser)
    parser.set_defaults(run=run)


def _dated(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from", dest="day", type=day, required=True, metavar="DAY", help="YYYY-MM-DD, not today"
    )
    by_user(parser)


def _terms(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tariff", help="identifier of a tariff of the site")
    parser.add_argument("--share", type=whole(0, 100), metavar="PERCENT", help="of energy sharing")
    parser.add_argument(
        "--trades",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether the party consents to trade",
    )
    parser.add_argument(
        "--battery",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether the party consents to its batteries being traded",
    )


def run_list(options: argparse.Namespace) -> int:
    """List agreements by usage point and time."""
    from grid.operation import commission
    from grid.store import agreements

    with closing(commission.open_store(options.dir)) as store, store.read() as tx:
        wanted = None if options.usage_point is None else [options.usage_point]
        found = agreements.listed(tx, wanted)
    text = "\n".join(map(_line, found)) or "no agreements"
    answer(options, {"agreements": [_facts(one) for one in found]}, text)
    return 0


def run_party(options: argparse.Namespace) -> int:
    """Add a party."""
    from grid.operation import agreements

    with acting(options, MAY) as (tx, site, by):
        agreements.add_party(
            tx, site, party=options.party, name=options.name, kind=options.kind, by=by
        )
    text = f"{options.party} is a party of the site; it stands for nothing yet"
    answer(options, {"party": options.party, "kind": options.kind}, text)
    return 0


def run_move_in(options: argparse.Namespace) -> int:
    """Let a party move in."""
    from grid.operation import agreements

    with acting(options, MAY) as (tx, site, by):
        made = agreements.move_in(
            tx,
            site,
            usage_point=options.usage_point,
            party=options.party,
            day=options.day,
            by=by,
            tariff=options.tariff,
            share_percent=100 if options.share is None else options.share,
            trades=bool(options.trades),
            battery=bool(options.battery),
        )
    return _told(options, made)


def run_move_out(options: argparse.Namespace) -> int:
    """Let a party move out."""
    from grid.operation import agreements

    with acting(options, MAY) as (tx, site, by):
        made = agreements.move_out(
            tx, site, usage_point=options.usage_point, day=options.day, by=by
        )
    return _told(options, made)


def run_terms(options: argparse.Namespace) -> int:
    """Change the terms of an agreement."""
    from grid.operation import agreements

    with acting(options, MAY) as (tx, site, by):
        made = agreements.change_terms(
            tx,
            site,
            usage_point=options.usage_point,
            day=options.day,
            by=by,
            tariff=options.tariff,
            share_percent=options.share,
            trades=options.trades,
            battery=options.battery,
        )
    return _told(options, made)


def run_erase(options: argparse.Namespace) -> int:
    """Ask for a person to be erased, or approve it and erase."""
    from grid.operation import commission, cycle, erasure, erasure_requests

    with closing(commission.open_store(options.dir)) as store:
        site, _ = cycle.facts(options.dir, store)
        with store.read() as tx:
            act = "approve" if erasure_requests.waiting(tx, options.party) else "ask"
            by = user_of(tx, options.by, f"erasures.{act}")
        done = erasure.erase(
            options.dir, store, site, party=options.party, by=by, reason=options.reason
        )
    if done.name is None:
        text = f"{options.party}: {by} asks to erase it; an administrator approves, who is another"
    else:
        asked_by = "the person" if done.asked_by == done.name else done.asked_by
        text = f"erased; {done.name} stands where it stood, asked by {asked_by}"
    if done.months:
        text += f"; intervals and invoices of {_from_to(done.months)} go with it, everybody's"
    facts = {"erased": done.name is not None, "name": done.name, "months": list(done.months)}
    answer(options, facts, text)
    return 0


def _from_to(months: tuple[str, ...]) -> str:
    return months[0] if len(months) == 1 else f"{months[0]} to {months[-1]}"


def _told(options: argparse.Namespace, made: Agreement) -> int:
    answer(options, _facts(made), _line(made))
    return 0


def _facts(one: Agreement) -> dict[str, Any]:
    terms = one.terms[-1]
    return {
        "agreement": one.id,
        "usage_point": one.usage_point,
        "party": one.party,
        "from": label(one.from_s),
        "until": None if one.until_s is None else label(one.until_s),
        "tariff": terms.tariff,
        "share_percent": terms.share_percent,
        "trades": terms.trades,
        "batteries": [one.id for one in terms.batteries],
        "terms_from": label(terms.from_s),
    }


def _line(one: Agreement) -> str:
    begun = "ever since" if one.from_s == 0 else f"from {label(one.from_s)}"
    ended = "" if one.until_s is None else f" until {label(one.until_s)}"
    terms = one.terms[-1]
    trades = "trades" if terms.trades else "does not trade"
    if terms.batteries:
        trades += f" with {', '.join(one.id for one in terms.batteries)}"
    changed = "" if terms.from_s == one.from_s else f" (from {label(terms.from_s)} on)"
    return (
        f"{one.usage_point} {one.party} {begun}{ended}: tariff {terms.tariff}, "
        f"shares {terms.share_percent} %, {trades}{changed}"
    )
