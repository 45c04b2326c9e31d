"""The ledger's entry of the terms a site trades by, which everything it settles follows from."""

from __future__ import annotations

from dataclasses import replace

from grid import interval
from grid.operation import record
from grid.operation.tariffs import in_force
from grid.site import Site
from grid.store import Transaction
from trading.ledger.entry import Kind
from trading.replay import terms


def tell_terms(tx: Transaction, site: Site, at_s: int) -> int:
    """Append the terms of a site in clear, as they stand; return the entry's sequence."""
    start_s = interval.floor(at_s, site.interval_s)
    standing = replace(terms.of_site(site), tariff=in_force(tx, site))
    body = {"action": terms.ACTION, "terms": terms.encode(standing)}
    return record.append(tx, Kind.ACTION, start_s, at_s, body)
