"""A change of a tariff reaches forward only, and an altered one is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

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


def _again(change: Callable[[dict[str, Any]], None]) -> Public:
    found = _public()
    told = json.loads(json.dumps(encode(of_site(SITE))))
    change(told)
    found.check(_record(3, {"action": "terms.begin", "terms": told}))
    return found


def test_terms_told_again_may_say_more_and_nothing_else() -> None:
    assert _again(lambda told: None).terms == of_site(SITE)
    early = Public()
    less = json.loads(json.dumps(encode(of_site(SITE))))
    del less["co2_mg_per_kwh"], less["market"]["loss_fees"]
    early.check(_record(1, {"action": "terms.begin", "terms": less}))
    early.check(_record(2, {"action": "terms.begin", "terms": encode(of_site(SITE))}))
    assert early.terms == of_site(SITE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda told: told["market"].update(feed_in="1"), "terms market"),
        (lambda told: told.pop("co2_mg_per_kwh"), "terms co2_mg_per_kwh"),
        (lambda told: told["tariff"][0].update(fixed_fee="1"), "terms tariff"),
        (lambda told: told.update(currency="EUR"), "terms currency"),
    ],
)
def test_terms_told_again_that_say_otherwise_are_named(change: Any, words: str) -> None:
    with pytest.raises(DifferenceError, match=words):
        _again(change)


def test_terms_told_again_hold_what_was_changed_since() -> None:
    found, new = _public(), _new(date(2026, 6, 26))
    found.check(_record(2, _change(encode(new))))
    with pytest.raises(DifferenceError, match="terms tariff"):
        found.check(_record(3, {"action": "terms.begin", "terms": encode(of_site(SITE))}))
    now = replace(of_site(SITE), tariff=changed(SITE.tariff, new))
    found.check(_record(4, {"action": "terms.begin", "terms": encode(now)}))
