"""Who must have seen a log: witnesses, groups of them and the quorum (C2SP tlog-policy)."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from grid.errors import BadInputError
from trading.ledger import note

POLICY_BYTES_MAX = 1_048_576
NONE = "none"
_NUMBER = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness of a policy.

    Attributes
    ----------
    name : str
        Within the policy.
    key : VerifierKey
        Of kind :data:`trading.ledger.note.COSIGNATURE`.
    url : str
        Prefix it takes checkpoints at; empty where the policy has none.
    """

    name: str
    key: note.VerifierKey
    url: str = ""


@dataclass(slots=True)
class Policy:
    """A policy.

    Attributes
    ----------
    logs : list of VerifierKey
        The logs it is for; any when empty.
    witnesses : dict of str to Witness
    groups : dict of str to (int, tuple of str)
        How many of which members.
    quorum : str
        Witness or group that must have cosigned; ``none`` for nobody.
    """

    logs: list[note.VerifierKey] = field(default_factory=list)
    witnesses: dict[str, Witness] = field(default_factory=dict)
    groups: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    quorum: str = ""

    def met(self, cosigned: Collection[str]) -> bool:
        """Return whether the witnesses whose vkeys are `cosigned` make up the quorum."""
        reached = {name for name, one in self.witnesses.items() if one.key.encode() in cosigned}
        # A group names only what stands above it, so one pass in order is enough.
        for name, (least, members) in self.groups.items():
            if sum(member in reached for member in members) >= least:
                reached.add(name)
        return self.quorum in {NONE, *reached}


def parse(data: bytes) -> Policy:
    """Return the policy of a file.

    Raises
    ------
    BadInputError
        Naming the line.
    """
    if len(data) > POLICY_BYTES_MAX:
        raise BadInputError(f"the policy has {len(data)} bytes, more than {POLICY_BYTES_MAX}")
    # Octets beyond ASCII are names as they stand: the format knows no Unicode.
    text = data.decode("utf-8", "surrogateescape")
    policy, grouped = Policy(), set[str]()
    for number, line in enumerate(text.split("\n"), 1):
        words = [word for word in re.split("[ \t]+", line) if word]
        if not words or words[0].startswith("#"):
            continue
        try:
            if any(
                (character < " " and character != "\t") or character == "\x7f" for character in line
            ):
                raise BadInputError("has control characters")
            _take(policy, words, grouped)
        except BadInputError as error:
            raise BadInputError(f"policy line {number}: {error}") from error
    if not policy.quorum:
        raise BadInputError("the policy has no quorum line")
    return policy


def _take(policy: Policy, words: list[str], grouped: set[str]) -> None:
    match words:
        case ["log", key, *rest] if len(rest) <= 1:
            _log(policy, _key(key, note.ED25519))
        case ["witness", name, key, *rest] if len(rest) <= 1:
            _witness(policy, name, _key(key, note.COSIGNATURE), *rest)
        case ["group", name, least, *members] if members:
            _group(policy, name, least, members, grouped)
        case ["quorum", name]:
            if policy.quorum:
                raise BadInputError("is a second quorum")
            if name not in {NONE, *policy.witnesses, *policy.groups}:
                raise BadInputError(f"quorum {name!r} is no witness or group above")
            policy.quorum = name
        case _:
            raise BadInputError("must be log, witness, group or quorum")


def _key(text: str, kind: int) -> note.VerifierKey:
    key = note.parse_key(text)
    if key.kind != kind:
        raise BadInputError(f"key of {key.name} is of type {key.kind}, must be {kind}")
    return key


def _log(policy: Policy, key: note.VerifierKey) -> None:
    if any(key.public == other.public for other in policy.logs):
        raise BadInputError(f"the key of log {key.name} is there twice")
    policy.logs.append(key)


def _witness(policy: Policy, name: str, key: note.VerifierKey, url: str = "") -> None:
    _new(policy, name)
    if any(key.public == other.key.public for other in policy.witnesses.values()):
        raise BadInputError(f"witness {name!r} has the key of another one")
    if url:
        _check_url(url)
    policy.witnesses[name] = Witness(name, key, url)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        sound = parts.port is None or parts.port > 0
    except ValueError:
        sound = False
    if not sound or parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise BadInputError(f"url is {url!r}, must be http:// or https://HOST[:PORT][/PATH]")


def _group(policy: Policy, name: str, least: str, members: list[str], grouped: set[str]) -> None:
    _new(policy, name)
    text = {"any": "1", "all": str(len(members))}.get(least, least)
    if not _NUMBER.fullmatch(text) or int(text) > len(members):
        raise BadInputError(f"group {name!r} of {len(members)} cannot need {least!r}")
    for member in members:
        if member not in {*policy.witnesses, *policy.groups}:
            raise BadInputError(f"member {member!r} is no witness or group above")
        if member in grouped:
            raise BadInputError(f"member {member!r} is in a group already")
        grouped.add(member)
    policy.groups[name] = (int(text), tuple(members))


def _new(policy: Policy, name: str) -> None:
    if name in {NONE, *policy.witnesses, *policy.groups}:
        raise BadInputError(f"name {name!r} is taken")
