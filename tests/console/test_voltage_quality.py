"""The page of voltage quality: what is kept, what is not, and that it is only indicative."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest
from flask.testing import FlaskClient

from grid import interval
from grid.console.voltage_quality import bars
from grid.site import Site
from grid.store import Store, field
from meters.reading import MeterRead, RegisterRow

PAGE = "/quality"


@pytest.fixture
def read(store: Store, site: Site) -> None:
    """A week of readings of two meters: one at 230 V, one at 254 V in a twentieth and more."""
    start_s, end_s = interval.week_bounds(interval.parse_week("2026-W21"), site.time_zone)
    reads = []
    for step in range(1, (end_s - start_s) // 900 + 1):
        row = RegisterRow(start_s + 900 * step, (step, 0, 0, 0))
        high = 254.0 if step % 15 == 0 else 231.0
        reads += [
            MeterRead("M-1", row, (), 229.0, bytes(32)),
            MeterRead("M-2", row, (), high, bytes(32)),
        ]
    with store.write() as tx:
        field.put_reads(tx, reads, cycle_s=end_s)


def _rows(page: str) -> list[str]:
    return re.findall(r"<tr><th class=\"nowrap\">.*?</tr>", page, re.DOTALL)


def test_the_week_that_is_over_is_shown_with_the_worst_first(
    sign_in: Callable[..., FlaskClient], read: None
) -> None:
    page = sign_in("operator").get(PAGE).text
    assert "2026-W21" in page
    assert "no verdict after the standard" in page
    rows = _rows(page)
    assert len(rows) == 8
    assert "UP-2" in rows[0]
    assert "indicative: not kept" in rows[0]
    assert "254.0" in rows[0]
    assert "93.45 %" in rows[0], "44 of 672 readings are beyond 253 V"
    assert sum("too little is known" in row for row in rows) == 6
    assert "UP-1" in rows[-1]
    assert "indicative: kept" in rows[-1]
    assert sum("<svg" in row for row in rows) == 2, "nothing is drawn of what was not read"


def test_each_picture_is_sound_and_bars_stand_where_the_voltages_are(
    sign_in: Callable[..., FlaskClient], read: None
) -> None:
    page = sign_in("operator").get(PAGE).text
    for text in re.findall(r"<svg class=\"spread\".*?</svg>", page, re.DOTALL):
        drawn = ElementTree.fromstring(text)
        assert len(drawn.findall("line")) == 2
        assert drawn.find("path") is not None
    counted = np.zeros(36, np.int64)
    counted[[10, 20]] = 3, 600
    assert bars(counted) == "M40.0 25.0h3.4v1.0h-3.4zM80.0 2.0h3.4v24.0h-3.4z"
    assert bars(np.zeros(36, np.int64)) == ""


def test_weeks_are_linked_and_those_to_come_are_not_there(
    sign_in: Callable[..., FlaskClient], read: None
) -> None:
    client = sign_in("operator")
    page = client.get(f"{PAGE}?week=2026-W22").text
    assert "This week is not over." in page
    assert "week=2026-W21" in page
    assert "week=2026-W23" not in page
    assert client.get(f"{PAGE}?week=2026-W23").status_code == 404
    assert client.get(f"{PAGE}?week=2026-W99").status_code in (400, 404)
    assert client.get(f"{PAGE}?week=<script>").status_code in (400, 404)


def test_operators_have_it_in_their_menu_and_prosumers_do_not(
    sign_in: Callable[..., FlaskClient],
) -> None:
    assert f'href="{PAGE}"' in sign_in("operator").get("/operator/now").text
    assert sign_in("prosumer").get(PAGE).status_code in (403, 404)


@pytest.mark.parametrize(("language", "words"), [("az", "Gərginliyin"), ("ru", "Качество")])
def test_it_is_told_in_three_languages(
    sign_in: Callable[..., FlaskClient], language: str, words: str
) -> None:
    client = sign_in("operator")
    token = re.search(r'csrf_token" value="([^"]+)', client.get(PAGE).text)
    assert token
    form = {"language": language, "after": PAGE, "csrf_token": token[1]}
    client.post("/language", data=form)
    assert words in client.get(PAGE).text
