"""Each persona signs in with a real browser and does their main thing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

Enter = Callable[..., Any]


def test_the_operator_acknowledges_an_alarm_with_a_comment(enter: Enter) -> None:
    page = enter("operator")
    row = page.locator("tr", has_text="vm_pu 1.112")
    row.get_by_label("Comment on LV 9").fill("tap changed")
    page.wait_for_timeout(3500)
    assert row.get_by_label("Comment on LV 9").input_value() == "tap changed"
    row.get_by_role("button", name="Acknowledge").click()
    page.wait_for_url("**/operator/now")
    expect(page.locator("tr", has_text="vm_pu 1.112")).to_have_count(0)


def test_the_operator_sees_plan_against_actual_and_its_table(enter: Enter) -> None:
    page = enter("operator")
    page.get_by_role("link", name="Dispatch").click()
    page.wait_for_selector(".uplot canvas")
    expect(page.locator(".uplot")).to_have_count(7)
    page.get_by_text("As a table").first.click()
    page.wait_for_selector(".charts details[open] tbody tr")
    assert page.locator(".charts details[open] tbody tr").count() > 90
    expect(page.get_by_text("the surplus is worth more from 18:00")).to_be_visible()


def test_the_operator_sees_the_overloaded_line(enter: Enter) -> None:
    page = enter("operator")
    page.get_by_role("link", name="Network").click()
    expect(page.locator("svg[role=img] g.branch.over")).to_have_count(1)
    expect(page.locator("svg[role=img] g.bus.high")).to_have_count(1)


def test_a_live_part_is_polled_and_answers_304(enter: Enter) -> None:
    page = enter("operator")
    codes: list[int] = []
    page.on("response", lambda r: codes.append(r.status) if r.url.endswith("/live") else None)
    page.wait_for_timeout(7000)
    assert codes[0] == 200
    assert set(codes[1:]) == {304}
    expect(page.get_by_text("Power balance")).to_be_visible()


def test_the_prosumer_sets_a_limit_price_on_a_phone_and_undoes_it(enter: Enter) -> None:
    page = enter("prosumer", width=390)
    expect(page.locator("svg.day rect.gap")).to_have_count(7)
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390
    page.get_by_role("link", name="Limit prices").click()
    page.fill("input[name=buy]", "0.0700")
    page.get_by_role("button", name="Save").click()
    page.wait_for_selector("text=Saved")
    assert page.input_value("input[name=buy]") == "0.0700"
    page.get_by_role("button", name="Undo").click()
    page.wait_for_url("**/my/limits")
    page.get_by_role("link", name="Statement").click()
    expect(page.get_by_text("What trading cost you")).to_be_visible()


def test_the_auditor_verifies_the_ledger_and_an_entry(enter: Enter) -> None:
    page = enter("auditor")
    page.get_by_role("button", name="Verify the whole ledger now").click()
    expect(page.get_by_text("The ledger verifies: 48 entries.")).to_be_visible()
    page.get_by_role("link", name="Entries", exact=True).click()
    page.locator("tbody a").first.click()
    page.get_by_role("link", name="Prove that this entry").click()
    expect(page.get_by_text("equals the signed root")).to_be_visible()


def test_the_administrator_creates_a_user(enter: Enter) -> None:
    page = enter("administrator")
    page.fill("section:last-of-type input[name=email]", "new@example.org")
    page.fill("input[name=password]", "another long one")
    page.locator("section:last-of-type input[value=auditor]").check()
    page.get_by_role("button", name="Create").click()
    page.wait_for_selector("td:has-text('new@example.org')")


@pytest.mark.parametrize(("language", "text"), [("az", "Güc balansı"), ("ru", "Баланс мощности")])
def test_the_language_is_switched_with_one_click(enter: Enter, language: str, text: str) -> None:
    page = enter("operator")
    page.locator(f".languages button[value={language}]").click()
    page.wait_for_selector(f"text={text}")
