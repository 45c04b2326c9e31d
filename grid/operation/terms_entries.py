"""The ledger's entry of the terms a site trades by, which everything it settles follows from."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from grid import interval
from grid.operation import record
from grid.operation.tariffs import in_force
from grid.site import Site
from grid.store import Transaction, control
from trading.ledger import canonical
from trading.ledger.entry import Kind
from trading.replay import terms

_TOLD = "terms_sha256"
"""Setting: a hash of what was told without the tariffs, which have entries of their own."""


def tell_terms(tx: Transaction, site: Site, at_s: int) -> None:
    """Append the terms of a site in clear."""
    start_s = interval.floor(at_s, site.interval_s)
    told = replace(terms.of_site(site), tariff=in_force(tx, site))
    body = {"action": terms.ACTION, "terms": terms.encode(told)}
    record.append(tx, Kind.ACTION, start_s, at_s, body)
    control.put_meta(tx, _TOLD, _hash(site))


def tell_again(tx: Transaction, site: Site) -> None:
    """Append the terms once more where an earlier version told less of them."""
    if control.get_meta(tx, _TOLD) != _hash(site) and control.get_meta(tx, record.HELD) is None:
        tell_terms(tx, site, control.clock_s(tx))


def _hash(site: Site) -> str:
    told = terms.encode(replace(terms.of_site(site), tariff=()))
    return hashlib.sha256(canonical.encode(told)).hexdigest()
