"""Erasing a person after the retention time: one asks, another approves, and nothing brings back.

What leaves the store is said in :mod:`grid.store.erasure`. The ledger stays byte for byte: its
digests say nothing without the salts, which come from the secret that is gone. Whoever is erased
is on a list beside the store (:mod:`grid.operation.purge_list`), by which an older copy of the
store is purged before anything else is done with it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from grid import interval
from grid.errors import BadInputError
from grid.operation import record
from grid.operation.meter_orders import check_reason, same_person
from grid.operation.purge_list import LIST_FILE, Purged, PurgeList
from grid.operation.signer import FOLDER, Signer
from grid.site import Site
from grid.site_file import SITE_FILE, parse
from grid.store import Store, Transaction, agreements, control, log
from grid.store import erasure as store
from grid.store import erasure_requests as requests
from grid.store.erasure import Erasure, Stay

ASKED_DAYS = 30
"""A request that nobody approved by then has lapsed."""

PURGE = "purge list"
"""Who erases from a restored store."""

_NOT_ANEW = "erasure.not_anew"
"""Setting: what was deleted may still be in the files of the store."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of asking.

    Attributes
    ----------
    months : tuple of str
        Of which intervals and invoices go with the person, everybody's.
    asked_by : str
    approved_by, name : str or None
        Once the person is erased: by whom, and what stays in their place.
    """

    months: tuple[str, ...]
    asked_by: str
    approved_by: str | None = None
    name: str | None = None


def erase(
    directory: Path, opened: Store, site: Site, *, party: str, by: str, reason: str = ""
) -> Outcome:
    """Ask for a person to be erased, or approve what somebody else asked for and erase.

    Raises
    ------
    BadInputError
        When there is no such person, it is the community, it is too early, something is open,
        the reason says nothing, or the same person asked.
    StoreError
        When somebody reads the store meanwhile: it is erased, and copies may be left in the
        files until the store is opened again.
    """
    with opened.write() as tx:
        record.check_held(tx)
        now_s = control.clock_s(tx)
        stays = _may_be_erased(tx, site, party, now_s)
        months = _months(tx, site, stays)
        asked = requests.open_request(tx, party, now_s - ASKED_DAYS * interval.DAY_S)
        if asked is None:
            check_reason(party, reason)
            requests.ask(tx, party, reason=reason.strip(), by=by, at_s=now_s)
            record.record_action(
                tx, site, at_s=now_s, user=by, kind="erasure.ask", subject=party, detail={}
            )
            return Outcome(months, by)
        if same_person(asked.asked_by, by):
            raise BadInputError(f"{party}: {by} asked to erase it, another person approves")
        # On the list first: an erasure that is cut off here is made good at the next opening.
        entry = PurgeList(directory).add(party, now_s, stays)
        one = _apply(tx, site, directory, party, entry)
        requests.approve(tx, asked.id, name=one.name, by=by, at_s=now_s)
        _tell(tx, site, one, user=by, asked_by=asked.asked_by)
    _write_anew(opened)
    return Outcome(months, asked.asked_by, by, one.name)


def purge(directory: Path, opened: Store) -> list[str]:
    """Erase from a store whoever is on the list of its folder; return what stays in their place.

    Raises
    ------
    StoreError
        When the list cannot be read, or somebody reads the store meanwhile.
    """
    if not (directory / LIST_FILE).exists():
        return []
    listed = PurgeList(directory)
    with opened.read() as tx:
        found = listed.find(agreements.parties(tx))
        text = control.get_meta(tx, store.SITE_TEXT)
        again = control.get_meta(tx, _NOT_ANEW) is not None
    if text is None:
        return []
    if found:
        with opened.write() as tx:
            for party, entry in listed.find(agreements.parties(tx)):
                _purge(tx, directory, party, entry)
    _unname_file(directory, listed)
    if found or again:
        _write_anew(opened)
    return [f"{store.NAME}{entry.number}" for _, entry in found]


def _purge(tx: Transaction, directory: Path, party: str, entry: Purged) -> None:
    site = parse(control.get_meta(tx, store.SITE_TEXT) or "")
    now_s = control.clock_s(tx)
    requests.ask(tx, party, reason="", by=PURGE, at_s=entry.at_s)
    asked = requests.open_request(tx, party, 0)
    one = _apply(tx, site, directory, party, entry)
    if asked is not None:
        requests.approve(tx, asked.id, name=one.name, by=PURGE, at_s=now_s)
    # A ledger of which others know more is brought in order first: the entry comes with it.
    if control.get_meta(tx, record.HELD) is None and _is_newest(tx, directory):
        _tell(tx, site, one, user=PURGE, asked_by=PURGE)


def _is_newest(tx: Transaction, directory: Path) -> bool:
    """Return whether no more entries were signed than the store has."""
    if not (directory / FOLDER).exists():
        return True
    with closing(Signer(directory)) as signer:
        last = signer.last()
    if last is None:
        return True
    return last.origin == record.first_key(tx).name and last.size <= log.size(tx)


def _apply(tx: Transaction, site: Site, directory: Path, party: str, entry: Purged) -> Erasure:
    one = Erasure(
        party,
        entry.number,
        entry.stays,
        max(site.market.minimum_group, 2),
        site.time_zone,
        record.community(site),
    )
    text = unnamed(control.get_meta(tx, store.SITE_TEXT) or "", party, one.name)
    store.erase(tx, one, text)
    _unname_file(directory, PurgeList(directory))
    control.put_meta(tx, _NOT_ANEW, "1")
    return one


def _tell(tx: Transaction, site: Site, one: Erasure, *, user: str, asked_by: str) -> None:
    detail = {"asked_by": asked_by}
    record.record_action(
        tx, site, at_s=control.clock_s(tx), user=user, kind="erasure", subject=one.name,
        detail=detail,
    )  # fmt: skip


def _write_anew(opened: Store) -> None:
    opened.write_anew()
    with opened.write() as tx:
        control.drop_meta(tx, _NOT_ANEW)


def _may_be_erased(tx: Transaction, site: Site, party: str, now_s: int) -> list[Stay]:
    """Return when a party stood for what, if it can be erased now."""
    if party not in agreements.parties(tx) or party.startswith(store.NAME):
        raise BadInputError(f"{party[:64]}: is no party of the site")
    if party == record.community(site):
        raise BadInputError(f"{party}: is the community, which is no person")
    mine = [one for one in agreements.listed(tx) if one.party == party]
    for one in mine:
        if one.until_s is None or one.until_s > now_s:
            raise BadInputError(f"{party}: stands for {one.usage_point}, let it move out first")
    stays = sorted(Stay(str(one.usage_point), one.from_s, one.until_s or 0) for one in mine)
    if numbers := requests.disputed(tx, party, _months(tx, site, stays)):
        raise BadInputError(
            f"{party}: invoice {numbers[0]} of its time has a dispute that is open, decide it first"
        )
    if months := requests.not_invoiced(tx, party, stays):
        raise BadInputError(f"{party}: amounts of its time wait for the invoices of {months[0]}")
    ends = [stay.until_s for stay in stays]
    last_s = max([*ends, requests.last_invoice_s(tx, party)])
    until_s = last_s + site.settlement.retention_days * interval.DAY_S
    if (ends or last_s) and now_s < until_s:
        raise BadInputError(
            f"{party}: is kept until {interval.label(until_s)}, {site.settlement.retention_days} "
            "days after its last agreement and invoice"
        )
    return stays


def _months(tx: Transaction, site: Site, stays: Sequence[Stay]) -> tuple[str, ...]:
    first_s = int(control.get_meta(tx, "first_cycle_s") or 0)
    return tuple(store.months(stays, first_s, site.time_zone))


_BLOCK = re.compile(r"^\[\[party\]\][^\[]*", re.MULTILINE)


def unnamed(text: str, party: str, name: str) -> str:
    """Return the text of a site file with another identifier and name for a party."""
    quoted = rf"""(?P<mark>["']){re.escape(party)}(?P=mark)"""

    def block(found: re.Match[str]) -> str:
        said, count = re.subn(rf"(?m)^(\s*id\s*=\s*){quoted}", rf'\g<1>"{name}"', found[0])
        return re.sub(r"(?m)^(\s*name\s*=).*$", rf'\1 "{name}"', said) if count else said

    return re.sub(rf"(?m)^(\s*party\s*=\s*){quoted}", rf'\g<1>"{name}"', _BLOCK.sub(block, text))


def _unname_file(directory: Path, listed: PurgeList) -> None:
    """Let the site file in the folder name none of those who are erased."""
    path = directory / SITE_FILE
    if not path.exists():
        return
    before = text = path.read_bytes().decode()
    for party, entry in listed.find(sorted(set(_ids(text)))):
        text = unnamed(text, party, f"{store.NAME}{entry.number}")
    if text == before:
        return
    new = path.with_name(f"{SITE_FILE}.new")
    with new.open("wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _ids(text: str) -> Sequence[str]:
    return re.findall(r"""["']([A-Za-z0-9._-]+)["']""", text)
