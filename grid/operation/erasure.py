"""Erasing a person after the retention time: approved by another than who asked, for good.

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

from grid.errors import BadInputError, StoreError
from grid.operation import record
from grid.operation.erasure_requests import allowed, ask, waiting
from grid.operation.meter_orders import same_person
from grid.operation.purge_list import LIST_FILE, Purged, PurgeList
from grid.operation.signer import FOLDER, Signer
from grid.site import Site
from grid.site_file import SITE_FILE, parse
from grid.store import Store, Transaction, agreements, control, log, people
from grid.store import erasure as store
from grid.store import erasure_requests as requests
from grid.store.erasure import Erasure
from grid.store.erasure_requests import Request

PURGE = "purge list"
"""Who erases from a restored store."""

_NOT_ANEW = "erasure.not_anew"
"""Setting: what was deleted may still be in the files of the store."""


class LeftInFilesError(StoreError):
    """A person is erased, and copies may be in the files until the store is opened again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of asking.

    Attributes
    ----------
    months : tuple of str
        Of which intervals and invoices go with the person, everybody's.
    asked_by : str
        Where the erased person asked: the name that stays in their place.
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
        As :func:`grid.operation.erasure_requests.ask` and :func:`approve`.
    StoreError
        As :func:`approve`.
    """
    with opened.write() as tx:
        found = waiting(tx, party)
        # Others' first: of the own it is said that it takes another person.
        asked = min(found, key=lambda one: same_person(one.asked_by, by), default=None)
        if asked is None:
            return Outcome(ask(tx, site, party, reason=reason, by=by).months, by)
        outcome = _approve(tx, directory, site, asked, by)
    _write_anew(opened)
    return outcome


def approve(directory: Path, opened: Store, site: Site, asked: Request, by: str) -> Outcome:
    """Approve a request of somebody else, and erase.

    Raises
    ------
    BadInputError
        When the request waits no more, it is the approver's own or of their party, or something
        is in the way.
    LeftInFilesError
        When somebody reads the store meanwhile.
    """
    with opened.write() as tx:
        if asked not in waiting(tx):
            raise BadInputError(f"{asked.party}: the request to erase it waits no more")
        outcome = _approve(tx, directory, site, asked, by)
    _write_anew(opened)
    return outcome


def _approve(tx: Transaction, directory: Path, site: Site, asked: Request, by: str) -> Outcome:
    record.check_held(tx)
    party, now_s = asked.party, control.clock_s(tx)
    case = allowed(tx, site, party)
    if same_person(asked.asked_by, by):
        raise BadInputError(f"{party}: {by} asked to erase it, another person approves")
    if any(one.party == party and same_person(one.email, by) for one in people.people(tx)):
        raise BadInputError(f"{party}: {by} belongs to it, somebody else approves")
    # On the list first: an erasure that is cut off here is made good at the next opening.
    entry = PurgeList(directory).add(party, now_s, case.stays)
    one = _apply(tx, site, directory, party, entry)
    requests.approve(tx, asked.id, name=one.name, by=by, at_s=now_s)
    asked_by = one.name if asked.is_own else asked.asked_by
    _tell(tx, site, one, user=by, asked_by=asked_by)
    return Outcome(case.months, asked_by, by, one.name)


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
    number = requests.ask(tx, party, reason="", by=PURGE, at_s=entry.at_s)
    one = _apply(tx, site, directory, party, entry)
    requests.approve(tx, number, name=one.name, by=PURGE, at_s=now_s)
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
    try:
        opened.write_anew()
    except StoreError as error:
        raise LeftInFilesError(str(error)) from error
    with opened.write() as tx:
        control.drop_meta(tx, _NOT_ANEW)


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
