"""Stage ``bill``: the invoices of a month that is over and final; disputes about their lines."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from grid import interval
from grid.errors import BadInputError
from grid.ids import AccountId, PartyId
from grid.operation import record
from grid.operation.market import law_at
from grid.operation.record import Personal
from grid.operation.room import Room
from grid.operation.settlement_entries import posting_payload
from grid.operation.tariffs import in_force
from grid.quantities import NANO
from grid.site import Site
from grid.store import Transaction, agreements, control, market
from grid.store import invoices as store
from grid.store.invoices import Dispute, DisputeState, Invoice
from trading.accounts import POOL, Posting, PostingKind, money_line, party_account
from trading.agreement_months import months_of
from trading.ledger.commitment import pseudonym
from trading.ledger.entry import Kind
from trading.statements import Statement, statement

_REASON_MAX = 500


def bill(room: Room, at_s: int) -> None:
    """Make the invoices of each month whose time has come and whose intervals are all final."""
    site, made = room.site, 0
    with room.store.write() as tx:
        for month_s in _due(site, room.first_cycle_s, at_s):
            month = interval.month_label(month_s, site.time_zone)
            bounds = interval.month_bounds(month_s, site.time_zone)
            if store.invoices(tx, month=month) or store.provisional(tx, *bounds):
                continue
            made += len(_invoice(tx, site, month_s, at_s))
        control.mark_done(tx, at_s, "bill")
    room.log(at_s, "bill", invoices=made)


def _due(site: Site, first_s: int, at_s: int) -> list[int]:
    """Return the first instants of the months that can be billed, the newest last."""
    wait_s = site.settlement.invoice_after_days * interval.DAY_S
    found, month_s = [], interval.month_bounds(first_s, site.time_zone)[0]
    while (end_s := interval.month_bounds(month_s, site.time_zone)[1]) + wait_s <= at_s:
        found.append(month_s)
        month_s = end_s
    return found[-2:]


def draft(tx: Transaction, site: Site, party: str, month: str) -> Statement:
    """Return the statement of a party for a month (``YYYY-MM``), as far as it is known."""
    month_s = interval.day_bounds(interval.parse_date(f"{month}-01"), site.time_zone)[0]
    start_s, end_s = interval.month_bounds(month_s, site.time_zone)
    account = party_account(PartyId(party))
    lines = market.billed(tx, account, month, start_s)
    accounts = market.month_accounts(tx, month)
    tariffs = {str(tariff.id): tariff for tariff in in_force(tx, site)}
    months = months_of(
        party, agreements.listed(tx), accounts, tariffs, (start_s, end_s), int(month[5:])
    )
    return statement(
        PartyId(party),
        month,
        site.currency,
        lines,
        months,
        site.market,
        law_at(site, start_s),
        site.grid.co2_mg_per_kwh,
    )


def _invoice(tx: Transaction, site: Site, month_s: int, at_s: int) -> list[Invoice]:
    """Keep and commit to the invoices of a month, with the postings that close them."""
    month = interval.month_label(month_s, site.time_zone)
    parties = [name for name in agreements.parties(tx) if name != record.community(site)]
    drafts = {name: draft(tx, site, name, month) for name in sorted(parties)}
    billed = {name: one for name, one in drafts.items() if one.document["lines"]}
    if not billed:
        return []
    numbers = {name: f"{month}-{place:04d}" for place, name in enumerate(billed, start=1)}
    facts: list[Personal] = []
    closing: list[Posting] = []
    first = store.next_closing(tx, month_s)
    names = month_names(tx, month)
    for name, one in billed.items():
        facts.append(Personal(name, "invoice", numbers[name], one.document))
        for line in one.closing:
            subject = f"invoice-{first + len(closing)}"
            facts.append(Personal(name, "posting", subject, posting_payload(line, names)))
            closing.append(line)
    public = {"invoices": len(billed), "month": month}
    sequence = record.append(tx, Kind.INVOICE, month_s, at_s, public, facts)
    store.put_closing(tx, month_s, month, closing, first=first)
    made = [
        Invoice(numbers[name], name, month, at_s, one.total_nano, one.document, sequence)
        for name, one in billed.items()
    ]
    for invoice in made:
        store.put_invoice(tx, invoice)
    return made


def month_names(tx: Transaction, month: str) -> dict[AccountId, str]:
    """Return the account of each party under its name of a month."""
    secrets = control.secrets(tx, record.PARTY_SECRET)
    return {party_account(PartyId(name)): pseudonym(secrets[name], month) for name in secrets}


def dispute_until_s(site: Site, invoice: Invoice) -> int:
    """Return until when the lines of an invoice can be disputed."""
    return invoice.made_s + site.settlement.dispute_until_days * interval.DAY_S


def held_nano(disputes: Sequence[Dispute]) -> int:
    """Return what of an invoice need not be paid until its disputes are decided."""
    return sum(one.amount_nano for one in disputes if one.state is DisputeState.OPEN)


def dispute(
    tx: Transaction, site: Site, number: str, line: int, *, party: str, reason: str, by: str
) -> int:
    """Keep that a party does not accept a line of its invoice; return the dispute's number.

    Only what the line charges is held; all else of the invoice stays due.

    Raises
    ------
    BadInputError
        When there is no such line, its time is over, or it is disputed already.
    """
    at_s = control.clock_s(tx)
    found = _found(tx, number, party)
    lines = found.document["lines"]
    if not 0 <= line < len(lines):
        raise BadInputError(f"invoice {number} line {line}: it has lines 0 to {len(lines) - 1}")
    until_s = dispute_until_s(site, found)
    if at_s >= until_s:
        raise BadInputError(f"invoice {number}: could be disputed until {interval.label(until_s)}")
    reason = reason.strip()
    if not 0 < len(reason) <= _REASON_MAX:
        raise BadInputError(f"invoice {number}: a reason has 1 to {_REASON_MAX} characters")
    if any(one.line == line for one in store.disputes(tx, [number])):
        raise BadInputError(f"invoice {number} line {line}: was disputed already")
    amount = max(_nano(lines[line]["amount"]), 0)
    made = store.open_dispute(
        tx, Dispute(0, number, line, amount, reason, by, at_s, DisputeState.OPEN)
    )
    detail = {"dispute": made, "invoice": number, "line": line}
    record.record_action(
        tx, site, at_s=at_s, user=by, kind="dispute.open", subject=number, detail=detail
    )
    return made


def decide(
    tx: Transaction, site: Site, number: int, *, credit_nano: int, note: str, by: str
) -> Dispute:
    """Decide a dispute: with a credit it is upheld, without one rejected.

    A credit stands on the statement of the month it is decided in, against the pool.

    Raises
    ------
    BadInputError
        When there is no such dispute, it is decided, or the credit is more than the line.
    """
    at_s = control.clock_s(tx)
    found = next((one for one in store.disputes(tx) if one.id == number), None)
    if found is None or found.state is not DisputeState.OPEN:
        raise BadInputError(f"dispute {number}: there is none that is open")
    if not 0 <= credit_nano <= found.amount_nano:
        raise BadInputError(
            f"dispute {number}: the credit is {credit_nano} nano-currency, must be within 0 to "
            f"the {found.amount_nano} of the line"
        )
    state = DisputeState.UPHELD if credit_nano else DisputeState.REJECTED
    store.close_dispute(
        tx, number, state, credit_nano=credit_nano, note=note.strip()[:_REASON_MAX], by=by,
        at_s=at_s,
    )  # fmt: skip
    if credit_nano:
        party = next(one.party for one in store.invoices(tx) if one.number == found.invoice)
        _credit(tx, site, party, credit_nano, at_s)
    detail = {"dispute": number, "state": str(state)}
    record.record_action(
        tx, site, at_s=at_s, user=by, kind="dispute.decide", subject=found.invoice, detail=detail
    )
    return next(one for one in store.disputes(tx, [found.invoice]) if one.id == number)


def withdraw(tx: Transaction, site: Site, number: int, *, party: str, by: str) -> Dispute:
    """Let a party take back its own dispute while it is open: the line is due again.

    Raises
    ------
    BadInputError
        When the party has no such dispute, or it is decided.
    """
    at_s = control.clock_s(tx)
    own = [one.number for one in store.invoices(tx, party=party)]
    found = next((one for one in store.disputes(tx, own) if one.id == number), None)
    if found is None or found.state is not DisputeState.OPEN:
        raise BadInputError(f"dispute {number}: {party} has none that is open")
    store.close_dispute(
        tx, number, DisputeState.WITHDRAWN, credit_nano=0, note="", by=by, at_s=at_s
    )
    detail = {"dispute": number, "state": str(DisputeState.WITHDRAWN)}
    record.record_action(
        tx, site, at_s=at_s, user=by, kind="dispute.withdraw", subject=found.invoice, detail=detail
    )
    return next(one for one in store.disputes(tx, own) if one.id == number)


def _credit(tx: Transaction, site: Site, party: str, credit_nano: int, at_s: int) -> None:
    """Post a credit to a party on the statement of the month of `at_s`."""
    month = interval.month_label(at_s, site.time_zone)
    month_s = interval.month_bounds(at_s, site.time_zone)[0]
    line = money_line(POOL, party_account(PartyId(party)), credit_nano, PostingKind.CREDIT)
    place = store.next_closing(tx, month_s)
    payload = posting_payload(line, month_names(tx, month))
    fact = Personal(party, "posting", f"invoice-{place}", payload)
    record.append(tx, Kind.INVOICE, month_s, at_s, {"month": month}, [fact])
    store.put_closing(tx, month_s, month, [line], first=place)


def _found(tx: Transaction, number: str, party: str) -> Invoice:
    for one in store.invoices(tx, party=party):
        if one.number == number:
            return one
    raise BadInputError(f"invoice {number[:64]}: no such invoice of {party}")


def _nano(amount: str) -> int:
    return int(Decimal(amount) * NANO)
