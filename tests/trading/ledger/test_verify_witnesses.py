"""The verifier and the witnesses that a policy demands."""

import pytest

import trading.verify as verifier
from trading.ledger import checkpoint, note


def cosigned(log, folder, *names):
    signed = log.checkpoint()
    for name in names:
        witness = note.signer(name, name.encode().ljust(32, b"."), note.COSIGNATURE)
        signed = checkpoint.cosign(signed, witness, 1_774_750_000)
    (folder / "checkpoint").write_text(signed)


def policy(tmp_path, names, *lines):
    text = ["# who must have seen the log"]
    for name in names:
        key = note.signer(name, name.encode().ljust(32, b"."), note.COSIGNATURE).key
        text.append(f"witness {name} {key.encode()} https://{name}/")
    path = tmp_path / "policy"
    path.write_text("\n".join([*text, *lines, ""]))
    return ["--policy", str(path)]


def test_a_quorum_of_witnesses_is_demanded_and_named(verify, folder, log, tmp_path):
    names = ["grid.example", "auditor.example", "people.example"]
    two = policy(tmp_path, names, "group g 2 " + " ".join(names), "quorum g")
    assert verify(folder, *two)[0] == 1
    cosigned(log, folder, names[0])
    status, report = verify(folder, *two)
    assert status == 1
    assert "quorum" in report["reason"]
    cosigned(log, folder, names[0], names[2])
    status, report = verify(folder, *two)
    assert status == 0
    assert report["witnesses"] == ["grid.example", "people.example"]
    assert report["witnessed"] is True
    status, report = verify(folder)
    assert (status, report["witnessed"]) == (0, False)
    assert report["ignored_signatures"] == ["grid.example", "people.example"]


def test_every_flipped_byte_of_a_known_cosignature_is_found(verify, folder, log, tmp_path):
    demand = policy(tmp_path, ["w.example"], "quorum w.example")
    cosigned(log, folder, "w.example")
    path = folder / "checkpoint"
    genuine = path.read_bytes()
    assert verify(folder, *demand)[0] == 0
    for offset in range(genuine.rfind("— ".encode()), len(genuine)):
        altered = bytearray(genuine)
        altered[offset] ^= 1
        path.write_bytes(altered)
        status, report = verify(folder, *demand)
        assert (status, report["file"]) == (1, "checkpoint")


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["quorum none", "quorum none"],
        ["group g 0 a", "quorum g"],
        ["group g 3 a b", "quorum g"],
        ["group g any a none", "quorum g"],
        ["group g any a", "group h any a", "quorum g"],
        ["quorum g", "group g any a"],
        ["witness a nonsense", "quorum a"],
        ["whatever"],
    ],
)
def test_a_malformed_policy_is_wrong_usage(folder, log, tmp_path, lines):
    given = policy(tmp_path, ["a", "b"], *lines)
    assert verifier.main([str(folder), "--key", log.vkey, *given]) == 2
