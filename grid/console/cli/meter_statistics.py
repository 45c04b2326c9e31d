"""``khazri meter statistics``: how asking each meter and each gateway went."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import answer, as_json, directory, instant, whole
from grid.interval import label

if TYPE_CHECKING:
    from meters.statistics import Statistics

_HOUR_S = 3600


def declare_statistics(verbs: Any) -> None:
    """Declare the command's options."""
    parser = verbs.add_parser("statistics", help="success, latency and age by meter and gateway")
    directory(parser)
    parser.add_argument("--at", type=instant, help="the end of the hours; the site's time, else")
    parser.add_argument("--hours", type=whole(1, 960), default=24, help="hours before it")
    as_json(parser)
    parser.set_defaults(run=run_statistics)


def run_statistics(options: argparse.Namespace) -> int:
    """Print how asking went: meters first, then gateways."""
    from grid import site_file
    from grid.console.meter_health import gateways_of, meters_of
    from grid.operation import commission
    from grid.store import control

    site = site_file.read(options.dir / site_file.SITE_FILE)
    store = commission.open_store(options.dir)
    try:
        with store.read() as tx:
            now_s = options.at or control.clock_s(tx)
            meters = meters_of(tx, site, now_s, options.hours * _HOUR_S)
            gateways = gateways_of(tx, now_s, options.hours * _HOUR_S)
    finally:
        store.close()
    by_meter = [
        {
            "meter": str(one.meter.id),
            "age_s": one.age_s,
            "late": one.late,
            "read_percent": one.read_percent,
            **_facts(one.asked),
            "clock_offset_s": one.clock_offset_s,
        }
        for one in meters
    ]
    by_gateway = [
        {"gateway": one.name, "age_s": one.age_s, **_facts(one.asked)} for one in gateways
    ]
    facts = {
        "at": label(now_s),
        "hours": options.hours,
        "meters": by_meter,
        "gateways": by_gateway,
    }
    lines = [*_table(by_meter, "meter"), "", *_table(by_gateway, "gateway")]
    answer(options, facts, "\n".join(lines))
    return 0


def _facts(asked: Statistics) -> dict[str, Any]:
    return {
        "requests": asked.requests,
        "success_percent": asked.success_percent,
        "p50_ms": asked.latency_ms(50),
        "p99_ms": asked.latency_ms(99),
        "timeouts": asked.timeouts,
        "refusals": asked.refusals,
        "malformed": asked.malformed,
    }


def _table(rows: list[dict[str, Any]], subject: str) -> list[str]:
    wide = max([len(str(row[subject])) for row in rows] + [len(subject)])
    has_clock = subject == "meter"
    head = f"{subject:<{wide}}   age min  requests  right %  p50 ms  p99 ms"
    lines = [head + ("  clock s" if has_clock else "")]
    for row in rows:
        age = "never" if row["age_s"] is None else str(row["age_s"] // 60)
        share = row["success_percent"]
        cells = [
            f"{row[subject]:<{wide}} ",
            f"{age:>8}",
            f"{row['requests']:>9}",
            f"{'–' if share is None else format(share, '.1f'):>8}",
            f"{_or_dash(row['p50_ms']):>7}",
            f"{_or_dash(row['p99_ms']):>7}",
        ]
        if has_clock:
            offset = row["clock_offset_s"]
            cells.append(f"{'–' if offset is None else format(offset, '+d'):>8}")
        lines.append(" ".join(cells))
    return lines


def _or_dash(value: int | None) -> str:
    return "–" if value is None else str(value)
