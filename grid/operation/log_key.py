"""The ledger's key in a process of its own, which remembers what it signed.

It signs a checkpoint only of a tree that contains the last one it signed, and has that on
disk before the signature leaves: whoever asks cannot get two histories signed. Where entries are
lost for good it signs once which log follows, with what it last signed in it. It ends with
the pipe to the control room. Its folder holds

=============  ==========================================================
``key``        the key in force, readable by its owner only
``key.next``   the key that replaces it, once a checkpoint is signed by it: of the same log or
               of the one that follows
``signed``     the newest checkpoint signed
``lock``       held by the process that signs
=============  ==========================================================
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from grid.errors import BadInputError, GridError, StoreError, VerificationError
from trading.ledger import checkpoint, note, rotation, witness
from trading.ledger.checkpoint import Checkpoint
from trading.ledger.succession import Loss

KEY, NEXT, SIGNED, LOCK = "key", "key.next", "signed", "lock"
_LOCK_S = 10.0


def keep(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole and on disk, or not at all."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(text.encode())
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Flush a folder: the names in it are on disk then."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def begin(folder: Path, name: str, seed: bytes, signed: str | None) -> None:
    """Make the folder of a log's key, or make it anew.

    Parameters
    ----------
    name : str
        Origin of the log.
    seed : bytes
        The key, 32 bytes.
    signed : str or None
        Newest checkpoint that was signed by it.

    Raises
    ------
    BadInputError
        When the folder has another key that signed more than a genesis.
    """
    secret = note.encode_secret(name, seed)
    with suppress(FileNotFoundError):
        if (folder / KEY).read_text() != secret:
            head = _parsed((folder / SIGNED).read_text())
            if head.size > 1:
                raise BadInputError(
                    f"{folder} holds a key that signed {head.size} entries of {head.origin}: "
                    "take a new folder, or bring that ledger's store back"
                )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / NEXT).unlink(missing_ok=True)
    (folder / SIGNED).unlink(missing_ok=True)
    if signed is not None:
        keep(folder / SIGNED, signed)
    keep(folder / KEY, secret)


def _parsed(signed: str) -> Checkpoint:
    return checkpoint.parse(note.parse(signed)[0])


class LogKey:
    """The key and what it signed last; alone with its folder.

    Raises
    ------
    StoreError
        When another process holds the folder, or what it holds is not of its key.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self._lock = (folder / LOCK).open("a")
            _take(self._lock, folder)
            self.signer = note.parse_secret((folder / KEY).read_text().strip())
            self.next = self._read_next()
            self.signed = self._read_signed()
        except OSError as error:
            raise StoreError(f"{folder}: {error.filename}: {error.strerror}") from error
        self.last = None if self.signed is None else _parsed(self.signed)

    def close(self) -> None:
        """Let another process have the folder."""
        self._lock.close()

    def _read_next(self) -> note.Signer | None:
        path = self.folder / NEXT
        return note.parse_secret(path.read_text()) if path.exists() else None

    def _read_signed(self) -> str | None:
        path = self.folder / SIGNED
        if not path.exists():
            return None
        signed = path.read_text()
        for one in (self.signer, self.next):
            with suppress(VerificationError):
                if one is not None:
                    checkpoint.verify(signed, one.key)
                    if one is self.next:
                        # It was killed before the new key took the old one's place.
                        self._promote()
                    return signed
        raise StoreError(f"{path} is not signed by the key beside it")

    def sign(self, old_size: int, proof: list[bytes], head: Checkpoint, vkey: str) -> str:
        """Return the signed checkpoint.

        Raises
        ------
        RefusedError
            When the tree does not contain the last one that was signed.
        BadInputError
            When `vkey` is neither the key in force nor the next one.
        """
        known = {one.key.encode(): one for one in (self.signer, self.next) if one is not None}
        if vkey not in known:
            raise BadInputError(f"{self.folder} does not hold {vkey}, but {', '.join(known)}")
        one = known[vkey]
        # A log that follows another one begins with nothing.
        is_new = self.last is not None and self.last.origin != one.key.name
        witness.follow(None if is_new else self.last, old_size, proof, head)
        signed = checkpoint.sign(head, one)
        if signed != self.signed:
            keep(self.folder / SIGNED, signed)
        self.signed, self.last = signed, head
        if one is self.next:
            self._promote()
        return signed

    def replace(self, sequence: int, previous: bytes) -> tuple[str, bytes]:
        """Draw the next key; return its vkey and the old key's signature over it.

        Parameters
        ----------
        sequence, previous : int, bytes
            Where the entry that brings the new key will stand.
        """
        self.next = self._draw(self.signer.key.name)
        vkey = self.next.key.encode()
        text = rotation.statement(self.signer.key.name, sequence, previous, vkey)
        return vkey, self.signer.sign_bytes(text)

    def succeed(self, name: str, loss: Loss) -> tuple[str, bytes]:
        """Draw the first key of the log that follows; return its vkey and the old key's signature.

        Parameters
        ----------
        name : str
            Origin of that log.
        loss : Loss
            What is left of the log of this key, and what was seen of it.

        Raises
        ------
        BadInputError
            When less was seen than this key signed, or something else.
        """
        own, last, seen = self.signer.key.name, self.last, loss.seen
        if name == own or {own} != {loss.left.origin, seen.origin}:
            raise BadInputError(f"{self.folder} holds the key of {own}: {name} cannot follow it")
        if last is not None and last.size > seen.size:
            raise BadInputError(
                f"{last.size} entries of {own} were signed: that {seen.size} were seen is not all"
            )
        if any(last.size == one.size and last != one for one in (loss.left, seen) if last):
            raise BadInputError(f"other {seen.size} entries of {own} were signed")
        self.next = self._draw(name)
        vkey = self.next.key.encode()
        return vkey, self.signer.sign_bytes(loss.statement(vkey))

    def _draw(self, name: str) -> note.Signer:
        """Return the next key of a log, which is drawn when there is none."""
        if self.next is not None and self.next.key.name == name:
            return self.next
        seed = secrets.token_bytes(32)
        keep(self.folder / NEXT, note.encode_secret(name, seed))
        return note.signer(name, seed)

    def _promote(self) -> None:
        """Let the next key take the place of the key, which is gone then."""
        assert self.next is not None
        (self.folder / NEXT).replace(self.folder / KEY)
        sync(self.folder)
        self.signer, self.next = self.next, None


