"""A log in the place of one whose entries are lost: who verifies finds out what it leaves out."""

import json

import pytest

import trading.verify as verifier
from grid.errors import VerificationError
from grid.interval import parse
from trading.ledger import checkpoint, entry, merkle, note, succession, tiles
from trading.ledger.checkpoint import Checkpoint
from trading.ledger.succession import Loss

LEFT, SEEN = 12, 20
NEW = note.signer("khazri.example/test/2", b"n" * 32)
AT_S, FROM_S = parse("2026-07-01T10:00Z"), parse("2026-07-01T10:15Z")


def _grown(log, size=SEEN, fork=None):
    for number in range(log.tree.size, size):
        plan = number + 1000 * (fork is not None and number >= fork)
        log.append(entry.Kind.PLAN, "", {"plan": f"{plan:064x}"})
    return log


def _head(log, size):
    return Checkpoint(log.origin, size, log.tree.root(size))


def _export(log, size, folder):
    tiles.export(log.encoded[:size], [checkpoint.sign(_head(log, size), log.signer)], folder)
    return folder


def _told(log, by=None, **change):
    """Return what the genesis of the new log tells of the old one, signed as it is told."""
    facts = {"left": _head(log, LEFT), "seen": _head(log, SEEN), "at_s": AT_S, "from_s": FROM_S}
    loss = Loss(**{**facts, **change})
    signer = by or log.signer
    return loss.told(signer.key, signer.sign_bytes(loss.statement(NEW.key.encode())))


def _follow(told, folder):
    """Write the new log of one entry; return its folder."""
    one = entry.genesis(NEW.key.name, NEW.key.encode(), "", told)
    head = Checkpoint(NEW.key.name, 1, merkle.leaf_hash(one.encode()))
    tiles.export([one.encode()], [checkpoint.sign(head, NEW)], folder)
    return folder


@pytest.fixture
def old(make_log):
    """A log of twenty entries, of which twelve are left."""
    return _grown(make_log(0))


@pytest.fixture
def run(capsys):
    """Returns exit status and report of one run on the new log."""

    def run(folder, *arguments):
        capsys.readouterr()
        key = NEW.key.encode()
        status = verifier.main([str(folder), "--key", key, "--json", *map(str, arguments)])
        out = capsys.readouterr().out.splitlines()
        return status, json.loads(out[-1]) if out else {}

    return run


@pytest.mark.parametrize("size", [LEFT, 16, SEEN])
def test_what_is_left_and_what_an_auditor_kept_of_the_old_log_are_held_against_the_new_one(
    old, run, tmp_path, size
):
    new = _follow(_told(old), tmp_path / "new")
    kept = _export(old, size, tmp_path / "old")
    status, report = run(new, "--previous", kept, "--previous-key", old.vkey)
    assert (status, report["follows"]["lost"], report["previous"]) == (0, 8, True)
    status, report = run(new)
    assert (status, report["follows"]["origin"], report["previous"]) == (0, old.origin, False)


def test_the_loss_is_said_in_words(old, tmp_path, capsys):
    new = _follow(_told(old), tmp_path / "new")
    given = [str(new), "--key", NEW.key.encode()]
    assert verifier.main(given) == 0
    out = capsys.readouterr().out
    assert "which ended by 2026-07-01T10:00Z with 12 entries: of the 20 that were seen 8 are" in out
    assert "that log was not given (--previous); this one tells intervals from" in out
    kept = ["--previous", str(_export(old, LEFT, tmp_path / "old")), "--previous-key", old.vkey]
    assert verifier.main([*given, *kept]) == 0
    assert "that log agrees with its export" in capsys.readouterr().out


def test_another_history_than_was_left_or_seen_is_refused(make_log, old, run, tmp_path):
    new = _follow(_told(old), tmp_path / "new")
    given = ["--previous-key", old.vkey, "--previous"]
    for size, fork, why in (
        (LEFT, 6, "another root at 12 entries"),
        (SEEN, 16, "another root at 20 entries"),
        (LEFT - 1, None, "has 11 entries: 12 are told to be left"),
        (SEEN + 1, None, "has 21 entries: only 20 are told to have been seen"),
    ):
        log = _grown(make_log(0), max(size, SEEN), fork)
        kept = _export(log, size, tmp_path / f"{size}{fork}")
        status, report = run(new, *given, kept)
        assert status == 1
        assert why in report["reason"]


