"""Policies of witnesses: what the format's own example means, and the same to both readers."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trading.verify as verifier
from grid.errors import BadInputError
from trading.ledger import note, policy


def key(name, kind=note.COSIGNATURE):
    return note.signer(name, name.encode().ljust(32, b".")[:32], kind).key


def example():
    """Two of three X and any of two Y, as in the format's example."""
    names = ["X1", "X2", "X3", "Y1", "Y2"]
    lines = [f"log {key('log.example', note.ED25519).encode()} https://log.example/", ""]
    lines += [f"\twitness  {name} {key(name).encode()}  https://{name}.example/" for name in names]
    lines += ["group X 2 X1 X2 X3", "group Y any Y1 Y2", "# both", "group both all X Y"]
    return names, "\n".join([*lines, "quorum both", ""])


def test_the_quorum_of_the_formats_example_for_every_set_of_witnesses():
    names, text = example()
    ours, theirs = policy.parse(text.encode()), verifier.parse_policy(text)
    assert next(one.url for one in ours.witnesses.values()) == "https://X1.example/"
    assert ours.logs == [key("log.example", note.ED25519)]
    for count in range(6):
        for some in combinations(names, count):
            met = ours.met({key(name).encode() for name in some})
            assert met == theirs.met(set(some))
            xs = sum(name[0] == "X" for name in some)
            assert met == (xs >= 2 and xs < len(some))


def test_no_witness_is_a_policy_too():
    assert policy.parse(b"quorum none").met(())


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("", "no quorum line"),
        ("quorum none\nquorum none", "line 2: is a second quorum"),
        ("quorum A", "line 1: quorum 'A' is no witness or group above"),
        ("group g any A", "line 1: member 'A' is no witness or group above"),
        ("witness none {A}", "line 1: name 'none' is taken"),
        ("witness A {A}\nwitness A {B}", "line 2: name 'A' is taken"),
        ("witness A {A}\nwitness B {A}", "line 2: witness 'B' has the key of another one"),
        ("witness A {L}", "line 1: key of L is of type 1, must be 4"),
        ("log {A}", "line 1: key of A is of type 4, must be 1"),
        ("log {L}\nlog {L}", "line 2: the key of log L is there twice"),
        ("witness A {A}\ngroup g 2 A", "line 2: group 'g' of 1 cannot need '2'"),
        ("witness A {A}\ngroup g 0 A", "line 2: group 'g' of 1 cannot need '0'"),
        ("witness A {A}\ngroup g any A\ngroup h any A", "line 3: member 'A' is in a group already"),
        ("witness A {A} ftp://a/", "line 1: url is 'ftp://a/', must be http"),
        ("witness A {A} http://a:99999/", "line 1: url is 'http://a:99999/', must be http"),
        ("witness A {A} u v", "line 1: must be log, witness, group or quorum"),
        ("# \x07", None),
        ("quorum none\x0b", "line 1: has control characters"),
    ],
)
def test_what_is_wrong_with_a_policy_is_named_with_its_line(lines, told):
    text = lines.format(A=key("A").encode(), B=key("B").encode(), L=key("L", 1).encode())
    with pytest.raises(BadInputError, match=told and told.replace("'", ".")):
        policy.parse(text.encode())


_WORDS = ["log", "witness", "group", "quorum", "none", "any", "all", "1", "2", "A", "B", "g"]
_WORDS += [key("A").encode(), key("B").encode(), key("L", note.ED25519).encode(), "#"]


@given(st.lists(st.lists(st.sampled_from(_WORDS), max_size=5).map(" ".join), max_size=7))
def test_both_readers_take_the_same_policies_and_mean_the_same(lines):
    text = "\n".join(lines)
    try:
        ours = policy.parse(text.encode())
    except BadInputError as error:
        if "url is" in str(error):
            return  # a verifier asks nobody, so that it need not understand where
        ours = None
    try:
        theirs = verifier.parse_policy(text)
    except verifier.UsageError:
        theirs = None
    assert (ours is None) == (theirs is None)
    if ours is not None and theirs is not None:
        for some in ((), ("A",), ("B",), ("A", "B")):
            known = {name for name, one in ours.witnesses.items() if one.key.name in some}
            cosigned = {one.key.encode() for name, one in ours.witnesses.items() if name in known}
            assert ours.met(cosigned) == theirs.met(known)
