"""The words of control in the reader's language."""

from __future__ import annotations

from flask_babel import gettext as _

from grid.operation.sending import AS_SENT, NOTHING_SENT, REVERTED, UNLIKE
from grid.store.overrides import Action, OverrideState, Reason


def actions() -> dict[str, str]:
    """Return what a device may be held at."""
    return {
        Action.CHARGE: _("charge"),
        Action.DISCHARGE: _("discharge"),
        Action.RUN: _("run"),
        Action.LIMIT: _("at most"),
        Action.OFF: _("off, at rest"),
    }


def reasons() -> dict[str, str]:
    """Return why somebody intervenes."""
    return {
        Reason.MAINTENANCE: _("maintenance"),
        Reason.NETWORK: _("network"),
        Reason.SAFETY: _("safety"),
        Reason.DEVICE_FAULT: _("device at fault"),
        Reason.TEST: _("test"),
        Reason.OTHER: _("other"),
    }


def states() -> dict[str, str]:
    """Return how an override stands."""
    return {
        OverrideState.ASKED: _("waits for a second person"),
        OverrideState.ACTIVE: _("held"),
        OverrideState.LAPSED: _("lapsed: nobody approved it in time"),
        OverrideState.EXPIRED: _("its time was over"),
        OverrideState.ENDED: _("given back"),
    }


def sentences() -> dict[str, str]:
    """Return why a device is not left to the plan, to be filled in."""
    return {
        "control.held": _("held by override %(number)s until %(until)s"),
        "control.blocked": _("behind safety tag %(number)s: nothing is sent to it"),
    }


def verdicts() -> dict[str, str]:
    """Return what a device made of what it was sent."""
    return {
        AS_SENT: _("as sent"),
        REVERTED: _("fell back to its safe state"),
        UNLIKE: _("holds what nobody here sent"),
        NOTHING_SENT: _("nothing sent yet"),
    }
