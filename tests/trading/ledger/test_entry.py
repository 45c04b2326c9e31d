"""Entries, and commitments that keep what is personal out of them."""

from hashlib import sha256

import pytest

from grid.errors import BadInputError, VerificationError
from trading.ledger import canonical, commitment, entry, merkle, prove

AT = "2026-03-29T01:00Z"
SECRET = bytes(range(32))
DIGESTS = sorted(sha256(bytes([i])).hexdigest() for i in range(250))


def one(**changes):
    fields = {"sequence": 3, "previous": bytes(32), "kind": entry.Kind.READINGS, "interval": AT}
    return entry.Entry(**{**fields, "body": {"commitments": DIGESTS}, **changes})


@pytest.mark.parametrize("kind", [kind for kind in entry.Kind if kind != entry.Kind.GENESIS])
def test_entries_of_every_kind_come_back_from_their_bytes(kind):
    given = one(kind=kind)
    data = given.encode()
    assert entry.decode(data) == given
    assert given.leaf_hash == sha256(b"\x00" + data).digest()


def test_the_bytes_of_the_first_entry_are_pinned():
    assert entry.genesis("demo", "log.example+x+y").encode() == (
        b'{"body":{"key":"log.example+x+y","site":"demo"},"interval":"","kind":"genesis",'
        b'"previous":"' + b"0" * 64 + b'","schema":1,"sequence":0}'
    )


def test_following_entries_carry_the_leaf_hash_of_their_predecessor():
    first = entry.genesis("demo", "key")
    second = entry.following(first, entry.Kind.PLAN, AT, {})
    assert (second.sequence, second.previous) == (1, merkle.leaf_hash(first.encode()))


@pytest.mark.parametrize(
    "changes",
    [
        {"sequence": -1},
        {"sequence": True},
        {"sequence": 0},
        {"kind": entry.Kind.GENESIS},
        {"schema": 0},
        {"previous": bytes(31)},
        {"interval": "2026-03-29 01:00"},
        {"interval": "2026-13-29T01:00Z"},
        {"body": {"amount": 0.5}},
        {"body": {"commitments": ["ab"]}},
        {"body": {"commitments": [DIGESTS[1], DIGESTS[0]]}},
        {"body": {"commitments": [DIGESTS[0], DIGESTS[0]]}},
        {"body": {"commitments": "none"}},
        {"body": {"text": "a" * 65_536}},
    ],
)
def test_an_entry_that_no_verifier_would_accept_is_not_encoded(changes):
    with pytest.raises(BadInputError):
        one(**changes).encode()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"kind":"readings"', b'"kind":"reading"'),
        (b'"schema":1', b'"schema":true'),
        (b'"sequence":3', b'"sequence":"3"'),
        (b'"interval":"2026', b'"interval":"2O26'),
        (b'"previous":"00', b'"previous":"0g'),
        (b'"previous":"00', b'"previous":"'),
        (b'"body":{', b'"bodx":{'),
    ],
)
def test_altered_bytes_are_no_entry(old, new):
    data = one().encode()
    assert old in data
    with pytest.raises(VerificationError):
        entry.decode(data.replace(old, new))


def label(version=0):
    return commitment.Label(AT, "reading", "up-17", version)


def test_an_opening_is_of_its_digest_only():
    digest, opening = commitment.commit(SECRET, label(), {"import_wh": "417"})
    assert opening.digest == digest
    commitment.check_opening(opening, [digest])
    for other in (
        commitment.Opening(label(), opening.salt, {"import_wh": "418"}),
        commitment.Opening(label(1), opening.salt, {"import_wh": "417"}),
        commitment.Opening(label(), bytes(16), {"import_wh": "417"}),
    ):
        with pytest.raises(VerificationError):
            commitment.check_opening(other, [digest])


