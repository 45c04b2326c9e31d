"""``khazri dispatch skill``: how good the forecasts are, on SimBench or on a site's own past."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import UsageError, answer, as_json, whole

if TYPE_CHECKING:
    import xarray as xr

WANTED = {"load": (0.80, 0.70), "solar": (0.95, 0.80), "wind": (0.95, 0.80)}
"""Of the day before: mean absolute error and pinball loss, at most."""
COVERAGE_WITHIN = 0.03


def declare(verbs: Any) -> None:
    """Declare the options."""
    parser = verbs.add_parser(
        "skill", help="forecasts of past days against repeating the day before"
    )
    parser.add_argument("--dir", type=Path, help="folder of a site; SimBench's year without it")
    parser.add_argument(
        "--weather", type=Path, help="file of weather forecasts; what the site has kept without it"
    )
    parser.add_argument("--days", type=whole(1, 366), default=120, help="origins, one a day")
    parser.add_argument("--window", type=whole(8, 366), default=28, help="days to train on")
    as_json(parser)
    parser.set_defaults(run=run_skill)


def run_skill(options: argparse.Namespace) -> int:
    """Print error ratios and coverage by series and by kind."""
    from dispatch.forecast.skill import skill

    if options.dir is not None:
        return _site(options)
    if options.weather is not None:
        raise UsageError("--weather needs --dir: only a site has a place and plants")
    from networks.sources.profiles import load_profiles

    found = skill(
        load_profiles(), days=options.days, window_days=options.window, progress=_progress
    )
    facts = _facts(found, "SimBench's profiles of 2016")
    answer(options, facts, _text(facts))
    return 0


def _site(options: argparse.Namespace) -> int:
    from grid.operation import commission, loss_cases, weather
    from grid.operation.forecasting import keep_skill, weather_skill

    asked = (options.days, options.window, _progress)
    records = None if options.weather is None else weather.read_weather(options.weather)
    store = commission.open_store(options.dir)
    try:
        room = loss_cases.looked_at(options.dir, store)
        found = keep_skill(room, *asked)
        records = weather.kept(room) if records is None else records
        by_weather = None if records is None else weather_skill(room, *asked, records)
    finally:
        store.close()
    facts = _facts(found, room.site.name)
    text = _text(facts)
    if by_weather is not None:
        facts["by_weather"] = _facts(by_weather, f"{room.site.name}, by weather")
        text = "\n\n".join([text, _text(facts["by_weather"]), _beside(facts)])
    answer(options, facts, text)
    return 0


def _progress(done: int, of: int) -> None:
    if done == of or done % 10 == 0:
        print(f"khazri: {done} of {of} origins", file=sys.stderr, flush=True)


def _facts(found: xr.Dataset, source: str) -> dict[str, Any]:
    from dispatch.forecast.skill import by_group, ratios

    each = ratios(found)
    groups = by_group(found)
    for one in groups:
        wanted = WANTED[str(one["group"])]
        pairs = zip(one["coverage"], found["quantile"].values, strict=True)
        off = max(abs(share - level) for share, level in pairs)
        one |= {"wanted_mae_ratio": wanted[0], "wanted_pinball_ratio": wanted[1]}
        one["met"] = bool(
            one["mae_ratio"] <= wanted[0]
            and one["pinball_ratio"] <= wanted[1]
            and off <= COVERAGE_WITHIN
        )
    return {
        "source": source,
        "origins": found.attrs["origins"],
        "window_days": found.attrs["window_days"],
        "quantiles": [float(q) for q in found["quantile"].values],
        "series": [
            {
                "series": str(name),
                "group": str(found["group"].values[row]),
                **{key: float(values[row]) for key, values in each.items()},
                "coverage": [float(one) for one in found["coverage"].values[:, row]],
            }
            for row, name in enumerate(found["series"].values)
        ],
        "groups": groups,
    }


def _text(facts: dict[str, Any]) -> str:
    levels = "".join(f"{f'<= q{100 * q:.0f}':>9}" for q in facts["quantiles"])
    lines = [
        f"{facts['source']}: {facts['origins']} forecasts of 24 h from {facts['window_days']} days",
        f"{'of the day before':<20}{'MAE':>8}{'pinball':>9}{levels}",
    ]

    def line(name: str, one: dict[str, Any]) -> str:
        shares = "".join(f"{100 * share:>7.1f} %" for share in one["coverage"])
        return f"{name:<20}{one['mae_ratio']:>8.3f}{one['pinball_ratio']:>9.3f}{shares}"

    lines += [line(one["series"], one) for one in facts["series"]]
    for one in facts["groups"]:
        state = "met" if one["met"] else "not met"
        lines.append(
            f"{line('all ' + one['group'], one)}   wanted {one['wanted_mae_ratio']:.2f}, "
            f"{one['wanted_pinball_ratio']:.2f}, 3 points: {state}"
        )
    return "\n".join(lines)


def _beside(facts: dict[str, Any]) -> str:
    """Return the errors of each kind by the past alone and by weather, side by side."""
    lines = [f"{'of the day before':<20}{'by the past':>14}{'by weather':>14}"]
    for past, other in zip(facts["groups"], facts["by_weather"]["groups"], strict=True):
        for name, key in (("MAE", "mae_ratio"), ("pinball", "pinball_ratio")):
            label = f"{past['group']} {name}"
            lines.append(f"{label:<20}{past[key]:>14.3f}{other[key]:>14.3f}")
    return "\n".join(lines)
