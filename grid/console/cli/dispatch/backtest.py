"""``khazri dispatch backtest``: controllers side by side on a stretch of history."""

from __future__ import annotations

import argparse
import csv
import sys
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import UsageError, answer, as_json, whole

if TYPE_CHECKING:
    from dispatch.backtest.run import Backtest
    from grid.console.backtest_record import Record

_EVERY_S = 5.0
_STEPS = (15, 30, 60)


def declare(verbs: Any) -> None:
    """Declare the verb's options."""
    parser = verbs.add_parser(
        "backtest",
        help="what each controller would have cost over past days",
        description="Plays days of a simulated site. In each step every controller decides on "
        "what was known before it, meets what really came, and goes on from there: the rule of "
        "self-consumption, a plan of the forecast, a plan of several futures, and a plan that "
        "foresees. Costs are what happened, never what was planned.",
    )
    parser.add_argument(
        "site", type=Path, nargs="?", metavar="SITE.toml", help="the demo's site by default"
    )
    parser.add_argument("--from", dest="first", type=date.fromisoformat, default=date(2026, 3, 1))
    parser.add_argument("--days", type=whole(1, 366), default=14, metavar="N")
    parser.add_argument(
        "--step", type=int, choices=_STEPS, default=60, help="minutes of a step (default 60)"
    )
    parser.add_argument("--horizon", type=whole(1, 72), default=24, help="hours of a plan")
    parser.add_argument("--futures", type=whole(1, 64), default=8, help="of a stochastic plan")
    parser.add_argument(
        "--without", action="append", default=[], choices=("mpc", "stochastic", "foresight"),
        help="leave a controller out",
    )  # fmt: skip
    parser.add_argument(
        "--blind",
        action="store_true",
        help="plans do not see the load and weather of the step they decide, as the rule does",
    )
    parser.add_argument("--out", type=Path, metavar="FILE.csv", help="keep the cost of each day")
    parser.add_argument(
        "--plots", type=Path, metavar="DIR",
        help="keep pictures (SVG) with their numbers (CSV): cost, a week, regret by month",
    )  # fmt: skip
    as_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the controllers; print costs, what they did, and their share of what could be saved."""
    from dispatch.backtest.foreseen import WINDOW_DAYS
    from dispatch.backtest.run import CONTROLLERS, Backtest, Setting
    from grid import interval
    from grid.console.backtest_record import Record
    from grid.operation.demo_site import demo_site
    from grid.operation.simulated_year import simulated
    from grid.site_file import parse, read

    site = read(options.site) if options.site else parse(demo_site(), "the demo's site")
    step_s = 60 * options.step
    if step_s % site.interval_s:
        raise UsageError(f"--step {options.step} is no multiple of the site's interval")
    steps_a_day = 86_400 // step_s
    start_s, _ = interval.day_bounds(options.first, site.time_zone)
    history = simulated(site, start_s - WINDOW_DAYS * 86_400, WINDOW_DAYS + options.days, step_s)
    names = tuple(name for name in CONTROLLERS if name not in options.without)
    setting = Setting(
        horizon=options.horizon * 60 // options.step,
        futures=options.futures,
        controllers=names,
        blind=options.blind,
        utc_offset_s=interval.utc_offset_s(start_s, site.time_zone),
    )
    test = Backtest(history, WINDOW_DAYS * steps_a_day, setting)
    record = Record(start_s, step_s, site.time_zone)
    record.take(test.tally)
    begun = shown = time.monotonic()
    total = options.days * steps_a_day
    for done, _ in enumerate(test.steps(), start=1):
        record.take(test.tally)
        now = time.monotonic()
        if now - shown >= _EVERY_S or done == total:
            shown = now
            left = (now - begun) / done * (total - done)
            print(
                f"khazri: {done:,} of {total:,} steps, {left:,.0f} s left",
                file=sys.stderr, flush=True,
            )  # fmt: skip
    best = test.bound()
    if options.out is not None:
        _keep(options.out, test, options.first, steps_a_day)
    if options.plots is not None:
        _draw(options.plots, record, site.currency)
    facts = _facts(test, best)
    answer(options, {"days": options.days, "step_minutes": options.step, **facts}, _text(facts))
    return 0


def _facts(test: Backtest, best: float) -> dict[str, Any]:
    from dispatch.backtest.run import share_of_gain

    stored = sum(battery.energy_kwh for battery in test.history.battery)
    rows = {}
    for name, tally in test.tally.items():
        rows[name] = {
            "cost": tally.total,
            "items": tally.cost,
            "share_of_possible_gain": share_of_gain(test.tally, name, best),
            "co2_kg": tally.co2_kg,
            "curtailed_kwh": tally.curtailed_kwh,
            "unserved_kwh": tally.unserved_kwh,
            "cycles": tally.discharged_kwh / stored if stored else 0.0,
            "genset_starts": tally.starts,
            "steps_without_plan": tally.fallbacks,
        }
    return {"bound": best, "controllers": rows}


def _text(facts: dict[str, Any]) -> str:
    rows = facts["controllers"]
    lines = [
        "controller        cost   of gain  curtailed kWh  unserved kWh  cycles  starts  CO2 kg"
    ]
    for name, row in rows.items():
        lines.append(
            f"{name:<12}{row['cost']:>10.2f}  {row['share_of_possible_gain']:>7.0%}  "
            f"{row['curtailed_kwh']:>13.1f}  {row['unserved_kwh']:>12.2f}  {row['cycles']:>6.1f}  "
            f"{row['genset_starts']:>6d}  {row['co2_kg']:>6.0f}"
        )
    lines.append(f"{'bound':<12}{facts['bound']:>10.2f}     100%  no controller can cost less")
    lost = {name: row["steps_without_plan"] for name, row in rows.items()}
    if any(lost.values()):
        told = ", ".join(f"{name} {count}" for name, count in lost.items() if count)
        lines.append(f"steps without a plan, in which the rule was followed: {told}")
    return "\n".join(lines)


def _draw(directory: Path, record: Record, currency: str) -> None:
    from grid.console.backtest_pictures import pictures

    directory.mkdir(parents=True, exist_ok=True)
    for name, content in pictures(record, currency).items():
        (directory / name).write_text(content, encoding="utf-8")


def _keep(path: Path, test: Backtest, first: date, steps_a_day: int) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["day", *test.tally])
        costs = {name: tally.by_step for name, tally in test.tally.items()}
        days = len(next(iter(costs.values()))) // steps_a_day
        for day in range(days):
            part = slice(day * steps_a_day, (day + 1) * steps_a_day)
            label = date.fromordinal(first.toordinal() + day).isoformat()
            writer.writerow([label, *(f"{sum(by_step[part]):.6f}" for by_step in costs.values())])
