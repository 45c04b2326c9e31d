"""A log's side of tlog-witness: a checkpoint posted to witnesses, their cosignatures verified."""

from __future__ import annotations

import http.client
import queue
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from grid.errors import GridError, PeerError, VerificationError
from grid.operation.signer import BehindError, Proof
from grid.operation.witness import origin_hash
from trading.ledger import checkpoint, note
from trading.ledger.checkpoint import Checkpoint
from trading.ledger.note import VerifierKey
from trading.ledger.policy import Witness
from trading.ledger.witness import Request

DEADLINE_S = 5.0
"""Longest that a cycle waits for its witnesses."""

_ANSWER_BYTES_MAX = 16_384


class UnwitnessedError(PeerError):
    """A witness did not cosign."""


@dataclass(frozen=True, slots=True)
class Posted:
    """A checkpoint on its way to the witnesses."""

    head: Checkpoint
    signed: str
    proof: Proof


def ask(
    posted: Posted, witnesses: Collection[Witness], deadline_s: float = DEADLINE_S
) -> tuple[list[str], dict[str, GridError]]:
    """Return the cosignature lines that came in time, and why others did not, by name."""
    answers: queue.Queue[tuple[str, str | GridError]] = queue.Queue()
    until = time.monotonic() + deadline_s

    def post(one: Witness) -> None:
        try:
            answers.put((one.name, _cosign(posted, one, until)))
        except GridError as error:
            answers.put((one.name, error))

    for one in witnesses:
        threading.Thread(target=post, args=(one,), daemon=True).start()
    lines: dict[str, str] = {}
    failed: dict[str, GridError] = {}
    while len(lines) + len(failed) < len(witnesses):
        try:
            name, answer = answers.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            break
        if isinstance(answer, str):
            lines[name] = answer
        else:
            failed[name] = answer
    for one in witnesses:
        if one.name not in lines and one.name not in failed:
            failed[one.name] = UnwitnessedError(f"no answer within {deadline_s:g} s")
    return [lines[name] for name in sorted(lines)], failed


def seen(
    witness: Witness, keys: Collection[VerifierKey], deadline_s: float = DEADLINE_S
) -> Checkpoint | None:
    """Return the newest checkpoint of a log that a witness has cosigned, ``None`` for none.

    Parameters
    ----------
    keys : collection of VerifierKey
        Of the log, one of which must have signed it.

    Raises
    ------
    UnwitnessedError
        When the witness does not say, or what it says does not hold.
    """
    origin = next(iter(keys)).name
    path = f"{origin_hash(origin)}/checkpoint"
    status, text = _request("GET", witness.url, path, None, time.monotonic() + deadline_s)
    if status == HTTPStatus.NOT_FOUND:
        return None
    if status != HTTPStatus.OK:
        raise UnwitnessedError(f"status {status}: {ascii(text[:200])[1:-1]}")
    for key in keys:
        with suppress(VerificationError):
            head = checkpoint.verify(text, key)
            if checkpoint.cosigners(text, [witness.key]):
                return head
    raise UnwitnessedError(
        f"its checkpoint of {origin} is not signed by a key that the store knows, or not cosigned"
    )


def _cosign(posted: Posted, witness: Witness, until: float) -> str:
    """Return a witness's line; what it has seen of the log it says itself when asked wrongly."""
    head, old = posted.head, posted.head.size
    for _ in range(3):
        proof = posted.proof(old)
        body = Request(old, proof, posted.signed).encode()
        status, text = _request("POST", witness.url, "add-checkpoint", body, until)
        if status == HTTPStatus.CONFLICT:
            old = _size(text)
            if old > head.size:
                raise BehindError(
                    f"witness {witness.name} has cosigned {old} entries of {head.origin}, "
                    f"the store holds {head.size}"
                )
            continue
        if status == HTTPStatus.UNPROCESSABLE_ENTITY:
            raise BehindError(
                f"witness {witness.name} has cosigned {old} other entries of {head.origin} "
                "than the store holds"
            )
        if status != HTTPStatus.OK:
            raise UnwitnessedError(f"status {status}: {ascii(text[:200])[1:-1]}")
        return _line(posted, witness, text)
    raise UnwitnessedError("it changes its mind about the size it has seen")


def _line(posted: Posted, witness: Witness, text: str) -> str:
    try:
        _, lines = note.parse(f"{posted.signed}{text}")
        own = [line.encode() for line in lines if line.is_of(witness.key)]
        if not own or not checkpoint.cosigners(posted.signed + own[0], [witness.key]):
            raise VerificationError("no cosignature of its key")
    except VerificationError as error:
        raise UnwitnessedError(f"its answer does not hold: {error}") from error
    return own[0]


def _size(text: str) -> int:
    digits = text.removesuffix("\n")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 16:
        raise UnwitnessedError(f"{text[:24]!r} is no size of a log")
    return int(digits)


def _request(method: str, url: str, path: str, body: bytes | None, until: float) -> tuple[int, str]:
    parts = urlsplit(url)
    left_s = until - time.monotonic()
    if left_s <= 0:
        raise UnwitnessedError("no time is left")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=left_s)
    try:
        kinds = {} if body is None else {"Content-Type": "application/octet-stream"}
        connection.request(method, f"{parts.path.rstrip('/')}/{path}", body, kinds)
        answer = connection.getresponse()
        data = answer.read(_ANSWER_BYTES_MAX)
        return answer.status, data.decode("utf-8", "replace")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnwitnessedError(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()
