"""``khazri network quality``: weeks of voltages after EN 50160, of a site or of a file."""

from __future__ import annotations

import argparse
import csv
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import UsageError, answer, as_json, checked, number
from grid.errors import BadInputError

if TYPE_CHECKING:
    from datetime import date

    from networks.quality.voltage import Report

_SHOWN = 40
_KEPT = ("kept", "indicative kept")
_RULES = ("lv", "lv-island", "mv")


@checked
def _week(text: str) -> date:
    from grid.interval import parse_week

    return parse_week(text)


def declare(verbs: Any) -> None:
    """Declare the options."""
    quality = verbs.add_parser(
        "quality", help="weeks of voltages after EN 50160, of a site's meters or of a file"
    )
    quality.add_argument("--dir", type=Path, help="folder of a site: what its meters showed")
    quality.add_argument(
        "--file", type=Path, help="CSV or NetCDF of voltages: a column for each usage point"
    )
    quality.add_argument("--week", type=_week, metavar="YYYY-Www", help="one week; else all of a "
                         "file, or the newest of a site that is over")  # fmt: skip
    quality.add_argument("--rules", choices=_RULES, default="lv", help="of a file")
    quality.add_argument(
        "--nominal", type=number(1, 1e6), metavar="V", help="when the file is in V; per unit, else"
    )
    quality.add_argument("--time-zone", default="UTC", help="where the weeks of a file begin")
    quality.add_argument(
        "--spot", action="store_true", help="the file holds readings of moments, not means"
    )
    quality.add_argument("--flags", type=Path, help="a file as --file: above 0 where flagged")
    quality.add_argument(
        "--coverage", type=number(1, 100), default=90.0, metavar="PERCENT",
        help="of a week's intervals, what must be known for something to be kept",
    )  # fmt: skip
    quality.add_argument("--out", type=Path, metavar="FILE.csv", help="keep the table")
    as_json(quality)
    quality.set_defaults(run=run_quality)


def run_quality(options: argparse.Namespace) -> int:
    """Print the weeks; 0 only when every point is kept in every week."""
    if options.file is not None and options.dir is not None:
        raise UsageError("--dir and --file are two sources: give one")
    if options.file is None and options.flags is not None:
        raise UsageError("--flags goes with --file")
    report = _of_site(options) if options.file is None else _of_file(options)
    rows = _rows(report)
    if not rows:
        raise BadInputError("no week of voltages is there: there is nothing to judge")
    if options.out is not None:
        with options.out.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    verdicts = [row["verdict"] for row in rows]
    counts = {word: verdicts.count(word) for word in dict.fromkeys(verdicts)}
    facts = {
        "rules": report.rules.edition,
        "values": f"{report.weeks.attrs['interval_s']} s {report.weeks.attrs['values']}",
        "indicative": report.indicative,
        "coverage_min_percent": report.weeks.attrs["coverage_min_percent"],
        "verdicts": counts,
        "weeks": rows,
        "findings": [one.message for one in report.findings],
    }
    answer(options, facts, _text(rows, facts))
    return 0 if all(word in _KEPT for word in verdicts) else 1


def _of_site(options: argparse.Namespace) -> Report:
    from grid import site_file
    from grid.operation import commission, voltage_quality
    from grid.store import control

    folder = options.dir or Path()
    site = site_file.read(folder / site_file.SITE_FILE)
    store = commission.open_store(folder)
    try:
        with store.read() as tx:
            monday = options.week or voltage_quality.last_week(site, control.clock_s(tx))
            return voltage_quality.week(site, tx, monday).report
    finally:
        store.close()


def _of_file(options: argparse.Namespace) -> Report:
    import numpy as np

    from grid.interval import week_bounds
    from networks.quality.files import read_voltages
    from networks.quality.rules import rules
    from networks.quality.voltage import weekly

    voltage, step_s = read_voltages(options.file)
    if options.nominal is None and float(voltage.max()) > 10.0:
        raise UsageError(
            f"{options.file.name} reaches {float(voltage.max()):g}, which is no voltage per unit: "
            "give --nominal V"
        )
    flagged = None
    if options.flags is not None:
        flags, _ = read_voltages(options.flags, "flagged")
        flagged = flags.reindex_like(voltage).fillna(0.0) > 0.0
    if options.week is not None:
        first, last = (
            np.datetime64(at_s, "s") for at_s in week_bounds(options.week, options.time_zone)
        )
        inside = (voltage["interval"] >= first) & (voltage["interval"] < last)
        voltage = voltage[inside]
        flagged = None if flagged is None else flagged[inside]
    return weekly(
        voltage, interval_s=step_s, time_zone=options.time_zone, rules=rules(options.rules),
        nominal_v=options.nominal, flagged=flagged, spot=options.spot,
        coverage_min_percent=options.coverage,
    )  # fmt: skip


def _rows(report: Report) -> list[dict[str, Any]]:
    from networks.quality.rules import Verdict

    columns = {name: values.to_numpy() for name, values in report.weeks.data_vars.items()}
    rows = []
    for w, week in enumerate(report.weeks["week"].to_numpy().tolist()):
        for p, point in enumerate(report.weeks["usage_point"].to_numpy().tolist()):
            row: dict[str, Any] = {"week": week, "usage_point": str(point)}
            for name, values in columns.items():
                number = values[w, p].item()
                if name == "verdict":
                    row["verdict"] = Verdict(number).words
                elif isinstance(number, float):
                    row[str(name)] = None if math.isnan(number) else round(number, 4)
                else:
                    row[str(name)] = number
            rows.append(row)
    return rows


def _text(rows: list[dict[str, Any]], facts: dict[str, Any]) -> str:
    width = max(12, *(len(row["usage_point"]) + 2 for row in rows))
    head = ("within", "lowest", "highest", f"{'middle 95 %':>18}", "known")
    lines = [f"{'week':<10}{'point':<{width}}" + "".join(f"{one:>9}" for one in head) + "  verdict"]
    order = {"not kept": 0, "indicative not kept": 0, "insufficient": 1}
    shown = sorted(rows, key=lambda one: order.get(one["verdict"], 2))[:_SHOWN]
    lines += [_line(row, width) for row in shown]
    if len(rows) > _SHOWN:
        lines.append(f"… and {len(rows) - _SHOWN} more; --out FILE.csv keeps all")
    lines.append("verdicts  " + ", ".join(f"{word} {n}" for word, n in facts["verdicts"].items()))
    lines.append(f"rules     {facts['rules']}; values are {facts['values']}, per unit")
    if facts["indicative"]:
        lines.append(
            "          indicative: only 10-minute means that meters captured give a verdict"
        )
    if "insufficient" in facts["verdicts"]:
        lines.append(
            f"          insufficient: less than {facts['coverage_min_percent']:g} % of the week is "
            "known and not flagged"
        )
    return "\n".join(lines)


def _line(row: dict[str, Any], width: int) -> str:
    middle = f"{_shown(row['vm_pu_low_end'], 4)} to {_shown(row['vm_pu_high_end'], 4)}"
    return (
        f"{row['week']:<10}{row['usage_point']:<{width}}"
        f"{_shown(row['share_within_percent'], 2, ' %'):>9}"
        f"{_shown(row['vm_pu_lowest'], 4):>9}{_shown(row['vm_pu_highest'], 4):>9}"
        f"{middle:>18}{_shown(row['coverage_percent'], 1, ' %'):>9}  {row['verdict']}"
    )


def _shown(value: float | None, places: int, unit: str = "") -> str:
    return "–" if value is None else f"{value:.{places}f}{unit}"
