"""Pictures of a backtest as SVG, each with its numbers as CSV: cost, a week, regret by month.

Lines differ by dash as well as by colour, and each has its name at its end.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor, log10

import numpy as np

from grid.console.backtest_record import Floats, Record

WIDTH, HEIGHT = 860, 300
LEFT, RIGHT, TOP, BOTTOM = 66, 96, 34, 30

# Okabe-Ito
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "1 2")
_WEEK_S = 7 * 86_400
_TICKS = 5
_FONT = 'font-family="sans-serif" font-size="12"'


def pictures(record: Record, currency: str) -> dict[str, str]:
    """Return the files of a backtest's pictures by name, SVG and CSV."""
    names = list(record.cost)
    costs = record.cumulative()
    week = min(record.steps, _WEEK_S // record.interval_s)
    stored = {name: np.array(record.stored_kwh[name][1 : week + 1]) for name in names}
    power = {name: record.power_kw(name)[:week] for name in names}
    regret = record.regret()
    labels = [record.label(step) for step in range(record.steps)]
    marks, of_week = record.days(record.steps), record.days(week)
    shown = {name: np.array([regret[m].get(name, 0.0) for m in regret]) for name in names}
    told = f"cost above that of {record.reference} by month, {currency}"
    columns = {f"{name} stored_kwh": stored[name] for name in names}
    columns |= {f"{name} charge_kw": power[name] for name in names}
    return {
        "cost.svg": svg([lines(f"cost until then, {currency}", marks, costs)]),
        "cost.csv": table("from", labels, costs),
        "week.svg": svg(
            [
                lines("stored energy, kWh", of_week, stored),
                lines("into the batteries (+) and out of them (-), kW", of_week, power),
            ]
        ),
        "week.csv": table("from", labels[:week], columns),
        "regret.svg": svg([bars(told, list(regret), shown)]),
        "regret.csv": table("month", list(regret), shown),
    }


def table(head: str, labels: Sequence[str], columns: Mapping[str, Floats]) -> str:
    """Return columns as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([head, *columns])
    for row, label in enumerate(labels):
        writer.writerow([label, *(f"{float(one[row]):.6f}" for one in columns.values())])
    return text.getvalue()


def svg(panels: Sequence[str]) -> str:
    """Return panels one below the other as one picture."""
    height = HEIGHT * len(panels)
    parts = [
        f'<g transform="translate(0 {HEIGHT * place})">{one}</g>'
        for place, one in enumerate(panels)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'{_FONT}><rect width="{WIDTH}" height="{height}" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


class _Scale:
    """Where values stand between the lower and upper edge of a panel; 0 is always among them."""

    def __init__(self, columns: Mapping[str, Floats]) -> None:
        values = np.concatenate([np.zeros(1), *columns.values()])
        low, high = float(values.min()), float(values.max())
        self.step = _round((high - low) / (_TICKS - 1) if high > low else 0.25)
        self.low = self.step * floor(low / self.step)
        self.high = self.step * ceil(high / self.step) if high > low else self.low + 1.0

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def grid(self) -> str:
        """Return level lines with their values."""
        parts = []
        digits = max(0, -floor(log10(self.step)))
        for value in np.arange(self.low, self.high + self.step / 2, self.step).tolist():
            y = self.y(value)
            parts.append(
                f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
                f'stroke="#dddddd"/><text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
                f"{value + 0.0:,.{digits}f}</text>"
            )
        return "".join(parts)


def _round(least: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that is not below `least`."""
    power = 10.0 ** floor(log10(least))
    return next(power * times for times in (1, 2, 5, 10) if power * times >= least * (1 - 1e-9))


def _titled(title: str, body: str) -> str:
    words = escape(title)
    return f'<title>{words}</title><text x="{LEFT}" y="20" font-weight="bold">{words}</text>{body}'


def lines(title: str, marks: Sequence[tuple[int, str]], columns: Mapping[str, Floats]) -> str:
    """Return a panel with a line for each column over time, and words below some steps."""
    scale = _Scale(columns)
    last = max(1, *(len(values) - 1 for values in columns.values()))

    def x(step: int) -> float:
        return LEFT + step / last * (WIDTH - LEFT - RIGHT)

    body = [scale.grid()]
    ends: list[float] = []
    for place, (name, values) in enumerate(columns.items()):
        colour, dash = _COLOURS[place % len(_COLOURS)], _DASHES[place % len(_DASHES)]
        points = " ".join(f"{x(step):.1f},{scale.y(v):.1f}" for step, v in enumerate(values))
        end = _apart(scale.y(float(values[-1])), ends)
        body.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6" '
            f'stroke-dasharray="{dash}"/><text x="{WIDTH - RIGHT + 6}" y="{end + 4:.1f}" '
            f'fill="{colour}">{escape(name)}</text>'
        )
    body += [
        f'<line x1="{x(step):.1f}" x2="{x(step):.1f}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - 25}" '
        f'stroke="#888888"/><text x="{x(step):.1f}" y="{HEIGHT - 10}" text-anchor="middle">'
        f"{escape(word)}</text>"
        for step, word in marks
    ]
    return _titled(title, "".join(body))


def _apart(y: float, others: list[float]) -> float:
    """Return the nearest height at which a name stands on no other one."""
    tried = [y + sign * 14.0 * k for k in range(12) for sign in (1, -1)]
    free = [one for one in tried if all(abs(one - other) >= 13.0 for other in others)]
    others.append(free[0] if free else y)
    return others[-1]


def bars(title: str, labels: Sequence[str], columns: Mapping[str, Floats]) -> str:
    """Return a panel with a group of bars for each label."""
    scale = _Scale(columns)
    room = (WIDTH - LEFT - RIGHT) / max(1, len(labels))
    wide = 0.8 * room / max(1, len(columns))
    body = [scale.grid()]
    for place, (name, values) in enumerate(columns.items()):
        colour = _COLOURS[place % len(_COLOURS)]
        for at, value in enumerate(values.tolist()):
            x = LEFT + room * at + 0.1 * room + wide * place
            top, bottom = sorted((scale.y(value), scale.y(0.0)))
            body.append(
                f'<rect x="{x:.1f}" y="{top:.1f}" width="{wide:.1f}" '
                f'height="{bottom - top:.1f}" fill="{colour}"><title>{escape(name)} '
                f"{escape(labels[at])}: {value:,.2f}</title></rect>"
            )
        body.append(
            f'<text x="{WIDTH - RIGHT + 6}" y="{TOP + 16 * place + 10}" fill="{colour}">'
            f"{escape(name)}</text>"
        )
    for at, label in enumerate(labels):
        body.append(
            f'<text x="{LEFT + room * (at + 0.5):.1f}" y="{HEIGHT - 10}" text-anchor="middle">'
            f"{escape(label)}</text>"
        )
    return _titled(title, "".join(body))
