"""``khazri ledger rotate-key`` and ``recover``: what a person does to the ledger of a site."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
from typing import Any

from grid.console.cli.options import answer, as_json, directory
from grid.console.cli.users import COMMAND_LINE


def declare_rotate_key(verbs: Any) -> None:
    """Declare the verb."""
    rotate = verbs.add_parser(
        "rotate-key",
        help="replace the ledger's key by a new one that the old one vouches for",
        description="Replaces the ledger's key within the ledger. Who verifies with the first "
        "key follows; a witness must be told the new one (--log). Stop the site first.",
    )
    directory(rotate)
    as_json(rotate)
    rotate.set_defaults(run=run_rotate_key)


def declare_recover(verbs: Any) -> None:
    """Declare the verb."""
    recover = verbs.add_parser(
        "recover",
        help="bring back the entries that a store put back from an old copy lacks",
        description="Appends the entries that an export has and the store lacks, when they "
        "verify. Readings, trades and postings of those intervals do not come back. "
        "Stop the site first.",
    )
    recover.add_argument(
        "--from", dest="source", type=Path, required=True, metavar="EXPORT", help="an export"
    )
    directory(recover)
    as_json(recover)
    recover.set_defaults(run=run_recover)


def run_rotate_key(options: argparse.Namespace) -> int:
    """Replace the key of the site's ledger."""
    from grid.operation import commission, cycle
    from grid.operation.log_rotation import rotate
    from grid.operation.signer import Signer, adopt

    with cycle.sole(options.dir), closing(commission.open_store(options.dir)) as store:
        site, _ = cycle.facts(options.dir, store)
        adopt(options.dir, store)
        with closing(Signer(options.dir)) as signer:
            key, size = rotate(store, site, signer, user=COMMAND_LINE)
    facts = {"key": key.encode(), "size": size}
    answer(
        options,
        facts,
        f"the ledger is signed by {key.encode()} from {size} entries on;\n"
        "who verifies with the first key need not change it, witnesses are to be told with --log",
    )
    return 0


def run_recover(options: argparse.Namespace) -> int:
    """Bring the ledger up to an export."""
    from grid.operation import commission, cycle
    from grid.operation.log_recovery import recover
    from grid.operation.signer import Signer, adopt

    with cycle.sole(options.dir), closing(commission.open_store(options.dir)) as store:
        site, _ = cycle.facts(options.dir, store)
        adopt(options.dir, store)
        with closing(Signer(options.dir)) as signer:
            count, size = recover(store, site, signer, options.source, user=COMMAND_LINE)
    facts = {"entries": count, "size": size}
    answer(options, facts, f"{count} entries brought back; the ledger has {size}")
    return 0
