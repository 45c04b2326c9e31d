"""A prosumer says when a vehicle leaves, on a phone, and takes it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.browser

Enter = Callable[..., Any]


def test_a_wish_is_stated_on_a_phone_and_taken_back(enter: Enter) -> None:
    page = enter("prosumer", width=390)
    page.click("text=Vehicles")
    page.fill("input[name=departs]", "2026-05-28T07:00")
    page.fill("input[name=kwh]", "12.5")
    page.click("button:has-text('Save')")
    page.wait_for_selector("text=12.5 kWh by 2026-05-28 07:00")
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    page.click("button:has-text('Undo')")
    page.wait_for_selector("text=Nothing is stated")
    page.wait_for_selector("text=taken back")


def test_an_operator_finds_every_charge_point_in_the_menu(enter: Enter) -> None:
    page = enter("operator")
    page.click("summary:has-text('More')")
    page.click("nav >> text=Vehicles")
    page.wait_for_selector("h2:has-text('EV-1')")
    page.fill("input[name=departs]", "2026-05-28T07:00")
    page.fill("input[name=kwh]", "900")
    page.click("button:has-text('Save')")
    page.wait_for_selector("text=must be within 0.1 to 65.217 kWh")
    assert page.input_value("input[name=kwh]") == "900"
