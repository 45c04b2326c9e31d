"""The words for lines of a statement in the reader's language."""

from __future__ import annotations

from flask_babel import gettext as _

from trading.accounts import PostingKind


def kinds() -> dict[str, str]:
    """Return what a line is for, by its kind; others stand on no statement of a party."""
    return {
        PostingKind.PURCHASE: _("Energy bought in trades"),
        PostingKind.SALE: _("Energy sold in trades"),
        PostingKind.GRID_FEE: _("Grid fee on trades"),
        PostingKind.ZONE_FEE: _("Fee for crossing zones"),
        PostingKind.LOSS_FEE: _("Fee for network losses"),
        PostingKind.SUPPLY: _("Energy from the supplier"),
        PostingKind.FEED_IN: _("Feed-in"),
        PostingKind.BANK: _("Energy bank"),
        PostingKind.SURPLUS: _("Bought and not used"),
        PostingKind.SHORTFALL: _("Sold and not delivered"),
        PostingKind.CURTAILMENT: _("Compensation for curtailment"),
        PostingKind.SHEDDING: _("Compensation for load not served"),
        PostingKind.BATTERY_USE: _("Use of the battery"),
        PostingKind.FIXED_FEE: _("Monthly fee"),
        PostingKind.ROUNDING: _("Rounding"),
        PostingKind.GUARANTEE: _("Guarantee: no dearer than without trading"),
        PostingKind.CREDIT: _("Credit"),
    }
