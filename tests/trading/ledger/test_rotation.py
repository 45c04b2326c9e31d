"""The log's key replaced within the log: who verifies with the first key follows, nobody else."""

import json

import pytest

import trading.verify as verifier
from grid.errors import VerificationError
from trading.ledger import checkpoint, entry, note, prove, rotation, tiles

SEEDS = [bytes([n]) * 32 for n in range(4)]


class Rotated:
    """A log of twenty entries, whose key is replaced at some of them."""

    def __init__(self, make_log, at=(7, 12), by=None, new=None):
        self.log = make_log(0)
        self.keys = [(-1, self.log.signer)]
        for number in range(self.log.tree.size, 20):
            if number in at:
                self.replace(by, new)
            else:
                self.log.append(entry.Kind.PLAN, "", {"plan": f"{number:064x}"})

    def replace(self, by=None, new=None):
        key = new or note.signer(self.log.origin, SEEDS[len(self.keys)])
        last = self.log.entries[-1]
        said = rotation.statement(
            self.log.origin, last.sequence + 1, last.leaf_hash, key.key.encode()
        )
        signature = (by or self.keys[-1][1]).sign_bytes(said)
        self.log.append(entry.Kind.KEY, "", rotation.body(key.key, signature))
        self.keys.append((last.sequence + 1, key))

    def signed(self, size, by=None):
        key = by or [key for at, key in self.keys if at < size][-1]
        head = checkpoint.Checkpoint(self.log.origin, size, self.log.tree.root(size))
        return checkpoint.sign(head, key)

    def export(self, folder, *heads):
        tiles.export(self.log.encoded[: self.size(heads)], heads, folder)
        return folder

    def size(self, heads):
        return max(checkpoint.parse(note.parse(head)[0]).size for head in heads)


@pytest.fixture
def verify(capsys):
    """Returns exit status and report of one run."""

    def run(folder, key, *arguments):
        capsys.readouterr()
        status = verifier.main([str(folder), "--key", key, "--json", *arguments])
        return status, json.loads(capsys.readouterr().out.splitlines()[-1])

    return run


@pytest.fixture
def rotated(make_log):
    """A log whose key was replaced by entries 7 and 12."""
    return Rotated(make_log)


def test_the_first_key_leads_to_every_later_one(rotated, verify, tmp_path, capsys):
    heads = [rotated.signed(size) for size in (3, 7, 8, 12, 13, 20)]
    folder = rotated.export(tmp_path / "out", *heads)
    status, report = verify(folder, rotated.log.vkey)
    assert status == 0, report
    assert report["keys"] == 3
    assert report["key"] == rotated.keys[-1][1].key.encode()
    assert verifier.main([str(folder), "--key", rotated.log.vkey]) == 0
    assert "its key was replaced 2 times" in capsys.readouterr().out
    for key in (rotated.keys[1][1].key, note.signer(rotated.log.origin, b"x" * 32).key):
        status, report = verify(folder, key.encode())
        assert (status, report["file"]) == (1, "checkpoint") or report["entry"]["sequence"] == 0


def test_the_writers_code_follows_the_same_keys(rotated):
    found = rotation.reigns(rotated.log.signer.key, rotated.log.entries)
    assert found == [(at, key.key) for at, key in rotated.keys]
    for size, number in ((0, 0), (7, 0), (8, 1), (12, 1), (13, 2), (20, 2)):
        assert rotation.key_at(size, found) == rotated.keys[number][1].key


def test_a_proof_leads_from_the_first_key_to_the_one_that_signed(rotated):
    log = rotated.log
    keys = [log.encoded[at] for at, _ in rotated.keys[1:]]
    path = log.tree.inclusion(4)
    text = prove.prove(log.encoded[4], path, rotated.signed(20), keys=keys)
    assert prove.verify(text, log.signer.key).entry == log.entries[4]
    for wrong in ([], keys[:1], keys[::-1], [log.encoded[3]]):
        text = prove.prove(log.encoded[4], path, rotated.signed(20), keys=wrong)
        with pytest.raises(VerificationError):
            prove.verify(text, log.signer.key)
    before = prove.prove(log.encoded[4], log.tree.inclusion(4, 6), rotated.signed(6))
    assert prove.verify(before, log.signer.key).checkpoint.size == 6


