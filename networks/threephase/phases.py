"""Which phase a single-phase customer is on, from interval readings.

Customers of whom the evidence (:mod:`networks.threephase.evidence`) is beyond
doubt are held to be known, which makes it clearer for the rest; this is repeated
until nothing changes. Each customer is then judged once more, those held to be
known too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from grid.errors import BadInputError, Finding, Severity
from networks.model import Float
from networks.threephase.evidence import HYPOTHESES, power_evidence, voltage_evidence

CONFIDENCE = 0.99
_HELD_KNOWN = 0.9999
_ROUNDS = 12
_PRIOR = np.log([0.3, 0.3, 0.3, 0.1])
_FEWEST_INTERVALS = 24


class Verdict(StrEnum):
    """What is said of a customer's phase."""

    ASSIGNED = "assigned"
    UNDECIDED = "undecided"
    DIFFERS = "differs from the record"


@dataclass(frozen=True, slots=True)
class PhaseVerdict:
    """The phase of one customer.

    Attributes
    ----------
    customer : str
    verdict : Verdict
    phase : str
        The likeliest: ``a``, ``b``, ``c``, or ``abc`` for a connection to all three.
    confidence : float
        Its probability given the readings, 0 to 1.
    margin : float
        Natural logarithm of the odds over the second likeliest.
    second : str
        The second likeliest.
    recorded : str or None
        What the record says, where there is one.
    """

    customer: str
    verdict: Verdict
    phase: str
    confidence: float
    margin: float
    second: str
    recorded: str | None = None


def assign_phases(
    customers: Sequence[str],
    voltage_pu: npt.ArrayLike,
    absorbed_kw: npt.ArrayLike,
    injected_kw: npt.ArrayLike,
    busbar_pu: npt.ArrayLike,
    busbar_kw: npt.ArrayLike,
    *,
    recorded: Mapping[str, str] | None = None,
    confidence: float = CONFIDENCE,
) -> tuple[PhaseVerdict, ...]:
    """Return the phase of each customer as far as readings tell it.

    Parameters
    ----------
    customers : sequence of str
        Names, each once.
    voltage_pu : float (interval, customer)
        Of the nominal phase voltage; the mean of three where the meter has three.
    absorbed_kw, injected_kw : float (interval, customer)
    busbar_pu : float (interval, 3)
        Phase voltages at the low-voltage busbar.
    busbar_kw : float (interval, 3)
        What the busbar gives to the feeder in each phase, below 0 where it takes.
        Missing readings are NaN in all of these; intervals follow each other.
    recorded : mapping of str to str, optional
        Phase of some customers after the utility's record: ``a``, ``b``, ``c``, ``abc``.
    confidence : float
        Probability from which a phase is assigned, above 0.5 and below 1.

    Raises
    ------
    BadInputError
        A wrong shape, an infinite value, a name given twice, fewer than 24
        intervals, a recorded phase or customer that does not exist.
    """
    names = list(customers)
    shape = (np.shape(voltage_pu)[0] if np.ndim(voltage_pu) else 0, len(names))
    voltage = _checked("voltage_pu", voltage_pu, shape)
    kw = _checked("absorbed_kw", absorbed_kw, shape) - _checked("injected_kw", injected_kw, shape)
    busbar = _checked("busbar_pu", busbar_pu, (shape[0], 3))
    head_kw = _checked("busbar_kw", busbar_kw, (shape[0], 3))
    record = dict(recorded or {})
    _check_names(names, record, confidence, shape[0])
    probability = _probabilities(voltage, kw, busbar, head_kw)
    order = np.argsort(-probability, axis=1)
    made = []
    for row, name in enumerate(names):
        best, second = order[row, :2]
        phase = HYPOTHESES[best]
        verdict = Verdict.UNDECIDED
        if probability[row, best] >= confidence:
            differs = name in record and record[name] != phase
            verdict = Verdict.DIFFERS if differs else Verdict.ASSIGNED
        sure = float(probability[row, best])
        margin = float(np.log(sure / max(float(probability[row, second]), 1e-300)))
        recorded_as = record.get(name)
        made.append(
            PhaseVerdict(name, verdict, phase, sure, margin, HYPOTHESES[second], recorded_as)
        )
    return tuple(made)


def findings(verdicts: Sequence[PhaseVerdict]) -> list[Finding]:
    """Return a finding for each customer whose phase is not the recorded one, sorted."""
    return sorted(
        Finding(
            "network.phase_differs",
            one.customer,
            "",
            Severity.WARNING,
            f"{one.customer}: phase {one.phase} by its readings with confidence "
            f"{one.confidence:.4f}, recorded as {one.recorded}",
        )
        for one in verdicts
        if one.verdict is Verdict.DIFFERS
    )


def _probabilities(voltage: Float, kw: Float, busbar: Float, head_kw: Float) -> Float:
    """Return the probability (customer, hypothesis) of each hypothesis."""
    count = kw.shape[1]
    known = np.full(count, -1)
    probability = np.empty((count, len(HYPOTHESES)))
    for _ in range(_ROUNDS):
        phase = [HYPOTHESES[one] if one >= 0 else "" for one in known]
        weight = _PRIOR + power_evidence(kw, head_kw, known)
        weight += voltage_evidence(voltage, kw, busbar, head_kw, phase)
        weight -= weight.max(axis=1, keepdims=True)
        probability = np.exp(weight)
        probability /= probability.sum(axis=1, keepdims=True)
        best = probability.argmax(axis=1)
        sure = probability.max(axis=1) >= _HELD_KNOWN
        held = np.where(sure, best, -1)
        if (held == known).all():
            break
        known = held
    return probability


def _checked(name: str, values: npt.ArrayLike, shape: tuple[int, int]) -> Float:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise BadInputError(f"{name} has shape {array.shape}, must be {shape}")
    if np.isinf(array).any():
        raise BadInputError(f"{name} has an infinite value, must be finite, or NaN where missing")
    return array


def _check_names(
    names: list[str], record: Mapping[str, str], confidence: float, intervals: int
) -> None:
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise BadInputError(f"customer {min(twice)} is given twice")
    for name, phase in record.items():
        if name not in names:
            raise BadInputError(f"customer {name} has a recorded phase but no readings")
        if phase not in HYPOTHESES:
            raise BadInputError(
                f"customer {name}: recorded phase {phase!r} must be {', '.join(HYPOTHESES)}"
            )
    if not 0.5 < confidence < 1.0:
        raise BadInputError(f"confidence is {confidence}, must be above 0.5 and below 1")
    if intervals < _FEWEST_INTERVALS:
        raise BadInputError(
            f"phases need at least {_FEWEST_INTERVALS} intervals of readings, there are {intervals}"
        )
