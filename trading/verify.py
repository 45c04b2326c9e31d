"""Verify an exported ledger: ``python -m trading.verify DIR --key VKEY``.

One file that needs nothing but Python and the package ``cryptography`` and
shares no code with the programs that write a ledger: copy it anywhere and run
``python verify.py``. What it trusts is given to it, never read from DIR:

--key VKEY      the log's key, as C2SP signed-note writes it
--since FILE    a checkpoint seen earlier: DIR must contain that very log
--policy FILE   witnesses and quorum, as C2SP tlog-policy writes them::

                    witness grid grid.example+1a2b3c4d+BAAA...
                    witness auditor auditor.example+5e6f7a8b+BAAA...
                    group two-of-two 2 grid auditor
                    quorum two-of-two

It checks the checkpoint's signature (where the log replaced its key, by the key that
the one given vouches for), every tile on every level, every entry
(canonical form, sequence, predecessor's hash, place in the tree), the root,
older checkpoints, and openings where there are any. Each opening must be of a
commitment in its entry, and no label may be committed to twice. A posting must
be its energy times its price and take back only what was posted. Where an
interval is opened in full, what was bought, sold and traded must be one energy,
at the price its clearing published (where there are contracts, at prices of its
trades), and the readings must agree with the head meter.

--previous DIR  an export of the log in whose place DIR is, because entries of it are lost, and
--previous-key  the first key of that log: it must vouch for DIR's, and what is left of it must be
                what DIR says
--receipt FILE  a signed receipt of an order, its amendment or its cancellation: the sealed book
                of its interval must have it, or the operator is convicted of having dropped or
                changed it
--openings      openings must be there, and of every commitment (an auditor's)
--partial       openings must be there, of some commitments (a prosumer's own)

Exit status: 0 verified; 1 not verified, naming the first bad entry or the file
and offset; 2 wrong usage. Without witnesses a log can still show different
people different histories: that is said as "unwitnessed".
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import stat
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

TILE_WIDTH = 256
ENTRY_BYTES_MAX = 65_535
OPENING_BYTES_MAX = 1_048_576
NOTE_BYTES_MAX = 65_536
POLICY_BYTES_MAX = 1_048_576
INTEGER_MAX = 2**53 - 1
DEPTH_MAX = 16
KINDS = frozenset(
    {
        "genesis",
        "readings",
        "book",
        "clearing",
        "plan",
        "setpoints",
        "settlement",
        "correction",
        "invoice",
        "network",
        "action",
        "checkpoint",
        "key",
    }
)

_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_HEX = re.compile(r"[0-9a-f]*", re.ASCII)
_LABEL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}Z", re.ASCII)
_PRICE = re.compile(r"(-?[0-9]{1,18})\.([0-9]{4,6})", re.ASCII)
_TRADE = re.compile(r"([0-9]{1,9})-[a-z]{1,9}", re.ASCII)
_AMOUNT = re.compile(r"0|-?[1-9][0-9]{0,39}", re.ASCII)
_COMMITTED = b'{"body":{"commitments":['
_MEMBERS = ["body", "interval", "kind", "previous", "schema", "sequence"]
_TAIL = re.compile(rb'"interval":"([^"]{0,24})","kind":"([^"]{1,24})","previous":')


class UsageError(Exception):
    """What the verifier was given is wrong: exit status 2."""


class NotVerified(Exception):  # noqa: N818 - a verdict, not an error of the program
    """Something in the export does not hold: exit status 1."""

    def __init__(
        self,
        reason: str,
        *,
        file: str = "",
        offset: int | None = None,
        entry: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(reason)
        self.report: dict[str, Any] = {
            "verified": False,
            "reason": reason,
            "file": file,
            "offset": offset,
            "entry": entry,
        }

    def sentence(self) -> str:
        """Return the verdict for people."""
        report = self.report
        parts = []
        if report["entry"]:
            about = report["entry"]
            parts.append(f"entry {about['sequence']} {about['kind']} {about['interval'] or '-'}")
        if report["file"]:
            place = "" if report["offset"] is None else f" offset {report['offset']}"
            parts.append(f"file {report['file']}{place}")
        return f"NOT VERIFIED: {', '.join(parts)}: {report['reason']}"


# --- files ------------------------------------------------------------------


def read(folder: Path, name: str, limit: int, exact: int | None = None) -> bytes:
    """Return the bytes of a regular file, at most `limit`, of the `exact` length."""
    with open_regular(folder, name) as stream:
        data = stream.read(limit + 1)
    if exact is not None and len(data) != exact:
        raise NotVerified(
            f"has {'more than' if len(data) > exact else f'{len(data)} of'} {exact} bytes",
            file=name,
            offset=min(len(data), exact),
        )
    if len(data) > limit:
        raise NotVerified(f"is longer than {limit} bytes", file=name, offset=limit)
    return data


def open_regular(folder: Path, name: str) -> BinaryIO:
    """Open a file without following a link or waiting for a pipe."""
    try:
        handle = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise NotVerified(f"cannot be read: {error.strerror}", file=name, offset=0) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise NotVerified("is not a regular file", file=name, offset=0)
    return os.fdopen(handle, "rb")


def tile_name(level: int | str, number: int, width: int) -> str:
    """Return the path of a tile or entry bundle in C2SP tlog-tiles."""
    text = f"{number:03d}"
    text = text.zfill(-(-len(text) // 3) * 3)
    groups = [text[start : start + 3] for start in range(0, len(text), 3)]
    path = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
    return f"tile/{level}/{path}" + (f".p/{width}" if width < TILE_WIDTH else "")


def tiles(level: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield (number, width) of each tile of a level in a tree of `size` leaves."""
    hashes = size >> (8 * level)
    for number in range(hashes // TILE_WIDTH):
        yield number, TILE_WIDTH
    if hashes % TILE_WIDTH:
        yield hashes // TILE_WIDTH, hashes % TILE_WIDTH


def is_expected(name: str, size: int) -> bool:
    """Whether a log of `size` entries has a file of this name."""
    if name in ("checkpoint", "openings.jsonl"):
        return True
    parts = name.split("/")
    if parts[0] == "checkpoints" and len(parts) == 2:
        return bool(_NUMBER.fullmatch(parts[1])) and int(parts[1]) < size
    if parts[0] != "tile" or len(parts) < 3:
        return False
    level = 0 if parts[1] == "entries" else int(parts[1]) if parts[1] in _LEVELS else -1
    digits = "".join(part.removesuffix(".p").removeprefix("x") for part in parts[2:])
    if level < 0:
        return False
    width = TILE_WIDTH
    if parts[-2].endswith(".p"):
        digits = "".join(part.removesuffix(".p").removeprefix("x") for part in parts[2:-1])
        width = int(parts[-1]) if _NUMBER.fullmatch(parts[-1]) else 0
        if not 1 <= width < TILE_WIDTH:
            return False
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        return False
    full, rest = divmod(size >> (8 * level), TILE_WIDTH)
    number = int(digits)
    known = number < full if width == TILE_WIDTH else (number, width) == (full, rest)
    return known and name == tile_name(parts[1], number, width)


_LEVELS = frozenset(map(str, range(8)))


def walk(folder: Path, prefix: str = "", depth: int = 0) -> Iterator[str]:
    """Yield every name below `folder` that is not a folder, sorted."""
    try:
        with os.scandir(folder / prefix) as scan:
            found = sorted((item.name, item.is_dir(follow_symlinks=False)) for item in scan)
    except OSError as error:
        raise NotVerified(f"cannot be listed: {error.strerror}", file=ascii(prefix)) from error
    if not found and prefix:
        raise NotVerified("an empty folder that no log has", file=plain(prefix))
    for name, is_folder in found:
        path = f"{prefix}/{name}" if prefix else name
        if is_folder and depth < 12:
            yield from walk(folder, path, depth + 1)
        else:
            yield path


def plain(text: str) -> str:
    """Return `text` with everything but printable ASCII escaped."""
    return text if text.isascii() and text.isprintable() else ascii(text)


# --- signatures -------------------------------------------------------------


@dataclass(frozen=True)
class Key:
    """A verifier key: type 1 signs notes, type 4 cosigns checkpoints."""

    name: str
    kind: int
    public: bytes
    identity: bytes

    def text(self) -> str:
        """Return the key as ``name+id+base64``."""
        raw = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.identity.hex()}+{raw}"

    def holds(self, signature: bytes, message: bytes) -> bool:
        """Whether an Ed25519 signature is of this key."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def parse_key(text: str, kind: int) -> Key:
    """Return the key of type `kind` written as ``name+id+base64``."""
    parts = text.split("+", 2)
    raw = unbase64(parts[2]) if len(parts) == 3 else None
    if raw is None or len(raw) != 33 or raw[0] != kind or not is_name(parts[0]):
        raise UsageError(f"{plain(text)} is not a verifier key of type {kind}: name+id+base64")
    identity = sha256(f"{parts[0]}\n".encode() + raw).digest()[:4]
    if identity.hex() != parts[1]:
        raise UsageError(f"{plain(text)}: the ID of this key is {identity.hex()}")
    return Key(parts[0], raw[0], raw[1:], identity)


def is_name(text: str) -> bool:
    """Whether `text` can name a key."""
    return bool(text) and "+" not in text and text.isprintable() and not re.search(r"\s", text)


def unbase64(text: str) -> bytes | None:
    """Return the bytes of canonical base64, else None."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        return None
    return raw if base64.b64encode(raw).decode() == text else None


