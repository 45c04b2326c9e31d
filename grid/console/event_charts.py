"""The chart of an event: the flow at the connection, its limit, its baseline and the plans."""

from __future__ import annotations

import json
from typing import Any

from flask_babel import gettext as _

from grid.interval import floor
from grid.operation import event_baseline, event_delivery
from grid.operation.event_baseline import KNOWN
from grid.site import Site
from grid.store import Transaction
from grid.store.events import Event
from meters.reading import MISSING
from meters.vee.quality import ESTIMATED, Quality

_BEFORE_S, _AFTER_S = 4 * 3600, 2 * 3600
# Okabe-Ito
_BLACK, _VERMILION, _BLUE, _GREEN, _PURPLE = "#222222", "#d55e00", "#0072b2", "#009e73", "#cc79a7"
_DASH = [6, 4]

Column = list[float | None]


def chart(tx: Transaction, site: Site, one: Event, now_s: int) -> dict[str, Any]:
    """Return the columns of an event's chart, kW on one time axis of seconds UTC."""
    step_s = site.interval_s
    x = list(range(one.start_s - _BEFORE_S, one.end_s + _AFTER_S, step_s))
    energy, quality = event_baseline.metered(tx, site, one.kind.way, x[0], x[-1] + step_s)
    kilo = 3.6 / step_s
    flow: Column = [
        round(kilo * int(wh), 4) if Quality(int(code)) in KNOWN and int(wh) != MISSING else None
        for wh, code in zip(energy, quality, strict=True)
    ]
    limit: Column = [None] * len(x)
    usual: Column = [None] * len(x)
    made = event_delivery.of_event(tx, site, one)
    first = x.index(one.start_s)
    for slot, row in enumerate(made["rows"]):
        limit[first + slot] = one.limits_w[slot] / 1000
        if row["baseline_wh"] is not None:
            usual[first + slot] = round(kilo * row["baseline_wh"], 4)
    without, kept = _weighed(one, x)
    title = _("Import") if one.kind.way == "import" else _("Export")
    series = [
        _series(_("%(what)s, metered", what=title), _BLACK, flow),
        _series(_("Asked limit"), _VERMILION, limit),
        _series(_("Baseline"), _PURPLE, usual),
        _series(_("Plan without the event"), _BLUE, without, dash=True),
        _series(_("Plan with the event"), _GREEN, kept, dash=True),
    ]
    guessed = [at_s for at_s, code in zip(x, quality, strict=True) if int(code) in ESTIMATED]
    return {
        "x": x,
        "now_s": floor(now_s, step_s),
        "zone": site.time_zone,
        "step_s": step_s,
        "estimated": guessed,
        "charts": [{"title": title, "unit": "kW", "series": series, "metered": True}],
    }


def _weighed(one: Event, x: list[int]) -> tuple[Column, Column]:
    """Return the flows of the plans that the event was weighed with."""
    without: Column = [None] * len(x)
    kept: Column = [None] * len(x)
    if one.weighed is None:
        return without, kept
    facts = json.loads(one.weighed)
    place = {at_s: n for n, at_s in enumerate(x)}
    for at_s, before, after in zip(facts["starts"], *facts["flows_kw"], strict=True):
        if at_s in place:
            without[place[at_s]], kept[place[at_s]] = before, after
    return without, kept


def _series(label: str, color: str, values: Column, *, dash: bool = False) -> dict[str, Any]:
    return {"label": label, "color": color, "dash": _DASH if dash else None, "values": values}
