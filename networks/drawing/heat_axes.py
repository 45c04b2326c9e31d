"""The axes of a heat map: months to the right, hours downwards."""

from __future__ import annotations

from networks.drawing.calendar_grid import CalendarGrid
from networks.drawing.heat_table import months
from networks.drawing.svg import element, number, width_px
from networks.drawing.svg import words as text_element
from networks.drawing.words import HeatWords

LEFT, TOP, RIGHT, ROWS_PX = 62.0, 44.0, 24.0, 480.0


def month_axis(grid: CalendarGrid, wide: float, words: HeatWords) -> str:
    """Return months above the days."""
    days = grid.values.shape[1]
    end = LEFT + days * wide
    made = [element("path", class_="axis", d=f"M{number(LEFT)} {number(TOP)}H{number(end)}")]
    right = 0.0
    for first, last in months(grid):
        begin = LEFT + first * wide
        day = grid.day(first)
        name = words.months[day.month - 1]
        if day.month == 1 or first == 0:
            name = f"{name} {day.year}"
        if first:
            line = f"M{number(begin)} {number(TOP - 8)}V{number(TOP + ROWS_PX)}"
            made.append(element("path", class_="month", d=line))
        middle, half = (begin + LEFT + last * wide) / 2, width_px(name, 11.0) / 2
        if middle - half > right and middle + half < end + RIGHT:
            made.append(
                text_element("text", name, x=middle, y=TOP - 12.0, font_size=11.0,
                             text_anchor="middle")
            )  # fmt: skip
            right = middle + half + 4
    return element("g", *made, class_="months")


def hour_axis() -> str:
    """Return hours beside the rows, midnight above."""
    left = number(LEFT)
    made = [element("path", class_="axis", d=f"M{left} {number(TOP)}v{number(ROWS_PX)}")]
    for hour in range(0, 25, 3):
        y = TOP + ROWS_PX * hour / 24
        made.append(element("path", class_="axis", d=f"M{number(LEFT - 5)} {number(y)}h5"))
        made.append(
            text_element("text", f"{hour:02d}:00", class_="soft", x=LEFT - 9, y=y + 4,
                         font_size=11.0, text_anchor="end")
        )  # fmt: skip
    return element("g", *made, class_="hours")