@dataclass(frozen=True)
class Head:
    """A checkpoint; the signature of the key given holds, where there is one."""

    file: str
    text: str
    size: int
    root: bytes
    lines: tuple[tuple[str, bytes], ...]
    """Name and signature bytes (with key ID) of every signature line."""

    def signatures(self, key: Key) -> list[bytes]:
        """Return the signatures under the name and ID of a key."""
        return [raw[4:] for name, raw in self.lines if (name, raw[:4]) == (key.name, key.identity)]

    def require(self, key: Key, said: str = "given") -> None:
        """Raise NotVerified unless `key` signed this."""
        signatures, text = self.signatures(key), self.text.encode()
        if not signatures:
            reason = f"is not signed by the key {said}"
            raise NotVerified(reason, file=self.file, offset=len(text) + 1)
        if not all(key.holds(signature, text) for signature in signatures):
            reason = "the log's signature does not hold for this text"
            raise NotVerified(reason, file=self.file, offset=0)


def parse_head(data: bytes, file: str, key: Key) -> Head:
    """Return a checkpoint after checking its form, and its signature where it is of `key`.

    Who else may have signed it is known when all entries were seen.
    """
    try:
        note = data.decode()
    except UnicodeDecodeError as error:
        raise NotVerified("is not UTF-8", file=file, offset=error.start) from error
    for offset, byte in enumerate(data):
        if byte < 0x20 and byte != 0x0A:
            raise NotVerified("has a control character", file=file, offset=offset)
    text, separator, rest = note.rpartition("\n\n")
    text += "\n"
    at = len(text.encode())
    if not separator or not rest.endswith("\n"):
        raise NotVerified("is not a signed note", file=file, offset=0)
    size, root = parse_head_text(text, file, key)
    lines = []
    position = at + 1
    for line in rest[:-1].split("\n"):
        words = line.split(" ")
        raw = unbase64(words[2]) if len(words) == 3 else None
        if words[0] != "—" or raw is None or len(raw) < 5 or not is_name(words[1]):
            raise NotVerified("has a malformed signature line", file=file, offset=position)
        lines.append((words[1], raw))
        position += len(line.encode()) + 1
    head = Head(file, text, size, root, tuple(lines))
    if head.signatures(key):
        head.require(key)
    return head


def parse_head_text(text: str, file: str, key: Key) -> tuple[int, bytes]:
    """Return size and root of a checkpoint's text."""
    lines = text.split("\n")
    if lines[0] != key.name:
        raise NotVerified("is the checkpoint of another log than the key's", file=file, offset=0)
    if len(lines) != 4:
        raise NotVerified("has other lines than origin, size, root", file=file, offset=0)
    at = len(lines[0].encode()) + 1
    if not _NUMBER.fullmatch(lines[1]):
        raise NotVerified("the size is no number", file=file, offset=at)
    root = unbase64(lines[2])
    if root is None or len(root) != 32:
        raise NotVerified("the root is no hash", file=file, offset=at + len(lines[1]) + 1)
    return int(lines[1]), root


@dataclass
class Policy:
    """Witnesses, groups of them and the quorum."""

    witnesses: dict[str, Key] = field(default_factory=dict)
    groups: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    quorum: str = ""
    logs: list[Key] = field(default_factory=list)

    def met(self, signed: set[str]) -> bool:
        """Whether the witnesses that signed make up the quorum."""
        reached = {"none", *signed}
        # a group names only what stands above it, so one pass in order is enough
        for name, (threshold, members) in self.groups.items():
            if sum(member in reached for member in members) >= threshold:
                reached.add(name)
        return self.quorum in reached


def parse_policy(text: str) -> Policy:
    """Return the policy of a C2SP tlog-policy file."""
    if any(c == "\x7f" or (c < " " and c not in "\t\n") for c in text):
        raise UsageError("the policy has control characters")
    policy = Policy()
    used: set[str] = set()
    for number, line in enumerate(text.split("\n"), 1):
        words = [word for word in re.split(r"[ \t]+", line) if word]
        if words and not words[0].startswith("#"):
            try:
                _policy_line(policy, words, used)
            except UsageError as error:
                raise UsageError(f"policy line {number}: {error}") from error
    if not policy.quorum:
        raise UsageError("the policy has no quorum line")
    return policy


def _policy_line(policy: Policy, words: list[str], used: set[str]) -> None:
    known = {"none", *policy.witnesses, *policy.groups}
    match words:
        case ["log", key, *rest] if len(rest) <= 1:
            log = parse_key(key, 1)
            if any(log.public == other.public for other in policy.logs):
                raise UsageError(f"the key of log {plain(log.name)} is there twice")
            policy.logs.append(log)
        case ["witness", name, key, *rest] if len(rest) <= 1 and name not in known:
            witness = parse_key(key, 4)
            if any(witness.public == other.public for other in policy.witnesses.values()):
                raise UsageError(f"{plain(name)} has the key of another witness")
            policy.witnesses[name] = witness
        case ["group", name, threshold, *members] if members and name not in known:
            count = {"any": "1", "all": str(len(members))}.get(threshold, threshold)
            if not _NUMBER.fullmatch(count) or not 1 <= int(count) <= len(members):
                raise UsageError(f"a group of {len(members)} cannot need {plain(threshold)}")
            for member in members:
                if member not in known - {"none"} or member in used:
                    raise UsageError(f"{plain(member)} is not defined above or is used twice")
                used.add(member)
            policy.groups[name] = (int(count), members)
        case ["quorum", name] if name in known and not policy.quorum:
            policy.quorum = name
        case _:
            raise UsageError("is not log, witness, group or quorum, or repeats a name")


def cosigners(head: Head, policy: Policy) -> set[str]:
    """Return the policy's names of the witnesses that cosigned a checkpoint."""
    found = set()
    for name, key in policy.witnesses.items():
        for signer, raw in head.lines:
            if signer != key.name or raw[:4] != key.identity:
                continue
            time = int.from_bytes(raw[4:12], "big")
            message = f"cosignature/v1\ntime {time}\n{head.text}".encode()
            if len(raw) != 76 or not key.holds(raw[12:], message):
                raise NotVerified(
                    f"the cosignature of witness {plain(name)} does not hold",
                    file=head.file,
                    offset=len(head.text.encode()) + 1,
                )
            found.add(name)
    return found


# --- the tree ---------------------------------------------------------------


