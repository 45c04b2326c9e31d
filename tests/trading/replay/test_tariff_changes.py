"""A change of a tariff reaches forward only, and an altered one is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from grid import site_file
from grid.errors import BadInputError
from grid.site import Tariff
from tests.operation.test_month import BAKU
from trading.ledger.entry import Kind
from trading.replay.difference import DifferenceError
from trading.replay.log import Record
from trading.replay.public import Public
from trading.replay.terms import decode_tariff, encode, of_site
from trading.tariffs.change import changed

SITE = site_file.parse(BAKU)
HOME = SITE.tariff[0]
AT = "2026-06-25T08:00Z"


def _new(day: date, **facts: object) -> Tariff:
    return replace(HOME, valid_from=day, version=(), name="New", **facts)


def _record(sequence: int, body: dict[str, object]) -> Record:
    return Record(sequence, Kind.ACTION, AT, body, 0)


def _public() -> Public:
    found = Public()
    found.check(_record(1, {"action": "terms.begin", "terms": encode(of_site(SITE))}))
    return found


def _change(tariff: object) -> dict[str, object]:
    return {"action": "terms.change", "change": tariff}


def test_a_version_is_told_and_read_without_loss() -> None:
    new = _new(date(2026, 7, 1), fixed_fee=5)
    assert decode_tariff(encode(new)) == new


def test_versions_stand_in_the_order_of_their_days_and_a_day_has_one() -> None:
    (made,) = changed(SITE.tariff, _new(date(2026, 6, 20)))
    assert [one.name for one in made.versions] == ["Blocks", "New", "Dearer"]
    with pytest.raises(BadInputError, match="must rise"):
        changed(SITE.tariff, _new(date(2026, 6, 24)))
    other = replace(_new(date(2026, 7, 1)), id="other")
    assert changed(SITE.tariff, other) == (*SITE.tariff, other)


def test_terms_follow_a_change() -> None:
    found, new = _public(), _new(date(2026, 6, 26))
    found.check(_record(2, _change(encode(new))))
    assert found.terms is not None
    assert found.terms.tariff == changed(SITE.tariff, new)


@pytest.mark.parametrize("day", [date(2026, 6, 25), date(2026, 6, 1), date.min])
def test_a_change_that_reaches_back_is_named(day: date) -> None:
    with pytest.raises(DifferenceError, match="valid_from"):
        _public().check(_record(2, _change(encode(_new(day)))))


@pytest.mark.parametrize("told", [None, [], {}, {"id": 1}, "home"])
def test_a_change_that_is_no_tariff_is_named(told: object) -> None:
    with pytest.raises(DifferenceError, match="change"):
        _public().check(_record(2, _change(told)))


def test_a_change_before_the_terms_is_named() -> None:
    with pytest.raises(DifferenceError):
        Public().check(_record(1, _change(encode(_new(date(2026, 6, 26))))))
