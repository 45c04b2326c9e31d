"""``khazri network certificate``: what a plan that was sent claims of the network, with proof."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from grid.console.cli.options import answer, as_json, directory, instant
from grid.interval import label

_SHOWN = 20


def declare(verbs: Any) -> None:
    """Declare the options."""
    text = "write the certificate of a plan, which anyone can verify, and verify it"
    parser = verbs.add_parser(
        "certificate",
        help=text,
        description=f"{text}. It holds what each bus is expected to use: a mandate is needed.",
    )
    directory(parser)
    parser.add_argument("--at", type=instant, help="cycle, ISO 8601; that of the newest plan")
    parser.add_argument("--out", type=Path, metavar="FILE", help="certificate-CYCLE.json else")
    as_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the certificate of a stored plan and say whether it holds."""
    from grid.operation import commission
    from grid.operation.plan_certificates import certificate
    from networks import verify_certificate
    from networks.limits.certificate import encode, write

    store = commission.open_store(options.dir)
    try:
        made = certificate(store, options.at)
    finally:
        store.close()
    at = label(made.at_s)
    out = options.out or Path(f"certificate-{at.replace(':', '')}.json")
    write(made.document, out)
    hashes = made.document["hashes"]
    wanted = {"claim": [made.told]} if made.told is not None else {}
    reasons: list[str] = []
    try:
        text = verify_certificate.summary(
            *verify_certificate.verify(encode(made.document), wanted), wanted
        )
    except verify_certificate.NotVerified as verdict:
        reasons = verdict.reasons
        text = "\n".join(f"NOT VERIFIED: {reason}" for reason in reasons[:_SHOWN])
    committed = made.told == hashes["claim"]
    topology = " ".join(f"--topology {one}" for one in hashes["topology"])
    command = f"python -m networks.verify_certificate {out} {topology} --claim {made.told}"
    facts = {
        "at": at,
        "source": made.source,
        "file": str(out),
        "hashes": hashes,
        "ledger_entry": made.sequence,
        "committed": committed,
        "verified": not reasons,
        "reasons": reasons,
        "verify": command,
    }
    entry = "no entry" if made.sequence is None else f"entry {made.sequence}"
    commits = "commits to this claim" if committed else "does not commit to this claim"
    answer(
        options,
        facts,
        f"plan of {at}, {made.source}: written to {out}\n{text}\n"
        f"  ledger      {entry} {commits}\nverify: {command}",
    )
    return 0 if committed and not reasons else 1
