"""``khazri network switch``: what a switching operation would do, before it is done."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from grid.console.cli.control_tags import heeding, tagged
from grid.console.cli.network.options import held_to, limits, loaded, network
from grid.console.cli.options import UsageError, answer
from grid.errors import BadInputError

if TYPE_CHECKING:
    from networks.model import NetworkModel
    from networks.operating.permits import Element
    from networks.operating.switching import Change, Comparison, Snapshot

_ELEMENTS = ("line", "trafo")


def declare(verbs: Any) -> None:
    """Declare the options."""
    verb = verbs.add_parser("switch", help="what a switching operation would do")
    network(verb)
    for name, what in (("open", "open"), ("close", "close")):
        verb.add_argument(
            f"--{name}", type=_index, action="append", default=[], metavar="N",
            help=f"{what} switch N; may be given again",
        )  # fmt: skip
    for name, what in (("out", "take out of service"), ("back", "bring back")):
        verb.add_argument(
            f"--{name}", type=_element, action="append", default=[], metavar="line:N",
            help=f"{what} line:N or trafo:N; may be given again",
        )  # fmt: skip
    verb.add_argument(
        "--tap", type=_tap, action="append", default=[], metavar="N=POSITION",
        help="move the tap changer of trafo N; may be given again",
    )  # fmt: skip
    limits(verb)
    heeding(verb)
    verb.set_defaults(run=run)


def _index(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} must be the index of a switch")
    return int(text)


def _element(text: str) -> tuple[str, int]:
    table, _, index = text.partition(":")
    if table not in _ELEMENTS or not index.isascii() or not index.isdigit() or len(index) > 9:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} must be line:N or trafo:N")
    return table, int(index)


def _tap(text: str) -> tuple[int, int]:
    trafo, _, position = text.partition("=")
    digits = position.removeprefix("-")
    for part in (trafo, digits):
        if not part.isascii() or not part.isdigit() or len(part) > 9:
            raise argparse.ArgumentTypeError(f"{text[:40]!r} must be N=POSITION, such as 0=-2")
    return int(trafo), int(position)


def run(options: argparse.Namespace) -> int:
    """Compare the network before and after."""
    from networks.operating.permits import without
    from networks.operating.state import nominal
    from networks.operating.switching import Change, compare
    from networks.operating.terminals import switch_types
    from networks.operating.words import comparison

    moved = [trafo for trafo, _ in options.tap]
    if len(set(moved)) < len(moved):
        twice = next(trafo for trafo in moved if moved.count(trafo) > 1)
        raise UsageError(f"--tap: trafo {twice} is given two positions, must be one")
    if not any((options.open, options.close, options.out, options.back, options.tap)):
        raise UsageError("nothing to switch: give --open, --close, --out, --back or --tap")
    permits = tagged(options.tags)
    model = without(loaded(options), tuple(permits))
    change = Change(
        opened=tuple(options.open),
        closed=tuple(options.close),
        out=tuple(options.out),
        back=tuple(options.back),
        taps=dict(options.tap),
    )
    _refuse_energising(model, change, permits)
    types = switch_types(model) if options.open or options.close else {}
    made = compare(model, nominal(model), held_to(options), change, types=types)
    answer(options, _facts(made), comparison(made))
    return 0


def _refuse_energising(model: NetworkModel, change: Change, permits: Mapping[Element, str]) -> None:
    """Refuse what would give voltage to an element under a permit."""
    from networks.operating.permits import live

    after = model.switched(
        opened=change.opened, closed=change.closed, out=change.out, back=change.back
    )
    for element in live(after, tuple(permits)):
        raise BadInputError(f"{permits[element]}: this would energise it")


def _facts(made: Comparison) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "before": _snapshot(made.before),
        "after": _snapshot(made.after),
        "lost": [asdict(one) for one in made.lost],
        "regained": [asdict(one) for one in made.regained],
        "interrupted": [asdict(one) for one in made.interrupted],
        "looped_line": list(made.looped_line),
        "looped_trafo": list(made.looped_trafo),
        "new": [asdict(one) for one in made.new],
        "gone": [asdict(one) for one in made.gone],
        "warnings": [asdict(one) for one in made.warnings],
    }


def _snapshot(one: Snapshot) -> dict[str, Any]:
    from dataclasses import asdict

    extremes = {"vm_pu_lowest": one.lowest, "vm_pu_highest": one.highest}
    extremes["loading_percent"] = one.loaded
    facts: dict[str, Any] = {
        name: None if found is None else asdict(found) for name, found in extremes.items()
    }
    return facts | {
        "losses_kw": one.losses_kw,
        "head_import_kw": one.head_import_kw,
        "head_export_kw": one.head_export_kw,
        "unserved_kw": one.unserved_kw,
        "loops": one.meshes.count,
        "broken": [asdict(limit) for limit in one.broken],
    }