def test_an_old_log_that_does_not_verify_or_is_of_another_key_is_refused(old, run, tmp_path):
    new = _follow(_told(old), tmp_path / "new")
    kept = _export(old, LEFT, tmp_path / "old")
    stranger = note.signer(old.origin, b"s" * 32).key.encode()
    status, report = run(new, "--previous", kept, "--previous-key", stranger)
    assert (status, report["reason"][:15]) == (1, "the log before:")
    (kept / "checkpoint").write_text("x")
    assert run(new, "--previous", kept, "--previous-key", old.vkey)[0] == 1
    assert run(new, "--previous", kept)[0] == 2
    assert run(new, "--previous-key", old.vkey)[0] == 2
    assert run(new, "--previous", tmp_path / "none", "--previous-key", old.vkey)[0] == 2


def test_a_log_that_follows_none_is_not_taken_for_the_next_of_another(old, run, tmp_path):
    new = _follow(None, tmp_path / "new")
    assert run(new)[1]["follows"] is None
    kept = _export(old, LEFT, tmp_path / "old")
    status, report = run(new, "--previous", kept, "--previous-key", old.vkey)
    assert (status, report["reason"]) == (1, "follows no log, but one was given")


CHANGES = {
    "at": "2026-07-01T09:45Z",
    "from": "2026-07-01T11:00Z",
    "key": NEW.key.encode(),
    "lost": 7,
    "origin": "khazri.example/other",
    "root": "0" * 64,
    "seen_root": "0" * 64,
    "seen_size": 21,
    "signature": "0" * 128,
    "size": 13,
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("value", ["other", "none", "malformed"])
def test_each_word_of_what_a_genesis_tells_is_signed_by_the_old_key(
    old, run, tmp_path, name, value
):
    told = _told(old)
    if value == "none":
        del told[name]
    else:
        told[name] = CHANGES[name] if value == "other" else [told[name]]
    status, report = run(_follow(told, tmp_path / "new"))
    assert (status, report["entry"]["kind"]) == (1, "genesis")
    body = {"key": NEW.key.encode(), "site": NEW.key.name, "follows": told}
    with pytest.raises(VerificationError, match="entry 0: "):
        succession.read(body)


def test_a_stranger_cannot_claim_to_follow_a_log(old, run, tmp_path):
    """Nor can the loss be told smaller by changing numbers that belong together."""
    stranger = note.signer(old.origin, b"s" * 32)
    new = _follow(_told(old, by=stranger), tmp_path / "new")
    assert run(new)[0] == 0
    kept = _export(old, LEFT, tmp_path / "old")
    status, report = run(new, "--previous", kept, "--previous-key", old.vkey)
    assert status == 1
    assert "is signed by" in report["reason"]
    told = _told(old)
    told |= {"seen_size": SEEN - 1, "lost": SEEN - 1 - LEFT}
    assert run(_follow(told, tmp_path / "less"))[0] == 1
    # Another log cannot use what was signed for this one.
    other = note.signer("khazri.example/test/2", b"o" * 32)
    one = entry.genesis(other.key.name, other.key.encode(), "", _told(old))
    with pytest.raises(VerificationError, match="did not sign that"):
        succession.read(one.body)


def test_what_is_written_is_read_again(old):
    told = _told(old)
    loss = succession.read(entry.genesis("s", NEW.key.encode(), "", told).body)
    assert loss is not None
    assert (loss.left, loss.seen, loss.entries) == (_head(old, LEFT), _head(old, SEEN), 8)
    assert (loss.at_s, loss.from_s) == (AT_S, FROM_S)
    assert succession.read(entry.genesis("s", NEW.key.encode()).body) is None