def pair(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node of RFC 6962."""
    return sha256(b"\x01" + left + right).digest()


class Stack:
    """Perfect subtrees from the left, merged as they meet their equal."""

    def __init__(self) -> None:
        self.trees: list[tuple[int, bytes]] = []

    def push(self, value: bytes, height: int = 0) -> None:
        """Add the root of a perfect subtree of 2^height leaves."""
        trees = self.trees
        while trees and trees[-1][0] == height:
            value = pair(trees.pop()[1], value)
            height += 1
        trees.append((height, value))

    def root(self) -> bytes:
        """Return the root over all that was pushed."""
        if not self.trees:
            return sha256(b"").digest()
        value = self.trees[-1][1]
        for _, left in reversed(self.trees[:-1]):
            value = pair(left, value)
        return value


def split(data: bytes) -> list[bytes]:
    """Return the hashes of a tile."""
    return [data[start : start + 32] for start in range(0, len(data), 32)]


def perfect(hashes: list[bytes]) -> bytes:
    """Return the root over a full tile."""
    while len(hashes) > 1:
        hashes = [pair(hashes[i], hashes[i + 1]) for i in range(0, len(hashes), 2)]
    return hashes[0]


class Tiles:
    """The tiles of an export; `genuine` says that level 0 leads to the signed root."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.size = size
        self.genuine = False

    def hashes(self, level: int, number: int, width: int) -> list[bytes]:
        """Return the hashes of one tile."""
        return split(read(self.folder, tile_name(level, number, width), 8192, 32 * width))

    def check(self, root: bytes) -> None:
        """Check every level against the one below, and level 0 against the root."""
        fault: NotVerified | None = None
        stack = Stack()
        level = 0
        while self.size >> (8 * level):
            above = tiles(level + 1, self.size)
            name, upper = "", []
            for number, width in tiles(level, self.size):
                hashes = self.hashes(level, number, width)
                if level == 0 and width < TILE_WIDTH:
                    for value in hashes:
                        stack.push(value)
                if width < TILE_WIDTH:
                    continue
                value = perfect(hashes)
                if level == 0:
                    stack.push(value, 8)
                if number % TILE_WIDTH == 0:
                    place = next(above)
                    name, upper = tile_name(level + 1, *place), self.hashes(level + 1, *place)
                if upper[number % TILE_WIDTH] != value and fault is None:
                    fault = NotVerified(
                        f"hash {number % TILE_WIDTH} is not that of the tile below it",
                        file=name,
                        offset=32 * (number % TILE_WIDTH),
                    )
            level += 1
        self.genuine = stack.root() == root
        # with a false level 0 the entries decide which of the two is wrong
        if self.genuine and fault is not None:
            raise fault


# --- entries ----------------------------------------------------------------


def strict(data: bytes, limit: int) -> Any:
    """Return the JSON value whose only canonical bytes are `data`, or raise ValueError."""
    if len(data) > limit:
        raise ValueError(f"longer than {limit} bytes")
    text = data.decode()
    if data.count(b"{") + data.count(b"[") > DEPTH_MAX:
        check_depth(text)
    value = _DECODER.decode(text)
    if canonical(value, text) != text:
        raise ValueError("not in canonical form")
    return value


def canonical(value: Any, text: str) -> str:
    """Return the RFC 8785 form of a value that was parsed from `text`."""
    if not text.isascii():
        value = _ordered(value)
    return (_ASCII_ENCODER if text.isascii() else _ENCODER).encode(value)


def _ordered(value: Any) -> Any:
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
        return {key: _ordered(value[key]) for key in keys}
    return value


def check_depth(text: str) -> None:
    """Raise ValueError when JSON nests deeper than entries may."""
    depth = 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]', text):
        if token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
        if depth > DEPTH_MAX:
            raise ValueError(f"nested deeper than {DEPTH_MAX}")


def _integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > INTEGER_MAX:
        raise ValueError("an integer beyond 2^53 - 1")
    return int(text)


def _no(text: str) -> NoReturn:
    raise ValueError(f"the number {text[:24]}")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_no, parse_constant=_no)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_ASCII_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)


@lru_cache(maxsize=1024)
def is_label(text: str) -> bool:
    """Whether `text` labels an interval or is empty."""
    if text == "":
        return True
    if not _LABEL.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def parse_entry(data: bytes) -> dict[str, Any]:
    """Return an entry, or raise ValueError with what is wrong with it."""
    if len(data) > ENTRY_BYTES_MAX:
        raise ValueError(f"longer than {ENTRY_BYTES_MAX} bytes")
    # Most of an entry is its commitments: the rest is parsed as JSON without them.
    end = data.find(b"]") if data.startswith(_COMMITTED) else -1
    text = data[len(_COMMITTED) : end].decode() if end > len(_COMMITTED) else ""
    entry = strict(_COMMITTED + data[end:] if text else data, ENTRY_BYTES_MAX)
    if not isinstance(entry, dict) or list(entry) != _MEMBERS:
        raise ValueError("not an object of body, interval, kind, previous, schema, sequence")
    previous, body = entry["previous"], entry["body"]
    if not isinstance(previous, str) or len(previous) != 64 or not _HEX.fullmatch(previous):
        raise ValueError("the predecessor's hash is no hash")
    if not isinstance(entry["kind"], str) or entry["kind"] not in KINDS:
        raise ValueError("an unknown kind")
    if not isinstance(entry["interval"], str) or not is_label(entry["interval"]):
        raise ValueError("the interval is no label of an interval")
    if type(entry["schema"]) is not int or entry["schema"] < 1:
        raise ValueError("the schema is no version")
    if type(entry["sequence"]) is not int or not isinstance(body, dict):
        raise ValueError("the sequence is no number or the body no object")
    if text:
        if text[0] + text[-1] != '""':
            raise ValueError("the commitments are no list of hashes")
        body["commitments"] = text[1:-1].split('","')
    digests = body.get("commitments", [])
    if not isinstance(digests, list) or set(map(type, digests)) - {str}:
        raise ValueError("the commitments are no list of hashes")
    if set(map(len, digests)) - {64}:
        raise ValueError("the commitments are no list of hashes")
    joined = "".join(digests)
    # Python's own reader of hexadecimal digits takes capitals and spaces, too.
    if not joined.isascii() or bytes.fromhex(joined).hex() != joined:
        raise ValueError("the commitments are no hashes")
    if len(set(digests)) != len(digests):
        raise ValueError("the commitments repeat one")
    if digests != sorted(digests):
        raise ValueError("the commitments are not sorted")
    return entry


def describe(index: int, bundle: bytes, offset: int) -> dict[str, Any]:
    """Return what can still be said of a bad entry: its place, kind and interval."""
    tail = _TAIL.search(bundle, min(offset, len(bundle)))
    kind, interval = "unknown", ""
    if tail:
        interval, kind = (part.decode("ascii", "replace") for part in tail.groups())
    return {"sequence": index, "kind": plain(kind), "interval": plain(interval)}


