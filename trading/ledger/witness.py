"""What a witness decides (C2SP tlog-witness), and the log's own signer before it signs.

Both remember the last checkpoint of a log and go on only to one that contains
it. A request names the size the client takes for that last one and proves the
new tree consistent with it::

    old 20852014
    <base64 of one hash of the consistency proof>
    ...
    <empty line>
    <the signed checkpoint>
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from grid.errors import VerificationError
from trading.ledger import checkpoint, merkle, note
from trading.ledger.checkpoint import Checkpoint

PROOF_LINES_MAX = 63
REQUEST_BYTES_MAX = note.NOTE_BYTES_MAX + PROOF_LINES_MAX * 45 + 32
_OLD = re.compile(r"old (0|[1-9][0-9]{0,15})", re.ASCII)
_HASH_TEXT = 44


class RefusedError(VerificationError):
    """A request that is not followed, with the status the protocol has for it.

    Attributes
    ----------
    status : HTTPStatus
    size : int or None
        Of the last checkpoint known, where it is not the one the client named.
    """

    def __init__(self, status: HTTPStatus, reason: str, size: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.size = size


@dataclass(frozen=True, slots=True)
class Request:
    """An add-checkpoint request as it was read, nothing verified.

    Attributes
    ----------
    old_size : int
        Of the checkpoint the proof begins at.
    proof : tuple of bytes
    signed : str
        The note, verbatim.
    """

    old_size: int
    proof: tuple[bytes, ...]
    signed: str

    def encode(self) -> bytes:
        """Return the body of the request."""
        lines = [f"old {self.old_size}"]
        lines += [base64.b64encode(item).decode() for item in self.proof]
        return ("\n".join(lines) + f"\n\n{self.signed}").encode()


def parse_request(body: bytes) -> Request:
    """Return the request of a body.

    Raises
    ------
    RefusedError
        With status 400 when it is not of the form above.
    """
    if len(body) > REQUEST_BYTES_MAX:
        raise _bad(f"{len(body)} bytes are more than {REQUEST_BYTES_MAX}")
    try:
        head, separator, signed = body.decode().partition("\n\n")
    except UnicodeDecodeError as error:
        raise _bad("the request is no UTF-8") from error
    first, *rest = head.split("\n")
    old = _OLD.fullmatch(first)
    if not separator or old is None:
        raise _bad("a request is the line 'old SIZE', a proof, an empty line and a checkpoint")
    if len(rest) > PROOF_LINES_MAX:
        raise _bad(f"{len(rest)} lines of proof are more than {PROOF_LINES_MAX}")
    return Request(int(old[1]), tuple(map(_hash, rest)), signed)


def check(
    request: Request,
    keys: Sequence[note.VerifierKey],
    last: Callable[[str], Checkpoint | None],
) -> Checkpoint:
    """Return the checkpoint of a request that is to be cosigned.

    The caller keeps the checkpoint on disk before the cosignature leaves, and lets
    no other request of the same log in between.

    Parameters
    ----------
    keys : sequence of VerifierKey
        Of the logs that are witnessed; a log whose key was replaced has several.
    last : callable
        Gives the last checkpoint cosigned of an origin, ``None`` for none.

    Raises
    ------
    RefusedError
        400 for what is no checkpoint, 404 for an unknown log, 403 for a signature
        that is missing or false, and what :func:`follow` raises.
    """
    try:
        text, lines = note.parse(request.signed)
        head = checkpoint.parse(text)
    except VerificationError as error:
        raise _bad(str(error)) from error
    trusted = [key for key in keys if key.name == head.origin]
    if not trusted:
        raise RefusedError(HTTPStatus.NOT_FOUND, f"the log {head.origin} is not witnessed here")
    own = [(key, line) for key in trusted for line in lines if line.is_of(key)]
    if not own or not all(key.verifies(line.signature, text.encode()) for key, line in own):
        raise RefusedError(HTTPStatus.FORBIDDEN, f"no known key of {head.origin} signed this")
    follow(last(head.origin), request.old_size, request.proof, head)
    return head


def follow(
    last: Checkpoint | None, old_size: int, proof: Sequence[bytes], head: Checkpoint
) -> None:
    """Check that `head` may come after the `last` checkpoint of its log.

    Raises
    ------
    RefusedError
        400 when the tree would be smaller than `old_size`, 409 when that is not the size of
        the last one, 422 when the proof does not lead from the last one to `head`.
    """
    if old_size > head.size:
        raise _bad(f"a tree of {head.size} entries does not contain one of {old_size}")
    known = Checkpoint(head.origin, 0, merkle.EMPTY_ROOT) if last is None else last
    if old_size != known.size:
        reason = f"the last checkpoint of {head.origin} has {known.size} entries, not {old_size}"
        raise RefusedError(HTTPStatus.CONFLICT, reason, known.size)
    try:
        if head.size == 0 and head.root != merkle.EMPTY_ROOT:
            raise VerificationError("the root of an empty tree is the hash of nothing")
        merkle.verify_consistency(known.size, head.size, known.root, head.root, proof)
    except VerificationError as error:
        raise RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error


def _hash(line: str) -> bytes:
    try:
        raw = base64.b64decode(line.encode("ascii"), validate=True)
    except ValueError as error:
        raise _bad("a line of the proof is no base64") from error
    if len(raw) != merkle.HASH_BYTES or len(line) != _HASH_TEXT:
        raise _bad("a line of the proof is not the base64 of 32 bytes")
    if base64.b64encode(raw).decode() != line:
        raise _bad("base64 in the proof that is not canonical")
    return raw


def _bad(reason: str) -> RefusedError:
    return RefusedError(HTTPStatus.BAD_REQUEST, reason)
