"""Targets of what strangers hand to the ledger: notes, policies, proofs, requests, entries."""

from __future__ import annotations

from collections.abc import Callable

from tests.fuzz.target import Target
from trading import verify
from trading.ledger import (
    canonical,
    checkpoint,
    commitment,
    entry,
    merkle,
    note,
    policy,
    prove,
    witness,
)

_LOG = note.signer("log.example", bytes(32))
_WITNESS = note.signer("w.example", b"w" * 32, note.COSIGNATURE)
_GENESIS = entry.genesis("log.example", _LOG.key.encode())
_TREE = merkle.Tree([_GENESIS.leaf_hash, merkle.leaf_hash(b"1"), merkle.leaf_hash(b"2")])
_HEAD = checkpoint.Checkpoint("log.example", 3, _TREE.root())
_SIGNED = checkpoint.cosign(checkpoint.sign(_HEAD, _LOG), _WITNESS, 1_780_000_000)
_POLICY = f"log {_LOG.key.encode()}\nwitness w {_WITNESS.key.encode()} https://w/\n"


def _text(*parsers: Callable[[str], object]) -> Callable[[bytes], None]:
    def run(octets: bytes) -> None:
        text = octets.decode("utf-8", "surrogateescape")
        for parser in parsers:
            parser(text)

    return run


def _cosigners(text: str) -> object:
    checkpoint.parse(note.parse(text)[0])
    return checkpoint.cosigners(text, [_WITNESS.key])


def _request(octets: bytes) -> object:
    request = witness.parse_request(octets)
    return witness.check(request, [_LOG.key], lambda origin: None)


def _entry(octets: bytes) -> object:
    return entry.decode(octets).encode()


def _proof(text: str) -> object:
    return prove.verify(text, _LOG.key)


def _foreign(octets: bytes) -> None:
    """Parse as the verifier does, whose errors are its own."""
    text = octets.decode("utf-8", "surrogateescape")
    for parser in (
        lambda: verify.parse_head(octets, "checkpoint", verify.parse_key(_LOG.key.encode(), 1)),
        lambda: verify.parse_policy(text),
        lambda: verify.parse_entry(octets),
        lambda: verify.parse_key(text, 1),
    ):
        try:
            parser()
        except (verify.NotVerified, verify.UsageError, ValueError, RecursionError):
            continue


TARGETS: dict[str, Target] = {
    "note": Target(_text(note.parse), (_SIGNED.encode(),), 700),
    "checkpoint": Target(
        _text(_cosigners, lambda text: checkpoint.verify(text, _LOG.key)),
        (_SIGNED.encode(),),
        700,
        quick=False,
    ),
    "log-key": Target(
        _text(note.parse_key), (_LOG.key.encode().encode(), _WITNESS.key.encode().encode()), 200
    ),
    "secret-key": Target(
        _text(note.parse_secret), (note.encode_secret("log.example", bytes(32)).encode(),), 200
    ),
    "policy": Target(
        policy.parse, (f"{_POLICY}group g any w\nquorum g\n".encode(), b"quorum none\n"), 700
    ),
    "witness-request": Target(
        _request,
        (
            witness.Request(0, (), _SIGNED).encode(),
            witness.Request(2, _TREE.consistency(2), _SIGNED).encode(),
        ),
        900,
        quick=False,
    ),
    "entry": Target(_entry, (_GENESIS.encode(),), 600),
    "opening": Target(
        commitment.decode_opening,
        (
            commitment.commit(bytes(32), commitment.Label("", "order", "O-1"), {"a": "1"})[
                1
            ].encode(3),
        ),
        400,
    ),
    "canonical": Target(canonical.decode, (b'{"a":[1,null,"\\u0007"],"b":{}}',), 400),
    "ledger-proof": Target(
        _text(_proof),
        (prove.prove(_GENESIS.encode(), _TREE.inclusion(0), _SIGNED).encode(),),
        1200,
        quick=False,
    ),
    "verifier": Target(_foreign, (_SIGNED.encode(), _POLICY.encode(), _GENESIS.encode()), 700),
}
