"""A witness: remembers the newest checkpoint of each log and cosigns only what contains it."""

from __future__ import annotations

import fcntl
import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

from grid.errors import BadInputError, StoreError, VerificationError
from grid.operation.log_key import keep
from trading.ledger import checkpoint, note
from trading.ledger.checkpoint import Checkpoint
from trading.ledger.witness import RefusedError, check, parse_request

LOCK = "lock"
logger = logging.getLogger("khazri.witness")


def origin_hash(origin: str) -> str:
    """Return the name of a log in the paths of a witness."""
    return sha256(origin.encode()).hexdigest()


def key_of(path: Path, name: str) -> note.Signer:
    """Return the witness's key of a file, which is made with a new key when absent.

    Raises
    ------
    BadInputError
        When the file is not a cosignature key.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        note.check_name(name)
        keep(path, note.encode_secret(name, secrets.token_bytes(32), note.COSIGNATURE) + "\n")
    key = note.parse_secret(path.read_text().strip())
    if key.key.kind != note.COSIGNATURE:
        raise BadInputError(f"{path} holds the key of a log, not of a witness")
    return key


class Witness:
    """What a witness keeps: of each log a file with the newest checkpoint it cosigned.

    Parameters
    ----------
    signer : Signer
    logs : sequence of VerifierKey
        That are witnessed; a log whose key was replaced has several.
    folder : Path
        Where the newest checkpoints are; one process at a time has it.
    clock : callable
        The time of a cosignature, seconds UTC.

    Raises
    ------
    StoreError
        When another process has the folder, or a file in it is not of this witness.
    """

    def __init__(
        self,
        signer: note.Signer,
        logs: Sequence[note.VerifierKey],
        folder: Path,
        clock: Callable[[], float],
    ) -> None:
        self.signer = signer
        self._logs = tuple(logs)
        self._folder = folder
        self._clock = clock
        self._broken = False
        self._turn = threading.Lock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = (folder / LOCK).open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(f"{folder}: another witness keeps its state there") from error
        self._newest = {key.name: self._stored(key.name) for key in self._logs}

    def close(self) -> None:
        """Let another process have the folder."""
        self._lock.close()

    def add_checkpoint(self, body: bytes) -> str:
        """Return the cosignature line for a request, once the checkpoint is on disk.

        Raises
        ------
        RefusedError
            With the status of the protocol.
        """
        request = parse_request(body)
        # From reading the last checkpoint to having the next one on disk is one step.
        with self._turn:
            if self._broken:
                raise RefusedError(
                    HTTPStatus.SERVICE_UNAVAILABLE, "the witness cannot write its state"
                )
            head = check(request, self._logs, self._last)
            text, lines = note.parse(request.signed)
            trusted = [key for key in self._logs if key.name == head.origin]
            own = "".join(line.encode() for line in lines if any(map(line.is_of, trusted)))
            signed = checkpoint.cosign(f"{text}\n{own}", self.signer, int(self._clock()))
            self._keep(head.origin, signed)
        logger.info("log=%s size=%d cosigned", head.origin, head.size)
        return signed.splitlines(keepends=True)[-1]

    def newest(self, name: str) -> str | None:
        """Return the newest cosigned checkpoint by the hash of a log's origin."""
        known = {origin_hash(origin): signed for origin, signed in self._newest.items()}
        return known.get(name)

    def _last(self, origin: str) -> Checkpoint | None:
        signed = self._newest[origin]
        return None if signed is None else checkpoint.parse(note.parse(signed)[0])

    def _keep(self, origin: str, signed: str) -> None:
        try:
            keep(self._folder / origin_hash(origin), signed)
        except OSError as error:
            # What the disk holds now is unknown: nothing more is cosigned until a person looked.
            self._broken = True
            logger.error("log=%s the state was not written: %s", origin, error.strerror)
            raise RefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE, "the witness cannot write its state"
            ) from error
        self._newest[origin] = signed

    def _stored(self, origin: str) -> str | None:
        path = self._folder / origin_hash(origin)
        with suppress(FileNotFoundError):
            signed = path.read_text()
            try:
                if not checkpoint.cosigners(signed, [self.signer.key]):
                    raise VerificationError("this witness did not cosign it")
                if checkpoint.parse(note.parse(signed)[0]).origin != origin:
                    raise VerificationError("it is of another log")
            except VerificationError as error:
                raise StoreError(f"{path}: {error}") from error
            return signed
        return None
