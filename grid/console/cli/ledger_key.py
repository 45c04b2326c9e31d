"""``khazri ledger rotate-key`` and ``recover``: what a person does to the ledger of a site."""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import UsageError, answer, as_json, directory, instant, whole
from grid.console.cli.users import COMMAND_LINE
from grid.interval import label

if TYPE_CHECKING:
    from grid.operation.signer import Signer
    from grid.site import Site
    from grid.store import Store


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
        help="go on with a store put back from an old copy: with the entries it lacks, or without",
        description="With --from, appends the entries that an export has and the store lacks, "
        "when they verify. Readings, trades and postings of those intervals do not come back. "
        "With --accept-loss, when nobody has those entries: the log ends as the store has it, and "
        "a new one with an origin and a key of its own follows, which tells how many are lost. "
        "Nothing is settled any more of intervals before it begins. This cannot be taken back. "
        "Stop the site first.",
    )
    way = recover.add_mutually_exclusive_group(required=True)
    way.add_argument("--from", dest="source", type=Path, metavar="EXPORT", help="an export")
    way.add_argument(
        "--accept-loss",
        type=whole(1, 2**53 - 1),
        metavar="N",
        help="number of entries that are lost for good",
    )
    recover.add_argument("--reason", help="with --accept-loss: why nobody has them")
    recover.add_argument("--by", help="with --accept-loss: who accepts it")
    recover.add_argument(
        "--at",
        type=instant,
        help="with --accept-loss: the next cycle is not before it, ISO 8601; now where devices "
        "are real",
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
    """Bring the ledger up to an export, or let a new one follow."""
    from grid.operation import commission, cycle
    from grid.operation.log_recovery import recover
    from grid.operation.signer import Signer, adopt

    accepts = options.accept_loss is not None
    if accepts and not (options.reason and options.by):
        raise UsageError("--accept-loss needs --reason and --by")
    if not accepts and (options.reason or options.by or options.at):
        raise UsageError("--reason, --by and --at are for --accept-loss")
    with cycle.sole(options.dir), closing(commission.open_store(options.dir)) as store:
        site, _ = cycle.facts(options.dir, store)
        adopt(options.dir, store)
        with closing(Signer(options.dir)) as signer:
            if accepts:
                return _accept_loss(options, store, site, signer)
            count, size = recover(store, site, signer, options.source, user=COMMAND_LINE)
    facts = {"entries": count, "size": size}
    answer(options, facts, f"{count} entries brought back; the ledger has {size}")
    return 0


def _accept_loss(options: argparse.Namespace, store: Store, site: Site, signer: Signer) -> int:
    """End the ledger where the store has it, and say what everybody has to do."""
    from grid.operation.log_loss import accept
    from grid.operation.witnessing import policy_of
    from grid.store import control, ended_logs

    now_s = options.at
    if now_s is None and site.field.kind == "real":
        now_s = int(time.time())
    key = accept(
        store,
        site,
        signer,
        policy_of(options.dir, site.ledger.policy),
        lost=options.accept_loss,
        reason=options.reason,
        user=options.by,
        now_s=now_s,
    )
    with store.read() as tx:
        number, next_s = ended_logs.count(tx), control.clock_s(tx)
    facts = {"key": key.encode(), "next": label(next_s), "ended": number}
    answer(
        options,
        facts,
        f"log {number} has ended with {options.accept_loss} entries lost; {key.name} follows, "
        f"from cycle {label(next_s)} on\n"
        f"its key is {key.encode()}\n"
        "witnesses are to be told it with --log, beside the one they know; the site's policy too, "
        "where it names logs\n"
        f"auditors: khazri ledger export OLD --log {number}, khazri ledger export NEW, and\n"
        f"  khazri ledger verify NEW --key '{key.encode()}' --previous OLD --previous-key KEY,\n"
        "with the KEY they know; members get receipts anew for orders whose book is not sealed",
    )
    return 0
