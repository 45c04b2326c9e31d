"""Tariffs: those in force, versions that are proposed with what they would have cost, decisions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from flask_security import current_user

from grid.console.web_view import clock, only_fields, room
from grid.errors import BadInputError, StoreError
from grid.operation import tariff_previews, tariffs
from grid.operation.meter_orders import same_person
from grid.operation.tariff_previews import PastPreview
from grid.store import Transaction, tariff_changes
from grid.store.tariff_changes import ChangeState, TariffChange

pages = Blueprint("tariffs", __name__, url_prefix="/tariffs")

_TEXT_MOST = 20_000
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Month:
    """What a month cost all households, and would have at the proposal; nano-currency."""

    name: str
    old_nano: int
    new_nano: int


@dataclass(frozen=True, slots=True)
class Case:
    """A proposal that waits; `why` is said where nothing can be previewed."""

    change: TariffChange
    is_own: bool
    past: PastPreview | None
    months: list[Month]
    more: int
    less: int
    most: list[tuple[str, int]]
    why: str


@pages.get("")
def listed() -> str:
    """Show tariffs with their versions, and proposals."""
    return _page("", session.pop("refused", None))


def _page(typed: str, refused: str | None) -> str:
    here = room()
    with here.store.read() as tx:
        now_s = clock(tx) or 0
        found = tariff_changes.listed(tx)
        waiting = [
            one
            for one in found
            if one.state is ChangeState.PROPOSED and not tariffs.has_lapsed(here.site, one, now_s)
        ]
        cases = [_case(tx, one) for one in waiting]
        in_force = tariffs.in_force(tx, here.site)
    return render_template(
        "tariffs.html",
        in_force=in_force,
        cases=cases,
        ended=[one for one in found if one not in waiting],
        typed=typed,
        refused=refused,
    )


@pages.post("")
def propose() -> Any:
    """Propose a version of a tariff."""
    only_fields("tariff")
    text, here = request.form.get("tariff", ""), room()
    if len(text) > _TEXT_MOST:
        abort(400)
    try:
        with here.store.write() as tx:
            tariffs.propose(tx, here.site, tariffs.read(text, "tariff"), current_user.email)
    except BadInputError as error:
        return _page(text, str(error))
    return redirect(url_for("tariffs.listed"))


@pages.post("/<int:number>/approve")
def approve(number: int) -> Any:
    """Activate what somebody else proposed."""
    return _decided(number, tariffs.approve)


@pages.post("/<int:number>/reject")
def reject(number: int) -> Any:
    """Refuse what somebody else proposed."""
    return _decided(number, tariffs.reject)


@pages.post("/<int:number>/withdraw")
def withdraw(number: int) -> Any:
    """Take back an own proposal."""
    return _decided(number, tariffs.withdraw)


def _decided(number: int, act: Callable[..., TariffChange]) -> Any:
    only_fields()
    here = room()
    with here.store.read() as tx:
        try:
            tariff_changes.get(tx, number)
        except StoreError:
            abort(404)
    try:
        with here.store.write() as tx:
            act(tx, here.site, number, current_user.email)
    except BadInputError as error:
        session["refused"] = str(error)
    return redirect(url_for("tariffs.listed"))


def _case(tx: Transaction, one: TariffChange) -> Case:
    is_own = same_person(one.proposed_by, current_user.email)
    try:
        past = tariff_previews.past_preview(tx, room().site, one.tariff)
    except BadInputError as error:
        return Case(one, is_own, None, [], 0, 0, [], str(error))
    made = past.preview
    sums = made.old_nano.sum(0).tolist(), made.new_nano.sum(0).tolist()
    months = [Month(*row) for row in zip(made.months, *sums, strict=True)]
    each = sorted(
        zip(past.usage_points, made.difference_nano.sum(1).tolist(), strict=True),
        key=lambda row: (-row[1], row[0]),
    )
    more, less = (sum(sign * nano > 0 for _, nano in each) for sign in (1, -1))
    return Case(one, is_own, past, months, more, less, each[:_SHOWN], "")
