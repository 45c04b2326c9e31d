"""Proofs that fit in an invoice, in the format of C2SP tlog-proof.

::

    c2sp.org/tlog-proof@v1
    extra <base64 of canonical {"entry": "...", "openings": ["...", ...]}>
    index 73894
    <base64 of one hash of the audit path>
    ...
    <empty line>
    <the signed checkpoint, verbatim>

`extra` holds the entry's canonical bytes and the lines of the openings shown
to whom the proof is for, so that the file alone, with the log's key, proves
that a reading, a trade or a posting is in the ledger. Where the log replaced its
key, ``keys`` beside them holds the entries that did so: they lead from the first
key to the one that signed. Tools that know only the format check the path against
the entry's leaf hash.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grid.errors import VerificationError
from trading.ledger import canonical, checkpoint, commitment, entry, merkle, note, rotation

HEADER = "c2sp.org/tlog-proof@v1"
PROOF_BYTES_MAX = 8_388_608
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,15})", re.ASCII)
_HASHES_MAX = 63


@dataclass(frozen=True, slots=True)
class Proven:
    """What a verified proof establishes.

    Attributes
    ----------
    entry : Entry
    openings : tuple of Opening
        Each is of a commitment in the entry.
    checkpoint : Checkpoint
        The checkpoint whose tree holds the entry.
    """

    entry: entry.Entry
    openings: tuple[commitment.Opening, ...]
    checkpoint: checkpoint.Checkpoint


def prove(
    data: bytes,
    path: Sequence[bytes],
    signed: str,
    openings: Sequence[commitment.Opening] = (),
    keys: Sequence[bytes] = (),
) -> str:
    """Return the text of a proof.

    Parameters
    ----------
    data : bytes
        Canonical bytes of the entry.
    path : sequence of bytes
        Its audit path (:meth:`trading.ledger.merkle.Tree.inclusion`).
    signed : str
        The checkpoint of that tree.
    openings : sequence of Opening
        Only those that belong to whom the proof is for.
    keys : sequence of bytes
        The entries that replaced the log's key up to the checkpoint.

    Raises
    ------
    VerificationError
        When what is given does not hold together, so that no wrong proof is
        ever handed out.
    """
    proven = entry.decode(data)
    text, _ = note.parse(signed)
    head = checkpoint.parse(text)
    merkle.verify_inclusion(merkle.leaf_hash(data), proven.sequence, head.size, path, head.root)
    for opening in openings:
        commitment.check_opening(opening, proven.commitments)
    shown: dict[str, Any] = {
        "entry": data.decode(),
        "openings": [opening.encode(proven.sequence).decode() for opening in openings],
    }
    if keys:
        shown["keys"] = [one.decode() for one in keys]
    extra = canonical.encode(shown)
    lines = [
        HEADER,
        f"extra {base64.b64encode(extra).decode()}",
        f"index {proven.sequence}",
        *(base64.b64encode(item).decode() for item in path),
    ]
    return "\n".join(lines) + "\n\n" + signed


def verify(text: str, key: note.VerifierKey) -> Proven:
    """Return what a proof establishes, given the log's first key from elsewhere.

    Raises
    ------
    VerificationError
        When the format, the signature, the path or an opening does not hold.
    """
    if len(text) > PROOF_BYTES_MAX:
        raise VerificationError(f"the proof is longer than {PROOF_BYTES_MAX} characters")
    head, separator, signed = text.partition("\n\n")
    lines = head.split("\n")
    if not separator or len(lines) < 3 or lines[0] != HEADER:
        raise VerificationError(f"not a proof: the first line must be {HEADER}")
    index = _INDEX.fullmatch(lines[2])
    if not lines[1].startswith("extra ") or not index or len(lines) - 3 > _HASHES_MAX:
        raise VerificationError("a proof needs the lines extra and index, then the audit path")
    data, shown, keys = _extra(lines[1].removeprefix("extra "))
    path = [_base64(line) for line in lines[3:]]
    size = checkpoint.parse(note.parse(signed)[0]).size
    tree = checkpoint.verify(signed, rotation.key_at(size, rotation.reigns(key, keys)))
    leaf = merkle.leaf_hash(data)
    merkle.verify_inclusion(leaf, int(index[1]), tree.size, path, tree.root)
    proven = entry.decode(data)
    if proven.sequence != int(index[1]):
        raise VerificationError(f"entry {proven.sequence} stands at index {index[1]}")
    for sequence, opening in shown:
        if sequence != proven.sequence or opening.label.interval != proven.interval:
            raise VerificationError(f"an opening of entry {sequence} beside {proven.sequence}")
        commitment.check_opening(opening, proven.commitments)
    return Proven(proven, tuple(opening for _, opening in shown), tree)


_Shown = tuple[bytes, list[tuple[int, commitment.Opening]], list[entry.Entry]]


def _extra(material: str) -> _Shown:
    value = canonical.decode(_base64(material), limit=PROOF_BYTES_MAX)
    if not isinstance(value, dict) or set(value) - {"keys"} != {"entry", "openings"}:
        raise VerificationError("the extra data of a proof are an entry, openings and keys")
    texts, keys = value["openings"], value.get("keys", [])
    if not isinstance(value["entry"], str) or not isinstance(texts, list):
        raise VerificationError("the extra data of a proof have fields of the wrong type")
    if not isinstance(keys, list) or not all(isinstance(line, str) for line in (*texts, *keys)):
        raise VerificationError("an opening or a key in a proof is no text")
    openings = [commitment.decode_opening(line.encode()) for line in texts]
    return value["entry"].encode(), openings, [entry.decode(line.encode()) for line in keys]


def _base64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError as error:
        raise VerificationError("no base64 in a line of the proof") from error
    if base64.b64encode(raw).decode() != text:
        raise VerificationError("base64 in the proof that is not canonical")
    return raw
