"""How a reading came to its value, in the words of people."""

from __future__ import annotations

from typing import Final

from flask_babel import gettext as _

from meters.vee.quality import Quality

ESTIMATED: Final = frozenset({Quality.ESTIMATED_LINEAR, Quality.ESTIMATED_LIKE_DAY, Quality.SCALED})
"""Not what the meter counted in that interval."""

FLAGGED: Final = ESTIMATED | {Quality.EDITED, Quality.SUSPECT}
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
        }[Quality(quality)]
    )
