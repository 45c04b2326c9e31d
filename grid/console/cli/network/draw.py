"""``khazri network draw``: a network, its year or its hosting capacities as an SVG file."""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.console.cli.network.options import loaded, network
from grid.console.cli.options import UsageError, answer, checked, whole
from grid.errors import BadInputError

if TYPE_CHECKING:
    from grid.site import Network
    from networks.drawing.picture import Picture
    from networks.model import NetworkModel

_KINDS = ("one-line", "map", "year", "hosting")
_QUANTITIES = {
    "lowest-voltage": "vm_pu_lowest",
    "highest-voltage": "vm_pu_highest",
    "line-loading": "line_loading_percent_highest",
    "trafo-loading": "trafo_loading_percent_highest",
    "losses": "losses_kw",
    "head-import": "head_import_kw",
    "head-export": "head_export_kw",
}
_TABLE_BYTES_MAX = 20_000_000
_COLUMNS = ("bus", "hosting_kw")


def declare(verbs: Any) -> None:
    """Declare the options."""
    draw = verbs.add_parser("draw", help="a network as an SVG picture, with its table")
    network(draw)
    draw.add_argument("--kind", choices=_KINDS, default="one-line", help="what is drawn")
    draw.add_argument("--out", type=_named("svg"), required=True, metavar="FILE.svg")
    draw.add_argument(
        "--table", type=_named("csv"), metavar="FILE.csv", help="what the picture shows, in rows"
    )
    draw.add_argument("--voltage-min", type=_number(0.5, 1.0), default=0.9, metavar="PU")
    draw.add_argument("--voltage-max", type=_number(1.0, 1.5), default=1.1, metavar="PU")
    draw.add_argument("--loading-max", type=_number(1, 300), default=100.0, metavar="PERCENT")
    index = whole(0, 2**31)
    draw.add_argument("--open", type=index, action="append", metavar="N", help="this switch; again")
    draw.add_argument(
        "--close", type=index, action="append", metavar="N", help="this switch; again"
    )
    draw.add_argument(
        "--outage", type=_branch, action="append", metavar="line:N", help="or trafo:N; again"
    )
    draw.add_argument(
        "--quantity", choices=_QUANTITIES, default="lowest-voltage", help="of the year"
    )
    draw.add_argument(
        "--time-zone", type=_zone, default="UTC", metavar="ZONE", help="of the year's days"
    )
    draw.add_argument(
        "--hosting",
        type=Path,
        metavar="FILE.csv",
        help="columns bus, hosting_kw and limit, as 'khazri network host --out' writes them",
    )
    draw.add_argument(
        "--on", choices=("map", "one-line"), default="", help="what hosting capacities stand on"
    )
    draw.set_defaults(run=run_draw)


def _named(suffix: str) -> Callable[[str], Path]:
    """Return what reads the name of a file of a kind."""

    def value(text: str) -> Path:
        if not text.lower().endswith(f".{suffix}"):
            raise argparse.ArgumentTypeError(f"{text[:60]!r} must end in .{suffix}")
        return Path(text)

    return value


def _number(low: float, high: float) -> Callable[[str], float]:
    def value(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(
                f"{text[:40]!r} must be a number within {low:g} to {high:g}"
            )
        return number

    return value


def _branch(text: str) -> tuple[str, int]:
    kind, _, number = text.partition(":")
    if kind not in ("line", "trafo") or not number.isdecimal() or len(number) > 9:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} must be line:N or trafo:N")
    return kind, int(number)


@checked
def _zone(text: str) -> str:
    from grid import interval

    interval.zone(text)
    return text


