"""Canonical JSON against RFC 8785's samples and an independent encoder."""

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import BadInputError, VerificationError
from trading.ledger import canonical

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-canonical.INTEGER_MAX, canonical.INTEGER_MAX)
    | st.text()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_names_sort_by_utf_16_code_units_as_in_rfc_8785_section_3_2_3():
    given_value = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    encoded = canonical.encode(given_value)
    assert list(json.loads(encoded).values()) == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


def test_strings_escape_as_in_rfc_8785_section_3_2_2():
    text = "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/"
    expected = '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'.encode()
    assert canonical.encode(text) == expected
    assert canonical.encode([None, True, False]) == b"[null,true,false]"
    assert canonical.encode("\b\f\t\x7f\u2028") == '"\\b\\f\\t\x7f\u2028"'.encode()


@given(values)
def test_any_value_encodes_as_the_rfc8785_package_does_and_comes_back(value):
    data = canonical.encode(value)
    assert data == rfc8785.dumps(value)
    assert canonical.decode(data, limit=1 << 20) == value


@pytest.mark.parametrize(
    "value",
    [1.0, 0.5, float("nan"), 2**53, -(2**53), "\ud800", {"\udfff": 1}, {1: 2}, (1,), b"", {1}],
)
def test_what_has_two_readings_is_not_encoded(value):
    with pytest.raises(BadInputError):
        canonical.encode({"value": value})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" {}",
        b"{} ",
        b'{"a": 1}',
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b"[1.0]",
        b"[1e2]",
        b"[-0]",
        b"[01]",
        b"[9007199254740992]",
        b"[" + b"9" * 10_000 + b"]",
        b"[NaN]",
        b"[Infinity]",
        b'["\\u0041"]',
        b'["\\/"]',
        b'["\\ud800"]',
        b'["\xff"]',
        b'["\xed\xa0\x80"]',
        b"\xef\xbb\xbf[]",
        b"[1_0]",
        b"['a']",
        b'["\x01"]',
        b"[1,]",
        b"[" * 17 + b"]" * 17,
        b"[" * 30_000,
        b'{"a":' * 10_000,
    ],
)
def test_only_the_canonical_bytes_decode(data):
    with pytest.raises(VerificationError):
        canonical.decode(data)


def test_brackets_inside_strings_are_not_depth():
    data = canonical.encode(["[" * 100, '\\"' + "{" * 100])
    assert canonical.decode(data) == ["[" * 100, '\\"' + "{" * 100]


def test_more_bytes_than_the_limit_are_not_even_parsed():
    with pytest.raises(VerificationError, match="65536 bytes"):
        canonical.decode(b'"' + b"a" * 65_534 + b'"')


@given(st.binary(max_size=60))
def test_any_bytes_decode_to_themselves_or_are_refused(data):
    try:
        value = canonical.decode(data)
    except VerificationError:
        return
    assert canonical.encode(value) == data