def _take(lock: Any, folder: Path) -> None:
    # The process before this one ends when its pipe does, which may take it a moment.
    until = time.monotonic() + _LOCK_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if time.monotonic() > until:
                raise StoreError(f"{folder}: another process signs with this key") from error
            time.sleep(0.02)


def _answer(key: LogKey, command: dict[str, Any]) -> dict[str, Any]:
    if command["do"] == "replace":
        vkey, signature = key.replace(command["sequence"], bytes.fromhex(command["previous"]))
        return {"key": vkey, "signature": signature.hex()}
    if command["do"] == "succeed":
        left, seen = (checkpoint.parse(command[name]) for name in ("left", "seen"))
        loss = Loss(left, seen, command["at_s"], command["from_s"])
        vkey, signature = key.succeed(command["name"], loss)
        return {"key": vkey, "signature": signature.hex()}
    if command["do"] == "sign":
        head = checkpoint.parse(command["text"])
        proof = [bytes.fromhex(item) for item in command["proof"]]
        key.sign(command["old"], proof, head, command["key"])
    return {"signed": key.signed}


def serve(folder: Path, commands: BinaryIO, answers: BinaryIO) -> None:
    """Answer commands, one JSON object a line, until there are no more.

    When a write fails, what the disk holds is unknown: the process ends, and the next one
    begins with what it finds there.
    """
    key = LogKey(folder)
    for line in commands:
        try:
            answer = _answer(key, json.loads(line))
        except witness.RefusedError as error:
            answer = {"refused": str(error), "behind": True, "size": error.size}
        except GridError as error:
            answer = {"refused": str(error), "behind": False, "size": None}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def main() -> None:
    """Serve the folder named on the command line over the standard streams."""
    # Ctrl-C is for the control room, which may still want its last checkpoint signed.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        serve(Path(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer)
    except GridError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
