"""What the search for lost energy finds and what it tells in vain, on the demo community.

Months whose truth is known (:mod:`grid.operation.losses_months`): every AC state is
computed, none is approximated. The days are gone through as the control room goes
through them (:mod:`grid.operation.loss_watch`): learned weekly, judged daily.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from grid.operation.loss_watch import (
    LEARN_DAYS,
    Learned,
    Waiting,
    family,
    judged,
    learned,
    spans,
)
from grid.operation.losses_faults import bypass, constant
from grid.operation.losses_months import Errors, Feeder, Fleet, demo_feeder, fleet, shown
from meters.losses import Case, FeederRecord, investigate

SOURCE, SOURCE_VOLTAGE_PU = "simbench:1-LV-rural2--2-sw", 1.015
REALISTIC = Errors(cable_percent=3.0, drift_percent=0.05)
"""Class 1 meters whose gains wander with the weather, on cables that differ from the model."""

WITHIN_DAYS = 14
BYPASS_KWH = 5.0
_SEASONS = (5, 95, 185, 275)
_LATE_DAYS = 7
CLEAN_DAYS = 42
_MONTH_DAYS = 30.0
_DAY_S = 86_400

Progress = Callable[[str], None]


@dataclass
class Thefts:
    """How bypasses of 5 kWh a day fared, each begun on another day after the trusted weeks.

    Attributes
    ----------
    tried, found : int
        Found within 14 days of its beginning.
    named_right, named_wrong : int
        The case names one household: the right one, or another.
    narrowed, narrowed_right : int
        The case names nobody and gives up to five suspects that hold 95 % of the
        probability; and the right one is among them.
    not_placed : int
        The case says that it cannot tell where.
    among_suspects : int
        The right household is among the five likeliest that the case lists.
    days : list of int
        Days from the beginning to the end of the day that told.
    other : int
        Cases beside the one of the bypass.
    wrong : list of str
        The household of each bypass for which another was named, and the case.
    """

    tried: int = 0
    found: int = 0
    named_right: int = 0
    named_wrong: int = 0
    narrowed: int = 0
    narrowed_right: int = 0
    not_placed: int = 0
    among_suspects: int = 0
    other: int = 0
    wrong: list[str] = field(default_factory=list)
    days: list[int] = field(default_factory=list)

    def judge(self, point: str, begun_s: int, cases: tuple[Case, ...]) -> None:
        """Count what was told of a bypass at `point`."""
        self.tried += 1
        told = [case for case in cases if family(case) == "loss"]
        self.other += len(cases) - len(told)
        if not told:
            return
        case = told[0]
        after = (case.found_s - begun_s) // _DAY_S
        self.days.append(after)
        self.found += 1 <= after <= WITHIN_DAYS
        self.among_suspects += point in [name for name, _ in case.suspects]
        if case.located:
            self.named_right += case.subject == (point,)
            if case.subject != (point,):
                self.named_wrong += 1
                self.wrong.append(f"bypass at {point}: {case.message}")
        elif case.narrowed:
            self.narrowed += 1
            self.narrowed_right += point in case.narrowed
        else:
            self.not_placed += 1


@dataclass
class Clean:
    """What was told of months in which nothing was lost."""

    meter_months: float = 0.0
    false_cases: int = 0
    told: list[str] = field(default_factory=list)


def study(
    progress: Progress,
    *,
    households: int = 86,
    fleets: int = 24,
    seed: int = 1,
    errors: Errors = REALISTIC,
) -> dict[str, object]:
    """Run both trials; return their figures.

    Parameters
    ----------
    households : int
        How many of the community's households get a bypass, one after the other, spread
        over the feeder; every other one diverts a part of its own load, the rest take
        a constant power.
    fleets : int
        Draws of all meters' errors, six clean weeks each, spread over the year.
    """
    began, cpu = time.monotonic(), time.process_time()
    feeder = demo_feeder(SOURCE, SOURCE_VOLTAGE_PU)
    thefts = bypasses(feeder, progress, households=households, seed=seed, errors=errors)
    clean = clean_months(feeder, progress, fleets=fleets, seed=seed, errors=errors)
    return {
        "bypasses": asdict(thefts),
        "clean": asdict(clean),
        "errors": asdict(errors),
        "cpu_s": round(time.process_time() - cpu, 1),
        "seconds": round(time.monotonic() - began, 1),
    }


def bypasses(
    feeder: Feeder, progress: Progress, *, households: int, seed: int, errors: Errors = REALISTIC
) -> Thefts:
    """Put a bypass at one household after the other; count what is told of each."""
    rows = [row for row, kind in enumerate(feeder.kind) if kind == "household"]
    count = min(households, len(rows))
    rows = [rows[n * len(rows) // count] for n in range(count)]
    thefts = Thefts()
    known: dict[int, tuple[Fleet, Learned]] = {}
    for number, row in enumerate(rows):
        season = number % len(_SEASONS)
        first = _SEASONS[season]
        if season not in known:
            meters = fleet(feeder, 1000 * seed + season, errors)
            found = learned(shown(feeder, meters, first, LEARN_DAYS))
            assert isinstance(found, Learned), "the trusted weeks are whole"
            known[season] = meters, found
        meters, base = known[season]
        late = number % _LATE_DAYS
        start = first + LEARN_DAYS
        wrong = (
            bypass(feeder, row, BYPASS_KWH, start, since_day=late)
            if number % 2
            else constant(row, BYPASS_KWH, since_day=late)
        )
        record = shown(feeder, meters, start, late + WITHIN_DAYS, wrong)
        # Each day's statistic looks at no later day: one call tells the day on which it was told.
        cases = investigate(base.baseline, record)
        thefts.judge(feeder.usage_point[row], record.start_s + late * _DAY_S, cases)
        if (number + 1) % 10 == 0 or number + 1 == count:
            progress(f"{number + 1}/{count} bypasses, {thefts.found} found")
    return thefts


def clean_months(
    feeder: Feeder,
    progress: Progress,
    *,
    fleets: int,
    seed: int,
    errors: Errors = REALISTIC,
    days: int = CLEAN_DAYS,
) -> Clean:
    """Judge every day of weeks in which nothing is lost; count the cases that are told."""
    clean = Clean()
    for number in range(fleets):
        meters = fleet(feeder, 1000 * seed + 100 + number, errors)
        first = (number * 366) // fleets
        record = shown(feeder, meters, first, LEARN_DAYS + days)
        told = {
            (family(case), case.kind): f"day {first}, fleet {number}: {case.message}"
            for case in _daily(record)
        }
        clean.false_cases += len(told)
        clean.told += told.values()
        clean.meter_months += len(feeder.usage_point) * days / _MONTH_DAYS
        progress(
            f"{number + 1}/{fleets} clean feeders, {clean.meter_months:.0f} meter-months, "
            f"{clean.false_cases} false cases"
        )
    return clean


def _daily(record: FeederRecord) -> list[Case]:
    """Return what is told on any day of a record, as the control room looks at it."""
    told: list[Case] = []
    known: dict[tuple[int, int], Learned] = {}
    for end in range(LEARN_DAYS + 1, record.days + 1):
        span = spans(0, end)
        if isinstance(span, Waiting):
            continue
        trusted = (span.learn_from, span.learn_to)
        if trusted not in known:
            found = learned(record.part(*trusted))
            assert isinstance(found, Learned), "the trusted weeks are whole"
            known = {trusted: found}
        told += judged(known[trusted], record.part(span.judge_from, end)).cases
    return told


def table(figures: dict[str, object]) -> str:
    """Return the figures of a study as a person reads them."""
    thefts, clean = figures["bypasses"], figures["clean"]
    assert isinstance(thefts, dict)
    assert isinstance(clean, dict)
    days = sorted(thefts["days"]) or [0]
    rate = 1000.0 * clean["false_cases"] / max(clean["meter_months"], 1e-9)
    rows = [
        ("bypasses of 5 kWh a day, one at a time", str(thefts["tried"])),
        (f"found within {WITHIN_DAYS} days", str(thefts["found"])),
        ("days until found, median and most", f"{days[len(days) // 2]} and {days[-1]}"),
        ("named: the right household, another", _two(thefts, "named_right", "named_wrong")),
        ("narrowed to at most five, right one in", _two(thefts, "narrowed", "narrowed_right")),
        ("said not to be placed", str(thefts["not_placed"])),
        ("right one among the five listed", str(thefts["among_suspects"])),
        ("clean meter-months", f"{clean['meter_months']:.0f}"),
        ("false cases, per 1,000 meter-months", f"{clean['false_cases']}, {rate:.2f}"),
        ("CPU s, seconds", f"{figures['cpu_s']}, {figures['seconds']}"),
    ]
    return "\n".join(
        [f"{name:<42} {value}" for name, value in rows] + thefts["wrong"] + clean["told"]
    )


def _two(thefts: dict[str, object], first: str, second: str) -> str:
    return f"{thefts[first]}, {thefts[second]}"