class Entries:
    """Walks the entry bundles in order and remembers what the report needs."""

    def __init__(
        self, folder: Path, key: Key, head: Head, genuine: Tiles, wanted: set[int]
    ) -> None:
        self.folder = folder
        self.key = key
        self.head = head
        self.tiles = genuine
        self.wanted = wanted
        self.roots: dict[int, bytes] = {}
        self.kinds: Counter[str] = Counter()
        self.commitments = 0
        self.keys = [(-1, key)]
        self.genesis: dict[str, Any] = {}
        self.false_tile: NotVerified | None = None
        self.mismatch: NotVerified | None = None
        self._stack = Stack()
        self._previous = bytes(32)
        self._before: tuple[int, str, bytes, int] | None = None
        self._broken: NotVerified | None = None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self._keep_root(0)
        for number, width in tiles(0, self.head.size):
            name = tile_name("entries", number, width)
            bundle = read(self.folder, name, TILE_WIDTH * (ENTRY_BYTES_MAX + 2))
            leaves = self.tiles.hashes(0, number, width)
            offset = 0
            for slot in range(width):
                index = number * TILE_WIDTH + slot
                length = int.from_bytes(bundle[offset : offset + 2], "big")
                data = bundle[offset + 2 : offset + 2 + length]
                yield self._check(index, data, leaves[slot], (name, bundle, offset, length))
                offset += 2 + length
            if offset != len(bundle):
                raise NotVerified("has bytes after its last entry", file=name, offset=offset)
        if self._broken:
            raise self._broken

    def _check(
        self, index: int, data: bytes, leaf: bytes, place: tuple[str, bytes, int, int]
    ) -> dict[str, Any]:
        name, bundle, offset, length = place

        def bad(reason: str) -> NotVerified:
            about = describe(index, bundle, offset)
            return NotVerified(reason, file=name, offset=offset, entry=about)

        own = sha256(b"\x00" + data).digest()
        if own != leaf:
            fault = bad("is not the entry whose hash the tree holds")
            if self.tiles.genuine:
                raise fault
            self.mismatch = self.mismatch or fault
            self.false_tile = self.false_tile or NotVerified(
                f"hash {index % TILE_WIDTH} is not that of entry {index}",
                file=name.replace("entries", "0", 1),
                offset=32 * (index % TILE_WIDTH),
            )
        if len(data) != length or offset + 2 > len(bundle):
            raise bad("is cut off")
        try:
            entry = parse_entry(data)
        except (ValueError, RecursionError) as error:
            raise bad(f"is malformed: {error}") from error
        self._check_place(index, entry, bad)
        self._check_link(index, entry, name, offset)
        if entry["kind"] == "key" and "log_key" in entry["body"]:
            self._replace_key(index, entry, bad)
        self._previous = own
        self._before = (index, name, bundle, offset)
        self.kinds[entry["kind"]] += 1
        self.commitments += len(entry["body"].get("commitments", ()))
        self._stack.push(own)
        self._keep_root(index + 1)
        return entry

    def _check_place(self, index: int, entry: dict[str, Any], bad: Any) -> None:
        if entry["sequence"] != index:
            raise bad(f"says it is entry {entry['sequence']}")
        if (entry["kind"] == "genesis") != (index == 0):
            raise bad("the first entry, and only the first, is the genesis")
        if index == 0:
            self.genesis = entry
        if index == 0 and entry["body"].get("key") != self.key.text():
            # a checkpoint that the key given did not sign is the plainer reason
            self.head.require(self.key)
            raise bad(f"the genesis does not hold the key given, {plain(self.key.text())}")

    def _replace_key(self, index: int, entry: dict[str, Any], bad: Any) -> None:
        """Follow the log's key to the one it vouches for, from this entry on."""
        body, key = entry["body"], self.keys[-1][1]
        new, signature = body["log_key"], body.get("signature")
        if not isinstance(new, str) or not isinstance(signature, str):
            raise bad("replaces the log's key without a key or signature")
        text = f"khazri/log-key/v1\n{key.name}\n{index}\n{entry['previous']}\n{new}\n"
        if len(signature) != 128 or not _HEX.fullmatch(signature):
            raise bad("replaces the log's key with a signature that is none")
        if not key.holds(bytes.fromhex(signature), text.encode("utf-8", "surrogatepass")):
            raise bad("replaces the log's key, and the key before it did not sign that")
        try:
            found = parse_key(new, 1)
        except UsageError as error:
            raise bad(f"replaces the log's key: {error}") from error
        if found.name != key.name:
            raise bad("replaces the log's key by one of another log")
        self.keys.append((index, found))

    def _require_signature(self, head: Head) -> None:
        """Check that the key in force at its size signed a checkpoint."""
        since, key = [one for one in self.keys if one[0] < max(head.size, 0)][-1]
        said = "given" if since < 0 else f"in force since entry {since}, {plain(key.text())}"
        head.require(key, said)

    def _check_link(self, index: int, entry: dict[str, Any], name: str, offset: int) -> None:
        """Name the entry that does not fit: a link is broken by either of its ends."""
        holds = entry["previous"] == self._previous.hex()
        if holds and self._broken:
            raise self._broken
        if holds:
            return
        if self._before is None:
            reason, place = "does not carry its predecessor's hash", about(entry)
            raise NotVerified(reason, file=name, offset=offset, entry=place)
        before, at, bundle, start = self._before
        reason = "does not carry its predecessor's hash"
        if not self._broken:
            # two broken links in a row are of the entry between them: wait for the next
            reason = f"its hash is not the one entry {index} carries"
        fault = NotVerified(reason, file=at, offset=start, entry=describe(before, bundle, start))
        if self._broken:
            raise fault
        self._broken = fault

    def _keep_root(self, size: int) -> None:
        if size in self.wanted:
            self.roots[size] = self._stack.root()

    def conclude(self, older: Sequence[Head]) -> None:
        """Check who signed, and the roots, after all entries were seen."""
        for head in (self.head, *older):
            self._require_signature(head)
        if self._stack.root() != self.head.root:
            if self.mismatch:
                raise self.mismatch
            self._bracket(older)
        if self.false_tile:
            raise self.false_tile
        for head in older:
            if self.roots[head.size] != head.root:
                raise NotVerified(
                    f"is a genuine checkpoint of {head.size} entries, but of another history: "
                    "the log was forked",
                    file=head.file,
                    offset=0,
                )

    def _bracket(self, older: Sequence[Head]) -> NoReturn:
        """Say between which genuine checkpoints a consistently rewritten log departs."""
        good = 0
        for head in sorted(older, key=lambda head: head.size):
            if self.roots[head.size] != head.root:
                self._rewritten(good, head.size)
            good = head.size
        self._rewritten(good, self.head.size)

    def _rewritten(self, first: int, end: int) -> NoReturn:
        raise NotVerified(
            f"the entries and tiles agree with each other but not with the signed root: "
            f"an entry from {first} to {end - 1} was rewritten",
            file="checkpoint",
            offset=0,
            entry={"sequence": first, "kind": "unknown", "interval": ""},
        )


# --- openings ---------------------------------------------------------------


Place = tuple[int, dict[str, Any]]
"""Offset of an opening and what its entry is about."""

MARKET = "market"
ENTRIES_OF = {
    "amend": ("book",),
    "cancel": ("book",),
    "contract": ("action",),
    "order": ("book",),
    "posting": ("settlement", "correction", "invoice"),
    "reading": ("readings",),
    "trade": ("clearing",),
}
WITHOUT_ENERGY = frozenset({"fixed_fee", "rounding", "guarantee", "clearing_surplus", "credit"})
SHARED = frozenset({"mid_market_rate", "supply_demand_ratio", "static_key", "dynamic_key"})
"""Mechanisms that share out metered energy: there are no trades before the settlement."""
CONTRACTED = "bilateral"
"""The mechanism whose published price is the auction's: contracts have prices of their own."""
LABEL_BYTES = 16


@dataclass
class Version:
    """The postings of one version of an interval's settlement, as digests."""

    posted: bytearray = field(default_factory=bytearray)
    taken_back: list[tuple[bytes, Place]] = field(default_factory=list)


