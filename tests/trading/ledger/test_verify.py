"""The verifier, run as its users run it: what it tells, whom it trusts, how it is asked."""

import base64
import shutil
import subprocess
import sys

import pytest

import trading.verify as verifier
from trading.ledger import checkpoint, entry, merkle, note, tiles


def test_a_genuine_export_is_verified_and_counted(verify, folder, log):
    status, report = verify(folder, "--openings")
    assert status == 0
    assert report["size"] == 32
    assert base64.b64decode(report["root"]) == log.tree.root()
    assert report["kinds"]["settlement"] == 4
    assert report["kinds"]["genesis"] == 1
    assert (report["openings"], report["commitments"]) == (24, 24)
    assert report["checkpoints"] == 2
    assert report["witnessed"] is False


def test_people_read_unwitnessed(folder, log, capsys):
    assert verifier.main([str(folder), "--key", log.vkey]) == 0
    assert "unwitnessed" in capsys.readouterr().out


def test_missing_openings_are_missed_only_when_asked_for(verify, folder):
    (folder / "openings.jsonl").unlink()
    assert verify(folder)[0] == 0
    status, report = verify(folder, "--openings")
    assert (status, report["file"]) == (1, "openings.jsonl")


def test_only_the_key_given_is_trusted(verify, folder, log, tmp_path, make_log):
    stranger = note.signer(log.origin, bytes(32)).key.encode()
    status, report = verify(folder, key=stranger)
    assert (status, report["file"]) == (1, "checkpoint")
    renamed = note.signer("other.example", log.seed).key.encode()
    assert verify(folder, key=renamed)[0] == 1


@pytest.mark.parametrize("other", ["seed", "text", "name only"])
def test_the_genesis_must_hold_the_whole_key_given(verify, log, tmp_path, make_log, other):
    named = {
        "seed": note.signer(log.origin, bytes(32)).key.encode(),
        "text": log.vkey + " ",
        "name only": log.origin,
    }[other]
    first = entry.genesis("demo", named)
    head = checkpoint.Checkpoint(log.origin, 1, merkle.leaf_hash(first.encode()))
    out = tmp_path / "export"
    tiles.export([first.encode()], [checkpoint.sign(head, log.signer)], out)
    status, report = verify(out)
    assert (status, report["entry"]["sequence"]) == (1, 0)
    assert "genesis" in report["reason"]


def test_wrong_usage_is_status_2(folder, log, tmp_path, capsys):
    bad = tmp_path / "bad"
    bad.write_text("quorum nobody\n")
    missing = str(tmp_path / "missing")
    key = ["--key", log.vkey]
    for arguments in (
        [str(folder)],
        [*key],
        [str(folder), "--key", "nonsense"],
        [str(folder), "--key", log.vkey[:-4] + "AAAA"],
        [missing, *key],
        [str(folder), *key, "--since", missing],
        [str(folder), *key, "--policy", missing],
        [str(folder), *key, "--policy", str(bad)],
        [str(folder), *key, "--unknown"],
    ):
        assert verifier.main(arguments) == 2, arguments
        captured = capsys.readouterr()
        assert captured.err
        assert "Traceback" not in captured.err


def test_the_file_alone_verifies_in_an_isolated_interpreter(folder, log, tmp_path):
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(verifier.__file__, alone / "verify.py")
    command = [sys.executable, "-I", str(alone / "verify.py"), str(folder), "--key", log.vkey]
    good = subprocess.run(command, cwd=alone, capture_output=True, text=True, check=False)
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.startswith(f"VERIFIED {log.origin}: 32 entries")
    (folder / "checkpoint").write_bytes(b"\xff")
    bad = subprocess.run(command, cwd=alone, capture_output=True, text=True, check=False)
    assert (bad.returncode, bad.stderr) == (1, "")


def test_the_empty_log_verifies(verify, log, tmp_path):
    head = checkpoint.sign(checkpoint.Checkpoint(log.origin, 0, merkle.EMPTY_ROOT), log.signer)
    tiles.export([], [head], tmp_path / "export")
    assert verify(tmp_path / "export")[0] == 0
