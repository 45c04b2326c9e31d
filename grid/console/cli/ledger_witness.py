"""``khazri ledger witness``: cosign the checkpoints of other people's logs."""

from __future__ import annotations

import argparse
import logging
import re
import socket
import sys
import time
from pathlib import Path
from typing import Any

from grid.console.cli.options import checked
from grid.errors import BadInputError
from trading.ledger import note

_ADDRESS = re.compile(r"\[?([0-9A-Za-z:.%_-]{1,255}?)\]?:([0-9]{1,5})", re.ASCII)
_EXAMPLE = """example: on a machine that is not the log's own

  khazri ledger witness --listen 0.0.0.0:8041 --key witness.key --name witness.example \\
    --log 'khazri/village+1a2b3c4d+AV...'

It prints its own key. The log's operator puts that and its URL into their policy file:

  witness grid witness.example+5e6f7a8b+BB... http://witness.example:8041/
  quorum grid

A log whose key was replaced is named once more with the new key, beside the old one.
Ctrl-C stops it; what it cosigned is in --state, which must never be put back from a copy.
"""


def declare_witness(verbs: Any) -> None:
    """Declare the verb."""
    witness = verbs.add_parser(
        "witness",
        help="remember the newest checkpoint of logs and cosign only what contains it",
        description="Cosigns checkpoints of logs as C2SP tlog-witness says, over HTTP.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    witness.add_argument("--listen", type=checked(_address), required=True, metavar="HOST:PORT")
    witness.add_argument(
        "--key",
        type=Path,
        required=True,
        metavar="FILE",
        help="the witness's key; made when absent",
    )
    witness.add_argument(
        "--name", default=socket.gethostname(), help="name of a new key; the machine's by default"
    )
    witness.add_argument(
        "--log",
        type=checked(note.parse_key),
        action="append",
        required=True,
        metavar="VKEY",
        help="verifier key of a log; several times for several",
    )
    witness.add_argument(
        "--state", type=Path, metavar="DIR", help="what was cosigned; FILE.state by default"
    )
    witness.set_defaults(run=run_witness)


def _address(text: str) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match[2]) > 65_535:
        raise BadInputError(f"{text[:80]!r} must be HOST:PORT with a port of 0 to 65535")
    return match[1], int(match[2])


def run_witness(options: argparse.Namespace) -> int:
    """Serve until interrupted."""
    from grid.operation.witness import Witness, key_of
    from grid.operation.witness_server import WitnessServer

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    kinds = [key.name for key in options.log if key.kind != note.ED25519]
    if kinds:
        raise BadInputError(f"--log: the key of {kinds[0]} is a witness's, not a log's")
    signer = key_of(options.key, options.name)
    state = options.state or options.key.with_name(f"{options.key.name}.state")
    witness = Witness(signer, options.log, state, time.time)
    try:
        with WitnessServer(options.listen, witness) as server:
            host, port = server.server_address[:2]
            print(f"key: {signer.key.encode()}", flush=True)
            print(f"listening: http://{_host(str(host))}:{port}/", flush=True)
            server.serve_forever()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    finally:
        witness.close()
    return 0


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
