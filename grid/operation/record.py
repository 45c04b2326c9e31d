"""Writing to the ledger inside the transaction of what it records."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grid import interval
from grid.errors import StoreError
from grid.operation.signer import BehindError
from grid.site import Site, UsageKind
from grid.store import Transaction, control, log
from trading.ledger import merkle, note, rotation
from trading.ledger.checkpoint import Checkpoint, sign
from trading.ledger.commitment import Label, Opening, commit, commitments
from trading.ledger.entry import (
    COMMITMENTS_PER_ENTRY,
    SCHEMA,
    Entry,
    Kind,
    decode,
    following,
    genesis,
)
from trading.receipts import key_name

RECEIPTS_SEED = "receipts.ed25519"
PARTY_SECRET = "party/"
VKEY = "ledger_vkey"
"""Setting: the log's first verifier key, from which every later one follows."""

TOLD_FROM = "ledger.told_from_s"
"""Setting: the first interval that the log tells in full, where it follows one that ended."""

HELD = "ledger.held"
"""Setting: why nothing may be recorded until a person brought the ledger in order."""

Sign = Callable[[Checkpoint, note.VerifierKey, Callable[[int], tuple[bytes, ...]]], str]
"""Signs a checkpoint with a key, given consistency proofs to it by size."""

Replace = Callable[[int, bytes], tuple[note.VerifierKey, bytes]]
"""Gives a new key and the old one's signature, for an entry's sequence and predecessor's hash."""


@dataclass(frozen=True, slots=True)
class Personal:
    """A fact about a party that the ledger only commits to."""

    party: str
    kind: str
    subject: str
    payload: Any
    version: int = 0


def community(site: Site) -> str:
    """Return the party that stands for the community."""
    return next(party.id for party in site.party if party.kind is UsageKind.COMMUNITY)


def origin(site: Site) -> str:
    """Return the name of a site's first log."""
    return f"khazri/{site.id}"


def receipts_signer(tx: Transaction) -> note.Signer:
    """Return what signs receipts of orders."""
    return note.signer(key_name(first_key(tx).name), control.get_secret(tx, RECEIPTS_SEED))


def first_key(tx: Transaction) -> note.VerifierKey:
    """Return the log's first verifier key; its name is the log's origin.

    Raises
    ------
    StoreError
        When the store has no ledger.
    """
    text = control.get_meta(tx, VKEY)
    if text is None:
        raise StoreError("the store has no verifier key of a ledger")
    return note.parse_key(text)


def told_from_s(tx: Transaction) -> int:
    """Return the first interval that the log tells in full, seconds UTC; 0 for a site's first log.

    What was settled before it is in a log that ended, to which nothing is added.
    """
    return int(control.get_meta(tx, TOLD_FROM) or 0)


def check_held(tx: Transaction) -> None:
    """Refuse to go on with a ledger that others have seen more of.

    Raises
    ------
    BehindError
        With what is wrong and the way forward.
    """
    held = control.get_meta(tx, HELD)
    if held is not None:
        raise BehindError(held)


def keys(tx: Transaction) -> list[rotation.Reign]:
    """Return the log's keys in order, each with the entry that brought it.

    Raises
    ------
    VerificationError
        When an entry replaces a key that did not sign it.
    """
    return rotation.reigns(first_key(tx), key_entries(tx))


def key_entries(tx: Transaction) -> list[Entry]:
    """Return the entries that replaced the log's key."""
    found = map(decode, log.key_contents(tx))
    return [one for one in found if rotation.MEMBER in one.body]


def append(
    tx: Transaction,
    kind: Kind,
    at_s: int | None,
    cycle_s: int,
    public: dict[str, Any],
    personal: Sequence[Personal] = (),
    *,
    schema: int = SCHEMA,
) -> int:
    """Append one entry about the interval at `at_s`; return its sequence number.

    More commitments than one entry holds go to several, cut after sorting so that the cut tells
    nothing: each says in its body which ``part`` of how many ``parts`` it is.

    Parameters
    ----------
    public : dict
        Facts in clear, values of :mod:`trading.ledger.canonical`.
    personal : sequence of Personal
        Committed to with salts of the parties' secrets; the openings go to the store.
    schema : int
        Version of the meaning of the body.

    Returns
    -------
    int
        Of the last of them.
    """
    label = "" if at_s is None else interval.label(at_s)
    secrets = control.secrets(tx, PARTY_SECRET) if personal else {}
    opened: list[tuple[str, str, Opening]] = []
    for fact in personal:
        about = Label(label, fact.kind, fact.subject, fact.version)
        digest, opening = commit(secrets[fact.party], about, fact.payload)
        opened.append((digest, fact.party, opening))
    # Two equal ones mean that a label was used twice.
    commitments(digest for digest, _, _ in opened)
    opened.sort(key=lambda one: one[0])
    parts = [
        opened[first : first + COMMITMENTS_PER_ENTRY]
        for first in range(0, len(opened), COMMITMENTS_PER_ENTRY)
    ] or [[]]
    last = log.last_content(tx)
    assert last is not None, "the log has no genesis"
    entry = decode(last)
    for number, part in enumerate(parts):
        body = dict(public)
        if len(parts) > 1:
            body |= {"part": number, "parts": len(parts)}
        if part:
            body["commitments"] = [digest for digest, _, _ in part]
        entry = following(entry, kind, label, body, schema)
        _store(tx, entry, cycle_s, part)
    return entry.sequence


