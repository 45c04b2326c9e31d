"""What stands around a picture that is a file of its own: heading and legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grid.site import Network
from networks.drawing.picture import Cell, Picture
from networks.drawing.state import SIGNS, ranges
from networks.drawing.style import embedded
from networks.drawing.svg import document, element, number, width_px, words
from networks.drawing.words import Words

HEAD_PX, LEGEND_ROW_PX = 58.0, 26.0
_MARGIN, _GAP_PX, _TOLD_PX = 20.0, 20.0, 13.0


@dataclass(frozen=True, slots=True)
class Key:
    """An entry of a legend: a sign drawn around (0, 0), how wide it is, and what it means."""

    sign: str
    wide_px: float
    text: str
    strong: bool = False


def bus_key(state: str, text: str, extra: str = "") -> Key:
    """Return the entry of a bus in some state."""
    made = element("circle", cx=0.0, cy=0.0, r=7.0)
    if state in SIGNS:
        made += words(
            "text", SIGNS[state], class_="sign", x=0.0, y=4.0, font_size=11.0, text_anchor="middle"
        )
    return Key(element("g", made, class_=f"bus {state} {extra}".rstrip()), 16.0, text)


def branch_key(state: str, text: str) -> Key:
    """Return the entry of a line in some state."""
    wire = element("path", class_="wire", d="M-13 0H13")
    return Key(element("g", wire, class_=f"branch {state}"), 28.0, text)


def switch_key(text: str) -> Key:
    """Return the entry of an open switch."""
    wire = element("path", class_="wire", d="M-16 0H-7M7 0H16")
    blade = element("path", class_="blade", d="M-7 0L6 -8")
    contacts = "".join(
        element("circle", class_="contact", cx=x, cy=0.0, r=2.2) for x in (-7.0, 7.0)
    )
    return Key(element("g", wire, blade, contacts, class_="branch"), 34.0, text)


def heading(text: str) -> Key:
    """Return words that begin a row of a legend."""
    return Key("", 0.0, text, strong=True)


def state_keys(limits: Network, words_: Words) -> list[list[Key]]:
    """Return the legend of voltages and loadings."""
    voltages, loadings = ranges(limits)
    first = [heading(f"{words_.voltage}, pu")]
    first += [bus_key(state, text) for state, text in voltages]
    first.append(bus_key("dead", words_.without_voltage))
    second = [heading(f"{words_.loading}, %")]
    second += [branch_key(state, text) for state, text in loadings]
    second += [
        switch_key(words_.open),
        branch_key("out", words_.out),
        branch_key("dead", words_.without_voltage),
    ]
    return [first, second]


def _legend(rows: Sequence[Sequence[Key]], top: float, width: float) -> tuple[str, float]:
    """Return the legend and where it ends; a row that is too long goes on in the next."""
    made, y = "", top
    for row in rows:
        x = _MARGIN
        for key in row:
            size = key.wide_px + 6 + width_px(key.text, 12.0)
            if x + size > width - _MARGIN and x > _MARGIN:
                x, y = _MARGIN, y + LEGEND_ROW_PX
            if key.sign:
                place = f"translate({number(x + key.wide_px / 2)} {number(y - 4)})"
                made += element("g", key.sign, transform=place)
            kind = "strong" if key.strong else "soft"
            made += words("text", key.text, class_=kind, x=x + key.wide_px + 6, y=y, font_size=12.0)
            x += size + _GAP_PX
        y += LEGEND_ROW_PX
    return element("g", made, class_="legend"), y


def _wrapped(text: str, width: float) -> list[str]:
    """Return a text in lines, broken between its parts."""
    lines: list[str] = []
    for part in text.split(" · "):
        longer = f"{lines[-1]} · {part}" if lines else part
        if lines and width_px(longer, _TOLD_PX) <= width:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines


def picture(
    content: str,
    *,
    kind: str,
    width: float,
    height: float,
    title: str,
    description: str,
    table: tuple[tuple[Cell, ...], ...],
    prefix: str,
    legend: Sequence[Sequence[Key]] = (),
    standalone: bool = False,
    left_out: int = 0,
) -> Picture:
    """Return a picture; one that stands alone has its style, heading and legend in it."""
    if not standalone:
        svg = document(
            content, width=width, height=height, title=title, description=description,
            prefix=prefix, kind=kind,
        )  # fmt: skip
        return Picture(svg, title, description, table, left_out)
    head = words("text", title, class_="strong", x=_MARGIN, y=28.0, font_size=18.0)
    lines = _wrapped(description, width - 2 * _MARGIN)
    for row, line in enumerate(lines):
        head += words(
            "text", line, class_="soft", x=_MARGIN, y=48.0 + 17.0 * row, font_size=_TOLD_PX
        )
    above = HEAD_PX + 17.0 * (len(lines) - 1)
    below, end = _legend(legend, above + height + 26.0, width)
    svg = document(
        head,
        element("g", content, transform=f"translate(0 {number(above)})"),
        below,
        width=width,
        height=end,
        title=title,
        description=description,
        prefix=prefix,
        kind=kind,
        style=embedded(),
    )
    return Picture(svg, title, description, table, left_out)
