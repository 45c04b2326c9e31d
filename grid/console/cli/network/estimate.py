"""``khazri network estimate``: how well meters at some buses would tell a feeder's state."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from grid.console.cli.network.options import loaded, network
from grid.console.cli.options import answer, seed, whole

if TYPE_CHECKING:
    from networks.estimation.estimate import Estimate
    from networks.estimation.trial import Shown

_SHOWN = 5
_NORMAL_95 = 1.959964


def declare(verbs: Any) -> None:
    """Declare the options."""
    parser = verbs.add_parser(
        "estimate", help="estimate the state of a SimBench network from meters at some buses"
    )
    network(parser)
    parser.add_argument(
        "--metered", type=whole(0, 100), default=20, metavar="PERCENT", help="of the buses"
    )
    parser.add_argument(
        "--day", type=whole(56, 365), default=137, help="day of the year, with a history of 56"
    )
    parser.add_argument("--seed", type=seed, default=1, help="of the meters' places and noise")
    parser.add_argument(
        "--no-pseudo", action="store_true", help="do not use what is usual at unmetered buses"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Estimate a day whose truth is known; status 1 when a bus is unobservable."""
    from networks.estimation.estimate import estimate
    from networks.estimation.placement import ranking
    from networks.estimation.problem import Accuracy
    from networks.estimation.trial import show, trial

    print(f"khazri: loading {options.network} and its year", file=sys.stderr, flush=True)
    tried, accuracy = trial(loaded(options)), Accuracy()
    shown = show(tried, options.day, options.metered / 100.0, options.seed, accuracy)
    expected = None if options.no_pseudo else shown.expected
    got = estimate(tried.model, shown.measured, expected, accuracy)
    facts = _facts(got, shown)
    next_meters = ranking(got.problem, got.solution, accuracy).isel(point=slice(0, _SHOWN))
    facts["next_meters"] = [
        {"point": str(name), "gain_percent": round(float(gain), 2)}
        for name, gain in zip(
            next_meters["point"].values, next_meters["gain_percent"].values, strict=True
        )
    ]
    answer(options, facts, _text(options, facts))
    return 1 if facts["unobservable"] else 0


def _facts(got: Estimate, shown: Shown) -> dict[str, Any]:
    error = (got.state["vm_pu"] - shown.truth["vm_pu"]).to_numpy()
    deviation = got.state["vm_sd_pu"].to_numpy()
    seen = np.isfinite(error)
    verdicts, counts = np.unique(got.state["verdict"].to_numpy(), return_counts=True)
    hidden = ~seen.all(axis=0)
    return {
        "intervals": int(error.shape[0]),
        "buses": int(error.shape[1]),
        "rms_error_pu": float(np.sqrt((error[seen] ** 2).mean())) if seen.any() else None,
        "worst_error_pu": float(np.abs(error[seen]).max()) if seen.any() else None,
        "mean_sd_pu": float(deviation[seen].mean()) if seen.any() else None,
        "within_95_percent": float(
            100.0 * (np.abs(error[seen]) <= _NORMAL_95 * deviation[seen]).mean()
        )
        if seen.any()
        else None,
        "verdicts": {str(name): int(count) for name, count in zip(verdicts, counts, strict=True)},
        "unobservable": [got.problem.model.bus_label(int(row)) for row in np.flatnonzero(hidden)],
        "findings": [finding.message for finding in got.findings],
    }


def _text(options: argparse.Namespace, facts: dict[str, Any]) -> str:
    meters = f"{options.metered} % of {facts['buses']} buses and the substation"
    lines = [f"meters    at {meters}, {facts['intervals']} intervals"]
    if facts["rms_error_pu"] is not None:
        rms, worst = facts["rms_error_pu"], facts["worst_error_pu"]
        lines.append(f"voltage   {rms:.1e} pu rms from the truth, {worst:.1e} at most")
        stated, held = facts["mean_sd_pu"], facts["within_95_percent"]
        told = f"{stated:.1e} pu standard deviation; its 95 % interval holds the truth {held:.1f} %"
        lines.append(f"stated    {told} of the time")
    told = ", ".join(f"{count} {name}" for name, count in facts["verdicts"].items())
    lines.append(f"verdicts  {told}")
    if facts["unobservable"]:
        names = ", ".join(facts["unobservable"][:_SHOWN])
        more = ", …" if len(facts["unobservable"]) > _SHOWN else ""
        lines.append(f"blind     {len(facts['unobservable'])} buses unobservable: {names}{more}")
    lines += [f"finding   {text}" for text in facts["findings"][:_SHOWN]]
    if facts["next_meters"]:
        best = "; ".join(
            f"{one['point']} (-{one['gain_percent']:.1f} %)" for one in facts["next_meters"]
        )
        lines.append(f"next      a meter would lower the deviation most at {best}")
    return "\n".join(lines)