def _store(
    tx: Transaction, entry: Entry, cycle_s: int, opened: Sequence[tuple[str, str, Opening]] = ()
) -> None:
    content = entry.encode()
    log.append(
        tx,
        sequence=entry.sequence,
        kind=str(entry.kind),
        label=entry.interval,
        cycle_s=cycle_s,
        content=content,
        leaf_hash=merkle.leaf_hash(content),
        openings=[
            {
                "digest": digest,
                "party": party,
                "content": opening.encode(entry.sequence).decode(),
            }
            for digest, party, opening in opened
        ],
    )


def begin(tx: Transaction, at_s: int, signer: note.Signer) -> str:
    """Write the genesis, and sign it; return the signed checkpoint.

    Parameters
    ----------
    signer : Signer
        Of the log; its name is the log's origin.
    """
    put_genesis(tx, signer.key, at_s)
    head = Checkpoint(signer.key.name, 1, log.StoredTree(tx).root())
    signed = sign(head, signer)
    log.put_checkpoint(tx, 1, at_s, signed)
    return signed


def put_genesis(
    tx: Transaction,
    key: note.VerifierKey,
    at_s: int,
    follows: Mapping[str, Any] | None = None,
) -> None:
    """Write the genesis of a log, unsigned.

    Parameters
    ----------
    key : VerifierKey
        The log's first; its name is the log's origin.
    follows : Mapping, optional
        What is told of the log it follows (:mod:`trading.ledger.succession`).
    """
    vkey = key.encode()
    control.put_meta(tx, VKEY, vkey)
    receipts = receipts_signer(tx).key.encode()
    _store(tx, genesis(key.name, vkey, receipts, follows), at_s)


def checkpoint(tx: Transaction, signs: Sign, at_s: int) -> Checkpoint:
    """Sign the log as it stands and keep the note.

    What is signed must have been committed: a signature cannot be taken back.
    """
    tree, reigns = log.StoredTree(tx), keys(tx)
    head = Checkpoint(reigns[0][1].name, tree.size, tree.root())
    signed = signs(head, rotation.key_at(tree.size, reigns), tree.consistency)
    log.put_checkpoint(tx, head.size, at_s, signed)
    return head


def append_key(tx: Transaction, at_s: int, new: Replace) -> note.VerifierKey:
    """Append the entry that replaces the log's key; return the new key.

    Parameters
    ----------
    new : callable
        Returns the new key and the old one's signature over it, given where the entry stands.
    """
    content = log.last_content(tx)
    assert content is not None, "the log has no genesis"
    last = decode(content)
    key, signature = new(last.sequence + 1, last.leaf_hash)
    entry = following(last, Kind.KEY, "", rotation.body(key, signature))
    rotation.successor(rotation.key_at(entry.sequence, keys(tx)), entry)
    _store(tx, entry, at_s)
    return key


def record_action(
    tx: Transaction, site: Site, *, at_s: int, user: str, kind: str, subject: str, detail: Any
) -> int:
    """Record what a person did, with its ledger entry; return the entry's sequence.

    The entry names the kind in clear; who, on what and why are committed to.
    """
    check_held(tx)
    payload = {"detail": json.dumps(detail, sort_keys=True), "subject": subject, "user": user}
    size = log.size(tx)
    fact = Personal(community(site), "action", f"action-{size}", payload)
    sequence = append(
        tx, Kind.ACTION, at_s - at_s % site.interval_s, at_s, {"action": kind}, [fact]
    )
    control.put_action(
        tx, at_s=at_s, user=user, kind=kind, subject=subject, detail=detail, sequence=sequence
    )
    return sequence
