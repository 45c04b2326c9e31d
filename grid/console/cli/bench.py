"""``khazri bench [CRAFT]``: what we do in a second, and what others do of the same work."""

from __future__ import annotations

import argparse
import gc
import importlib
import sys
from typing import Any

from grid.benchmark import Row
from grid.console.cli.options import answer, as_json

CRAFTS: dict[str, tuple[str, ...]] = {
    "meters": ("meters.bench",),
    "networks": ("networks.bench", "networks.bench_estimation", "networks.bench_threephase"),
    "dispatch": ("dispatch.bench",),
    "trading": ("trading.bench", "grid.operation.bench"),
    "store": ("grid.store.bench",),
    "console": (),
}


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("craft", nargs="?", choices=CRAFTS, help="one craft; all by default")
    parser.add_argument("--quick", action="store_true", help="small work: shows only that it runs")
    as_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure and print each row; exit 1 when an outcome is beyond its limit of error."""

    def progress(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    crafts = [options.craft] if options.craft else list(CRAFTS)
    rows: list[Row] = []
    for craft in crafts:
        for name in CRAFTS[craft]:
            for row in importlib.import_module(name).rows(quick=options.quick, progress=progress):
                rows.append(row)
                if not options.json:
                    print(as_text(row), flush=True)
            # What one craft has loaded shall not weigh on the next one's timings.
            gc.collect()
            gc.freeze()
    without = [craft for craft in crafts if not CRAFTS[craft]]
    facts = {"quick": options.quick, "rows": [as_facts(row) for row in rows], "no_row": without}
    answer(options, facts, _summary(rows, without, quick=options.quick))
    return 0 if all(row.error is None or row.error.ok for row in rows) else 1


def as_facts(row: Row) -> dict[str, Any]:
    """Return a row for machines; `ours` and `theirs` are units a second."""
    return {
        "craft": row.craft,
        "name": row.name,
        "work": row.work,
        "unit": f"{row.unit}/s",
        "taken": row.taken,
        "ours": row.ours.rate,
        "peer": row.peer,
        "theirs": None if row.theirs is None else row.theirs.rate,
        "ratio": row.ratio,
        "measure": row.measure.value,
        "reach": None if row.reach is None else row.reach.text,
        "met": row.met,
        "error": None if row.error is None else row.error.value,
        "error_unit": None if row.error is None else row.error.unit,
        "error_limit": None if row.error is None else row.error.limit,
        "reference": None if row.error is None else row.error.reference,
        "note": row.note,
    }


def as_text(row: Row) -> str:
    """Return a row for people."""
    lines = [f"{row.craft}: {row.name}", f"  work   {row.work}"]
    lines.append(f"  ours   {_figure(row.ours.rate)} {row.unit}/s, {row.taken}")
    if row.theirs is None:
        lines.append(f"  peer   {row.note}")
    else:
        note = f" ({row.note})" if row.note else ""
        lines.append(f"  peer   {_figure(row.theirs.rate)} {row.unit}/s, {row.peer}{note}")
        lines.append(f"  ratio  {_figure(row.ratio or 0.0)} {row.measure}")
    if row.reach is not None:
        verdict = {True: "met", False: "not met", None: "not measured"}[row.met]
        lines.append(f"  reach  {row.reach.text}: {verdict}")
    if row.error is not None:
        error = row.error
        limit = "within" if error.ok else "BEYOND"
        lines.append(
            f"  error  {error.value:.2g} {error.unit} from {error.reference}, "
            f"{limit} the limit of {error.limit:g}"
        )
    return "\n".join(lines)


def _figure(value: float) -> str:
    """Return three significant digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _summary(rows: list[Row], without: list[str], *, quick: bool) -> str:
    lines = [f"{craft}: no row yet" for craft in without]
    met = [row.met for row in rows if row.reach is not None]
    lines.append(
        f"{len(rows)} rows: {met.count(True)} within reach, {met.count(False)} not, "
        f"{met.count(None)} not measured"
    )
    if quick:
        lines.append("quick: the reaches are meant for the full work")
    return "\n".join(lines)
