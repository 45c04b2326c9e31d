"""Validation, estimation and editing of interval readings."""

from meters.vee.quality import Quality
from meters.vee.validation import validate

__all__ = ["Quality", "validate"]