def test_the_salt_depends_on_person_and_label_and_not_on_the_payload():
    _, first = commitment.commit(SECRET, label(), {"import_wh": "1"})
    _, same = commitment.commit(SECRET, label(), {"import_wh": "2"})
    _, version = commitment.commit(SECRET, label(1), {"import_wh": "1"})
    _, person = commitment.commit(bytes(32), label(), {"import_wh": "1"})
    assert first.salt == same.salt
    assert len({first.salt, version.salt, person.salt}) == 3


def test_openings_come_back_from_their_lines():
    _, opening = commitment.commit(SECRET, label(), {"import_wh": "417"})
    assert commitment.decode_opening(opening.encode(9)) == (9, opening)
    for line in (b"{}", b"[]", opening.encode(9).replace(b'"version":0', b'"version":"0"')):
        with pytest.raises(VerificationError):
            commitment.decode_opening(line)


def test_energy_and_bill_cannot_be_guessed_from_the_log_but_read_from_an_opening():
    price = 84

    def payloads():
        return ({"energy_wh": str(wh), "amount_nano": str(wh * price)} for wh in range(5_001))

    digest, opening = commitment.commit(
        SECRET, label(), {"energy_wh": "417", "amount_nano": "35028"}
    )
    # the unsalted forms an observer can compute, and the salts an observer can guess
    public = {sha256(canonical.encode(payload)).hexdigest() for payload in payloads()}
    guessed = {
        commitment.Opening(label(), salt, payload).digest
        for salt in (b"", bytes(16), sha256(label().subject.encode()).digest()[:16])
        for payload in payloads()
    }
    assert digest not in public | guessed
    found = [
        payload
        for payload in payloads()
        if commitment.Opening(label(), opening.salt, payload).digest == digest
    ]
    assert found == [opening.payload]


def test_the_public_part_of_an_export_holds_no_opening(log, tmp_path):
    folder = log.export(tmp_path / "public", 11, openings=False)
    public = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    names = [str(path) for path in folder.rglob("*")]
    assert not any("openings" in name for name in names)
    for _, opening in log.openings:
        assert opening.salt.hex().encode() not in public
        assert canonical.encode(opening.payload) not in public
        assert opening.label.subject.encode() not in public
    assert b"p-buyer" not in public


def test_pseudonyms_change_each_month_and_differ_by_person():
    names = {commitment.pseudonym(secret, month) for secret in (SECRET, bytes(32))
             for month in ("2026-03", "2026-04")}  # fmt: skip
    assert len(names) == 4
    assert commitment.pseudonym(SECRET, "2026-03") == commitment.pseudonym(SECRET, "2026-03")
    with pytest.raises(BadInputError):
        commitment.pseudonym(b"short", "2026-03")


def test_a_proof_shows_one_person_their_opening_and_nothing_of_others(log):
    sequence, opening = log.openings[5]
    text = prove.prove(
        log.encoded[sequence], log.tree.inclusion(sequence), log.checkpoint(), [opening]
    )
    assert text.startswith("c2sp.org/tlog-proof@v1\nextra ")
    proven = prove.verify(text, log.signer.key)
    assert proven.entry == log.entries[sequence]
    assert proven.openings == (opening,)
    assert proven.checkpoint.size == 32


def test_every_altered_character_of_a_proof_is_refused(log):
    sequence, opening = log.openings[1]
    text = prove.prove(
        log.encoded[sequence], log.tree.inclusion(sequence), log.checkpoint(), [opening]
    )
    for index, character in enumerate(text):
        with pytest.raises(VerificationError):
            prove.verify(text[:index] + chr(ord(character) ^ 1) + text[index + 1 :], log.signer.key)


def test_a_proof_that_would_not_hold_is_never_handed_out(log):
    sequence, opening = log.openings[1]
    path, signed = log.tree.inclusion(sequence), log.checkpoint()
    with pytest.raises(VerificationError):
        prove.prove(log.encoded[sequence + 1], path, signed)
    with pytest.raises(VerificationError):
        prove.prove(log.encoded[sequence], path, log.checkpoint(20))
    with pytest.raises(VerificationError):
        prove.prove(log.encoded[sequence + 1], log.tree.inclusion(sequence + 1), signed, [opening])
