"""Feeders and contracts from files: what is read, and what is refused by its line."""

import pytest

from grid.errors import BadInputError
from grid.interval import parse
from trading.terms_csv import read_contracts, read_feeder


def written(tmp_path, text):
    path = tmp_path / "f.csv"
    path.write_text(text, "utf-8")
    return path


def test_a_feeder_is_read_with_its_limits_and_fees_in_any_order_of_its_lines(tmp_path):
    feeder, number = read_feeder(
        written(
            tmp_path,
            "bus,parent,limit_wh,export_wh,import_wh,fee,buyer_fee\n"
            "b,a,50,,20,0.002,\nc,b,0,,,,0.01\na,,,,,,\n",
        )
    )
    assert number == {"b": 0, "c": 1, "a": 2}
    assert feeder.parent.tolist() == [2, 0, -1]
    assert (feeder.export_wh.tolist(), feeder.import_wh.tolist()) == ([50, 0, 0], [20, 0, 0])
    assert (feeder.line_fee.tolist(), feeder.bus_fee.tolist()) == ([2000, 0, 0], [0, 10_000, 0])


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("a,,,\nb,a,,", r"^f\.csv:3: the line of bus b has neither export_wh nor limit_wh"),
        ("a,,,\nb,a,-1,", r"^f\.csv:3: the line of bus b energy_wh '-1'"),
        ("a,,,\na,,,", r"^f\.csv:3: bus a is there already"),
        ("a,,,\nb,a,5,x", r"^f\.csv:3: price per kWh 'x'"),
        ("a,,,\nb,c,5,", r"^f\.csv: bus b hangs on 'c': not there"),
        ("a,,,\nb,,,", "the feeder has 2 heads"),
        ("a,,,\nb,a,5,-0.1", "bus 1 line_fee is -100000"),
    ],
)
def test_a_feeder_that_cannot_be_is_refused_in_words(tmp_path, lines, words):
    with pytest.raises(BadInputError, match=words):
        read_feeder(written(tmp_path, f"bus,parent,limit_wh,fee\n{lines}\n"))


def test_contracts_are_read_with_their_dates_and_parties_by_name(tmp_path):
    text = (
        "buyer,seller,price,energy_wh,share_percent,from,until\n"
        "ann,bob,0.06,500,,2026-06-01T00:00Z,\ncem,bob,0.05,,25,,2026-07-01T00:00Z\n"
    )
    first, second = read_contracts(written(tmp_path, text), {"bob": 0, "ann": 1})
    assert (first.buyer, first.seller, first.price, first.energy_wh) == (1, 0, 60_000, 500)
    assert first.from_s == parse("2026-06-01T00:00Z")
    assert first.until_s > parse("2199-01-01T00:00Z")
    # A party without an order has a number of its own, that no order has.
    assert (second.buyer, second.share_percent) == (2, 25)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ann,ann,0.06,5,", "nobody contracts with themselves"),
        ("ann,bob,0.06,,", "either energy_wh or share_percent"),
        ("ann,bob,x,5,", "not a plain decimal"),
        ("ann,bob,0.06,,101", "within 1 to 100"),
    ],
)
def test_a_contract_that_cannot_be_is_refused_by_its_line(tmp_path, line, words):
    path = written(tmp_path, f"buyer,seller,price,energy_wh,share_percent\n{line}\n")
    with pytest.raises(BadInputError, match=rf"^f\.csv:2: .*{words}"):
        read_contracts(path, {})
