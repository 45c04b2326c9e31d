"""What the commands about a network share: which one, and how its files are named."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from grid.console.cli.options import as_json, checked, number

if TYPE_CHECKING:
    from grid.site import Network
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
        "--voltage",
        type=number(0.8, 1.2, "pu"),
        default=1.0,
        metavar="PU",
        help="held at the feeder head",
    )
    as_json(parser)


def limits(parser: argparse.ArgumentParser) -> None:
    """Add the limits that a state is held against."""
    parser.add_argument(
        "--band", type=_band, default=(0.9, 1.1), metavar="LOW,HIGH", help="voltage band in pu"
    )
    parser.add_argument(
        "--loading",
        type=number(1.0, 300.0, "%"),
        default=100.0,
        metavar="PERCENT",
        help="highest loading",
    )


def _band(text: str) -> tuple[float, float]:
    low, _, high = text.partition(",")
    try:
        band = float(low), float(high)
    except ValueError:
        band = float("nan"), float("nan")
    if not 0.5 <= band[0] <= 1.0 <= band[1] <= 1.5:
        raise argparse.ArgumentTypeError(
            f"{text[:40]!r} must be LOW,HIGH within 0.5 to 1 and 1 to 1.5 pu, such as 0.95,1.05"
        )
    return band


def held_to(options: argparse.Namespace) -> Network:
    """Return the limits that were asked for."""
    from grid.site import Network

    low, high = options.band
    return Network(
        source=options.network,
        voltage_min_pu=low,
        voltage_max_pu=high,
        loading_max_percent=options.loading,
    )


def loaded(options: argparse.Namespace) -> NetworkModel:
    """Return the compiled network of ``NETWORK``."""
    from networks.sources.source import load

    return load(options.network, source_voltage_pu=options.voltage, base_dir=Path.cwd())
