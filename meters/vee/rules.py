"""The rules by name: what each needs, compares with and does, and its version.

A code stands for one version of one rule, for it is stored beside values: a rule
that changes gets a new code and a higher version, and an old line is never
reused. `decided` reads the code of an interval back: the rule that judged what
was read, and the method that estimated it, if one did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from grid.errors import BadInputError, Severity
from meters.vee import day_rules
from meters.vee.day import Day, Hits
from meters.vee.quality import Quality


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, as it stands beside the values it decided.

    Attributes
    ----------
    code : int
        1 to 255; stands for this version alone.
    version : int
    finding : str
        Code of its findings, empty where it has none of its own.
    severity : Severity
    needs : tuple of str
        Parts of :class:`~meters.vee.facts.Facts`.
    thresholds : tuple of str
        Fields of :class:`~meters.vee.thresholds.Thresholds`, whose defaults are its own.
    quality : Quality or None
        What intervals become that it notices; None where it only tells.
    text : str
        What is told, with `value`, `limit` and `other`.
    """

    code: int
    version: int = 1
    finding: str = ""
    severity: Severity = Severity.WARNING
    needs: tuple[str, ...] = ()
    thresholds: tuple[str, ...] = ()
    quality: Quality | None = None
    text: str = ""


RULES: Final[dict[str, Rule]] = {
    "missing": Rule(1, finding="vee.missing"),
    "duplicate": Rule(2, finding="vee.duplicate"),
    "negative": Rule(3, finding="vee.negative"),
    "misread": Rule(4, finding="vee.misread"),
    "rollover": Rule(5, finding="vee.rollover", severity=Severity.INFO),
    "dip": Rule(6, finding="vee.dip", severity=Severity.ALARM),
    "jump": Rule(7, finding="vee.spike", severity=Severity.ALARM),
    "exchange": Rule(8, finding="vee.exchange", severity=Severity.INFO, needs=("tenures",)),
    "tamper": Rule(9, finding="vee.tamper", severity=Severity.ALARM, needs=("events",)),
    "serial": Rule(
        10,
        finding="vee.serial",
        severity=Severity.ALARM,
        needs=("serial", "tenures"),
        text="calls itself {told}, must be {wanted}: an exchange that nobody recorded, or a swap",
    ),
    "spike": Rule(
        11,
        finding="vee.suspect",
        thresholds=("spike_share_percent", "spike_rise_percent", "spike_usual_percent"),
        quality=Quality.SUSPECT,
    ),
    "sum_check": Rule(
        12,
        finding="vee.sum_check",
        severity=Severity.ALARM,
        needs=("captured",),
        thresholds=("sum_wh",),
        quality=Quality.SUSPECT,
    ),
    "high": Rule(
        13,
        finding="vee.high",
        needs=("average_day_wh",),
        thresholds=("high_percent", "high_wh"),
        quality=Quality.SUSPECT,
        text="imported {value} Wh, at most {limit} Wh by its average day: kept as read",
    ),
    "low": Rule(
        14,
        finding="vee.low",
        needs=("average_day_wh",),
        thresholds=("low_percent", "low_wh"),
        text="imported {value} Wh, at least {limit} Wh by its average day",
    ),
    "zero": Rule(
        15,
        finding="vee.zero",
        needs=("zero_days",),
        thresholds=("zero_days",),
        text="no energy for {value} days, told after {limit} days",
    ),
    "inactive": Rule(
        16,
        finding="vee.inactive",
        needs=("active",),
        thresholds=("inactive_wh",),
        text="{value} Wh without a contract, told above {limit} Wh",
    ),
    "interval_length": Rule(
        17,
        finding="vee.interval_length",
        needs=("offset_s",),
        thresholds=("length_s",),
        quality=Quality.SUSPECT,
        text="register read {value} s from its boundary, at most {limit} s: partial interval",
    ),
    "capture_period": Rule(
        18,
        finding="vee.capture_period",
        severity=Severity.ALARM,
        needs=("capture_s",),
        text="captures every {value} s, must every {limit} s",
    ),
    "multiplier": Rule(
        19,
        finding="vee.multiplier",
        needs=("average_day_wh",),
        thresholds=("multiplier_percent", "multiplier_wh"),
        quality=Quality.SUSPECT,
        text="imported {value} Wh, {limit} of its average day: kept as read",
    ),
    "sibling": Rule(
        20,
        finding="vee.sibling",
        severity=Severity.ALARM,
        needs=("siblings",),
        thresholds=("sibling_count",),
        text="tells the same {limit} or more energies as {other}: one is read for the other",
    ),
    "check_meter": Rule(
        21,
        finding="vee.check_meter",
        needs=("checks",),
        thresholds=("check_permille", "check_wh"),
        text="imported {value} Wh, its check meter {limit} Wh",
    ),
    "power_failure": Rule(
        22,
        finding="vee.power_failure",
        severity=Severity.INFO,
        needs=("outage",),
        quality=Quality.POWER_FAILURE,
    ),
    "clock_forward": Rule(
        23,
        finding="vee.clock_set",
        severity=Severity.INFO,
        needs=("events",),
        thresholds=("clock_s",),
        quality=Quality.CLOCK_FORWARD,
        text="clock was set by {value} s, told above {limit} s: intervals are short",
    ),
    "clock_back": Rule(
        24,
        finding="vee.clock_set",
        severity=Severity.INFO,
        needs=("events",),
        thresholds=("clock_s",),
        quality=Quality.CLOCK_BACK,
        text="clock was set by {value} s, told above {limit} s: intervals came twice",
    ),
    "voltage": Rule(
        25,
        finding="vee.voltage",
        needs=("voltage_v", "nominal_v"),
        thresholds=("voltage_percent",),
        text="voltage is {value:.1f} V, nominal is {limit:.1f} V",
    ),
    "feeder_sum": Rule(
        26,
        finding="vee.feeder_sum",
        needs=("feeder",),
        thresholds=("feeder_permille", "feeder_wh"),
        text="head and meters with losses differ by {value} Wh, at most {limit} Wh",
    ),
    "prolonged": Rule(
        27,
        finding="vee.prolonged",
        severity=Severity.ALARM,
        needs=("estimated_days",),
        thresholds=("estimated_days",),
        text="not read for {value} days, estimates bridge {limit} days: send someone",
    ),
    "invalid": Rule(28, finding="vee.invalid", needs=("captured", "captured_quality")),
    "backfill": Rule(29, finding="vee.backfilled", severity=Severity.INFO),
    "edit": Rule(30, finding="vee.edited", severity=Severity.INFO, quality=Quality.EDITED),
    "linear": Rule(
        128,
        finding="vee.estimated",
        thresholds=("linear_s",),
        quality=Quality.ESTIMATED_LINEAR,
    ),
    "like_day": Rule(129, finding="vee.estimated", quality=Quality.ESTIMATED_LIKE_DAY),
    "load_shape": Rule(
        130, finding="vee.estimated", needs=("shape",), quality=Quality.ESTIMATED_LOAD_SHAPE
    ),
    "nearest": Rule(131, finding="vee.estimated", quality=Quality.ESTIMATED_LINEAR),
    "feeder_residual": Rule(
        132, finding="vee.estimated", needs=("feeder",), quality=Quality.ESTIMATED_FEEDER
    ),
    "no_power": Rule(
        133, finding="vee.estimated", needs=("outage",), quality=Quality.ESTIMATED_LINEAR
    ),
}

