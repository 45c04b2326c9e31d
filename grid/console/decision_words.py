"""The sentences of why a set-point is not another: limits, next-best actions, break-evens."""

from __future__ import annotations

from flask_babel import gettext as _


def sentences() -> dict[str, str]:
    """Return the sentence of each code of :mod:`dispatch.decisions`, to be filled in."""
    return _limits() | _pushes() | _edges()


def _limits() -> dict[str, str]:
    return {
        "limit.rating": _(
            "At its rating of %(power_kw)s kW: a kW more would save %(worth)s per kWh."
        ),
        "limit.available": _(
            "Gives all that is there, %(power_kw)s kW: more would save %(worth)s per kWh."
        ),
        "limit.shed_all": _(
            "Sheds all of %(power_kw)s kW that it may: more would save %(worth)s per kWh."
        ),
        "limit.least": _(
            "At its least load of %(power_kw)s kW: less would save %(worth)s per kWh."
        ),
        "limit.ramp": _("Moves as fast as its ramp allows: faster would save %(worth)s per kWh."),
        "limit.taper": _(
            "Takes or gives no more at what it holds: more would save %(worth)s per kWh."
        ),
        "limit.reserve": _(
            "Keeps headroom in reserve: without it %(worth)s per kWh would be saved."
        ),
        "limit.peak": _(
            "Import is at the peak of the billing period, %(power_kw)s kW: above it a kWh costs "
            "%(worth)s more."
        ),
        "limit.cut": _("%(cut)s holds it: a kW more of room would save %(worth)s per kWh."),
        "limit.full": _(
            "Full at %(at)s with %(energy_kwh)s kWh: a kWh more of room would save %(worth)s."
        ),
        "limit.empty": _(
            "At its least of %(energy_kwh)s kWh at %(at)s: a kWh more would save %(worth)s."
        ),
        "limit.target": _(
            "Must hold %(energy_kwh)s kWh at %(at)s: a kWh less would save %(worth)s."
        ),
        "limit.held": _(
            "Keeps %(energy_kwh)s kWh at %(at)s for an outage: a kWh less would save %(worth)s."
        ),
        "limit.nothing": _("Has nothing to give or take."),
        "limit.none": _("No limit of its own holds it."),
    }


def _pushes() -> dict[str, str]:
    return {
        "next.more": _("%(by_kw)s kW more for the community would cost %(cost)s."),
        "next.less": _("%(by_kw)s kW less for the community would cost %(cost)s."),
        "next.on": _("Running with %(by_kw)s kW or more would cost %(cost)s."),
        "next.off": _("Standing would cost %(cost)s."),
        "next.no_more": _("It cannot give %(by_kw)s kW more or take as much less."),
        "next.no_less": _("It cannot give %(by_kw)s kW less or take as much more."),
        "next.no_on": _("It cannot run with %(by_kw)s kW now."),
        "next.no_off": _("It cannot stand now."),
    }


def _edges() -> dict[str, str]:
    return {
        "edge.price_above": _(
            "From %(price_then)s per kWh on, now %(price_now)s, it would give %(given_kw)s kW and "
            "take %(taken_kw)s kW."
        ),
        "edge.price_below": _(
            "Below %(price_then)s per kWh, now %(price_now)s, it would give %(given_kw)s kW and "
            "take %(taken_kw)s kW."
        ),
        "edge.no_price_above": _("No price up to %(price_limit)s per kWh changes it."),
        "edge.no_price_below": _("No price down to %(price_limit)s per kWh changes it."),
        "edge.load_above": _(
            "From %(load_then_kw)s kW of load on, now %(load_now_kw)s kW, it would give "
            "%(given_kw)s kW and take %(taken_kw)s kW."
        ),
        "edge.load_below": _(
            "Below %(load_then_kw)s kW of load, now %(load_now_kw)s kW, it would give "
            "%(given_kw)s kW and take %(taken_kw)s kW."
        ),
        "edge.no_load_above": _("No load up to %(load_limit_kw)s kW changes it."),
        "edge.no_load_below": _("No load down to %(load_limit_kw)s kW changes it."),
        "edge.follows_load": _("It follows the load: each kW more or less of it moves it."),
    }
