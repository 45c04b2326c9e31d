"""``khazri market contract list|propose|accept|refuse|end``: what two parties agree on."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import answer, as_json, day, directory, whole
from grid.console.cli.users import acting_member, by_user, party_of, user_of
from grid.interval import label
from grid.quantities import format_price

if TYPE_CHECKING:
    from grid.store.contracts import KeptContract

MAY = "contracts.propose"
_NUMBER = whole(1, 2**31)


def declare_contract(verbs: Any) -> None:
    """Declare the commands' options."""
    contract = verbs.add_parser("contract", help="what two parties agree on outside the auction")
    acts = contract.add_subparsers(dest="act", metavar="ACT", required=True)
    lists = acts.add_parser(
        "list", help="the contracts of a user's party; how many there are, else"
    )
    by_user(lists)
    _common(lists, run_list)
    proposes = acts.add_parser("propose", help="propose a contract to another party")
    proposes.add_argument("counterparty", metavar="PARTY")
    proposes.add_argument("side", choices=("buy", "sell"), help="what the user's party does")
    proposes.add_argument("--price", required=True, help="per kWh")
    amount = proposes.add_mutually_exclusive_group(required=True)
    amount.add_argument("--wh", type=whole(1, 10**9), help="of each interval")
    amount.add_argument(
        "--share", type=whole(1, 100), metavar="PERCENT", help="of what the seller offers"
    )
    proposes.add_argument(
        "--from", dest="first", type=day, required=True, metavar="DAY", help="YYYY-MM-DD, not today"
    )
    proposes.add_argument("--last", type=day, metavar="DAY", help="on which it holds; no end, else")
    by_user(proposes, required=True)
    _common(proposes, run_propose)
    for act, text in (
        ("accept", "accept a proposal"),
        ("refuse", "refuse a proposal, or take an own one back"),
        ("end", "give notice of a contract"),
    ):
        parser = acts.add_parser(act, help=text)
        parser.add_argument("contract", type=_NUMBER, metavar="CONTRACT")
        if act == "end":
            parser.add_argument(
                "--on", type=day, metavar="DAY", help="the day after tomorrow, if not given"
            )
        by_user(parser, required=True)
        _common(parser, run_act)


def _common(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int]) -> None:
    directory(parser)
    as_json(parser)
    parser.set_defaults(run=run)


def run_list(options: argparse.Namespace) -> int:
    """List the contracts of a user's party, the newest first; without a user only their number."""
    from grid.operation import commission
    from grid.store import contracts, control

    with closing(commission.open_store(options.dir)) as store, store.read() as tx:
        if options.by is None:
            counts = contracts.count(tx, control.clock_s(tx))
            text = ", ".join(f"{number} {state}" for state, number in counts.items())
            answer(options, {"count": counts}, text)
            return 0
        party = party_of(tx, user_of(tx, options.by, MAY))
        found = contracts.of_party(tx, party)
    text = "\n".join(_line(one, party) for one in found) or "no contracts"
    answer(options, {"contracts": [_facts(one, party) for one in found]}, text)
    return 0


def run_propose(options: argparse.Namespace) -> int:
    """Propose a contract."""
    from grid.operation import contracts

    proposal = contracts.Proposal(
        counterparty=options.counterparty,
        side=options.side,
        price=options.price,
        first=options.first,
        last=options.last,
        energy_wh=options.wh,
        share_percent=options.share,
    )
    with acting_member(options, MAY) as (tx, site, who):
        made = contracts.propose(tx, site, proposal, **who)
    return _told(options, made, str(who["party"]))


def run_act(options: argparse.Namespace) -> int:
    """Accept, refuse or end a contract."""
    from grid.operation import contracts

    with acting_member(options, MAY) as (tx, site, who):
        if options.act == "end":
            done = contracts.end(tx, site, options.contract, **who, day=options.on)
        else:
            act = contracts.accept if options.act == "accept" else contracts.refuse
            done = act(tx, site, options.contract, **who)
    return _told(options, done, str(who["party"]))


def _told(options: argparse.Namespace, one: KeptContract, party: str) -> int:
    answer(options, _facts(one, party), _line(one, party))
    return 0


def _state(one: KeptContract) -> str:
    if one.waits:
        return "proposed"
    if one.accepted_s is None:
        return "refused"
    return "ended" if one.ended_by else "accepted"


def _facts(one: KeptContract, party: str) -> dict[str, Any]:
    contract = one.contract
    return {
        "contract": contract.id,
        "with": one.other(party),
        "side": "buy" if contract.buyer == party else "sell",
        "price": format_price(contract.price),
        "energy_wh": contract.energy_wh,
        "share_percent": contract.share_percent,
        "from": label(contract.from_s),
        "until": None if contract.until_s is None else label(contract.until_s),
        "state": _state(one),
        "proposed_by": one.proposed_by,
    }


def _line(one: KeptContract, party: str) -> str:
    told = _facts(one, party)
    amount = f"{told['energy_wh']} Wh" if told["energy_wh"] else f"{told['share_percent']} %"
    until = f" until {told['until']}" if told["until"] else ""
    return (
        f"{told['contract']} {told['side']} {amount} an interval at {told['price']} with "
        f"{told['with']} from {told['from']}{until}: {told['state']}"
    )
