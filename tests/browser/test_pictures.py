"""Pictures as a browser renders them: with its own fonts no label covers another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grid.site import Network
from networks.drawing.map import network_map
from networks.drawing.one_line import one_line
from networks.flow.year import nominal_flow
from networks.sources.source import load

pytestmark = pytest.mark.browser

_CLASHES = """() => {
  const texts = [...document.querySelectorAll('g.labels text')];
  const boxes = texts.map(t => [t.textContent, t.getBBox()]);
  const found = [];
  for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
    const [s, a] = boxes[i], [t, b] = boxes[j];
    const wide = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
    // A box of a line of text has room above and below its letters.
    const high = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
    if (wide > 0.5 && high > 3.5) found.push([s, t, wide, high]);
  }
  return [boxes.length, found];
}"""


@pytest.mark.parametrize(
    ("source", "draw"),
    [
        ("simbench:1-LV-rural3--1-sw", one_line),
        ("simbench:1-LV-rural3--1-sw", network_map),
        ("simbench:1-MV-rural--0-sw", one_line),
        ("simbench:1-MV-rural--0-sw", network_map),
        ("pandapower:create_cigre_network_lv", one_line),
    ],
)
def test_no_label_covers_another_in_a_browser(
    chromium: Any, tmp_path: Path, source: str, draw: Any
) -> None:
    model = load(source)
    limits = Network(source, voltage_min_pu=0.95, voltage_max_pu=1.05)
    file = tmp_path / "picture.svg"
    file.write_text(draw(model, nominal_flow(model), limits=limits, standalone=True).svg)
    page = chromium.new_page()
    trouble: list[str] = []
    page.on("console", lambda message: trouble.append(message.text))
    page.goto(file.as_uri())
    count, found = page.evaluate(_CLASHES)
    page.close()
    assert count > 40
    assert found == []
    assert trouble == []
