"""``khazri control tag|release|tags``: permits on elements of the network."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import answer, as_json, directory, whole
from grid.console.cli.users import by_user, user_of
from grid.interval import label

if TYPE_CHECKING:
    from grid.site import Site
    from grid.store import Store
    from grid.store.safety_tags import SafetyTag
    from networks.model import NetworkModel
    from networks.operating.permits import Element

_REASONS = ("maintenance", "network", "safety", "device-fault", "test", "other")


def declare_tags(verbs: Any) -> None:
    """Declare the commands about safety tags."""
    places = verbs.add_parser("tag", help="put a safety tag on an element: it stays dead")
    places.add_argument("element", metavar="ELEMENT", help="line:N, trafo:N, bus:N or asset:NAME")
    places.add_argument("--reason", choices=_REASONS, required=True, help="goes to the ledger")
    places.add_argument("--note", default="", help="for people; stays out of the ledger")
    by_user(places, required=True)
    releases = verbs.add_parser("release", help="release one's own safety tag")
    releases.add_argument("number", type=whole(1, 2**63 - 1), metavar="ID")
    by_user(releases, required=True)
    lists = verbs.add_parser("tags", help="list safety tags, the newest first")
    for parser, run in ((places, run_tag), (releases, run_release), (lists, run_tags)):
        directory(parser)
        as_json(parser)
        parser.set_defaults(run=run)


def heeding(parser: argparse.ArgumentParser) -> None:
    """Add ``--tags``, the site whose safety tags a study heeds."""
    parser.add_argument(
        "--tags", type=Path, metavar="DIR", help="heed the safety tags of the site in a folder"
    )


def tagged(folder: Path | None) -> dict[Element, str]:
    """Return the elements under permit of a site, and what is said of each."""
    if folder is None:
        return {}
    from grid.operation import commission, safety_tags

    store = commission.open_store(folder)
    try:
        with store.read() as tx:
            found = safety_tags.elements(tx)
    finally:
        store.close()
    return {
        element: f"{element[0]} {element[1]} is under safety tag {tag.id} of {tag.holder}"
        for element, tag in found.items()
    }


def run_tag(options: argparse.Namespace) -> int:
    """Place a tag and tell what is behind it."""
    from grid.operation import safety_tags
    from grid.store.overrides import Reason

    site, store = _open(options)
    try:
        with store.write() as tx:
            tag = safety_tags.place(
                tx,
                site,
                lambda: _model(options, site),
                element=options.element,
                reason=Reason(options.reason),
                by=user_of(tx, options.by, "safety_tags.place"),
                note=options.note,
            )
    finally:
        store.close()
    sources = safety_tags.generation(site, tag.devices)
    lines = [_line(tag)]
    lines += [f"  behind it: {name}, {kw:g} kW" for name, kw in sources]
    lines += [f"  fed otherwise through switch {switch}: keep it open" for switch in tag.ties]
    facts = {**_facts(tag), "generation": [{"asset": name, "kw": kw} for name, kw in sources]}
    answer(options, facts, "\n".join(lines))
    return 0


def run_release(options: argparse.Namespace) -> int:
    """Release a tag."""
    from grid.operation import safety_tags

    site, store = _open(options)
    try:
        with store.write() as tx:
            user = user_of(tx, options.by, "safety_tags.release")
            tag = safety_tags.release(tx, site, options.number, user)
    finally:
        store.close()
    answer(options, _facts(tag), _line(tag))
    return 0


def run_tags(options: argparse.Namespace) -> int:
    """List tags."""
    from grid.store import safety_tags

    _, store = _open(options)
    try:
        with store.read() as tx:
            found = safety_tags.listed(tx)
    finally:
        store.close()
    text = "\n".join(map(_line, found)) or "no element is under a permit"
    answer(options, {"tags": [_facts(tag) for tag in found]}, text)
    return 0


def _open(options: argparse.Namespace) -> tuple[Site, Store]:
    from grid import site_file
    from grid.operation import commission

    site = site_file.read(options.dir / site_file.SITE_FILE)
    return site, commission.open_store(options.dir)


def _model(options: argparse.Namespace, site: Site) -> NetworkModel:
    from networks.sources.source import load

    voltage_pu = site.network.source_voltage_pu
    return load(site.network.source, source_voltage_pu=voltage_pu, base_dir=options.dir)


def _facts(tag: SafetyTag) -> dict[str, Any]:
    facts = asdict(tag)
    for name in ("placed", "released"):
        at_s = facts.pop(f"{name}_s")
        facts[name] = None if at_s is None else label(at_s)
    return facts


def _line(tag: SafetyTag) -> str:
    until = "stands" if tag.standing else f"released {label(tag.released_s or 0)}"
    since = label(tag.placed_s)
    return f"{tag.id} {tag.element} {tag.reason}, held by {tag.holder} since {since}: {until}"
