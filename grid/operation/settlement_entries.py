"""A settlement as the ledger commits to it and as the store keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

import xarray as xr

from grid import interval
from grid.ids import AccountId, PartyId
from grid.operation import record
from grid.operation.record import Personal
from grid.operation.room import Room
from grid.store import Transaction, control, series
from meters.vee import Quality
from trading.accounts import Posting, PostingKind, party_account
from trading.book import Side
from trading.ledger.commitment import pseudonym
from trading.ledger.entry import Kind
from trading.settlement_facts import (
    Leg,
    MonthAccount,
    Settlement,
    SettlementInput,
    UsagePointResult,
)
from trading.tariffs.clock import Segment
from trading.tariffs.month import ChargeLine, MonthUse

INSTRUCTED = ("charge_wh", "discharge_wh", "produced_wh", "curtailed_wh", "shed_wh")


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
    for point in given.usage_points:
        told = {name: str(wh) for name in INSTRUCTED if (wh := getattr(point, name))}
        if told:
            who = party[str(point.usage_point)]
            personal.append(Personal(who, "instructed", str(point.usage_point), told, version))
    public = {"usage_points": len(room.points), "version": version}
    if version == 0:
        # Corrected sums less these would be the corrected household's.
        public |= {
            "head_export_wh": given.head_export_wh,
            "head_import_wh": given.head_import_wh,
            "loss_wh": given.loss_wh,
        }
    else:
        head = {
            name: str(getattr(given, name))
            for name in ("head_export_wh", "head_import_wh", "loss_wh")
        }
        personal.append(Personal(record.community(room.site), "head", "head", head, version))
    record.append(tx, Kind.READINGS, start_s, at_s, public, personal)
    who = record.community(room.site)
    # Accounts are named by the month whose statement they stand on.
    month = interval.month_label(at_s if done.late else start_s, room.site.time_zone)
    secrets = control.secrets(tx, record.PARTY_SECRET)
    names = {party_account(PartyId(name)): pseudonym(secrets[name], month) for name in secrets}
    lines = [
        Personal(
            party[str(line.usage_point)] if line.usage_point else who,
            "posting",
            str(number),
            posting_payload(line, names, month if done.late else ""),
            version,
        )
        for number, line in enumerate(done.postings)
    ]
    kind = Kind.SETTLEMENT if done.corrects is None else Kind.CORRECTION
    body = {"state": "late" if done.late else "provisional", "version": version}
    record.append(tx, kind, start_s, at_s, body, lines)


def posting_payload(
    line: Posting, names: Mapping[AccountId, str], billed: str = ""
) -> dict[str, Any]:
    """Return what the ledger commits to: people's accounts under this month's names.

    `billed` is the month of the statement, where it is not that of the interval.
    """
    month = {"month": billed} if billed else {}
    return month | {
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
    return asdict(done)


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
        late=raw["late"],
    )


def _line(raw: dict[str, Any]) -> Posting:
    known = {field.name for field in fields(Posting)}
    assert set(raw) == known, raw
    return Posting(**{**raw, "kind": PostingKind(raw["kind"])})


def _result(raw: dict[str, Any]) -> UsagePointResult:
    account = dict(raw["account"])
    return UsagePointResult(
        **{
            **raw,
            "segment": Segment(**raw["segment"]),
            "legs": _legs(raw["legs"]),
            "battery_legs": _legs(raw.get("battery_legs", ())),
            "charge": tuple(ChargeLine(**line) for line in raw["charge"]),
            "account": MonthAccount(
                **{**account, **{name: _use(account[name]) for name in ("supplied", "metered")}}
            ),
        }
    )


def _legs(raw: Iterable[dict[str, Any]]) -> tuple[Leg, ...]:
    return tuple(Leg(**{**leg, "side": Side(leg["side"])}) for leg in raw)


def _use(raw: dict[str, Any]) -> MonthUse:
    return MonthUse(tuple((Segment(**segment), wh) for segment, wh in raw["energy"]))
