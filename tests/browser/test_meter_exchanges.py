"""A clerk records an exchange in a real browser; menus stay on one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

Enter = Callable[..., Any]
LINE_PX = 60


def test_a_clerk_records_an_exchange_and_the_administrator_sees_no_serial(enter: Enter) -> None:
    page = enter("metering")
    page.locator("nav summary").click()
    page.get_by_role("link", name="Meter exchanges").click()
    # What a choice does is the script's part: it has run when the page is loaded.
    page.wait_for_url("**/meters/exchanges", wait_until="load")
    page.select_option("select[name=meter]", "M-3")
    page.wait_for_selector("input[name=old_serial]")
    page.fill("input[name=at]", "2026-05-27T12:40")
    for name, text in (
        ("old_serial", "SN-OLD"), ("new_serial", "SN-NEW"), ("last_import_wh", "5250"),
        ("first_import_wh", "10"),
    ):  # fmt: skip
        page.fill(f"input[name={name}]", text)
    page.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_selector("text=The exchange of M-3 is recorded")
    row = page.locator("tr", has_text="SN-OLD")
    assert "import 5 250 Wh" in row.inner_text()
    page = enter("administrator", width=390)
    page.locator("nav summary").click()
    page.get_by_role("link", name="Meter exchanges").click()
    page.wait_for_selector("text=import 5 250 Wh")
    assert "SN-" not in page.content()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("who", ["operator", "metering"])
@pytest.mark.parametrize("language", ["az", "en", "ru"])
def test_the_menu_is_one_line_and_unfolds(enter: Enter, who: str, language: str) -> None:
    for width in (1200, 390):
        page = enter(who, width=width)
        page.locator(f".languages button[value={language}]").click()
        page.wait_for_selector(f".languages button[value={language}][aria-current]")
        assert page.locator("nav").bounding_box()["height"] < LINE_PX
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if who == "operator":
            page.locator("nav summary").click()
            links = page.locator("nav .menu a")
            expect(links).to_have_count(10)
            expect(links.last).to_be_visible()
            page.keyboard.press("Escape")
            assert not links.last.is_visible()
