"""The command line: one module per group of commands, imported when it is asked for."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import NoReturn

from grid.console.cli.options import UsageError
from grid.errors import GridError

GROUPS = {
    "demo": "play a day of the demo microgrid, then go on live",
    "init": "make a new site folder",
    "check": "check a site file; every error with its line",
    "run": "run the control room and the console of a site",
    "cycle": "run operating cycles",
    "control": "hold devices, safety tags, what devices hold",
    "meter": "read, simulate and import meters",
    "network": "flow, estimate, faults and outages of a network",
    "dispatch": "compare controllers, judge forecasts, solve problems",
    "market": "clear books of orders, make bills, list invoices and disputes",
    "fleet": "plans of many sites and years of many feeders, on one machine or many",
    "agreement": "who stands for which usage point, from when on, on what terms",
    "tariff": "preview a tariff on past months; two people change one",
    "ledger": "export, verify, prove and witness the ledger; replace its key",
    "user": "add users and give roles",
    "bench": "measure the crafts side by side with others on the same work",
}


_PRIVATE = ("demo", "init", "run", "cycle")
"""The groups that write a site folder; what the others write is for whoever it is for."""


@contextmanager
def private() -> Iterator[None]:
    """Let only the owner read what this process and those it starts write meanwhile."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


class Parser(argparse.ArgumentParser):
    """A parser whose wrong usage is exit status 2 with one line."""

    def error(self, message: str) -> NoReturn:
        """Tell what is wrong and where help is."""
        self.exit(2, f"{self.prog}: {message}; see '{self.prog} --help'\n")


def _as_ctrl_c(number: int, frame: object) -> None:
    """End as on Ctrl-C, which a running event loop turns into the end of its tasks."""
    signal.raise_signal(signal.SIGINT)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: 0 done, 1 failed, 2 wrong usage."""
    # Control room, console, field and solver share the cores: two threads of linear algebra on
    # a core wait for each other. Long work takes its cores itself.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"]
    parser = Parser(prog="khazri", description="Runs energy microgrids.")
    groups = parser.add_subparsers(dest="group", metavar="COMMAND", required=True)
    chosen = next((word for word in arguments if not word.startswith("-")), "")
    for name, text in GROUPS.items():
        sub = groups.add_parser(name, help=text, description=text)
        if name == chosen:
            module = importlib.import_module(f"grid.console.cli.{name}")
            module.declare(sub)
    options = parser.parse_args(arguments)
    # A polite end unwinds as Ctrl-C does, so that no field or console is left behind.
    signal.signal(signal.SIGTERM, _as_ctrl_c)
    try:
        with private() if chosen in _PRIVATE else nullcontext():
            return int(options.run(options))
    except GridError as error:
        print(f"khazri: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 1
    except OSError as error:
        # A folder, a file or a port that the machine does not give.
        print(f"khazri: {error.filename or 'failed'}: {error.strerror or error}", file=sys.stderr)
        return 1
