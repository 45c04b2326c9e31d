"""How a reading came to its value, in the words of people."""

from __future__ import annotations

from typing import Final

from flask_babel import gettext as _

from meters.vee.quality import ESTIMATED, Quality

__all__ = ["ESTIMATED", "FLAGGED", "quality_text"]

FLAGGED: Final = ESTIMATED | {Quality.EDITED, Quality.SUSPECT, Quality.INVALID}
"""Shown to whoever looks at the value."""


def quality_text(quality: int) -> str:
    """Return the words for a quality."""
    return str(
        {
            Quality.MISSING: _("missing"),
            Quality.VALID: _("valid"),
            Quality.ESTIMATED_LINEAR: _("estimated between its neighbours"),
            Quality.ESTIMATED_LIKE_DAY: _("estimated from like days"),
            Quality.SCALED: _("estimated, its sum is read"),
            Quality.BACKFILLED: _("from the load profile"),
            Quality.EDITED: _("edited"),
            Quality.SUSPECT: _("suspect"),
            Quality.POWER_FAILURE: _("with a loss of power"),
            Quality.CLOCK_FORWARD: _("the meter's clock was set forward"),
            Quality.CLOCK_BACK: _("the meter's clock was set back"),
            Quality.INVALID: _("marked invalid by the meter"),
            Quality.ESTIMATED_LOAD_SHAPE: _("estimated from the shape of its group"),
            Quality.ESTIMATED_FEEDER: _("estimated from what the feeder head leaves"),
        }[Quality(quality)]
    )
