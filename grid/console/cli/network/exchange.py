"""``khazri network import|export|show``: networks in and out of files, and what is in them."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.console.cli.network.options import source
from grid.console.cli.options import answer, as_json
from grid.errors import Finding, Severity

if TYPE_CHECKING:
    from networks.sources.tables import Tables

_ORDER = (Severity.ALARM, Severity.WARNING, Severity.INFO)


def declare(verbs: Any) -> None:
    """Declare the options."""
    come = verbs.add_parser("import", help="read a network of another format into our tables")
    come.add_argument(
        "file", type=Path, help=".dss of OpenDSS, .json of pandapower, .zip or .xml of CGMES"
    )
    _out(come)
    come.set_defaults(run=run_import)
    go = verbs.add_parser("export", help="write a network as tables")
    _network(go)
    _out(go)
    go.set_defaults(run=run_export)
    show = verbs.add_parser("show", help="what a network has, and what looks wrong with it")
    _network(show)
    show.add_argument(
        "--all", action="store_true", help="every finding, not the first few of a kind"
    )
    as_json(show)
    show.set_defaults(run=run_show)


def _network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "network",
        type=source,
        metavar="NETWORK",
        help="simbench:CODE, pandapower:NAME, or a file of tables (.toml, .json)",
    )


def _out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "out", type=_tables_file, metavar="OUT", help="file to write, .toml or .json"
    )
    parser.add_argument("--force", action="store_true", help="write over a file that is there")
    as_json(parser)


def _tables_file(text: str) -> Path:
    path = Path(text)
    if path.suffix not in (".toml", ".json"):
        raise argparse.ArgumentTypeError(f"{text[:60]!r} must end in .toml or .json")
    return path


def run_import(options: argparse.Namespace) -> int:
    """Read FILE, validate it and write it as tables."""
    from networks.sources.importing import import_network

    _free(options)
    imported = import_network(options.file)
    return _write(options, imported.tables, imported.format, imported.findings)


def run_export(options: argparse.Namespace) -> int:
    """Write NETWORK as tables."""
    _free(options)
    return _write(options, _tables(options.network), options.network.partition(":")[0], ())


def run_show(options: argparse.Namespace) -> int:
    """Print what NETWORK has and the findings on it; 1 when one of them is an alarm."""
    from networks.sources.summary import summary
    from networks.sources.validate import validate

    tables = _tables(options.network)
    facts, found = summary(tables), validate(tables)
    lines = [f"{options.network}  {facts['name']}".rstrip()]
    lines += [f"  {table:16}{count:6}" for table, count in facts["elements"].items()]
    lines.append(
        f"  voltage levels  {', '.join(f'{kv:g} kV' for kv in facts['voltage_levels_kv'])}"
    )
    if facts["line_length_km"]:
        low, high = facts["line_rating_ka"]
        lines.append(
            f"  lines           {facts['line_length_km']:.3f} km, rated {low:g} to {high:g} kA"
        )
    if facts["trafo_rated_mva"]:
        rated = ", ".join(f"{mva:g}" for mva in facts["trafo_rated_mva"])
        lines.append(f"  transformers    {rated} MVA")
    lines.append(f"  loads           {facts['load_mw']:.4g} MW, plants {facts['plant_mw']:.4g} MW")
    lines.append(f"  coordinates     {facts['coordinates']}")
    lines += _finding_lines(found, None if options.all else 3)
    answer(options, {**facts, "findings": _plain(found)}, "\n".join(lines))
    return 1 if any(finding.severity is Severity.ALARM for finding in found) else 0


def _tables(network: str) -> Tables:
    """Return the tables of a network; those of a file need no pandapower."""
    from networks.sources.exchange import from_net
    from networks.sources.source import read_net
    from networks.sources.tables import read_tables

    kind, _, name = network.partition(":")
    if kind == "file":
        return read_tables(Path(name))
    return from_net(read_net(network, base_dir=Path.cwd()))


def _free(options: argparse.Namespace) -> None:
    from grid.errors import BadInputError

    if options.out.exists() and not options.force:
        raise BadInputError(f"{options.out} is there already; --force writes over it")


def _write(options: argparse.Namespace, tables: Tables, kind: str, noted: Iterable[Finding]) -> int:
    from networks.sources.summary import summary
    from networks.sources.tables import write_tables
    from networks.sources.validate import validate

    write_tables(tables, options.out)
    found = [*noted, *validate(tables)]
    elements = summary(tables)["elements"]
    facts = {
        "format": kind, "out": str(options.out), "elements": elements, "findings": _plain(found)
    }  # fmt: skip
    counts = ", ".join(f"{count} {table}" for table, count in elements.items())
    lines = [f"{options.out}: {counts} (from {kind})", *_finding_lines(found, 3)]
    lines.append(f"next: khazri network show {options.out}")
    answer(options, facts, "\n".join(lines))
    return 0


def _plain(found: Iterable[Finding]) -> list[dict[str, str]]:
    return [
        {"code": f.code, "subject": f.subject, "severity": str(f.severity), "message": f.message}
        for f in found
    ]


def _finding_lines(found: list[Finding], most: int | None) -> list[str]:
    """Return lines for people: the worst first, and of each kind as many as `most`."""
    counts = Counter((finding.severity, finding.code) for finding in found)
    lines = []
    for severity in _ORDER:
        for code in sorted(code for at, code in counts if at is severity):
            alike = [f for f in found if (f.severity, f.code) == (severity, code)]
            lines += [f"  {severity:8}{code}  {f.message}" for f in alike[:most]]
            if most is not None and len(alike) > most:
                lines.append(f"          … {len(alike) - most} more of {code}")
    return lines or ["  no findings"]
