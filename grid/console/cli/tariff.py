"""``khazri tariff list|preview|propose|approve|reject|withdraw``: two people change a tariff."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import answer, as_json, directory, whole
from grid.console.cli.users import acting, by_user

if TYPE_CHECKING:
    from grid.operation.tariff_previews import PastPreview
    from grid.store.tariff_changes import TariffChange

MAY = "tariffs.listed"
_NUMBER = whole(1, 2**31)
_SHOWN = 5


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the commands' options."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    lists = verbs.add_parser("list", help="tariffs in force with their versions, and proposals")
    _common(lists, run_list)
    for verb, run, text in (
        ("preview", run_preview, "what past months would have cost at a tariff of a file"),
        ("propose", run_propose, "propose a version of a tariff, or a new tariff"),
    ):
        parser = verbs.add_parser(verb, help=text)
        parser.add_argument(
            "file", type=Path, metavar="FILE", help="TOML: one [[tariff]] as in a site file"
        )
        if verb == "propose":
            by_user(parser, required=True)
        _common(parser, run)
    for verb, text in (
        ("approve", "activate a version that somebody else proposed"),
        ("reject", "refuse a version that somebody else proposed"),
        ("withdraw", "take back an own proposal"),
    ):
        parser = verbs.add_parser(verb, help=text)
        parser.add_argument("change", type=_NUMBER, metavar="CHANGE")
        by_user(parser, required=True)
        _common(parser, run_decide)


def _common(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int]) -> None:
    directory(parser)
    as_json(parser)
    parser.set_defaults(run=run)


def run_list(options: argparse.Namespace) -> int:
    """List tariffs in force and the changes that were proposed."""
    from grid.operation import commission, cycle, tariffs
    from grid.store import control, tariff_changes

    with closing(commission.open_store(options.dir)) as store:
        site, _ = cycle.facts(options.dir, store)
        with store.read() as tx:
            found = tariffs.in_force(tx, site)
            changes = tariff_changes.listed(tx)
            now_s = control.clock_s(tx)
    told = [_facts(one, tariffs.has_lapsed(site, one, now_s)) for one in changes]
    lines = [
        f"{one.id} from {each.valid_from}: {each.name}" for one in found for each in one.versions
    ]
    lines += [
        f"change {one['change']}: {one['tariff']} from {one['from']}, {one['state']}, "
        f"proposed by {one['proposed_by']}"
        for one in told
    ]
    known = [
        {"tariff": str(one.id), "from": str(each.valid_from), "name": each.name}
        for one in found
        for each in one.versions
    ]
    answer(options, {"tariffs": known, "changes": told}, "\n".join(lines))
    return 0


def run_preview(options: argparse.Namespace) -> int:
    """Preview a tariff on what was metered."""
    from grid.operation import commission, cycle, tariff_previews, tariffs
    from grid.site_file import read_text

    new = tariffs.read(read_text(options.file), options.file.name)
    with closing(commission.open_store(options.dir)) as store:
        site, _ = cycle.facts(options.dir, store)
        with store.read() as tx:
            found = tariff_previews.past_preview(tx, site, new)
    answer(options, _preview(found), _preview_text(found, site.currency))
    return 0


def run_propose(options: argparse.Namespace) -> int:
    """Propose a version of a tariff."""
    from grid.operation import tariffs
    from grid.site_file import read_text

    new = tariffs.read(read_text(options.file), options.file.name)
    with acting(options, MAY) as (tx, site, by):
        made = tariffs.propose(tx, site, new, by)
    return _told(options, made)


def run_decide(options: argparse.Namespace) -> int:
    """Approve, reject or take back a proposal."""
    from grid.operation import tariffs

    act = {"approve": tariffs.approve, "reject": tariffs.reject, "withdraw": tariffs.withdraw}
    with acting(options, MAY) as (tx, site, by):
        made = act[options.verb](tx, site, options.change, by)
    return _told(options, made)


def _told(options: argparse.Namespace, made: TariffChange) -> int:
    text = f"change {made.id}: {made.tariff.id} from {made.tariff.valid_from} is {made.state}"
    if made.state == "proposed":
        text += f"; somebody else activates it with `khazri tariff approve {made.id}`"
    answer(options, _facts(made, False), text)
    return 0


def _facts(one: TariffChange, lapsed: bool) -> dict[str, Any]:
    return {
        "change": one.id,
        "tariff": str(one.tariff.id),
        "from": str(one.tariff.valid_from),
        "state": "lapsed" if lapsed else str(one.state),
        "proposed_by": one.proposed_by,
        "decided_by": one.decided_by,
    }


def _preview(found: PastPreview) -> dict[str, Any]:
    made = found.preview
    return {
        "months": list(made.months),
        "whole": found.whole,
        "usage_points": [
            {"usage_point": name, "old_nano": old, "new_nano": new, "missing": missing}
            for name, old, new, missing in zip(
                found.usage_points, made.old_nano.tolist(), made.new_nano.tolist(), found.missing,
                strict=True,
            )
        ],
    }  # fmt: skip


def _preview_text(found: PastPreview, currency: str) -> str:
    from grid.interval import label
    from trading.statements import exact_money

    made = found.preview
    more = made.difference_nano
    span = f"{label(found.from_s)} to {label(found.until_s)}"
    lines = [
        f"{len(found.usage_points)} usage points, {span}"
        + ("" if found.whole else ": no whole month yet, and the fee is that of a whole one"),
        f"{'month':8} {'as it was':>16} {'proposed':>16} {'difference':>16}  {currency}",
    ]
    sums = (made.old_nano.sum(0), made.new_nano.sum(0), more.sum(0))
    for month, *amounts in zip(made.months, *(one.tolist() for one in sums), strict=True):
        lines.append(f"{month:8} " + " ".join(f"{exact_money(one):>16}" for one in amounts))
    each = sorted(zip(more.sum(1).tolist(), found.usage_points, strict=True))
    lines.append(
        f"{sum(one > 0 for one, _ in each)} pay more, {sum(one < 0 for one, _ in each)} pay less"
    )
    for amount, name in each[::-1][:_SHOWN]:
        lines.append(f"  {name} {exact_money(amount)}")
    if gaps := sum(found.missing):
        lines.append(f"{gaps} intervals are not known: they cost nothing here, at either tariff")
    return "\n".join(lines)
