"""Rows taken at once are the rows taken one by one, whatever a meter sends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meters.dlms import data
from meters.dlms.alike import take_alike
from meters.dlms.data import Tag
from meters.dlms.errors import DlmsError

ROW = [
    (Tag.OCTET_STRING, bytes(range(12))),
    (Tag.UINT32, 7),
    (Tag.BOOLEAN, True),
    (Tag.INT64, -5),
    (Tag.NULL, None),
    (Tag.OCTET_STRING, b""),
    (Tag.DATE, b"12345"),
]


def buffer(rows):
    return data.array([data.structure([data.encode(*cell) for cell in row]) for row in rows])


def one_by_one(octets):
    """The rows of an array, each decoded by itself."""
    count, at = data.take_length(octets, 1)
    rows = []
    for _ in range(count):
        row, at = data.take(octets, at)
        rows.append(row)
    return rows, at


@pytest.mark.parametrize("count", [8, 127, 128, 300])
def test_rows_alike_are_taken_at_once(count):
    rows = [[*ROW[:1], (Tag.UINT32, number), *ROW[2:]] for number in range(count)]
    octets = buffer(rows)
    decoded = data.decode(octets)
    assert decoded == [tuple(cell[1] for cell in row) for row in rows]
    assert one_by_one(octets) == (decoded, len(octets))
    _, at = data.take_length(octets, 1)
    assert take_alike(octets, at, count) == (decoded, len(octets))


def test_rows_after_another_one_are_not_lost():
    nulls = [(Tag.NULL, None), *ROW[1:]]
    rows = [ROW, ROW, nulls, *[ROW] * 9, [(Tag.UINT8, 3)], ROW]
    octets = buffer(rows)
    assert data.decode(octets) == one_by_one(octets)[0]
    assert data.decode(octets)[2][0] is None
    assert data.decode(octets)[12] == (3,)


@given(place=st.integers(0, 600), octet=st.integers(0, 255), cut=st.integers(0, 600))
def test_a_changed_byte_gives_what_it_gives_one_by_one(place, octet, cut):
    whole = bytearray(buffer([ROW] * 12))
    whole[place % len(whole)] = octet
    octets = bytes(whole[: len(whole) - cut % len(whole)])
    if octets[0] != Tag.ARRAY:
        return
    try:
        expected = one_by_one(octets)
    except DlmsError as error:
        with pytest.raises(DlmsError, match=str(error).replace("(", r"\(")):
            data.take(octets, 0)
    else:
        assert data.take(octets, 0) == expected


def test_rows_do_not_stand_deeper_than_is_allowed():
    for depth in (14, 15):
        octets = b"\x02\x01" * depth + buffer([[(Tag.UINT8, 1)]] * 9)
        if depth == 14:
            data.decode(octets)
        else:
            with pytest.raises(DlmsError, match="deeper"):
                data.decode(octets)
