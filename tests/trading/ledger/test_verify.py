"""The verifier, run as its users run it, against every way an export can be wrong."""

import base64
import json
import os
import random
import shutil
import subprocess
import sys
from functools import lru_cache

import pytest

import trading.verify as verifier
from trading.ledger import checkpoint, entry, merkle, note, tiles


@pytest.fixture
def verify(capsys, log):
    """Returns exit status and report of one run."""

    def run(folder, *arguments, key=None):
        capsys.readouterr()
        status = verifier.main([str(folder), "--key", key or log.vkey, "--json", *arguments])
        out = capsys.readouterr().out
        return status, json.loads(out.splitlines()[-1]) if out else None

    return run


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def entry_at(bundle, offset):
    """Sequence of the entry that byte `offset` of a first bundle belongs to."""
    start = sequence = 0
    while True:
        end = start + 2 + int.from_bytes(bundle[start : start + 2], "big")
        if offset < end:
            return sequence, start
        start, sequence = end, sequence + 1


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


def test_a_flipped_byte_anywhere_in_any_file_is_found_and_located(verify, folder):
    """KHAZRI_EVERY_BYTE flips all of them; without, a third, which meets every kind of place."""
    step = 1 if "KHAZRI_EVERY_BYTE" in os.environ else 3
    for path in files(folder):
        genuine = path.read_bytes()
        name = path.relative_to(folder).as_posix()
        for offset in range(0, len(genuine), step):
            altered = bytearray(genuine)
            altered[offset] ^= 1 << offset % 8
            path.write_bytes(altered)
            status, report = verify(folder)
            assert status == 1, (name, offset)
            assert report["file"] == name, (offset, report)
            if name.startswith("tile/entries"):
                sequence, start = entry_at(genuine, offset)
                assert report["entry"]["sequence"] == sequence, (offset, report)
                assert report["offset"] == start
            elif name.startswith("tile/"):
                assert report["offset"] == offset - offset % 32
            elif name == "openings.jsonl":
                line = genuine.rfind(b"\n", 0, offset) + 1
                assert report["offset"] == line, (offset, report)
            else:
                # a signature names the text it is over, not the byte
                assert 0 <= report["offset"] <= offset + 3
        path.write_bytes(genuine)
    assert verify(folder)[0] == 0


def test_a_bad_entry_is_named_with_kind_and_interval(verify, folder, log):
    path = folder / "tile/entries/000.p/32"
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"volume_wh":500', b'"volume_wh":501', 1))
    status, report = verify(folder)
    assert status == 1
    at = log.entries[2].interval
    assert report["entry"] == {"sequence": 2, "kind": "clearing", "interval": at}


@pytest.mark.parametrize("name", ["checkpoint", "tile/0/000.p/32", "tile/entries/000.p/32"])
def test_a_deleted_file_is_named(verify, folder, name):
    (folder / name).unlink()
    status, report = verify(folder)
    assert status == 1
    assert report["file"] in (name, name.rsplit("/", 1)[0])


def test_missing_openings_are_missed_only_when_asked_for(verify, folder):
    (folder / "openings.jsonl").unlink()
    assert verify(folder)[0] == 0
    status, report = verify(folder, "--openings")
    assert (status, report["file"]) == (1, "openings.jsonl")


