"""``khazri ledger``: export, verify and prove; the other verbs are in the files beside this one."""

from __future__ import annotations

import argparse
from pathlib import Path

from grid.console.cli.ledger_key import declare_recover, declare_rotate_key
from grid.console.cli.ledger_replay import declare_replay, verify_arguments
from grid.console.cli.ledger_witness import declare_witness
from grid.console.cli.options import answer, as_json, directory, whole
from grid.errors import BadInputError


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the commands' options."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    export = verbs.add_parser("export", help="write the ledger as files anyone can verify")
    export.add_argument("out", type=Path, metavar="OUT")
    export.add_argument(
        "--log", type=whole(1, 10**6), help="a log that ended, from 1; the one in force by default"
    )
    export.add_argument("--openings", action="store_true", help="with personal facts (mandate)")
    directory(export)
    as_json(export)
    export.set_defaults(run=run_export)
    verify = verbs.add_parser("verify", help="verify an export, offline")
    verify.add_argument("folder", type=Path, metavar="DIR")
    verify.add_argument("--key", required=True, help="the log's verifier key, or a file with it")
    verify.add_argument("--policy", type=Path, help="witnesses and quorum")
    verify.add_argument("--since", type=Path, help="an older checkpoint that must be a prefix")
    verify.add_argument("--receipt", type=Path, help="a receipt of an order, to be kept")
    verify.add_argument(
        "--previous", type=Path, metavar="DIR", help="an export of the log that this one follows"
    )
    verify.add_argument("--previous-key", metavar="KEY", help="the first verifier key of that log")
    verify.add_argument("--openings", action="store_true", help="every commitment must be opened")
    verify.add_argument("--partial", action="store_true", help="some commitments must be opened")
    as_json(verify)
    verify.set_defaults(run=run_verify)
    prove = verbs.add_parser("prove", help="prove that an entry is in the log")
    prove.add_argument("entry", type=int, metavar="ENTRY")
    directory(prove)
    as_json(prove)
    prove.set_defaults(run=run_prove)
    declare_replay(verbs)
    declare_rotate_key(verbs)
    declare_recover(verbs)
    declare_witness(verbs)


def run_export(options: argparse.Namespace) -> int:
    """Export the ledger of a site folder."""
    from grid.operation import commission
    from grid.operation.audit import export, export_ended

    store = commission.open_store(options.dir)
    if options.log is None:
        head, key = export(store, options.out, openings=options.openings)
    else:
        head, key = export_ended(store, options.log, options.out, openings=options.openings)
    facts = {"size": head.size, "root": head.root.hex(), "key": key, "folder": str(options.out)}
    command = f"khazri ledger verify {options.out} --key '{key}'"
    answer(options, facts, f"{head.size} entries written to {options.out}\nverify: {command}")
    return 0


def run_verify(options: argparse.Namespace) -> int:
    """Verify an export by the verifier that shares nothing with the ledger's code."""
    from trading.verify import main

    return main(verify_arguments(options))


def run_prove(options: argparse.Namespace) -> int:
    """Print the inclusion proof of one entry against the newest checkpoint."""
    from grid.operation import commission
    from grid.operation.audit import prove

    if options.entry < 0:
        raise BadInputError(f"entry {options.entry}: entries are numbered from 0")
    text = prove(commission.open_store(options.dir), options.entry)
    answer(options, {"entry": options.entry, "proof": text}, text)
    return 0
