"""What a mechanism is told beside its orders, as CSV files: the feeder and the contracts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from grid.errors import BadInputError
from grid.ids import PartyId, check
from grid.interval import parse
from grid.quantities import parse_price
from trading.csv_lines import read_text, take_lines
from trading.mechanisms.feeder import Feeder
from trading.mechanisms.terms import Contract
from trading.orders import parse_energy

_WH_MOST = 999_999_999
_ALWAYS = (-(1 << 62), 1 << 62)
_LIMITS = ("limit_wh", "export_wh", "import_wh")


def read_feeder(path: Path) -> tuple[Feeder, dict[str, int]]:
    """Return a feeder and the number of each of its buses.

    The file has columns ``bus`` and ``parent``, which is empty for the head, and
    the limit of the line towards the parent: ``limit_wh``, or ``export_wh``
    towards the head and ``import_wh`` away from it. A line may have a ``fee`` and
    a bus a ``buyer_fee``, decimals per kWh.

    Raises
    ------
    BadInputError
        With the line of each of the first errors, or when it is no tree.
    """
    rows: dict[str, dict[str, str]] = {}

    def take(line: int, fields: dict[str, str]) -> None:
        name = check(fields["bus"], "bus")
        if name in rows:
            raise BadInputError(f"bus {name} is there already")
        for column in ("fee", "buyer_fee"):
            parse_price(fields.get(column) or "0")
        if fields["parent"]:
            for column in ("export_wh", "import_wh"):
                _limit(fields, column, name)
        rows[name] = fields

    take_lines(
        read_text(path),
        path.name,
        required=("bus", "parent"),
        optional=(*_LIMITS, "fee", "buyer_fee"),
        take=take,
    )
    number = {name: place for place, name in enumerate(rows)}
    for name, fields in rows.items():
        if fields["parent"] and fields["parent"] not in number:
            raise BadInputError(f"{path.name}: bus {name} hangs on {fields['parent']!r}: not there")
    lines = rows.items()
    return (
        Feeder(
            np.array([number.get(f["parent"], -1) for f in rows.values()], np.int64),
            np.array([_limit(f, "export_wh", n) if f["parent"] else 0 for n, f in lines], np.int64),
            np.array([_limit(f, "import_wh", n) if f["parent"] else 0 for n, f in lines], np.int64),
            np.array([parse_price(f.get("fee") or "0") for f in rows.values()], np.int64),
            np.array([parse_price(f.get("buyer_fee") or "0") for f in rows.values()], np.int64),
        ),
        number,
    )


def _limit(fields: Mapping[str, str], column: str, bus: str) -> int:
    text = fields.get(column) or fields.get("limit_wh") or ""
    if text == "0":
        return 0
    if not text:
        raise BadInputError(f"the line of bus {bus} has neither {column} nor limit_wh")
    return parse_energy(text, f"the line of bus {bus}", _WH_MOST)


def read_contracts(path: Path, party: Mapping[PartyId, int]) -> tuple[Contract, ...]:
    """Return the contracts of a file, in the order of its lines.

    Columns ``buyer``, ``seller`` and ``price`` (a decimal per kWh), of which each
    line has ``energy_wh`` or ``share_percent``; ``from`` and ``until`` are
    instants, open where they are empty.

    Parameters
    ----------
    party : Mapping
        The number of each party in the book; others have nothing to trade.

    Raises
    ------
    BadInputError
        With the line of each of the first errors.
    """
    numbers = dict(party)
    found: list[Contract] = []

    def take(line: int, fields: dict[str, str]) -> None:
        buyer, seller = (
            numbers.setdefault(PartyId(check(fields[side], "party")), len(numbers))
            for side in ("buyer", "seller")
        )
        subject = f"contract of {fields['buyer']} with {fields['seller']}"
        energy, share = fields.get("energy_wh"), fields.get("share_percent")
        found.append(
            Contract(
                buyer,
                seller,
                parse_price(fields["price"]),
                parse(fields["from"]) if fields.get("from") else _ALWAYS[0],
                parse(fields["until"]) if fields.get("until") else _ALWAYS[1],
                parse_energy(energy, subject, _WH_MOST) if energy else None,
                parse_energy(share, subject, 100) if share else None,
            )
        )

    take_lines(
        read_text(path),
        path.name,
        required=("buyer", "seller", "price"),
        optional=("energy_wh", "share_percent", "from", "until"),
        take=take,
    )
    return tuple(found)
