"""``khazri meter trace`` and ``khazri meter edit``: what a reading rests on, and setting it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import answer, as_json, checked, directory, instant
from grid.errors import BadInputError
from grid.interval import label

if TYPE_CHECKING:
    from grid.operation.reading_edits import Trace

_REGISTERS = ("import_wh", "export_wh", "import_varh", "export_varh")


def declare_trace(verbs: Any) -> None:
    """Declare the options of ``trace``."""
    trace = verbs.add_parser("trace", help="show what the reading of an interval rests on")
    trace.add_argument("usage_point", metavar="USAGE_POINT")
    trace.add_argument("at", type=instant, metavar="AT", help="where the interval begins")
    directory(trace)
    as_json(trace)
    trace.set_defaults(run=run_trace)


def declare_edit(verbs: Any) -> None:
    """Declare the options of ``edit``."""
    edit = verbs.add_parser("edit", help="set readings, with a reason, or take that back")
    edit.add_argument("usage_point", metavar="USAGE_POINT", nargs="?")
    edit.add_argument("--at", type=instant, help="where the first interval begins")
    edit.add_argument("--register", choices=_REGISTERS, default="import_wh")
    edit.add_argument(
        "--values", type=_values, metavar="WH,WH,…", help="one per interval, whole Wh or varh"
    )
    edit.add_argument("--reason", default="", help="goes with the value for good")
    edit.add_argument(
        "--until-better", action="store_true", help="give way to what the meter turns out to say"
    )
    edit.add_argument("--take-back", type=int, metavar="NUMBER", help="withdraw an edit")
    directory(edit)
    as_json(edit)
    edit.set_defaults(run=run_edit)


@checked
def _values(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.strip().isdecimal() and len(part.strip()) <= 11 for part in parts):
        raise BadInputError(f"{text[:60]!r} must be whole numbers of Wh, such as 120,135")
    return tuple(int(part) for part in parts)


def run_trace(options: argparse.Namespace) -> int:
    """Show one interval with its rule, its raw reads, its versions and its edits."""
    from grid import site_file
    from grid.operation import commission
    from grid.operation.reading_edits import trace

    site = site_file.read(options.dir / site_file.SITE_FILE)
    store = commission.open_store(options.dir)
    try:
        with store.read() as tx:
            found = trace(tx, site, options.usage_point, options.at)
    finally:
        store.close()
    answer(options, found.facts(), _told(found))
    return 0


def _told(found: Trace) -> str:
    lines = [
        f"{found.usage_point} {label(found.at_s)}: "
        + ", ".join(
            f"{name} {'missing' if value is None else value}"
            for name, value in found.energy.items()
        ),
        f"  quality {found.quality.code}, {found.quality.label}; decided by: {found.rules}",
    ]
    if any(found.sd_wh.values()):
        deviations = ", ".join(f"{name} {value:.0f}" for name, value in found.sd_wh.items())
        lines.append(f"  standard deviation: {deviations}")
    lines += [
        f"  register at {read['at']}, read in the cycle of {read['cycle']}"
        f"{' from the load profile' if read['from_profile'] else ''}: "
        f"import {read['import_wh']} Wh, export {read['export_wh']} Wh\n"
        f"    raw bytes sha256 {read['raw_sha256']}"
        + (f", counter {read['invocation_counter']}" if read["invocation_counter"] else "")
        + (f", device {read['serial']}" if read["serial"] else "")
        for read in found.reads
    ]
    lines += [
        f"  version {version} of the day's {register}, written in the cycle of {label(cycle_s)}"
        for register, version, cycle_s in found.versions
    ]
    lines += [
        f"  edit {one.number} by {one.edit.editor}: {one.edit.reason}"
        + (f" (taken back by {one.withdrawn_by})" if one.withdrawn_by else "")
        for one in found.edits
    ]
    return "\n".join(lines)


def run_edit(options: argparse.Namespace) -> int:
    """Set readings of a usage point, or take an edit back."""
    from grid import site_file
    from grid.operation import commission
    from grid.operation.reading_edits import set_readings, take_back
    from grid.store import control
    from meters.vee.editing import Edit

    site = site_file.read(options.dir / site_file.SITE_FILE)
    store = commission.open_store(options.dir)
    user = "command line"
    try:
        with store.write() as tx:
            clock_s = control.clock_s(tx)
            if options.take_back is not None:
                number = options.take_back
                take_back(tx, site, number, user, clock_s)
                done = f"edit {number} was taken back"
            else:
                if not (options.usage_point and options.at and options.values):
                    raise BadInputError("an edit needs USAGE_POINT, --at, --values and --reason")
                edit = Edit(
                    options.usage_point, options.register, options.at, options.values,
                    options.reason, user, clock_s, options.until_better,
                )  # fmt: skip
                number = set_readings(tx, site, edit)
                done = (
                    f"edit {number}: {len(options.values)} intervals of {options.usage_point} "
                    f"set; take it back with --take-back {number}"
                )
    finally:
        store.close()
    answer(options, {"edit": number}, done)
    return 0
