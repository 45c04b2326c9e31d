"""The verifier against who rewrites a log, without its key or with it."""

import shutil

import pytest

from trading.ledger import entry, merkle, tiles


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
