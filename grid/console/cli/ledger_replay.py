"""``khazri ledger replay``: derive again what an export says, or check what everybody can."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import answer, as_json

if TYPE_CHECKING:
    from trading.replay.derivation import Replayed


def declare_replay(verbs: Any) -> None:
    """Declare the verb."""
    replay = verbs.add_parser(
        "replay",
        help="derive every price, trade, posting and statement of an export again",
        description="Verifies an export, then derives what follows from what in it and names the "
        "first difference. Without openings it checks what everybody can.",
    )
    replay.add_argument("folder", type=Path, metavar="DIR")
    replay.add_argument("--key", required=True, help="the log's verifier key, or a file with it")
    replay.add_argument("--policy", type=Path, help="witnesses and quorum")
    replay.add_argument("--receipt", type=Path, help="a receipt of an order, to be kept")
    replay.add_argument("--openings", action="store_true", help="every commitment must be opened")
    as_json(replay)
    replay.set_defaults(run=run_replay)


def verify_arguments(options: argparse.Namespace) -> list[str]:
    """Return what the verifier is told."""
    key = Path(options.key)
    text = key.read_text().strip() if "+" not in options.key and key.is_file() else options.key
    arguments = [str(options.folder), "--key", text]
    for name in ("policy", "since", "receipt", "previous", "previous-key"):
        value = getattr(options, name.replace("-", "_"), None)
        arguments += [f"--{name}", str(value)] if value else []
    for name in ("openings", "partial", "json"):
        arguments += [f"--{name}"] if getattr(options, name, False) else []
    return arguments


def run_replay(options: argparse.Namespace) -> int:
    """Verify an export, by the verifier that stands alone, and replay it."""
    from trading import verify
    from trading.replay.derivation import replay
    from trading.replay.log import records

    try:
        report = verify.run(verify.arguments(verify_arguments(options)))
    except verify.UsageError as error:
        print(f"replay: {error}", file=sys.stderr)
        return 2
    except verify.NotVerified as verdict:
        print(json.dumps(verdict.report) if options.json else verdict.sentence())
        return 1
    done = replay(records(options.folder, report["size"]))
    facts = {
        "verified": True,
        "reproduced": done.difference is None and done.stopped is None and not done.left,
        "size": report["size"],
        "witnessed": report["witnessed"],
        "checked": done.checked,
        "derived": done.derived,
        "stopped": done.stopped,
        "why": done.why,
        "left": list(done.left),
        "difference": done.difference.facts() if done.difference else None,
        "receipt": report["receipt"],
    }
    answer(options, facts, "\n".join((verify.summary(report), *_lines(done))))
    return 0 if done.difference is None else 1


def _lines(done: Replayed) -> list[str]:
    """Return the outcome of a replay for people."""
    lines = []
    if done.derived:
        counts = ", ".join(f"{count} {what}" for what, count in done.derived.items())
        lines.append(f"  derived again: {counts}")
    if done.left:
        lines.append("  the log begins in the middle of a month, in the place of one that ended:")
        lines.append(f"  statements not derived, as they follow from both: {', '.join(done.left)}")
    if done.stopped is not None:
        lines.append(f"  nothing is derived from entry {done.stopped} on: {done.why}")
        lines.append("  what everybody can check was checked to the end")
    if done.difference is not None:
        lines = [line for line in lines if "to the end" not in line]
        return [*lines, f"DIFFERS: {done.difference.sentence()}"]
    if done.stopped is not None:
        return [*lines, "NO DIFFERENCE in what is public"]
    return [*lines, "REPRODUCED but for those statements" if done.left else "REPRODUCED"]