class Books:
    """What the openings of one interval say; judged when all entries were seen."""

    def __init__(self, interval: str) -> None:
        self.interval = interval
        self.labels = bytearray()
        self.entries: dict[int, str] = {}
        self.unopened: set[str] = set()
        self.cleared: tuple[int | None, int | None] | None = None
        self.shared = False
        self.contracted = False
        self.settled: dict[str, Any] | None = None
        self.market_nano = self.bought_wh = self.sold_wh = self.traded_wh = 0
        self.trades: dict[str, int] = {}
        self.prices: dict[int, Place] = {}
        self.traded: set[int] = set()
        self.versions: dict[int, Version] = {}
        self.readings: dict[str, tuple[int, int, int]] = {}
        self.version = -1
        self.head: tuple[int, int, dict[str, Any]] | None = None

    def judge(self, checked: Counter[str]) -> None:
        """Raise NotVerified when what was opened does not agree; count what could be checked."""
        checked["prices"] += self._prices()
        if self.settled and not self.unopened & {"settlement", "correction", "invoice"}:
            self._reversals()
            self._market(self.settled)
            checked["postings"] += 1
            if "clearing" not in self.unopened and not self.shared:
                self._trades(self.settled)
                checked["trades"] += 1
        if self.head and self.readings and "readings" not in self.unopened:
            self._balance(*self.head)
            checked["readings"] += 1

    def _reversals(self) -> None:
        standing: Counter[bytes] = Counter()
        for number in sorted(self.versions):
            version = self.versions[number]
            for line, place in version.taken_back:
                if not standing[line]:
                    self._bad(
                        f"takes back what no earlier version of {self.interval} posted", *place
                    )
                standing[line] -= 1
            if len(self.versions) > 1:
                standing.update(pieces(version.posted))

    def _market(self, entry: dict[str, Any]) -> None:
        if self.market_nano:
            self._bad(
                f"the postings of {self.interval} leave {self.market_nano} nano-currency "
                "on the market account",
                None,
                entry,
            )
        if self.bought_wh != self.sold_wh:
            self._bad(
                f"in {self.interval} {self.bought_wh} Wh were purchased, {self.sold_wh} Wh sold",
                None,
                entry,
            )

    def _trades(self, entry: dict[str, Any]) -> None:
        # each trade is opened by its buyer and by its seller
        if self.traded_wh != self.bought_wh + self.sold_wh:
            self._bad(
                f"in {self.interval} {self.bought_wh} Wh were purchased, but "
                f"{self.traded_wh // 2} Wh traded",
                None,
                entry,
            )
        volume_wh = self.cleared[1] if self.cleared else None
        if volume_wh is not None and volume_wh != self.bought_wh:
            self._bad(
                f"the clearing of {self.interval} published {volume_wh} Wh, but "
                f"{self.bought_wh} Wh were purchased",
                None,
                entry,
            )

    def _prices(self) -> bool:
        """Compare prices of trades, purchases and sales with the published one, if there is.

        Where there are contracts, purchases and sales are at prices at which there were trades.
        """
        if self.prices and self.cleared is None:
            self._bad(f"no clearing of {self.interval} was published", *min_place(self.prices))
        if self.contracted:
            known = "clearing" not in self.unopened
            for price, place in self.prices.items() if known else ():
                if price not in self.traded:
                    self._bad(f"is at {per_kwh(price)}, at which nothing was traded", *place)
            return known and bool(self.prices)
        published = self.cleared[0] if self.cleared else None
        if published is None:
            return False
        for price, place in self.prices.items():
            if price != published:
                self._bad(f"is at {per_kwh(price)}, but {per_kwh(published)} was published", *place)
        return bool(self.prices)

    def _balance(self, head_wh: int, loss_wh: int, entry: dict[str, Any]) -> None:
        net_wh = sum(imported - exported for _, imported, exported in self.readings.values())
        all_wh = sum(imported + exported for _, imported, exported in self.readings.values())
        residual_wh = net_wh + loss_wh - head_wh
        if 1000 * abs(residual_wh) > all_wh + 1000 * len(self.readings):
            self._bad(
                f"the readings of {self.interval} and the losses differ by {residual_wh} Wh from "
                f"the head meter: at most {all_wh // 1000 + len(self.readings)} Wh",
                None,
                entry,
            )

    def _bad(self, reason: str, offset: int | None, entry: dict[str, Any]) -> NoReturn:
        raise NotVerified(reason, file=Openings.file, offset=offset, entry=entry)


def pieces(labels: bytearray) -> list[bytes]:
    """Return the digests that were joined to save memory."""
    return [bytes(labels[i : i + LABEL_BYTES]) for i in range(0, len(labels), LABEL_BYTES)]


def min_place(prices: dict[int, Place]) -> Place:
    """Return the first place a price was seen at."""
    return min(prices.values(), key=lambda place: place[0])


def per_kwh(price: int) -> str:
    """Return a price in nano-currency per Wh for people."""
    text = f"{abs(price):07d}"
    return f"{'-' if price < 0 else ''}{text[:-6]}.{text[-6:]} per kWh"


def short(content: list[Any]) -> bytes:
    """Return a digest that names `content` within one export."""
    text = json.dumps(content, ensure_ascii=False, sort_keys=True)
    return sha256(text.encode("utf-8", "surrogatepass")).digest()[:LABEL_BYTES]


