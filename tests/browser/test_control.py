"""An operator holds a device and places a tag with the keyboard alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Enter = Callable[..., Any]


def _tab_to(page: Any, name: str) -> None:
    """Press Tab until the field or button of that name has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        found = page.evaluate(
            "[document.activeElement.name, document.activeElement.innerText.trim()]"
        )
        if name in found:
            return
    raise AssertionError(f"{name} is not reached with the keyboard")


def test_a_device_is_held_and_given_back_with_the_keyboard(enter: Enter) -> None:
    page = enter("operator")
    page.goto("/operator/overrides")
    for name, text in (("asset", "WIND"), ("action", "at"), ("kw", "7.5"), ("minutes", "30")):
        _tab_to(page, name)
        page.keyboard.type(text)
    _tab_to(page, "Hold")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=at most 7.5 kW")
    assert page.locator("text=Give back to the plan").count() == 1
    _tab_to(page, "Give back to the plan")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=given back")


def test_a_tag_shows_what_is_behind_before_it_is_placed(enter: Enter) -> None:
    page = enter("operator", width=390)
    page.goto("/operator/tags")
    page.select_option("select[name=element]", "asset:DG-1")
    page.click("text=Show what is behind it")
    page.wait_for_selector("text=Generation behind DG-1")
    page.fill("input[name=note]", "oil")
    page.click("text=Place the tag, I hold it")
    page.wait_for_selector("button:has-text('Release')")
    wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert not wide
    page.goto("/operator/network")
    page.wait_for_selector("svg text:has-text('TAG')")
