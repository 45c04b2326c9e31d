"""Signed notes and checkpoints against the vectors of Go's note package."""

import pytest

from grid.errors import BadInputError, VerificationError
from trading.ledger import checkpoint, note

VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngot"
    "pRZb6KE6RyyBwJnAM=\n"
)
NOTE = f"{TEXT}\n{LINE}"
HEAD = checkpoint.Checkpoint("log.example", 7, bytes(range(32)))
LOG = note.signer("log.example", bytes(32))


def witness(name="w.example", seed=b"w" * 32):
    return note.signer(name, seed, note.COSIGNATURE)


def test_the_reference_key_signs_the_reference_note_byte_for_byte():
    signer = note.parse_secret(SKEY)
    assert signer.key.encode() == VKEY
    assert note.sign(TEXT, [signer]) == NOTE
    assert note.verify(NOTE, note.parse_key(VKEY)) == TEXT


def test_secret_keys_come_back_and_are_not_shown():
    signer = note.parse_secret(note.encode_secret("log.example", bytes(32)))
    assert signer.key == LOG.key
    assert "sign_bytes" not in repr(signer)


def test_no_part_and_no_alteration_of_a_key_is_a_key():
    altered = [VKEY[i:j] for i in range(len(VKEY)) for j in range(i + 1, len(VKEY) + 1)]
    altered.remove(VKEY)
    altered += [VKEY[:i] + chr(ord(VKEY[i]) + 1) + VKEY[i + 1 :] for i in range(len(VKEY))]
    altered += [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ]
    for text in altered:
        with pytest.raises(BadInputError):
            note.parse_key(text)


def test_every_altered_character_of_a_note_is_refused():
    key = note.parse_key(VKEY)
    for index, character in enumerate(NOTE):
        for other in ("\n", "\x01", chr(ord(character) ^ 1)):
            if other == character:
                continue
            with pytest.raises(VerificationError):
                note.verify(NOTE[:index] + other + NOTE[index + 1 :], key)


def test_signatures_of_strangers_are_ignored_but_bad_ones_of_the_key_are_not():
    key = note.parse_key(VKEY)
    stranger = note.sign(TEXT, [LOG]).rpartition("\n\n")[2]
    assert note.verify(f"{TEXT}\n{stranger}{LINE}", key) == TEXT
    with pytest.raises(VerificationError):
        note.verify(f"{TEXT}\n{stranger}", key)
    false = note.SignatureLine(key.name, key.key_id, bytes(64)).encode()
    with pytest.raises(VerificationError):
        note.verify(f"{TEXT}\n{LINE}{false}", key)


@pytest.mark.parametrize("text", ["", "no newline", "tab\t\n", "return\r\n"])
def test_a_text_that_is_no_note_is_not_signed(text):
    with pytest.raises(BadInputError):
        note.sign(text, [LOG])


def test_more_than_a_hundred_signatures_are_refused():
    with pytest.raises(VerificationError):
        note.parse(f"{TEXT}\n{LINE * 101}")


def test_a_checkpoint_is_three_lines_signed_by_its_origin():
    signed = checkpoint.sign(HEAD, LOG)
    assert signed.startswith("log.example\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n— ")
    assert checkpoint.verify(signed, LOG.key) == HEAD
    with pytest.raises(BadInputError):
        checkpoint.sign(HEAD, note.signer("other.example", bytes(32)))


@pytest.mark.parametrize(
    "text",
    [
        "log.example\n7\n",
        "log.example\n07\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "log.example\n-7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "log.example\n٧\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "log.example\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=\n",
        "log.example\n7\nAAEC\n",
        "log.example\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nextension\n",
        "\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "stranger.example\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
    ],
)
def test_a_signed_text_that_is_no_checkpoint_of_the_log_is_refused(text):
    with pytest.raises(VerificationError):
        checkpoint.verify(note.sign(text, [LOG]), LOG.key)


def test_cosignatures_hold_for_the_text_the_time_and_the_key():
    signed = checkpoint.cosign(checkpoint.sign(HEAD, LOG), witness(), 1_679_315_147)
    assert checkpoint.verify(signed, LOG.key) == HEAD
    key = witness().key
    assert checkpoint.cosigners(signed, [key]) == {key.encode(): 1_679_315_147}
    assert checkpoint.cosigners(signed, [witness(seed=b"v" * 32).key]) == {}
    with pytest.raises(VerificationError):
        checkpoint.cosigners(signed.replace("\n7\n", "\n8\n"), [key])


def test_the_cosignature_of_the_specification_is_read():
    signed = (
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
        "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/"
        "Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    )
    text, lines = note.parse(signed)
    assert checkpoint.parse(text).size == 20_852_163
    assert lines[0].name == "example.com/behind-the-sofa"
    assert len(lines[0].signature) == note.SIGNATURE_BYTES
