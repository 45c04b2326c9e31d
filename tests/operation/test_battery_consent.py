"""From when on a battery trades, and for whom."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from grid.errors import BadInputError
from grid.operation import agreements, battery_consent
from grid.store import agreements as held
from grid.store import control
from tests.operation.battery_street import (
    BEFORE,
    LAST_DAY,
    START_S,
    begun,
    consent,
    text,
)
from tests.operation.month_site import STEP_S, begin


def test_consent_is_for_a_member_who_trades_and_has_a_battery(tmp_path: Path) -> None:
    street = begun(tmp_path / "site", 8)
    with street.room.store.write() as tx:
        with pytest.raises(BadInputError, match="no battery that could be traded"):
            agreements.change_terms(
                tx, street.site, usage_point="UP-3", day=LAST_DAY, by="m", battery=True
            )
        with pytest.raises(BadInputError, match="only for a party that trades"):
            agreements.change_terms(
                tx, street.site, usage_point="UP-1", day=LAST_DAY, by="m", battery=True,
                trades=False,
            )  # fmt: skip
    consent(street, "UP-1", LAST_DAY, battery=True)
    consent(street, "UP-1", LAST_DAY, battery=False)
    with street.room.store.write() as tx:
        one = next(kept for kept in held.listed(tx) if kept.party == "P-1")
        assert [terms.batteries for terms in one.terms] == [(), ()]
    consent(street, "UP-1", LAST_DAY, battery=True)
    with street.room.store.write() as tx:
        changed = agreements.change_terms(
            tx, street.site, usage_point="UP-1", day=LAST_DAY, by="m", trades=False
        )
    assert changed.terms[-1].batteries == ()
    street.room.signer.close()
    street.room.store.close()


def test_consent_does_not_change_for_what_is_offered_already(tmp_path: Path) -> None:
    """Half an hour before midnight the first orders of the next day are placed."""
    street = begun(tmp_path / "site", 8)
    late_s = START_S - 2 * STEP_S
    with street.room.store.write() as tx:
        control.put_meta(tx, "clock_s", str(late_s - 1))
        assert battery_consent.soonest(tx, street.site) == LAST_DAY
    consent(street, "UP-1", LAST_DAY, battery=True)
    with street.room.store.write() as tx:
        control.put_meta(tx, "clock_s", str(late_s))
        assert battery_consent.soonest(tx, street.site) == LAST_DAY + timedelta(days=1)
        with pytest.raises(BadInputError, match="offered already"):
            agreements.change_terms(
                tx, street.site, usage_point="UP-1", day=LAST_DAY, by="m", battery=False
            )
        with pytest.raises(BadInputError, match="offered already"):
            agreements.move_out(tx, street.site, usage_point="UP-1", day=LAST_DAY, by="m")
        agreements.change_terms(
            tx, street.site, usage_point="UP-1", day=LAST_DAY, by="m", share_percent=50
        )
        agreements.move_out(tx, street.site, usage_point="UP-2", day=LAST_DAY, by="m")
    street.room.signer.close()
    street.room.store.close()


def test_who_moves_out_withdraws_consent_until_then(tmp_path: Path) -> None:
    street = begun(tmp_path / "site", 8)
    consent(street, "UP-1", LAST_DAY, battery=True)
    with street.room.store.write() as tx:
        agreements.move_in(
            tx, street.site, usage_point="UP-1", party="P-5", day=date(2026, 8, 1), by="clerk"
        )
        changed = agreements.change_terms(
            tx, street.site, usage_point="UP-1", day=date(2026, 7, 1), by="member", battery=False
        )
    assert (changed.party, changed.terms[-1].batteries) == ("P-1", ())
    street.room.signer.close()
    street.room.store.close()


def test_where_losses_are_made_good_a_battery_begins_with_a_month(tmp_path: Path) -> None:
    made = text().replace("minimum_group = 1\n", "minimum_group = 1\nguaranteed = true\n")
    street = begin(tmp_path / "site", made, START_S - BEFORE * STEP_S, 8, seed=5)
    with pytest.raises(BadInputError, match="begins to trade with a month"):
        consent(street, "UP-1", LAST_DAY, battery=True)
    with street.room.store.read() as tx:
        assert battery_consent.soonest(tx, street.site) == LAST_DAY
        assert battery_consent.soonest(tx, street.site, begins=True) == date(2026, 7, 1)
    consent(street, "UP-1", date(2026, 7, 1), battery=True)
    with street.room.store.read() as tx:
        one = next(kept for kept in held.listed(tx) if kept.usage_point == "UP-1")
        assert battery_consent.next_day(tx, street.site, one, battery=False) == date(2026, 7, 1)
    consent(street, "UP-1", date(2026, 7, 1), battery=False)
    street.room.signer.close()
    street.room.store.close()
