"""The control room's side of the process that holds the ledger's key."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grid.errors import StoreError
from grid.operation import log_key
from grid.store import Store, control, log
from trading.ledger import checkpoint, note
from trading.ledger.checkpoint import Checkpoint
from trading.ledger.succession import Loss

FOLDER = "signer"
LOG_SEED = "ledger.ed25519"
"""Name of the key among the store's secrets, where it was before it had a process of its own."""

_ANSWER_S = 30.0
_GRACE_S = 2.0

Proof = Callable[[int], tuple[bytes, ...]]
"""Gives the consistency proof from a size to the checkpoint at hand."""


class BehindError(StoreError):
    """The ledger is behind, or other than, what was signed or witnessed already."""


class Signer:
    """Signs checkpoints in a child process; started when first needed, and again when it died.

    Parameters
    ----------
    directory : Path
        The site's folder.
    """

    def __init__(self, directory: Path) -> None:
        self._folder = directory / FOLDER
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The child's process id while there is one."""
        return None if self._process is None else self._process.pid

    def last(self) -> Checkpoint | None:
        """Return the last checkpoint that was signed, ``None`` before the first.

        Raises
        ------
        StoreError
            When the process does not start or answer.
        """
        return self._last(self._ask(do="state"))

    def sign(self, head: Checkpoint, key: note.VerifierKey, proof: Proof) -> str:
        """Return the checkpoint signed by `key`.

        Raises
        ------
        BehindError
            When the tree does not contain the last one that was signed.
        StoreError
            When the process does not start or answer, or refuses.
        """
        for _ in range(2):
            last = self.last()
            old = 0 if last is None or last.origin != head.origin else last.size
            if old > head.size:
                raise BehindError(
                    f"{head.origin} has {head.size} entries, but {old} were signed already"
                )
            hashes = [item.hex() for item in proof(old)]
            text = head.encode()
            answer = self._ask(do="sign", old=old, proof=hashes, text=text, key=key.encode())
            # One that died after it had signed knows more than it could say.
            if answer.get("size") is None:
                break
        if "refused" in answer:
            why = f"the signer refuses {head.origin} of {head.size} entries: {answer['refused']}"
            raise (BehindError if answer["behind"] else StoreError)(why)
        signed = str(answer["signed"])
        checkpoint.verify(signed, key)
        return signed

    def replace(self, sequence: int, previous: bytes) -> tuple[note.VerifierKey, bytes]:
        """Return the key that will replace the one in force, and that one's signature over it.

        Parameters
        ----------
        sequence, previous : int, bytes
            Where the entry that brings it will stand, and its predecessor's hash.
        """
        answer = self._ask(do="replace", sequence=sequence, previous=previous.hex())
        return note.parse_key(answer["key"]), bytes.fromhex(answer["signature"])

    def succeed(self, name: str, loss: Loss) -> tuple[note.VerifierKey, bytes]:
        """Return the first key of the log `name` that follows, and the old key's signature.

        Raises
        ------
        StoreError
            When the signer has signed more of the log than was seen, or holds another log's key.
        """
        answer = self._ask(
            do="succeed",
            name=name,
            left=loss.left.encode(),
            seen=loss.seen.encode(),
            at_s=loss.at_s,
            from_s=loss.from_s,
        )
        if "refused" in answer:
            raise StoreError(f"the signer refuses to let {name} follow: {answer['refused']}")
        return note.parse_key(answer["key"]), bytes.fromhex(answer["signature"])

    def close(self) -> None:
        """End the child: it goes when its pipe does, and is killed otherwise."""
        self._end()

    def _last(self, answer: dict[str, Any]) -> Checkpoint | None:
        signed = answer["signed"]
        return None if signed is None else checkpoint.parse(note.parse(signed)[0])

    def _ask(self, **command: Any) -> dict[str, Any]:
        """Return the answer to a command, which may be asked again when the child died of it."""
        for attempt in (1, 2):
            process = self._open()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(json.dumps(command).encode() + b"\n")
                process.stdin.flush()
                ready, _, _ = select.select([process.stdout], [], [], _ANSWER_S)
                line = process.stdout.readline() if ready else b""
            except OSError:
                line = b""
            if line.endswith(b"\n"):
                answer: dict[str, Any] = json.loads(line)
                return answer
            why = self._end()
            if attempt == 2:
                raise StoreError(f"the signer of {self._folder} does not answer: {why}")
        raise AssertionError

    def _end(self) -> str:
        """End the child; return the last it said."""
        process, self._process = self._process, None
        if process is None:
            return ""
        try:
            _, told = process.communicate(timeout=_GRACE_S)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            process.kill()
            _, told = process.communicate()
        lines = told.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended with status {process.returncode}"

    def _open(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = subprocess.Popen(
                [sys.executable, "-m", log_key.__name__, str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        return self._process


def adopt(directory: Path, store: Store) -> None:
    """Move the ledger's key of an earlier version out of the store, which keeps no trace of it.

    Copies of the store made before still have it: the key is best replaced
    (``khazri ledger rotate-key``).

    Raises
    ------
    StoreError
        When there is no key at all.
    """
    folder = directory / FOLDER
    with store.read() as tx:
        stored = control.secrets(tx, LOG_SEED).get("")
        vkey = control.get_meta(tx, "ledger_vkey") or ""
        newest = log.checkpoints(tx, limit=1)
    # What a folder remembers of its key outlives an old copy of the store.
    if not (folder / log_key.KEY).exists():
        if stored is None:
            raise StoreError(f"{folder} has no key to sign the ledger with: bring it back")
        signed = str(newest[0]["note"]) if newest else None
        log_key.begin(folder, note.parse_key(vkey).name, stored, signed)
    if stored is not None:
        store.erase_secret(LOG_SEED)