def run_draw(options: argparse.Namespace) -> int:
    """Write the picture, and its table where one is asked for."""
    from grid.site import Network

    if options.kind == "hosting" and options.hosting is None:
        raise UsageError(
            "--kind hosting needs --hosting FILE.csv: "
            f"'khazri network host {options.network} --out FILE.csv' writes it"
        )
    model = loaded(options)
    if options.open or options.close or options.outage:
        model = model.switched(
            opened=options.open or (), closed=options.close or (), out=options.outage or ()
        )
    limits = Network(
        source=options.network,
        voltage_min_pu=options.voltage_min,
        voltage_max_pu=options.voltage_max,
        loading_max_percent=options.loading_max,
    )
    drawn = _picture(options, model, limits)
    options.out.write_text(drawn.svg, encoding="utf-8")
    rows = len(drawn.table) - 1
    if options.table is not None:
        options.table.write_text(drawn.csv(), encoding="utf-8", newline="")
    facts = {
        "network": options.network,
        "kind": options.kind,
        "out": str(options.out),
        "table": None if options.table is None else str(options.table),
        "title": drawn.title,
        "description": drawn.description,
        "rows": rows,
        "labels_left_out": drawn.left_out,
    }
    answer(options, facts, _text(options, drawn, rows))
    return 0


def _text(options: argparse.Namespace, drawn: Picture, rows: int) -> str:
    lines = [
        f"drawn     {options.out}, {len(drawn.svg) / 1000:,.0f} kB: {drawn.title}",
        f"shows     {drawn.description}",
    ]
    if drawn.left_out:
        lines.append(f"left out  {drawn.left_out} labels that found no place")
    if options.table is None:
        lines.append(f"table     --table FILE.csv writes its {rows} rows")
    else:
        lines.append(f"table     {options.table}, {rows} rows")
    return "\n".join(lines)


def _picture(options: argparse.Namespace, model: NetworkModel, limits: Network) -> Picture:
    if options.kind == "year":
        return _year(options, model, limits)
    if options.kind == "hosting":
        from networks.drawing.hosting_map import hosting_map

        hosting_kw, limited_by = _capacities(options.hosting)
        return hosting_map(
            model, hosting_kw, limited_by, limits=limits, on=options.on, standalone=True
        )
    from networks.flow.year import nominal_flow

    # A map that cannot be drawn is refused before the power flow.
    if options.kind == "map":
        from networks.drawing.map import network_map
        from networks.drawing.map_places import map_places
        from networks.drawing.scheme import scheme

        map_places(scheme(model))
        return network_map(model, nominal_flow(model), limits=limits, standalone=True)
    from networks.drawing.one_line import one_line

    return one_line(model, nominal_flow(model), limits=limits, standalone=True)


def _year(options: argparse.Namespace, model: NetworkModel, limits: Network) -> Picture:
    from networks.drawing.heat_map import heat_map
    from networks.drawing.quantity import quantity
    from networks.flow.year import year, year_inputs
    from networks.sources.demo import load_year

    print(f"khazri: solving the year of {options.network}", file=sys.stderr, flush=True)
    column = _QUANTITIES[options.quantity]
    result = year(model, year_inputs(model, load_year(options.network)))
    return heat_map(
        result[column],
        quantity(column, limits),
        time_zone=options.time_zone,
        subject=options.network,
        standalone=True,
    )


def _capacities(path: Path) -> tuple[dict[int, float | None], dict[int, str]]:
    """Return kW and what limits them by bus."""
    if path.stat().st_size > _TABLE_BYTES_MAX:
        raise BadInputError(f"{path} has more than {_TABLE_BYTES_MAX:,} bytes")
    hosting_kw: dict[int, float | None] = {}
    limited_by: dict[int, str] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            missing = [name for name in _COLUMNS if name not in (table.fieldnames or ())]
            if missing:
                raise BadInputError(f"{path} has no column {missing[0]!r}")
            for row in table:
                bus, kw = _capacity(path, table.line_num, row)
                if bus in hosting_kw:
                    raise BadInputError(f"{path} line {table.line_num}: bus {bus} comes twice")
                hosting_kw[bus], limited_by[bus] = kw, row.get("limit") or ""
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInputError(f"{path} is no table: {error}") from error
    if not hosting_kw:
        raise BadInputError(f"{path} has no rows")
    return hosting_kw, limited_by


def _capacity(path: Path, line: int, row: dict[str, Any]) -> tuple[int, float | None]:
    try:
        told = row["hosting_kw"]
        return int(row["bus"]), float(told) if told else None
    except (TypeError, ValueError) as error:
        raise BadInputError(
            f"{path} line {line}: bus {row['bus']!r} and hosting_kw {row['hosting_kw']!r} "
            "must be a whole number and a number"
        ) from error
