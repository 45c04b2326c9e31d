"""The verifier against damage: whatever is flipped, cut, added or swapped is found and located."""

import os
import random
import shutil
from functools import lru_cache

import pytest

import trading.verify as verifier
from trading.ledger import checkpoint, merkle


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
