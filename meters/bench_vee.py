"""Row of the benchmark: validation of a day in which nearly every rule finds something.

The meters hang from two feeders, each validated by itself. Faults are planted in rows of
their own; what flowed is known, and most faults must not change it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.benchmark import Error, Progress, Row, Timing, alternate, per_second
from grid.errors import Finding
from meters.bench_poll import AT_S, DAY
from meters.reading import CHANNELS, MISSING
from meters.vee import Quality, validate
from meters.vee.facts import EventKind, Facts, FeederHead, MeterEvent, Tenure
from meters.vee.rules import RULES, decided

Ints = npt.NDArray[np.int64]
Outcome = tuple[xr.Dataset, list[Finding]]

LIMIT_WH, DIGITS = 5_000, 8
EVERY: Final = 1_000
"""A fault is planted in one of so many meters, in one of a feeder with fewer."""
OFTEN: Final = 100
"""Gaps, a rollover and a misread stand in one of so many meters each."""
EXACT: Final = (
    "main", "check", "duplicate", "negative", "exchange", "serial", "spike", "high", "low",
    "zero", "inactive", "interval_length", "capture_period", "multiplier", "sibling", "same",
    "power_failure", "clock_forward", "clock_back", "voltage", "invalid", "backfill",
    "load_shape", "nearest", "no_power",
)  # fmt: skip
"""Faults that leave it known how much flowed; `same` tells what `sibling` does."""
LOSSY: Final = ("dip", "tamper", "jump", "sum_check", "prolonged", "feeder_residual")
BEYOND: Final = frozenset({"edit"})
"""Rules that are no part of a validation."""
_FREE: Final = [number for number in range(1, 100) if number % (OFTEN // 4)]
_PLACE: Final = dict(zip((*EXACT, *LOSSY), _FREE, strict=False))
_FIRST_S: Final = AT_S - DAY * 900


@dataclass(frozen=True, eq=False)
class Feeder:
    """A day of the meters of one feeder.

    Attributes
    ----------
    registers, reference, facts
        As :func:`~meters.vee.validate` takes them.
    whole_wh : ndarray of int64 (meter,)
        What was imported.
    exact : ndarray of bool (meter,)
        Where the registers tell that.
    """

    registers: xr.Dataset
    reference: xr.Dataset
    facts: Facts
    whole_wh: Ints
    exact: npt.NDArray[np.bool_]

    def validated(self) -> Outcome:
        """Validate the day."""
        count = self.whole_wh.size
        return validate(
            self.registers.copy(deep=False),
            self.reference,
            limit_wh=np.full(count, LIMIT_WH),
            register_digits=np.full(count, DIGITS),
            estimate_before_s=AT_S + DAY * 900 * 10,
            facts=self.facts,
        )


def row(count: int, rounds: int, progress: Progress) -> Row:
    """Return the row of `count` meter-days."""
    progress(f"meters: validation of {count:,} meter-days")
    feeders = [feeder(count // 2, number) for number in range(2)]
    known = [one.registers[channel].to_numpy() for one in feeders for channel in CHANNELS]
    outcomes: list[Outcome] = []

    def ours(turn: int) -> None:
        outcomes[:] = [one.validated() for one in feeders]

    ours_ns, theirs_ns = alternate(
        rounds, ours, lambda _: [np.diff(values, axis=1) for values in known]
    )
    readings = count * DAY * len(CHANNELS)
    off_wh = max(
        int(np.abs(intervals["import_wh"].to_numpy().sum(axis=1) - one.whole_wh)[one.exact].max())
        for one, (intervals, _) in zip(feeders, outcomes, strict=True)
    )
    findings = sum(len(found) for _, found in outcomes)
    faulty = round(100 * (4 / OFTEN + len(_PLACE) / EVERY))
    return Row(
        craft="meters",
        name="VEE",
        work=f"{count:,} meter-days of {len(CHANNELS)} registers, all {len(RULES)} rules on, "
        f"{faulty} meters in a hundred with a fault; one core",
        unit="readings",
        taken=f"best of {rounds}",
        ours=Timing(readings, ours_ns),
        peer="np.diff of the same registers",
        theirs=Timing(readings, theirs_ns),
        reach=per_second(20_000_000),
        error=Error(off_wh, "Wh a meter and day", 0, "what flowed, where registers tell it"),
        note=f"{findings:,} findings; {len(noticed(outcomes))} of {len(RULES)} rules found "
        "something, an edit is no part of a validation",
    )


def noticed(outcomes: Iterable[Outcome]) -> set[str]:
    """Return the rules that decided an interval or told something."""
    found: set[str] = set()
    for intervals, findings in outcomes:
        for code in np.unique(intervals["rule"].to_numpy()).tolist():
            found |= {name for name, _ in decided(code)}
        told = {one.code for one in findings}
        found |= {name for name, rule in RULES.items() if rule.text and rule.finding in told}
    return found


def feeder(count: int, number: int) -> Feeder:
    """Return a day of `count` meters; the first feeder has meters that were never read."""
    draw = np.random.default_rng(1 + number)
    meters = [f"meter-{number}-{place}" for place in range(count)]
    energy = draw.integers(0, 500, (count, DAY))
    energy[_rows("zero", count)] = 0
    energy[_rows("same", count)] = energy[_rows("sibling", count)]
    usual = energy + 10
    energy[_rows("spike", count), 41] = 4_000
    register = np.zeros((count, DAY + 1), dtype=np.int64)
    np.cumsum(energy, axis=1, out=register[:, 1:])
    register += 1_000_000
    values = {name: register // (place + 1) for place, name in enumerate(CHANNELS)}
    values["export_wh"][_rows("low", count)] = 1_000
    flowed = {name: np.diff(of, axis=1) for name, of in values.items()}
    exchanged = _plant(values, count, meters)
    never = [_rows(name, count) for name in ("prolonged", "feeder_residual")]
    exact = np.ones(count, np.bool_)
    for name in LOSSY:
        exact[_rows(name, count)] = False
    reference = dict.fromkeys(CHANNELS, usual)
    for of in values.values() if number == 0 else ():
        for rows in never:
            of[rows] = MISSING
    for name in ("load_shape", "nearest", "feeder_residual"):
        usual[_rows(name, count)] = MISSING
    boundary = np.arange(_FIRST_S, AT_S + 1, 900).astype("datetime64[s]")
    registers = xr.Dataset(
        {name: (("meter", "boundary"), of) for name, of in values.items()},
        {"meter": meters, "boundary": boundary},
    )
    late = np.zeros(register.shape, np.bool_)
    late[_rows("backfill", count), 40:60] = True
    registers["from_profile"] = ("meter", "boundary"), late
    return Feeder(
        _read_twice(registers, count),
        xr.Dataset(
            {name: (("meter", "interval"), of) for name, of in reference.items()},
            {"meter": meters, "interval": boundary[:-1]},
        ),
        _facts(meters, values["import_wh"], flowed, exchanged, number),
        energy.sum(axis=1),
        exact,
    )


def _rows(fault: str, count: int) -> slice:
    return slice(_PLACE[fault], None, min(EVERY, count))


def _plant(values: dict[str, Ints], count: int, meters: list[str]) -> list[Tenure]:
    """Plant what is wrong with registers; return the devices that came and went."""
    wh = values["import_wh"]
    wh[OFTEN // 4 :: OFTEN] += 99_000_000 - 10_000
    wh[OFTEN // 4 :: OFTEN] %= 10**DIGITS
    wh[::OFTEN, 40:47] = MISSING
    wh[3 * OFTEN // 4 :: OFTEN, 30:78] = MISSING
    wh[OFTEN // 2 :: OFTEN, 60] += 400_000
    wh[_rows("negative", count), 22] = -5
    for name in ("dip", "tamper"):
        wh[_rows(name, count), 50:] -= 3_000
    wh[_rows("jump", count), 50:] += 400_000
    for name in ("sum_check", "invalid", "no_power"):
        wh[_rows(name, count), 40:47] = MISSING
    for name in ("load_shape", "nearest"):
        wh[_rows(name, count), 30:78] = MISSING
    devices = []
    for place in range(count)[_rows("exchange", count)]:
        last = tuple(int(values[name][place, 48]) for name in CHANNELS)
        for name in CHANNELS:
            values[name][place, 49:] -= values[name][place, 48]
        at_s, none = _FIRST_S + 48 * 900, (0, 0, 0, 0)
        old, new = meters[place], f"{meters[place]}-new"
        devices.append(Tenure(old, old, None, at_s, DIGITS, last=last))  # type: ignore[arg-type]  # four registers
        devices.append(Tenure(old, new, at_s, None, DIGITS, first=none))
    return devices


def _read_twice(registers: xr.Dataset, count: int) -> xr.Dataset:
    """Return registers with one boundary read twice, and two reads that contradict it."""
    again = registers.isel(boundary=[20]).copy(deep=True)
    again["import_wh"].values[_rows("duplicate", count)] += 7
    return xr.concat([registers, again], "boundary")


def _facts(
    meters: list[str],
    import_wh: Ints,
    flowed: dict[str, Ints],
    exchanged: list[Tenure],
    number: int,
) -> Facts:
    """Return all that rules can need."""
    count = len(meters)
    whole_wh = flowed["import_wh"].sum(axis=1)

    def rows(fault: str) -> slice:
        return _rows(fault, count)

    outage, voltage = np.zeros((count, DAY), np.bool_), np.full((count, DAY), 231.0, np.float32)
    outage[rows("power_failure"), 20:24] = True
    outage[rows("no_power"), 41:44] = True
    voltage[rows("voltage"), 50] = 300.0
    captured = np.diff(import_wh, axis=1)
    strange = (import_wh < 0).any(axis=1) | (captured < 0).any(axis=1)
    captured[strange | (captured > 500).any(axis=1)] = MISSING
    marks = np.full((count, DAY), Quality.VALID, np.uint16)
    captured[rows("duplicate")] = MISSING
    for name in ("sum_check", "invalid"):
        captured[rows(name)] = flowed["import_wh"][rows(name)]
    captured[rows("sum_check"), 42] += 50
    marks[rows("invalid"), 42] = Quality.INVALID
    average = whole_wh.copy()
    average[rows("high")] //= 20
    average[rows("low")] *= 60
    average[rows("multiplier")] //= 10
    shape = np.full((count, DAY), 250)
    shape[rows("nearest")] = shape[rows("feeder_residual")] = MISSING
    zero, estimated = np.zeros(count, np.int64), np.zeros(count, np.int64)
    zero[rows("zero")], estimated[rows("prolonged")] = 8, 6
    active, period = np.ones(count, np.bool_), np.full(count, 900)
    active[rows("inactive")], period[rows("capture_period")] = False, 1_800
    offset = np.zeros((count, DAY + 1), np.int64)
    offset[rows("interval_length"), 40] = 120
    stay = {one.meter for one in exchanged}
    tenures = [Tenure(meter, meter, None, None, DIGITS) for meter in meters if meter not in stay]
    serial = {one.meter: one.serial for one in (*tenures, *exchanged)}
    for meter in meters[rows("serial")]:
        serial[meter] = "another"
    return Facts(
        captured={"import_wh": captured},
        captured_quality=marks,
        shape={"import_wh": shape},
        outage=outage,
        active=active,
        average_day_wh=average,
        zero_days=zero,
        estimated_days=estimated,
        capture_s=period,
        offset_s=offset,
        ratio=np.ones(count, np.int64),
        voltage_v=voltage,
        nominal_v=np.full(count, 230.0),
        serial=np.array([serial[meter] for meter in meters]),
        tenures=(*tenures, *exchanged),
        events=_events(meters),
        siblings=True,
        checks=tuple(zip(meters[rows("main")], meters[rows("check")], strict=True)),
        feeder=_head(flowed, number),
    )


def _events(meters: list[str]) -> tuple[MeterEvent, ...]:
    kinds = (
        ("tamper", EventKind.TAMPER, 0, 50),
        ("clock_forward", EventKind.CLOCK_SET, 60, 86),
        ("clock_back", EventKind.CLOCK_SET, -60, 86),
    )
    return tuple(
        MeterEvent(meter, _FIRST_S + 900 * at, kind, shift_s)
        for fault, kind, shift_s, at in kinds
        for meter in meters[_rows(fault, len(meters))]
    )


def _head(flowed: dict[str, Ints], number: int) -> FeederHead:
    """Return what went through the head; in the second feeder somebody bypassed meters."""
    total = {name: of.sum(axis=0) for name, of in flowed.items()}
    net = total["import_wh"] - total["export_wh"]
    loss = net // 50
    head = net + loss
    if number:
        head[10] += max(2_000, int(head[10]) // 10)
    members = np.ones(len(flowed["import_wh"]), np.bool_)
    varh = total["import_varh"] - total["export_varh"]
    return FeederHead("F-1", head, varh, np.ones(DAY, np.bool_), loss, members)
