"""Non-technical losses: energy that flows and no meter counts, found and placed.

:func:`learn` takes weeks that are trusted, :func:`investigate` the days since and
returns cases with their evidence; :func:`doubts` asks whether the trusted weeks
deserve it. Nothing here knows a network: technical losses,
expected voltages and drops per kilowatt come in as arrays
(:class:`FeederRecord`).
"""

from meters.losses.case import Case, CaseKind
from meters.losses.investigate import Baseline, doubts, investigate, learn
from meters.losses.limits import Limits
from meters.losses.locate import EventKind, MeterEvent
from meters.losses.record import FeederRecord

__all__ = [
    "Baseline", "Case", "CaseKind", "EventKind", "FeederRecord", "Limits", "MeterEvent",
    "doubts", "investigate", "learn",
]  # fmt: skip
