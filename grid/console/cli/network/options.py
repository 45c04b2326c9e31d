"""What the commands about a network share: which one, and how its files are named."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from grid.console.cli.options import as_json, checked

if TYPE_CHECKING:
    from networks.model import NetworkModel

_KINDS = ("simbench:", "pandapower:", "file:")


@checked
def source(text: str) -> str:
    """Return the source of a network: ``simbench:``, ``pandapower:``, ``file:`` or a bare path."""
    from networks.sources.source import split

    given = text if text.startswith(_KINDS) else f"file:{text}"
    split(given)
    return given


def network(parser: argparse.ArgumentParser) -> None:
    """Add ``NETWORK``, the voltage at its feeder head and ``--json``."""
    parser.add_argument(
        "network",
        type=source,
        metavar="NETWORK",
        help="simbench:CODE, pandapower:NAME, or a file of tables (.toml, .json)",
    )
    parser.add_argument(
        "--voltage", type=_voltage, default=1.0, metavar="PU", help="held at the feeder head"
    )
    as_json(parser)


def _voltage(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0.8 <= value <= 1.2:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} must be a number within 0.8 to 1.2 pu")
    return value


def loaded(options: argparse.Namespace) -> NetworkModel:
    """Return the compiled network of ``NETWORK``."""
    from networks.sources.source import load

    return load(options.network, source_voltage_pu=options.voltage, base_dir=Path.cwd())