DAY_RULES: Final[dict[str, Callable[[Day], Hits]]] = {
    "power_failure": day_rules.power_failure,
    "clock_forward": day_rules.clock_forward,
    "clock_back": day_rules.clock_back,
    "interval_length": day_rules.interval_length,
    "capture_period": day_rules.capture_period,
    "high": day_rules.high,
    "low": day_rules.low,
    "zero": day_rules.zero,
    "inactive": day_rules.inactive,
    "multiplier": day_rules.multiplier,
    "sibling": day_rules.sibling,
    "check_meter": day_rules.check_meter,
    "voltage": day_rules.voltage,
    "serial": day_rules.serial,
    "prolonged": day_rules.prolonged,
    "feeder_sum": day_rules.feeder_sum,
}
"""Judged when every interval has its value."""

_BY_CODE: Final = {rule.code: name for name, rule in RULES.items()}
_METHOD: Final = 256


def both(check: str, method: str) -> int:
    """Return the code of an interval that `check` refused and `method` estimated."""
    return RULES[check].code + _METHOD * RULES[method].code


def checked_by(codes: npt.NDArray[np.uint16], names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return elementwise whether one of the rules `names` judged what was read."""
    found: npt.NDArray[np.bool_] = np.isin(codes % _METHOD, [RULES[name].code for name in names])
    return found


def decided(code: int) -> tuple[tuple[str, Rule], ...]:
    """Return the rules behind the code of an interval, none where it is simply as read.

    Raises
    ------
    BadInputError
        When no rule has that code.
    """
    parts = [part for part in (code % _METHOD, code // _METHOD) if part]
    for part in parts:
        if part not in _BY_CODE:
            raise BadInputError(f"rule code {code}: no rule has {part}")
    return tuple((_BY_CODE[part], RULES[_BY_CODE[part]]) for part in parts)


def trace(code: int) -> str:
    """Return the rules behind a code with their versions, ``"missing 1, like_day 1"``."""
    return ", ".join(f"{name} {rule.version}" for name, rule in decided(code)) or "as read"
