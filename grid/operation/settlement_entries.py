"""A settlement as the ledger commits to it and as the store keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import xarray as xr

from grid import interval
from grid.ids import AccountId, PartyId, UsagePointId
from grid.operation import record
from grid.operation.record import Personal
from grid.operation.room import Room
from grid.store import Transaction, control, series
from meters.vee import Quality
from trading.accounts import Posting, PostingKind, party_account
from trading.ledger.commitment import pseudonym
from trading.ledger.entry import Kind
from trading.settlement_facts import (
    Settlement,
    SettlementInput,
    UsagePointResult,
)


def record_settlement(
    room: Room,
    tx: Transaction,
    at_s: int,
    start_s: int,
    given: SettlementInput,
    done: Settlement,
    readings: xr.Dataset,
) -> None:
    """Append readings and postings of an interval: sums in clear, the rest committed to."""
    version = done.version - 1
    personal: list[Personal] = []
    party = {str(point.usage_point): str(point.party) for point in done.usage_points}
    for number, name in enumerate(room.points):
        payload = {
            register: int(readings[register].values[number, 0]) for register in series.REGISTERS
        }
        quality = Quality(int(readings["quality"].values[number, 0])).code
        fact = {**payload, "quality": quality}
        personal.append(Personal(party[name], "reading", name, fact, version))
    public = {"usage_points": len(room.points), "version": version}
    if version == 0:
        # Corrected sums less these would be the corrected household's.
        public |= {
            "head_export_wh": given.head_export_wh,
            "head_import_wh": given.head_import_wh,
            "loss_wh": given.loss_wh,
        }
    record.append(tx, Kind.READINGS, start_s, at_s, public, personal)
    who = record.community(room.site)
    month = interval.month_label(start_s, room.site.time_zone)
    secrets = control.secrets(tx, record.PARTY_SECRET)
    names = {party_account(PartyId(name)): pseudonym(secrets[name], month) for name in secrets}
    lines = [
        Personal(
            party[str(line.usage_point)] if line.usage_point else who,
            "posting",
            str(number),
            _payload(line, names),
            version,
        )
        for number, line in enumerate(done.postings)
    ]
    kind = Kind.SETTLEMENT if done.corrects is None else Kind.CORRECTION
    body = {"state": "provisional", "version": version}
    record.append(tx, kind, start_s, at_s, body, lines)


def _payload(line: Posting, names: Mapping[AccountId, str]) -> dict[str, Any]:
    """Return what the ledger commits to: people's accounts under this month's names."""
    return {
        "amount_nano": str(line.amount_nano),
        "credit": names.get(line.credit, str(line.credit)),
        "debit": names.get(line.debit, str(line.debit)),
        "energy_wh": str(line.energy_wh),
        "kind": str(line.kind),
        "price": str(line.price),
        "reversal": line.reversal,
        "usage_point": line.usage_point or "",
    }


def encode_settlement(done: Settlement) -> dict[str, Any]:
    """Return a settlement as plain values for the store."""
    return {
        **_plain(done),
        "postings": [_plain(line) for line in done.postings],
        "lines": [_plain(line) for line in done.lines],
        "usage_points": [_plain(result) for result in done.usage_points],
    }


def _plain(fact: Settlement | Posting | UsagePointResult) -> dict[str, Any]:
    return {field.name: getattr(fact, field.name) for field in fields(fact)}


def decode_settlement(raw: dict[str, Any]) -> Settlement:
    """Return the settlement of :func:`encode_settlement` after JSON."""
    return Settlement(
        start_s=raw["start_s"],
        version=raw["version"],
        corrects=raw["corrects"],
        postings=tuple(_line(line) for line in raw["postings"]),
        lines=tuple(_line(line) for line in raw["lines"]),
        usage_points=tuple(_result(result) for result in raw["usage_points"]),
        residual_wh=raw["residual_wh"],
    )


def _line(raw: dict[str, Any]) -> Posting:
    known = {field.name for field in fields(Posting)}
    assert set(raw) == known, raw
    return Posting(**{**raw, "kind": PostingKind(raw["kind"])})


def _result(raw: dict[str, Any]) -> UsagePointResult:
    point, party = UsagePointId(raw["usage_point"]), PartyId(raw["party"])
    block_wh = tuple(raw["block_wh"])
    return UsagePointResult(**{**raw, "usage_point": point, "party": party, "block_wh": block_wh})