class Openings:
    """Reads ``openings.jsonl`` in step with the entries."""

    file = "openings.jsonl"

    def __init__(self, stream: BinaryIO) -> None:
        self.count = 0
        self.incomplete: dict[str, None] = {}
        self.checked = Counter(dict.fromkeys(("postings", "prices", "readings", "trades"), 0))
        self._stream = stream
        self._offset = 0
        self._at = 0
        self._books: dict[str, Books] = {}
        self._next = self._read()

    def check(self, entry: dict[str, Any]) -> None:
        """Check the openings of one entry."""
        digests = entry["body"].get("commitments", [])
        unopened = set(digests)
        books = self._public(entry)
        last = ""
        while self._next is not None and self._next["sequence"] <= entry["sequence"]:
            opening = self._next
            digest = self._digest(opening)
            if opening["sequence"] != entry["sequence"] or digest <= last:
                self._bad("is out of order")
            if digest not in unopened or opening["interval"] != entry["interval"]:
                self._bad(f"is of nothing that entry {entry['sequence']} commits to", entry)
            unopened.discard(digest)
            last = digest
            self.count += 1
            books.labels += short(label_of(opening))
            self._take(books, opening, entry)
            self._next = self._read()
        if unopened:
            self.incomplete[entry["interval"]] = None
            books.unopened.add(entry["kind"])

    def _take(self, books: Books, opening: dict[str, Any], entry: dict[str, Any]) -> None:
        """Enter an opening into the books of its interval."""
        kind, version = opening["kind"], entry["body"].get("version", opening["version"])
        if kind not in ENTRIES_OF:
            return
        if entry["kind"] not in ENTRIES_OF[kind]:
            self._bad(f"is a {kind} in an entry of another kind", entry)
        if version != opening["version"]:
            self._bad(f"is of version {opening['version']} in an entry of another version", entry)
        if kind == "posting":
            self._post(books, opening, entry)
        elif kind == "trade":
            self._trade(books, opening, entry)
        elif kind == "reading":
            self._read_meter(books, opening, entry)

    def conclude(self) -> None:
        """Check what can only be known at the end."""
        if self._next is not None:
            self._bad("is of an entry the log does not have")
        for books in self._books.values():
            labels = pieces(books.labels)
            if len(set(labels)) != len(labels):
                self._name_twice(books)
            books.labels = bytearray()
        for books in self._books.values():
            books.judge(self.checked)

    def _name_twice(self, books: Books) -> NoReturn:
        """Read the openings again for the label that is there twice."""
        self._stream.seek(0)
        self._offset = 0
        seen = set()
        while (opening := self._read()) is not None:
            if opening["interval"] != books.interval:
                continue
            label = short(label_of(opening))
            if label in seen:
                sequence = opening["sequence"]
                self._bad(
                    f"the {plain(opening['kind'])} of {plain(opening['subject'])} version "
                    f"{opening['version']} {books.interval} is committed to twice",
                    {
                        "sequence": sequence,
                        "kind": books.entries[sequence],
                        "interval": books.interval,
                    },
                )
            seen.add(label)
        raise NotVerified("changed while it was read", file=self.file)

    def _read(self) -> dict[str, Any] | None:
        self._at = self._offset
        line = self._stream.readline(OPENING_BYTES_MAX + 2)
        if not line:
            return None
        self._offset += len(line)
        if not line.endswith(b"\n"):
            self._bad("is cut off or too long")
        try:
            opening = strict(line[:-1], OPENING_BYTES_MAX)
        except (ValueError, RecursionError) as error:
            self._bad(f"is malformed: {error}")
        names = ["interval", "kind", "payload", "salt", "sequence", "subject", "version"]
        if not isinstance(opening, dict) or list(opening) != names:
            self._bad("is not an opening")
        if not all(isinstance(opening[name], str) for name in ("interval", "kind", "subject")):
            self._bad("has a label that is no text")
        if not all(type(opening[name]) is int for name in ("sequence", "version")):
            self._bad("has a sequence or version that is no number")
        salt = opening["salt"]
        if not isinstance(salt, str) or len(salt) != 32 or not _HEX.fullmatch(salt):
            self._bad("has a salt that is no salt")
        return opening

    def _digest(self, opening: dict[str, Any]) -> str:
        content = [*label_of(opening), opening["payload"]]
        text = json.dumps(content, ensure_ascii=False)
        message = b"khazri/commitment/v1\n" + bytes.fromhex(opening["salt"])
        return sha256(message + canonical(content, text).encode()).hexdigest()

    def _public(self, entry: dict[str, Any]) -> Books:
        """Keep what an entry says in clear; return the books of its interval."""
        interval, kind, body = entry["interval"], entry["kind"], entry["body"]
        books = self._books.setdefault(interval, Books(interval))
        books.entries[entry["sequence"]] = kind
        if kind == "clearing" and "price" in body:
            cleared = self._price(body["price"], entry), body.get("volume_wh")
            if cleared[1] is not None and type(cleared[1]) is not int:
                self._public_bad("publishes a volume that is no number", entry)
            if books.cleared not in (None, cleared):
                self._public_bad("is cleared twice, with other figures", entry)
            books.cleared = cleared
            books.shared = body.get("mechanism") in SHARED
            books.contracted = body.get("mechanism") == CONTRACTED
        if kind in ENTRIES_OF["posting"] and (books.settled is None or "commitments" in body):
            books.settled = about(entry)
        if kind == "readings":
            imported, exported, loss_wh, version = (
                body.get(name, 0 if name == "version" else None)
                for name in ("head_import_wh", "head_export_wh", "loss_wh", "version")
            )
            known = all(type(n) is int for n in (imported, exported, loss_wh, version))
            if known and version >= books.version:
                books.version = version
                books.head = (imported - exported, loss_wh, about(entry))
        return books

    def _price(self, text: Any, entry: dict[str, Any]) -> int | None:
        """Return a published price in nano-currency per Wh."""
        if text is None:
            return None
        match = _PRICE.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            self._public_bad("publishes a price that is no price per kWh", entry)
        return int(match[1] + match[2].ljust(6, "0"))

    def _post(self, books: Books, opening: dict[str, Any], entry: dict[str, Any]) -> None:
        """Check one posting and add it to the books."""
        line = opening["payload"]
        if not isinstance(line, dict):
            self._bad("has a posting that is no object", entry)
        amount, energy_wh, price = (
            self._number(line, name, entry) for name in ("amount_nano", "energy_wh", "price")
        )
        debit, credit, kind = (
            self._text(line, name, entry) for name in ("debit", "credit", "kind")
        )
        back = line.get("reversal")
        if type(back) is not bool:
            self._bad("has a posting whose reversal is neither true nor false", entry)
        if debit == credit:
            self._bad("has a posting from an account to itself", entry)
        if energy_wh < 0 or (energy_wh == 0 and kind not in WITHOUT_ENERGY):
            what = f"{energy_wh} Wh" if energy_wh else "no energy"
            self._bad(f"has a posting of {what} for {plain(kind)}", entry)
        if energy_wh and energy_wh * price != amount:
            self._bad(f"posts {amount} for {energy_wh} Wh at {price}", entry)
        place = (self._at, about(entry))
        sides = [credit, debit] if back else [debit, credit]
        books.market_nano += amount * ((credit == MARKET) - (debit == MARKET))
        if kind in ("purchase", "sale"):
            if sides[kind == "purchase"] != MARKET:
                self._bad(f"has a {kind} that does not run by the market account", entry)
            books.bought_wh += 0 if kind == "sale" else -energy_wh if back else energy_wh
            books.sold_wh += 0 if kind == "purchase" else -energy_wh if back else energy_wh
            books.prices.setdefault(price, place)
        content = [*sides, amount, energy_wh, kind, price, line.get("usage_point")]
        version = books.versions.setdefault(opening["version"], Version())
        if back:
            version.taken_back.append((short(content), place))
        else:
            version.posted += short(content)

    def _trade(self, books: Books, opening: dict[str, Any], entry: dict[str, Any]) -> None:
        """Add one side of a trade to the books."""
        payload = opening["payload"]
        if not isinstance(payload, dict):
            self._bad("has a trade that is no object", entry)
        energy_wh, price = (self._number(payload, name, entry) for name in ("energy_wh", "price"))
        if energy_wh <= 0:
            self._bad(f"has a trade of {energy_wh} Wh", entry)
        number = _TRADE.fullmatch(opening["subject"])
        # The two sides may have two prices: what buyers pay beyond sellers is a posting.
        if number and books.trades.setdefault(number[1], energy_wh) != energy_wh:
            self._bad(f"has another energy than the other side of trade {number[1]}", entry)
        books.traded_wh += energy_wh
        books.traded.add(price)
        books.prices.setdefault(price, (self._at, about(entry)))

    def _read_meter(self, books: Books, opening: dict[str, Any], entry: dict[str, Any]) -> None:
        """Keep the newest reading of a usage point."""
        payload, subject, version = (opening[name] for name in ("payload", "subject", "version"))
        energy: list[Any] = [
            payload.get(name) if isinstance(payload, dict) else None
            for name in ("import_wh", "export_wh")
        ]
        if not all(type(value) is int and value >= 0 for value in energy):
            self._bad(f"has a reading of {plain(subject)} that is no energy in Wh", entry)
        if subject not in books.readings or books.readings[subject][0] <= version:
            books.readings[subject] = (version, energy[0], energy[1])

    def _number(self, payload: dict[str, Any], name: str, entry: dict[str, Any]) -> int:
        text = payload.get(name)
        if not isinstance(text, str) or not _AMOUNT.fullmatch(text):
            self._bad(f"has a trade or posting whose {name} is no decimal string", entry)
        return int(text)

    def _text(self, payload: dict[str, Any], name: str, entry: dict[str, Any]) -> str:
        text = payload.get(name)
        if not isinstance(text, str) or not text:
            self._bad(f"has a posting whose {name} is no text", entry)
        return text

    def _bad(self, reason: str, entry: dict[str, Any] | None = None) -> NoReturn:
        raise NotVerified(reason, file=self.file, offset=self._at, entry=entry and about(entry))

    def _public_bad(self, reason: str, entry: dict[str, Any]) -> NoReturn:
        raise NotVerified(reason, entry=about(entry))


def label_of(opening: dict[str, Any]) -> list[Any]:
    """Return what an opening is about."""
    return [opening[name] for name in ("interval", "kind", "subject", "version")]