def test_every_truncation_of_every_file_is_found(verify, folder):
    for path in files(folder):
        genuine = path.read_bytes()
        for length in {0, 1, len(genuine) // 2, len(genuine) - 1}:
            path.write_bytes(genuine[:length])
            if path.name == "openings.jsonl" and length == 0:
                # openings may be fewer than commitments: that is how a person is erased
                assert verify(folder)[0] == 0
                continue
            status, report = verify(folder)
            assert status == 1
            assert report["file"] == path.relative_to(folder).as_posix()
        path.write_bytes(genuine + b"\n")
        assert verify(folder)[0] == 1
        path.write_bytes(genuine)


@pytest.mark.parametrize(
    "name",
    [
        "extra",
        "checkpoint~",
        "checkpoints/99",
        "checkpoints/011",
        "tile/0/001",
        "tile/1/000.p/1",
        "tile/0/000.p/31",
        "tile/entries/000",
        "tile/9/000.p/1",
        "tile/x/y",
        "tile/0/000.p/32.p/1",
        "tile/0/000.p/0",
        "tile/0/001.p/0",
        "tile/0/000.p/256",
        "tile/1/000.p/0",
        "tile/7/000.p/0",
        "tile/entries/001.p/0",
        "a\x1bb",
    ],
)
def test_a_file_that_no_such_log_has_is_refused_by_name(verify, folder, name):
    extra = folder / name
    if extra.parent.is_file():
        pytest.skip("a file stands where the folder would")
    extra.parent.mkdir(parents=True, exist_ok=True)
    extra.write_bytes(b"x")
    status, report = verify(folder)
    assert status == 1
    assert report["file"] == (name if name.isprintable() else ascii(name))


def test_links_pipes_and_empty_folders_are_refused(verify, folder, tmp_path):
    path = folder / "tile/0/000.p/32"
    shutil.move(path, tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert verify(folder)[0] == 1
    path.unlink()
    os.mkfifo(path)
    assert verify(folder)[0] == 1
    path.unlink()
    shutil.move(tmp_path / "elsewhere", path)
    (folder / "empty").mkdir()
    status, report = verify(folder)
    assert (status, report["file"]) == (1, "empty")
    (folder / "empty").rmdir()
    assert verify(folder)[0] == 0


def test_swapped_entries_are_found(verify, folder, log):
    entries = list(log.encoded)
    entries[5], entries[6] = entries[6], entries[5]
    data = b"".join(len(item).to_bytes(2, "big") + item for item in entries)
    (folder / "tile/entries/000.p/32").write_bytes(data)
    status, report = verify(folder)
    assert (status, report["entry"]["sequence"]) == (1, 5)


def rewrite(folder, entries):
    """What a database administrator without the key can do: new tiles and bundles."""
    shutil.rmtree(folder / "tile")
    tree = merkle.Tree(merkle.leaf_hash(item) for item in entries)
    bundle = b"".join(len(item).to_bytes(2, "big") + item for item in entries)
    for level, data in ((0, b"".join(tree.levels[0])), (tiles.ENTRIES, bundle)):
        path = folder / tiles.tile_path(level, 0, len(entries))
        path.parent.mkdir(parents=True)
        path.write_bytes(data)


@pytest.mark.parametrize("sequence", [1, 9, 20, 30])
def test_an_edited_entry_with_its_tiles_recomputed_is_named(verify, folder, log, sequence):
    one = log.entries[sequence]
    edited = entry.Entry(sequence, one.previous, one.kind, one.interval, {**one.body, "x": "1"})
    entries = [*log.encoded[:sequence], edited.encode(), *log.encoded[sequence + 1 :]]
    rewrite(folder, entries)
    status, report = verify(folder)
    assert status == 1
    assert report["entry"]["sequence"] == sequence
    assert report["entry"]["kind"] == one.kind


def test_an_edited_predecessor_hash_is_named_not_its_neighbour(verify, folder, log):
    one = log.entries[9]
    edited = entry.Entry(9, bytes(31) + b"1", one.kind, one.interval, one.body)
    rewrite(folder, [*log.encoded[:9], edited.encode(), *log.encoded[10:]])
    status, report = verify(folder)
    assert (status, report["entry"]["sequence"]) == (1, 9)


@pytest.mark.parametrize(("sequence", "first", "last"), [(3, 0, 10), (20, 11, 31)])
def test_a_rewritten_chain_is_bracketed_by_genuine_checkpoints(
    verify, folder, log, sequence, first, last
):
    entries = log.entries[:sequence]
    for one in log.entries[sequence:]:
        body = {**one.body, "x": "1"} if one.sequence == sequence else one.body
        entries.append(entry.following(entries[-1], one.kind, one.interval, body))
    rewrite(folder, [one.encode() for one in entries])
    status, report = verify(folder)
    assert status == 1
    assert f"an entry from {first} to {last} was rewritten" in report["reason"]


def test_a_truncated_export_passes_as_what_it_was_but_not_since_later(
    verify, log, tmp_path, make_log
):
    head = log.checkpoint(20)
    short = tmp_path / "short"
    tiles.export(log.encoded[:20], [head], short)
    assert verify(short)[0] == 0
    later = tmp_path / "later"
    later.write_text(log.checkpoint())
    status, report = verify(short, "--since", str(later))
    assert status == 1
    assert "truncated" in report["reason"]
    earlier = tmp_path / "earlier"
    earlier.write_text(log.checkpoint(7))
    status, report = verify(short, "--since", str(earlier))
    assert (status, report["since"]) == (0, 7)


def test_a_fork_signed_with_the_real_key_is_refused_since(verify, log, tmp_path, make_log):
    fork = make_log()
    fork.append(entry.Kind.ACTION, "", {"action": "other"})
    other = make_log()
    other.append(entry.Kind.ACTION, "", {"action": "else"})
    other.append(entry.Kind.ACTION, "", {"action": "more"})
    seen = tmp_path / "seen"
    seen.write_text(fork.checkpoint())
    status, report = verify(other.export(tmp_path / "other"), "--since", str(seen))
    assert status == 1
    assert "forked" in report["reason"]
    shutil.rmtree(tmp_path / "other")
    tiles_of = other.export(tmp_path / "other")
    (tiles_of / "checkpoints").mkdir()
    (tiles_of / "checkpoints/33").write_text(fork.checkpoint())
    status, report = verify(tiles_of)
    assert (status, report["file"]) == (1, "checkpoints/33")


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


def test_levels_above_the_first_are_checked_too(verify, tmp_path, make_log):
    log = make_log(90)
    assert log.tree.size == 634
    export = log.export(tmp_path / "long", 256, 300)
    assert verify(export)[0] == 0
    assert {path.relative_to(export / "tile").as_posix() for path in files(export / "tile")} == {
        "0/000", "0/001", "0/002.p/122", "1/000.p/2",
        "entries/000", "entries/001", "entries/002.p/122",
    }  # fmt: skip
    for name, step in (("1/000.p/2", 1), ("0/000", 700), ("0/001", 700), ("0/002.p/122", 700)):
        path = export / "tile" / name
        genuine = path.read_bytes()
        for offset in range(0, len(genuine), step):
            altered = bytearray(genuine)
            altered[offset] ^= 0x80
            path.write_bytes(altered)
            status, report = verify(export)
            assert (status, report["file"]) == (1, f"tile/{name}")
            assert report["offset"] == offset - offset % 32
        path.write_bytes(genuine)
    first, second = export / "tile/0/000", export / "tile/0/001"
    data = first.read_bytes(), second.read_bytes()
    first.write_bytes(data[1])
    second.write_bytes(data[0])
    status, report = verify(export)
    assert (status, report["file"], report["offset"]) == (1, "tile/0/000", 0)
    assert verify(log.export(export))[0] == 0
    path = export / "tile/entries/001"
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    assert verify(export)[1]["entry"]["sequence"] == 511


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[" * 60_000,
        b'{"a":' * 9_000,
        b'"' + b"\\" * 9_999,
        b"9" * 65_000,
        b"\xff\xfe",
        b'{"body":{},"interval":"","kind":"genesis","previous":"","schema":1,"sequence":0}',
    ],
)
def test_signed_nonsense_is_refused_without_a_traceback(verify, log, tmp_path, data):
    tree = merkle.Tree([merkle.leaf_hash(data)])
    head = checkpoint.Checkpoint(log.origin, 1, tree.root())
    export = tmp_path / "export"
    (export / "tile/0/000.p").mkdir(parents=True)
    (export / "tile/entries/000.p").mkdir(parents=True)
    (export / "checkpoint").write_text(checkpoint.sign(head, log.signer))
    (export / "tile/0/000.p/1").write_bytes(tree.root())
    (export / "tile/entries/000.p/1").write_bytes(len(data).to_bytes(2, "big") + data)
    status, report = verify(export)
    assert status == 1
    assert report["entry"]["sequence"] == 0


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


def test_any_damage_is_refused_with_a_reason(verify, folder):
    draw = random.Random(7)
    for _ in range(400):
        path = draw.choice(files(folder))
        genuine = path.read_bytes()
        start = draw.randrange(len(genuine))
        end = draw.randrange(start, min(len(genuine), start + 80)) + 1
        middle = draw.choice([b"", draw.randbytes(end - start + 1), genuine[start:end] * 2])
        path.write_bytes(genuine[:start] + middle + genuine[end:])
        status, report = verify(folder)
        assert status == 1
        assert report["file"] == path.relative_to(folder).as_posix()
        assert report["reason"]
        path.write_bytes(genuine)


def test_a_flipped_byte_in_an_export_of_a_thousand_entries_is_found_and_located(
    make_log, tmp_path, monkeypatch
):
    """Every 1999th byte; KHAZRI_EVERY_BYTE flips all of them, which takes half an hour.

    What the verifier computes of the same bytes again and again is computed once. Openings
    are flipped in the smaller export.
    """
    log = make_log(143)
    folder = log.export(tmp_path / "export", 11, 700, openings=False)
    assert log.tree.size >= 1000
    for name in ("parse_entry", "pair"):
        monkeypatch.setattr(verifier, name, lru_cache(maxsize=None)(getattr(verifier, name)))
    key = verifier.parse_key(log.vkey, 1)
    step = 1 if "KHAZRI_EVERY_BYTE" in os.environ else 1999
    for path in files(folder):
        genuine = path.read_bytes()
        name = path.relative_to(folder).as_posix()
        for offset in range(len(genuine) % step, len(genuine), step):
            altered = bytearray(genuine)
            altered[offset] ^= 1 << offset % 8
            path.write_bytes(altered)
            with pytest.raises(verifier.NotVerified) as found:
                verifier.verify(folder, key)
            report = found.value.report
            assert report["file"] == name, (offset, report)
            if name.startswith("tile/entries"):
                sequence, start = entry_at(genuine, offset)
                first = 256 * int(name[13:16])
                assert report["entry"]["sequence"] == first + sequence, (offset, report)
                assert report["offset"] == start
            elif name.startswith("tile/"):
                assert report["offset"] == offset - offset % 32
        path.write_bytes(genuine)
    assert verifier.verify(folder, key)["size"] == log.tree.size
