"""The words of flexibility events in the reader's language."""

from __future__ import annotations

from flask_babel import gettext as _

from grid.store.events import Cause, EventKind, EventState


def kinds() -> dict[str, str]:
    """Return what is asked for."""
    return {
        EventKind.IMPORT_LIMIT: _("import at most"),
        EventKind.IMPORT_REDUCTION: _("import less than the baseline by"),
        EventKind.EXPORT_LIMIT: _("export at most"),
    }


def causes() -> dict[str, str]:
    """Return why an event was declined or cancelled."""
    return {
        Cause.TOO_DEAR: _("too dear"),
        Cause.NOT_POSSIBLE: _("not possible"),
        Cause.SAFETY: _("safety"),
        Cause.WITHDRAWN: _("taken back by who asked"),
        Cause.OTHER: _("other"),
    }


def states() -> dict[str, str]:
    """Return how an event stands."""
    return {
        EventState.RECEIVED: _("waits for an answer"),
        EventState.APPROVING: _("waits for a second person"),
        EventState.ACCEPTED: _("accepted"),
        EventState.RUNNING: _("running"),
        EventState.OVER: _("over, readings are missing"),
        EventState.MEASURED: _("measured"),
        EventState.DECLINED: _("declined"),
        EventState.EXPIRED: _("expired: nobody answered in time"),
        EventState.CANCELLED: _("cancelled"),
    }


def sources() -> dict[str, str]:
    """Return where a plan comes from."""
    return {
        "new plan": _("new plan"),
        "last good plan": _("last good plan"),
        "safe rule": _("safe rule"),
    }