def about(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what the report says of an entry."""
    return {name: entry[name] for name in ("sequence", "kind", "interval")}


# --- a log in the place of another ------------------------------------------

FOLLOWS = [
    *("at", "from", "key", "lost", "origin", "root", "seen_root", "seen_size", "signature", "size")
]


def check_follows(genesis: dict[str, Any]) -> dict[str, Any] | None:
    """Return what a genesis says of the log it follows, signed by that log's key as it says."""
    told = genesis.get("body", {}).get("follows")
    if told is None:
        return None

    def bad(reason: str) -> NotVerified:
        return NotVerified(reason, entry=about(genesis))

    if not isinstance(told, dict) or list(told) != FOLLOWS:
        raise bad(f"follows a log without telling its {', '.join(FOLLOWS)}")
    numbers = {"lost", "seen_size", "size"}
    for name, value in told.items():
        if type(value) is not (int if name in numbers else str):
            raise bad(f"follows a log and tells a {name} that is none")
    for name, digits in (("root", 64), ("seen_root", 64), ("signature", 128)):
        if len(told[name]) != digits or not _HEX.fullmatch(told[name]):
            raise bad(f"follows a log and tells a {name} that is none")
    if not (told["at"] and told["from"] and is_label(told["at"]) and is_label(told["from"])):
        raise bad("follows a log and tells an instant that is none")
    if told["size"] < 1 or told["lost"] < 1 or told["lost"] != told["seen_size"] - told["size"]:
        raise bad(
            f"tells that {told['lost']} entries are lost where {told['size']} of "
            f"{told['seen_size']} are left"
        )
    try:
        key = parse_key(told["key"], 1)
    except UsageError as error:
        raise bad(f"follows a log: {error}") from error
    parts = ("origin", "size", "root", "seen_size", "seen_root", "at", "from")
    lines = ["khazri/log-follows/v1", *(str(told[name]) for name in parts), genesis["body"]["key"]]
    text = "".join(f"{line}\n" for line in lines)
    if key.name != told["origin"] or not key.holds(
        bytes.fromhex(told["signature"]), text.encode("utf-8", "surrogatepass")
    ):
        raise bad("follows a log whose key did not sign that")
    return told


def check_previous(told: dict[str, Any] | None, folder: Path, key: Key) -> None:
    """Check that an export is of the log that another one follows, as that one says."""
    if told is None:
        raise NotVerified("follows no log, but one was given", file="checkpoint", offset=0)
    try:
        report = verify(folder, key)
    except NotVerified as verdict:
        place = f"{plain(str(folder))}/{verdict.report['file']}" if verdict.report["file"] else ""
        verdict.report |= {"file": place, "reason": f"the log before: {verdict.report['reason']}"}
        raise
    size = report["size"]

    def bad(reason: str) -> NotVerified:
        return NotVerified(f"the log before {reason}", file=plain(str(folder)))

    if (report["origin"], report["key"]) != (told["origin"], told["key"]):
        raise bad(f"is signed by {plain(report['key'])}, not by {plain(told['key'])}")
    if size < told["size"]:
        raise bad(f"has {size} entries: {told['size']} are told to be left of it")
    if size > told["seen_size"]:
        raise bad(f"has {size} entries: only {told['seen_size']} are told to have been seen")
    for at, root in ((told["size"], told["root"]), (told["seen_size"], told["seen_root"])):
        if at <= size and root_at(folder, size, at).hex() != root:
            raise bad(f"has another root at {at} entries than is told: its history is another one")


def root_at(folder: Path, size: int, at: int) -> bytes:
    """Return the root over the first `at` entries of an export of `size` that was verified."""
    tree, stack, left = Tiles(folder, size), Stack(), at
    for number, width in tiles(0, size):
        for value in tree.hashes(0, number, width)[: max(left, 0)]:
            stack.push(value)
        left -= width
    return stack.root()


# --- receipts of orders -----------------------------------------------------


CANCELLATION = "khazri.example/order-cancellation-receipt/v1"
RECEIPT_LINES = {
    "khazri.example/order-receipt/v1": 6,
    "khazri.example/order-amendment-receipt/v1": 7,
    CANCELLATION: 6,
}
AFTER_BOOK = frozenset({"clearing", "readings", "settlement", "correction"})


class Promise:
    """A receipt of an order, its amendment or cancellation, held against its sealed book.

    The receipts' key is in the genesis, so that the log's key vouches for it.
    """

    def __init__(self, file: str, data: bytes) -> None:
        self.file = file
        self.text, self.signatures = self._note(data)
        lines = self.text.split("\n")
        if len(lines) != RECEIPT_LINES.get(lines[0], 0) + 1:
            raise UsageError(f"{file} is no receipt of an order")
        kind, self.origin, self.interval, self.order, *amended, self.digest, received, _ = lines
        self.amendment = amended[0] if amended else None
        self.is_cancellation = kind == CANCELLATION
        if not (self.interval and is_label(self.interval) and is_label(received)):
            raise UsageError(f"{file}: an instant of the receipt is no label")
        if len(self.digest) != 64 or not _HEX.fullmatch(self.digest):
            raise UsageError(f"{file}: the commitment of the receipt is no hash")
        self._key: Any = None
        self._book: set[str] = set()
        self._sealed: dict[str, Any] | None = None
        self._passed: dict[str, Any] | None = None

    def _note(self, data: bytes) -> tuple[str, list[tuple[str, bytes]]]:
        try:
            text, separator, rest = data.decode().rpartition("\n\n")
        except UnicodeDecodeError as error:
            raise UsageError(f"{self.file} is no receipt: not UTF-8") from error
        signatures = []
        for line in rest.removesuffix("\n").split("\n"):
            words = line.split(" ")
            raw = unbase64(words[2]) if len(words) == 3 and words[0] == "—" else None
            if raw is None or not separator:
                raise UsageError(f"{self.file} is no signed note")
            signatures.append((words[1], raw))
        return text + "\n", signatures

    def walk(self, entries: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the entries, and remember what they say of the book."""
        for entry in entries:
            body, kind = entry["body"], entry["kind"]
            if entry["sequence"] == 0:
                self._key = body.get("receipts")
            is_sealed = kind == "book" and body.get("by") == "members"
            if entry["interval"] == self.interval:
                # What a book gained after it was cleared keeps no promise.
                if kind == "book" and self._passed is None:
                    self._book.update(body.get("commitments", ()))
                self._sealed = about(entry) if is_sealed else self._sealed
                later = kind in AFTER_BOOK
            else:
                later = is_sealed and entry["interval"] > self.interval
            if later and self._passed is None:
                self._passed = about(entry)
            yield entry

    def judge(self, origin: str) -> dict[str, Any]:
        """Return what became of the promise, or raise NotVerified where it was not kept."""
        self._require_signature(origin)
        what = f"{promised(self._about)} in the book of {self.interval}"
        if self.digest in self._book:
            return self._report(kept=True, entry=self._sealed)
        if self._sealed is not None:
            reason = f"the book lacks it: the receipt promises {what}, signed by the operator"
            raise self._broken(reason, self._sealed)
        if self._passed is not None:
            reason = f"no book was sealed before it: the receipt promises {what}"
            raise self._broken(reason, self._passed)
        raise NotVerified(f"promises {what}, which is not sealed yet", file=self.file)

    def _require_signature(self, origin: str) -> None:
        """Check that the log's own receipts key signed it."""
        try:
            key = parse_key(self._key if isinstance(self._key, str) else "", 1)
        except UsageError as error:
            reason = "the genesis names no key of receipts: this one proves nothing"
            raise NotVerified(reason, file=self.file) from error
        own = [
            raw[4:] for name, raw in self.signatures if (name, raw[:4]) == (key.name, key.identity)
        ]
        held = [key.holds(signature, self.text.encode()) for signature in own]
        is_of_log = self.origin == origin and key.name == f"{origin}/receipts"
        if not held or not all(held) or not is_of_log:
            reason = f"is not signed by {plain(key.text())} of this log: it proves nothing"
            raise NotVerified(reason, file=self.file, offset=0)

    def _broken(self, reason: str, entry: dict[str, Any]) -> NotVerified:
        fault = NotVerified(reason, file=self.file, entry=entry)
        fault.report["receipt"] = self._report(kept=False, entry=entry)
        return fault

    def _report(self, *, kept: bool, entry: dict[str, Any] | None) -> dict[str, Any]:
        place = entry["sequence"] if entry else None
        return {**self._about, "interval": self.interval, "entry": place, "kept": kept}

    @property
    def _about(self) -> dict[str, Any]:
        told: dict[str, Any] = {"order": self.order}
        told |= {"cancellation": True} if self.is_cancellation else {}
        return told if self.amendment is None else {**told, "amendment": self.amendment}


def promised(told: dict[str, Any]) -> str:
    """Return what a receipt promises, for people."""
    order = f"order {plain(told['order'])}"
    if "amendment" in told:
        return f"amendment {plain(told['amendment'])} of {order}"
    return f"cancellation of {order}" if "cancellation" in told else order


# --- the whole --------------------------------------------------------------


def verify(
    folder: Path,
    key: Key,
    *,
    since: tuple[str, bytes] | None = None,
    policy: Policy | None = None,
    openings: bool = False,
    partial: bool = False,
    promise: Promise | None = None,
    previous: tuple[Path, Key] | None = None,
) -> dict[str, Any]:
    """Return the report on an export, or raise NotVerified.

    `openings` demands one of every commitment, `partial` only that some are there; `previous` is
    an export of the log before it, and the first key of that log.
    """
    head = parse_head(read(folder, "checkpoint", NOTE_BYTES_MAX), "checkpoint", key)
    signed = cosigners(head, policy) if policy else set()
    if policy and not policy.met(signed):
        raise NotVerified(
            f"the quorum {plain(policy.quorum)} is not met: "
            f"{', '.join(map(plain, sorted(signed))) or 'no witness'} cosigned",
            file="checkpoint",
            offset=len(head.text.encode()) + 1,
        )
    older = []
    has_openings = False
    for name in walk(folder):
        if not is_expected(name, head.size):
            raise NotVerified("is no file of this log", file=plain(name), offset=0)
        has_openings |= name == Openings.file
        if name.startswith("checkpoints/"):
            older.append(parse_older(folder, name, key, policy))
    if (openings or partial) and not has_openings:
        raise NotVerified("is missing, and was asked for", file=Openings.file, offset=0)
    if since:
        older.append(parse_since(since, key, head))
    entries, opened = check_entries(folder, key, head, older, has_openings, promise)
    missing = entries.commitments - opened.count if opened else 0
    if missing and openings and not partial:
        raise NotVerified(
            f"{missing} of {entries.commitments} commitments are not opened", file=Openings.file
        )
    follows = check_follows(entries.genesis)
    if previous:
        check_previous(follows, *previous)
    ignored = sorted({name for name, raw in head.lines if name != key.name} - _names(policy))
    witnessed = policy is not None and policy.quorum != "none"
    return {
        "verified": True,
        "origin": key.name,
        "size": head.size,
        "root": base64.b64encode(head.root).decode(),
        "key": entries.keys[-1][1].text(),
        "keys": len(entries.keys),
        "kinds": dict(sorted(entries.kinds.items())),
        "checkpoints": len(older) - bool(since) + 1,
        "since": older[-1].size if since else None,
        "witnesses": sorted(signed),
        "witnessed": witnessed,
        "ignored_signatures": ignored,
        "commitments": entries.commitments,
        "openings": opened.count if opened else None,
        "intervals_not_fully_opened": len(opened.incomplete) if opened else None,
        "first_not_fully_opened": next(iter(opened.incomplete), None) if opened else None,
        "checked_intervals": dict(opened.checked) if opened else None,
        "receipt": promise.judge(key.name) if promise else None,
        "follows": follows and {name: follows[name] for name in _OF_FOLLOWS},
        "previous": previous is not None,
    }


_OF_FOLLOWS = ("origin", "key", "size", "seen_size", "lost", "at", "from")


def _names(policy: Policy | None) -> set[str]:
    return {key.name for key in policy.witnesses.values()} if policy else set()


def parse_older(folder: Path, name: str, key: Key, policy: Policy | None) -> Head:
    """Return an older checkpoint of the export."""
    head = parse_head(read(folder, name, NOTE_BYTES_MAX), name, key)
    if policy:
        cosigners(head, policy)
    if name != f"checkpoints/{head.size}":
        raise NotVerified(f"is the checkpoint of {head.size} entries", file=name, offset=0)
    return head


def parse_since(since: tuple[str, bytes], key: Key, head: Head) -> Head:
    """Return the checkpoint seen earlier; the export must not be shorter."""
    earlier = parse_head(since[1], since[0], key)
    if earlier.size > head.size:
        raise NotVerified(
            f"has {head.size} entries, but the log had {earlier.size} already: truncated",
            file="checkpoint",
            offset=0,
        )
    return earlier


def check_entries(
    folder: Path,
    key: Key,
    head: Head,
    older: Sequence[Head],
    has_openings: bool,
    promise: Promise | None = None,
) -> tuple[Entries, Openings | None]:
    """Check tiles, entries and openings in one walk each."""
    tree = Tiles(folder, head.size)
    tree.check(head.root)
    entries = Entries(folder, key, head, tree, {earlier.size for earlier in older})
    walk = promise.walk(iter(entries)) if promise else iter(entries)
    if not has_openings:
        for _ in walk:
            pass
        entries.conclude(older)
        return entries, None
    with open_regular(folder, Openings.file) as stream:
        opened = Openings(stream)
        for entry in walk:
            opened.check(entry)
        entries.conclude(older)
        opened.conclude()
    return entries, opened


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        prog="verify", description="Verify an exported ledger.", allow_abbrev=False
    )
    parser.add_argument("dir", metavar="DIR", help="folder of the export")
    parser.add_argument("--key", metavar="VKEY", required=True, help="key of the log")
    parser.add_argument("--since", metavar="FILE", help="a checkpoint seen earlier")
    parser.add_argument("--policy", metavar="FILE", help="witnesses and quorum")
    parser.add_argument("--previous", metavar="DIR", help="export of the log it follows")
    parser.add_argument("--previous-key", metavar="VKEY", help="first key of that log")
    parser.add_argument("--receipt", metavar="FILE", help="a receipt of an order, to be kept")
    parser.add_argument("--openings", action="store_true", help="every commitment must be opened")
    parser.add_argument("--partial", action="store_true", help="some commitments must be opened")
    parser.add_argument("--json", action="store_true", help="report as one line of JSON")
    return parser.parse_args(argv)


def given(path: str, limit: int) -> bytes:
    """Return a file the verifier is told to trust or compare with."""
    try:
        with open(path, "rb") as stream:
            data = stream.read(limit + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{plain(path)} cannot be read") from error
    if len(data) > limit:
        raise UsageError(f"{plain(path)} is longer than {limit} bytes")
    return data


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Verify as the command line says."""
    key = parse_key(options.key, 1)
    policy = None
    if options.policy is not None:
        policy = parse_policy(
            given(options.policy, POLICY_BYTES_MAX).decode("utf-8", "surrogateescape")
        )
        if policy.logs and key not in policy.logs:
            raise UsageError("the policy does not list the log of --key")
    since = None
    if options.since is not None:
        since = (plain(options.since), given(options.since, NOTE_BYTES_MAX))
    previous = None
    if (options.previous is None) != (options.previous_key is None):
        raise UsageError("--previous and --previous-key go together")
    if options.previous is not None:
        if not os.path.isdir(options.previous):
            raise UsageError(f"{plain(options.previous)} is not a folder")
        previous = Path(options.previous), parse_key(options.previous_key, 1)
    promise = None
    if options.receipt is not None:
        promise = Promise(plain(options.receipt), given(options.receipt, NOTE_BYTES_MAX))
    if not os.path.isdir(options.dir):
        raise UsageError(f"{plain(options.dir)} is not a folder")
    return verify(
        Path(options.dir),
        key,
        since=since,
        policy=policy,
        openings=options.openings,
        partial=options.partial,
        promise=promise,
        previous=previous,
    )


def summary(report: dict[str, Any]) -> str:
    """Return a report for people."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in report["kinds"].items())
    names = ", ".join(map(plain, report["witnesses"]))
    lines = [
        f"VERIFIED {plain(report['origin'])}: {report['size']} entries, root {report['root']}",
        f"  {kinds or 'empty'}",
        f"  witnessed by {names}" if report["witnessed"] else "  unwitnessed",
    ]
    if report["keys"] > 1:
        count = report["keys"] - 1
        times = "once" if count == 1 else f"{count} times"
        lines.append(f"  its key was replaced {times}; signed by {plain(report['key'])}")
    if told := report["follows"]:
        lines.append(
            f"  follows {plain(told['origin'])}, which ended by {told['at']} with "
            f"{told['size']} entries: of the {told['seen_size']} that were seen "
            f"{told['lost']} are lost"
        )
        known = "agrees with its export" if report["previous"] else "was not given (--previous)"
        lines.append(f"  that log {known}; this one tells intervals from {told['from']} on")
    if report["ignored_signatures"]:
        names = ", ".join(map(plain, report["ignored_signatures"]))
        lines.append(f"  signatures of unknown keys, not checked: {names}")
    if kept := report["receipt"]:
        what, interval = promised(kept), kept["interval"]
        lines.append(f"  {what} is in the sealed book of {interval}: the promise is kept")
    if report["openings"] is not None:
        lines.append(f"  {report['openings']} of {report['commitments']} commitments opened")
        count = report["intervals_not_fully_opened"]
        if count:
            what = "1 interval is" if count == 1 else f"{count} intervals are"
            first = report["first_not_fully_opened"] or "without a label"
            lines.append(f"  {what} not opened in full, the first {first}: checked in part")
        checked = ", ".join(f"{name} of {n}" for name, n in report["checked_intervals"].items())
        lines.append(f"  intervals checked: {checked}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    try:
        options = arguments(argv)
    except SystemExit as stop:
        return 2 if stop.code else 0
    try:
        report = run(options)
    except UsageError as error:
        print(f"verify: {error}", file=sys.stderr)
        return 2
    except NotVerified as verdict:
        print(json.dumps(verdict.report) if options.json else verdict.sentence())
        return 1
    except OSError as error:
        fault = NotVerified(f"cannot be read: {error.strerror}", file=plain(options.dir))
        print(json.dumps(fault.report) if options.json else fault.sentence())
        return 1
    print(json.dumps(report) if options.json else summary(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