@pytest.mark.parametrize(("size", "number"), [(20, 0), (20, 1), (13, 1), (8, 0), (7, 1)])
def test_a_checkpoint_by_a_key_that_is_not_in_force_is_refused(
    rotated, verify, tmp_path, size, number
):
    heads = [rotated.signed(size, rotated.keys[number][1])]
    heads += [rotated.signed(20)] if size != 20 else []
    status, report = verify(rotated.export(tmp_path / "out", *heads), rotated.log.vkey)
    assert status == 1
    assert report["file"] == ("checkpoint" if size == 20 else f"checkpoints/{size}")
    assert "is not signed by the key" in report["reason"]


@pytest.mark.parametrize("forged", ["signed by another", "of another log", "moved", "no hex"])
def test_a_replacement_that_the_key_before_did_not_sign_is_refused_and_named(
    make_log, verify, tmp_path, forged
):
    thief = note.signer("khazri.example/test", b"t" * 32)
    if forged == "signed by another":
        log = Rotated(make_log, (7,), by=thief)
    elif forged == "of another log":
        log = Rotated(make_log, (7,), new=note.signer("elsewhere.example", b"t" * 32))
    else:
        log = Rotated(make_log, ())
        last = log.log.entries[-1]
        at = 20 if forged == "no hex" else 19
        said = rotation.statement(log.log.origin, at, last.leaf_hash, thief.key.encode())
        body = rotation.body(thief.key, log.log.signer.sign_bytes(said))
        if forged == "no hex":
            body["signature"] = body["signature"].upper()
        log.log.append(entry.Kind.KEY, "", body)
        log.keys.append((20, thief))
    size = log.log.tree.size
    folder = log.export(tmp_path / "out", log.signed(size, thief))
    status, report = verify(folder, log.log.vkey)
    assert status == 1
    assert report["entry"]["sequence"] == (
        7 if forged in ("signed by another", "of another log") else 20
    )
    assert "replaces the log's key" in report["reason"]
    with pytest.raises(VerificationError):
        rotation.reigns(log.log.signer.key, log.log.entries)


def test_every_flipped_byte_of_a_log_with_replaced_keys_is_found_and_located(rotated, tmp_path):
    folder = rotated.export(tmp_path / "out", rotated.signed(9), rotated.signed(20))
    key = verifier.parse_key(rotated.log.vkey, 1)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        genuine, name = path.read_bytes(), path.relative_to(folder).as_posix()
        for offset in range(0, len(genuine), 5):
            altered = bytearray(genuine)
            altered[offset] ^= 1 << offset % 8
            path.write_bytes(altered)
            with pytest.raises(verifier.NotVerified) as found:
                verifier.verify(folder, key)
            assert found.value.report["file"] == name, (name, offset, found.value.report)
        path.write_bytes(genuine)
    assert verifier.verify(folder, key)["keys"] == 3


def test_a_policy_and_a_checkpoint_seen_earlier_hold_over_a_replacement(rotated, verify, tmp_path):
    witness = note.signer("w.example", b"w" * 32, note.COSIGNATURE)
    folder = rotated.export(tmp_path / "out", checkpoint.cosign(rotated.signed(20), witness, 9))
    lines = [f"log {rotated.log.vkey}", f"witness w {witness.key.encode()}", "quorum w", ""]
    (tmp_path / "policy").write_text("\n".join(lines))
    for size in (5, 10, 15):
        (tmp_path / "seen").write_text(rotated.signed(size))
        given = ["--policy", str(tmp_path / "policy"), "--since", str(tmp_path / "seen")]
        status, report = verify(folder, rotated.log.vkey, *given)
        assert (status, report.get("since"), report.get("witnessed")) == (0, size, True), report


def test_a_key_and_a_policy_inside_the_export_are_no_part_of_it(rotated, verify, tmp_path):
    """An operator who puts their own trust roots beside the data convinces nobody."""
    folder = rotated.export(tmp_path / "out", rotated.signed(20))
    for name in ("key", "policy", "policy.txt", "signer/key", "checkpoints/key"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{rotated.log.vkey}\nquorum none\n")
        status, report = verify(folder, rotated.log.vkey)
        assert (status, report["file"]) == (1, name)
        path.unlink()
        if path.parent not in (folder, folder / "checkpoints") or not any(path.parent.iterdir()):
            path.parent.rmdir()
