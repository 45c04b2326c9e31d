"""Cases of lost energy: what points to them, whom to visit, and how they were closed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, redirect, render_template, session, url_for
from flask_security import current_user

from grid.console.web_view import form_text, only_fields, room
from grid.errors import BadInputError, StoreError
from grid.interval import DAY_S
from grid.operation import loss_cases
from grid.store import loss_cases as stored

pages = Blueprint("lost_energy", __name__, url_prefix="/losses")

COMMENT_MAX = 500
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 800.0, 170.0, 46.0, 38.0, 146.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One day of the picture, in pixels; `kwh` is None where no balance could be made."""

    at_s: int
    x: float
    y: float
    width: float
    height: float
    kwh: float | None
    judged: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """Unmetered energy of each day: those learned from, then those judged."""

    bars: tuple[Bar, ...]
    zero: float
    rules: tuple[tuple[float, str], ...]
    width: float = _WIDTH
    height: float = _HEIGHT
    left: float = _LEFT
    bottom: float = _BOTTOM


def picture(learned: dict[str, Any], judged: dict[str, Any]) -> Picture:
    """Return the days of a case, as :func:`grid.operation.loss_cases.content` keeps them."""
    days = [(learned["start_s"] + DAY_S * n, wh, False) for n, wh in enumerate(learned["wh"])]
    days = [day for day in days if day[0] < judged["start_s"]]
    days += [(judged["start_s"] + DAY_S * n, wh, True) for n, wh in enumerate(judged["wh"])]
    known = [wh / 1000 for _, wh, _ in days if wh is not None]
    low, high = min([0.0, *known]), max([1.0, *known])
    scale = (_BOTTOM - _TOP) / (high - low)
    zero = _BOTTOM + low * scale
    step = (_WIDTH - _LEFT) / max(len(days), 1)
    bars = []
    for number, (at_s, wh, is_judged) in enumerate(days):
        kwh = None if wh is None else wh / 1000
        size = abs(kwh or 0.0) * scale
        top = zero - size if (kwh or 0.0) > 0 else zero
        x = _LEFT + number * step
        bars.append(Bar(at_s, round(x, 1), round(top, 1), round(step * 0.8, 1), round(size, 1), kwh,
                        is_judged))  # fmt: skip
    ticks = sorted({0.0, round(high, 1), *([round(low, 1)] if low < -0.5 else [])})
    rules = tuple((round(zero - tick * scale, 1), f"{tick:g}") for tick in ticks)
    return Picture(tuple(bars), round(zero, 1), rules)


@pages.get("")
def cases() -> str:
    """Show the cases, the open ones with all that is known of them."""
    here = room()
    with here.store.read() as tx:
        found = stored.cases(tx)
    return render_template(
        "lost_energy.html",
        waiting=[(one, _pictured(one)) for one in found if one["closed_s"] is None],
        closed=[one for one in found if one["closed_s"] is not None],
        refused=session.pop("refused", None),
    )


def _pictured(case: dict[str, Any]) -> Picture:
    return picture(case["content"]["learned"], case["content"]["judged"])


@pages.post("/<int:number>/close")
def close(number: int) -> Any:
    """Close a case, with what was found where somebody looked."""
    only_fields("reason", "comment")
    reason = form_text("reason", 64)
    if reason not in stored.REASONS:
        abort(400)
    comment = form_text("comment", COMMENT_MAX)
    here = room()
    with here.store.write() as tx:
        if stored.case(tx, number) is None:
            abort(404)
        try:
            loss_cases.close(
                tx, here.site, number, by=current_user.email, reason=reason, comment=comment
            )
        except (BadInputError, StoreError) as error:
            session["refused"] = str(error)
    return redirect(url_for("lost_energy.cases"))
