"""Five real cycles with two silent meters, looked at by those whom it concerns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import expect

from grid.console.first_users import add
from grid.operation import commission, cycle, demo, opening
from grid.operation.demo_site import DEFAULT_DAY
from grid.operation.room import Room

pytestmark = pytest.mark.browser

Enter = Callable[..., Any]
Accounts = dict[str, tuple[str, str]]

CYCLES, SILENT_FROM = 5, 1
SILENT = {"M-001": "modbus", "M-002": "dlms"}
PEOPLE = {
    "operator": ("operator", None),
    "auditor": ("auditor", None),
    "owner of UP-001": ("prosumer", "P-001"),
    "owner of UP-002": ("prosumer", "P-002"),
    "owner of UP-003": ("prosumer", "P-003"),
}


def _silence(room: Room) -> None:
    """Let both meters say nothing from the next cycle to the last."""
    from_s = cycle.clock(room)
    to_s = from_s + CYCLES * room.site.interval_s
    for meter, protocol in SILENT.items():
        assert protocol == next(m.protocol for m in room.site.meter if m.id == meter)
        fault = {"meter": meter, "kind": "silent", "from_s": from_s, "to_s": to_s}
        room.link.ask(do="fault", fault=fault)


# Before the browser: while it is open its event loop runs in this thread, and none other may.
@pytest.fixture(scope="module", autouse=True)
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Accounts]:
    """A site folder after its cycles, and who may sign in."""
    folder = tmp_path_factory.mktemp("played") / "site"
    demo.prepare(folder, day=DEFAULT_DAY, seed=1)
    store = commission.open_store(folder)
    accounts: Accounts = {}
    with opening.opened(folder) as room:
        for number, (who, (role, party)) in enumerate(PEOPLE.items()):
            email = f"{role}-{number}@khazri.example"
            accounts[who] = (email, add(store, room.site, email, [role], party))
        demo.play(room, SILENT_FROM, lambda text: None)
        _silence(room)
        demo.play(room, CYCLES - SILENT_FROM, lambda text: None)
    store.close()
    return folder, accounts


@pytest.fixture(scope="module")
def address(
    played: tuple[Path, Accounts], served: Callable[[Flask], AbstractContextManager[str]]
) -> Iterator[str]:
    """The address of the served site."""
    from grid import site_file
    from grid.console.web import create_app

    folder, _ = played
    site = site_file.read(folder / "SITE.toml")
    app = create_app(f"sqlite:///{folder / 'khazri.sqlite3'}", site, directory=folder)
    with served(app) as at:
        yield at


@pytest.fixture(scope="module")
def accounts(played: tuple[Path, Accounts]) -> Accounts:
    """Who may sign in."""
    return played[1]


def test_the_operator_sees_what_is_estimated_and_what_waits(enter: Enter) -> None:
    page = enter("operator")
    expect(page.get_by_text("new plan · optimal")).to_be_visible()
    readings = page.locator("section", has=page.get_by_role("heading", name="Feeder"))
    assert "00:15–00:30" in readings.get_by_role("heading", name="Feeder").inner_text()
    text = re.sub(r"\s+", " ", readings.inner_text())
    assert "≈ estimated 2 of 96 readings: UP-001 (estimated from like days), UP-002" in text
    assert "▲ waiting 00:30–01:00: no reading yet from UP-001, UP-002" in text
    balance = page.locator("section", has=page.get_by_role("heading", name="Power balance"))
    expect(balance.get_by_text("≈ estimated")).to_be_visible()
    silent = page.locator(".alarms tr", has_text="meter.silent")
    expect(silent.get_by_text("M-001").first).to_be_visible()


def test_the_operator_sees_the_estimates_on_the_feeder(enter: Enter) -> None:
    page = enter("operator")
    page.get_by_role("link", name="Network").click()
    drawn = page.locator("svg[role=img]")
    expect(drawn.locator("g.bus")).to_have_count(97)
    expect(drawn.locator("g.bus.estimated circle.ring")).to_have_count(2)
    boxes = [
        drawn.locator(one).first.bounding_box()
        for one in ("g.source rect", "g.branch circle", "g.bus.has circle")
    ]
    assert all(boxes)
    assert boxes[0]["x"] < boxes[1]["x"] < boxes[2]["x"], "grid, transformer, feeder"
    flagged = page.locator("tr", has_text="UP-001").get_by_text("≈ estimated")
    flagged.scroll_into_view_if_needed()
    expect(flagged).to_be_visible()


def test_the_operator_sees_plan_and_metered_values_with_their_flags(enter: Enter) -> None:
    page = enter("operator")
    page.get_by_role("link", name="Dispatch").click()
    page.wait_for_selector(".uplot canvas")
    expect(page.locator(".uplot")).to_have_count(7)
    expect(page.locator("td", has_text="confirmed")).to_have_count(23)
    legends = page.locator("li.flagged", has_text="contains estimated readings")
    expect(legends).to_have_count(2)
    expect(legends.first).to_be_visible()
    page.locator(".charts").get_by_text("As a table").first.click()
    marked = page.locator(".charts details[open] tbody th", has_text="≈")
    marked.first.wait_for()
    assert marked.all_inner_texts() == ["00:00 ≈", "00:15 ≈"]


@pytest.mark.parametrize("point", ["UP-001", "UP-002"])
def test_the_owner_sees_when_and_why_it_is_estimated(enter: Enter, point: str) -> None:
    page = enter(f"owner of {point}", width=390)
    notice = page.locator(".notice.flagged")
    expect(notice.get_by_text("2 quarter-hours are estimated.")).to_be_visible()
    expect(notice.get_by_text("00:00–00:30 estimated from like days")).to_be_visible()
    marks = page.locator("svg.day rect.flag")
    expect(marks).to_have_count(2)
    expect(marks.first).to_be_visible()
    expect(page.locator("svg.day rect.gap")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("link", name="Statement").click()
    expect(page.get_by_text("2 quarter-hours of this month are estimated")).to_be_visible()


def test_who_was_read_sees_no_flag(enter: Enter) -> None:
    page = enter("owner of UP-003")
    expect(page.locator("svg.day rect.import").first).to_be_visible()
    expect(page.locator(".notice, svg.day rect.flag, svg.day rect.gap")).to_have_count(0)


def test_an_owner_follows_an_order_to_the_signed_root(enter: Enter) -> None:
    page = enter("owner of UP-001")
    page.get_by_role("link", name="Trades").click()
    rows = page.locator("table.orders tbody tr")
    expect(rows).to_have_count(CYCLES)
    rows.last.get_by_role("link").click()
    expect(page.get_by_text("holds the commitment to exactly this order")).to_be_visible()
    page.get_by_role("link", name="Prove that this entry").click()
    expect(page.get_by_text("equals the signed root")).to_be_visible()
    with page.expect_download() as started:
        page.get_by_role("link", name="Save the proof as a file").click()
    assert Path(started.value.path()).read_text().startswith("c2sp.org/tlog-proof@v1\n")


def test_the_auditor_verifies_the_whole_ledger_with_one_click(enter: Enter) -> None:
    page = enter("auditor")
    page.get_by_role("button", name="Verify the whole ledger now").click()
    good = page.locator(".notice.good")
    good.wait_for()
    size = page.locator(".figure").inner_text().split()[0]
    assert good.inner_text() == f"The ledger verifies: {size} entries."
    expect(page.locator(".steps li", has_text="✓")).to_have_count(7)


def test_the_feeder_page_fits_a_phone(enter: Enter) -> None:
    page = enter("operator", width=390)
    page.get_by_role("link", name="Network").click()
    expect(page.get_by_role("heading", name="Voltages")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(page.get_by_text("Voltages are known to within")).to_be_visible()
