"""One entry of the ledger and its canonical bytes.

An entry is the canonical JSON object ``{body, interval, kind, previous,
schema, sequence}``. `previous` is the RFC 6962 leaf hash of the predecessor,
so that one hash serves the chain and the tree; the genesis entry has zeros.
A body holds public facts in clear and, under ``commitments``, the ascending
digests of what is personal (:mod:`trading.ledger.commitment`). Amounts in it
are decimal strings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

from grid.errors import BadInputError, VerificationError
from grid.interval import label, parse
from trading.ledger import canonical, merkle

SCHEMA = 1
NO_PREVIOUS = bytes(32)
COMMITMENTS_PER_ENTRY = 400
"""Digests kept in one entry; 400 take 26.8 kB of the 65,535 bytes."""

_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LABEL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}Z", re.ASCII)
_MEMBERS = {"body", "interval", "kind", "previous", "schema", "sequence"}


class Kind(StrEnum):
    """What an entry records."""

    GENESIS = "genesis"
    READINGS = "readings"
    BOOK = "book"
    CLEARING = "clearing"
    PLAN = "plan"
    SETPOINTS = "setpoints"
    SETTLEMENT = "settlement"
    CORRECTION = "correction"
    INVOICE = "invoice"
    NETWORK = "network"
    ACTION = "action"
    CHECKPOINT = "checkpoint"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry.

    Attributes
    ----------
    sequence : int
        Position in the log, from 0 (genesis) without gaps.
    previous : bytes
        Leaf hash of the predecessor, 32 bytes.
    kind : Kind
    interval : str
        Label of the interval it is about (:func:`grid.interval.label`) or ``""``.
    body : dict
        Public facts and ``commitments``.
    schema : int
        Version of the meaning of the body.
    """

    sequence: int
    previous: bytes
    kind: Kind
    interval: str
    body: dict[str, Any]
    schema: int = SCHEMA

    @property
    def commitments(self) -> tuple[str, ...]:
        """Digests in hexadecimal, ascending."""
        return tuple(self.body.get("commitments", ()))

    def encode(self) -> bytes:
        """Return the canonical bytes.

        Raises
        ------
        BadInputError
            When a field is out of range, a commitment is malformed or out of
            order, or the bytes are more than 65,535.
        """
        problem = _problem(self)
        if problem:
            raise BadInputError(f"entry {self.sequence} {self.kind} {self.interval}: {problem}")
        data = canonical.encode(
            {
                "body": self.body,
                "interval": self.interval,
                "kind": str(self.kind),
                "previous": self.previous.hex(),
                "schema": self.schema,
                "sequence": self.sequence,
            }
        )
        if len(data) > canonical.BYTES_MAX:
            raise BadInputError(
                f"entry {self.sequence} {self.kind} {self.interval} has {len(data)} bytes: "
                f"at most {canonical.BYTES_MAX}"
            )
        return data

    @property
    def leaf_hash(self) -> bytes:
        """RFC 6962 leaf hash of the canonical bytes."""
        return merkle.leaf_hash(self.encode())


def decode(data: bytes) -> Entry:
    """Return the entry whose canonical bytes are exactly `data`.

    Raises
    ------
    VerificationError
        When they are not canonical or not an entry.
    """
    value = canonical.decode(data)
    if not isinstance(value, dict) or set(value) != _MEMBERS:
        raise VerificationError("not an object of body, interval, kind, previous, schema, sequence")
    previous = value["previous"]
    if not isinstance(previous, str) or not _HEX.fullmatch(previous):
        raise VerificationError("the predecessor's hash is not 64 lower-case hexadecimal digits")
    try:
        kind = Kind(value["kind"])
    except ValueError as error:
        raise VerificationError(f"unknown kind {value['kind']!r}") from error
    entry = Entry(
        value["sequence"],
        bytes.fromhex(previous),
        kind,
        value["interval"],
        value["body"],
        value["schema"],
    )
    problem = _problem(entry)
    if problem:
        raise VerificationError(problem)
    return entry


def genesis(
    site: str, log_key: str, receipts_key: str = "", follows: Mapping[str, Any] | None = None
) -> Entry:
    """Return the first entry of a log: the site, its verifier key, and that of its receipts.

    `follows` is what it says of the log in whose place it is (:mod:`trading.ledger.succession`).
    """
    body: dict[str, Any] = {"key": log_key, "site": site}
    if receipts_key:
        body["receipts"] = receipts_key
    if follows:
        body["follows"] = dict(follows)
    return Entry(0, NO_PREVIOUS, Kind.GENESIS, "", body)


def following(
    predecessor: Entry, kind: Kind, interval: str, body: dict[str, Any], schema: int = SCHEMA
) -> Entry:
    """Return the entry after `predecessor`."""
    return Entry(predecessor.sequence + 1, predecessor.leaf_hash, kind, interval, body, schema)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= canonical.INTEGER_MAX


def _is_label(text: Any) -> bool:
    if not isinstance(text, str):
        return False
    if text == "":
        return True
    try:
        return bool(_LABEL.fullmatch(text)) and label(parse(text)) == text
    except BadInputError:
        return False


def _problem(entry: Entry) -> str:
    """Return what is wrong with the fields, or ``""``."""
    if not _is_count(entry.sequence) or not _is_count(entry.schema) or entry.schema == 0:
        return "sequence and schema must be whole numbers, the schema from 1"
    if len(entry.previous) != merkle.HASH_BYTES:
        return "the predecessor's hash must have 32 bytes"
    if (entry.sequence == 0) != (entry.kind == Kind.GENESIS):
        return "the first entry, and only the first, is the genesis"
    if entry.sequence == 0 and entry.previous != NO_PREVIOUS:
        return "the genesis has no predecessor"
    if not _is_label(entry.interval):
        return f"{entry.interval!r} is not the label of an interval"
    if not isinstance(entry.body, dict):
        return "the body must be an object"
    digests = entry.body.get("commitments", [])
    if not isinstance(digests, list) or not all(
        isinstance(digest, str) and _HEX.fullmatch(digest) for digest in digests
    ):
        return "commitments must be a list of 64 lower-case hexadecimal digits each"
    if any(first >= second for first, second in pairwise(digests)):
        return "commitments must ascend without duplicates"
    return ""
