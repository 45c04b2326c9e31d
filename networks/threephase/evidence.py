"""What meter readings say about the phase of a customer, as log-likelihoods.

Power: the power of each phase at the busbar is the sum of its customers', so a
regression of it on all customers' power gives each one's share of the phase
(Arya et al., SmartGridComm 2011, doi:10.1109/SmartGridComm.2011.6102329).
Voltage: a customer's voltage moves with the voltage of its own phase
(Short, IEEE Trans. Smart Grid 4(2), 2013, doi:10.1109/TSG.2012.2221144).

Hypotheses are phase a, b, c and a connection to all three. Errors that
last (unmetered load, losses) make neighbouring intervals alike; both regressions
are done on ``y(t) - rho y(t - 1)`` with `rho` from their own residuals.
"""

from __future__ import annotations

import numpy as np

from networks.model import Bool, Float, Int

HYPOTHESES = ("a", "b", "c", "abc")
SHARE: Float = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1 / 3, 1 / 3, 1 / 3]])
_SHARE_VARIANCE: Float = np.array([0.05, 0.05, 0.05, 0.2]) ** 2
"""Losses and errors of meters move a share; three phases are seldom used evenly."""

_FREE_VARIANCE = 2.0 / 9.0
"""Variance of a share that is 1 with probability 1/3, else 0."""
_LOSS_SHARE = 0.05
_MOST_ALIKE = 0.98
_ROUNDS = 6
_FEWEST = 3
"""Customers of each phase that make a better representative of it than the busbar alone."""
_FAINTEST = 0.2
"""Share of its neighbours' movement that a customer on their phase shows at least."""
_TEMPER = 0.5
"""Weight of voltage evidence: what disturbs the voltages of a phase disturbs them together."""


def power_evidence(kw: Float, head_kw: Float, held: Int) -> Float:
    """Return log-likelihoods (customer, hypothesis) from power; 0 where nothing is known.

    Parameters
    ----------
    kw : float64 (interval, customer)
        Absorbed less injected, NaN where missing.
    head_kw : float64 (interval, 3)
        Of the phases at the busbar, NaN where missing.
    held : int64 (customer,)
        Hypothesis that is held to be known, or -1.
    """
    seen = np.isfinite(kw)
    alive = np.flatnonzero(seen.sum(axis=0) > 1)
    found = np.zeros((kw.shape[1], len(HYPOTHESES)))
    if not len(alive):
        return found
    known = seen[:, alive]
    counted = np.where(known, kw[:, alive], 0.0)
    mean = counted.sum(axis=0) / known.sum(axis=0)
    scatter = (np.where(known, counted - mean, 0.0) ** 2).sum(axis=0) / known.sum(axis=0)
    filled = np.where(known, counted, mean)
    # A missing reading is its mean, and makes its interval as uncertain as the load varies.
    doubt = (~known) @ (scatter / 3.0)
    given = held[alive]
    spread = np.where(given < 0, _FREE_VARIANCE, _SHARE_VARIANCE[given])
    for phase in range(3):
        share = np.where(given < 0, 1 / 3, SHARE[given, phase])
        precision, centre = _shares(filled, head_kw[:, phase], doubt, share, spread)
        variance = 1 / precision[:, None] + _SHARE_VARIANCE
        gap = SHARE[:, phase] - centre[:, None]
        found[alive] -= 0.5 * (gap**2 / variance + np.log(variance))
    return found


def _shares(
    kw: Float, head: Float, doubt: Float, share: Float, spread: Float
) -> tuple[Float, Float]:
    """Return (precision, mean) of what the readings alone say of each customer's share.

    A Gaussian regression with a prior for every share; what the prior adds to a
    customer's own posterior is taken out again, what it says of the others stays.
    """
    seen = np.isfinite(head)
    count = kw.shape[1]
    prior = np.concatenate((share, [0.0, 0.0, 0.0]))
    if _pairs(seen).sum() < 3:
        return np.full(count, 1e-9), share
    head = np.where(seen, head, 0.0)
    scale = max(float(np.abs(head).sum() / seen.sum()), 1e-9)
    # Beside the customers: what is always there; customers without a meter, who live as
    # the others do on average; and losses, which grow with the square.
    # (The square of the head's own power would explain the head by itself.)
    usual = kw.mean(axis=1)
    unmetered = scale / max(float(np.abs(usual).mean()), 1e-9)
    columns = np.column_stack((kw, np.ones(len(kw)), usual, usual**2 * unmetered**2 / scale))
    spread = np.concatenate((spread, [scale**2, unmetered**2, _LOSS_SHARE**2]))
    target = head - columns @ prior
    alike, noise = 0.0, float(np.var(head[seen]))
    for _ in range(_ROUNDS):
        x, y = _whitened(columns, seen, alike), _whitened(target, seen, alike)
        more = _whitened(doubt, seen, -(alike**2))
        weight = 1 / (noise + more)
        covariance = np.linalg.inv((x.T * weight) @ x + np.diag(1 / spread))
        shift = covariance @ (x.T @ (weight * y))
        error = (y - x @ shift) ** 2 + np.einsum("ij,jk,ik->i", x, covariance, x)
        noise = max(float((error - more).mean()), 1e-6 * scale**2)
        alike = _likeness(target - columns @ shift, seen)
    variance = np.diag(covariance)[:count]
    precision = np.maximum(1 / variance - 1 / spread[:count], 1e-9)
    return precision, prior[:count] + shift[:count] / variance / precision


def voltage_evidence(
    voltage_pu: Float, kw: Float, busbar_pu: Float, head_kw: Float, phase: list[str]
) -> Float:
    """Return log-likelihoods (customer, hypothesis) from voltage; 0 where nothing is known.

    What moves all phases alike, and the customer's own power, is taken out first.
    The rest should move with what sets its phase apart from the mean of the
    three: at the busbar, in the power drawn (which lowers the voltage), and in
    the voltages of customers whose phase is known. A connection to all three shows
    as no likeness to any phase, which bad readings do too: it never gains by
    voltage, only the single phases do.

    Parameters
    ----------
    voltage_pu, kw : float64 (interval, customer)
        Of the nominal phase voltage; NaN where missing.
    busbar_pu, head_kw : float64 (interval, 3)
        NaN where missing.
    phase : list of str
        Phase of each customer where it is held to be known, else "".
    """
    found = np.zeros((voltage_pu.shape[1], len(HYPOTHESES)))
    level = busbar_pu.mean(axis=1)
    moves = _moves(voltage_pu)
    seen = np.isfinite(moves).astype(np.float64)
    members = np.array([[one == name for name in HYPOTHESES[:3]] for one in phase], dtype=float)
    filled = np.nan_to_num(moves)
    total, count = filled @ members, seen @ members
    signals, common = [_apart(busbar_pu)], [np.ones(len(level)), level]
    if np.isfinite(head_kw).all(axis=1).mean() > 0.5:
        signals.append(-_apart(head_kw))
        common.append(head_kw.mean(axis=1))
    for customer in range(voltage_pu.shape[1]):
        own = np.outer(filled[:, customer], members[customer])
        number = count - np.outer(seen[:, customer], members[customer])
        neighbours, crowd = [], []
        if (np.median(number, axis=0) >= _FEWEST).all():
            with np.errstate(invalid="ignore", divide="ignore"):
                mean = (total - own) / number
            # A mean of all customers would lean towards the phase that most of them are on.
            neighbours, crowd = [_apart(mean)], [mean.mean(axis=1)]
        power = np.nan_to_num(_moves(kw[:, [customer]])[:, 0])
        nuisance = np.column_stack((*common, *crowd, power))
        gains, size = _gains(voltage_pu[:, customer], nuisance, signals + neighbours)
        # Of a connection to all three many readings make a faint likeness beyond doubt.
        faint = size < _FAINTEST if neighbours else np.zeros(3, dtype=np.bool_)
        found[customer, :3] = np.where(faint, 0.0, _TEMPER * gains)
    return found


def _apart(values: Float) -> Float:
    apart: Float = values - values.mean(axis=1, keepdims=True)
    return apart


def _moves(voltage_pu: Float) -> Float:
    """Return voltages less their own mean, so that a missing reading does not shift a sum."""
    with np.errstate(invalid="ignore"):
        count = np.maximum(np.isfinite(voltage_pu).sum(axis=0), 1)
        moved: Float = voltage_pu - np.nansum(voltage_pu, axis=0) / count
    return moved


def _gains(voltage: Float, nuisance: Float, signals: list[Float]) -> tuple[Float, Float]:
    """Return what each phase's signals explain with factors above 0.

    Returns
    -------
    gain : float64 (3,)
        Log-likelihood over no likeness.
    size : float64 (3,)
        Movement that they explain, in units of the last signal's own.
    """
    from scipy.optimize import nnls

    gains, size = np.zeros(3), np.zeros(3)
    seen = np.isfinite(voltage) & np.isfinite(nuisance).all(axis=1)
    for signal in signals:
        seen &= np.isfinite(signal).all(axis=1)
    if _pairs(seen).sum() < 10:
        return gains, size
    nuisance = np.where(seen[:, None], nuisance, 0.0)
    voltage = np.where(seen, voltage, 0.0)
    fit, *_ = np.linalg.lstsq(nuisance[seen], voltage[seen], rcond=None)
    alike = _likeness(voltage - nuisance @ fit, seen)
    base, _ = np.linalg.qr(_whitened(nuisance, seen, alike))
    y = _whitened(voltage, seen, alike)
    y = y - base @ (base.T @ y)
    for phase in range(3):
        x = np.stack(
            [_whitened(np.where(seen, s[:, phase], 0.0), seen, alike) for s in signals], axis=1
        )
        x -= base @ (base.T @ x)
        norm = np.maximum(np.linalg.norm(x, axis=0), 1e-30)
        factors, left = nnls(x / norm, y)
        size[phase] = np.linalg.norm(x / norm @ factors) / norm[-1]
        gains[phase] = -len(y) * np.log(max(left / float(np.linalg.norm(y)), 1e-6))
    return gains, size


def _pairs(seen: Bool) -> Bool:
    return seen[1:] & seen[:-1]


def _whitened(values: Float, seen: Bool, alike: float) -> Float:
    """Return ``y(t) - alike y(t - 1)`` where both intervals were seen."""
    made: Float = (values[1:] - alike * values[:-1])[_pairs(seen)]
    return made


def _likeness(left: Float, seen: Bool) -> float:
    """Return the correlation of neighbouring residuals, 0 to almost 1."""
    pairs = _pairs(seen)
    now, before = left[1:][pairs], left[:-1][pairs]
    now, before = now - now.mean(), before - before.mean()
    power = np.sqrt(float(now @ now) * float(before @ before))
    return float(np.clip(now @ before / power, 0.0, _MOST_ALIKE)) if power > 0 else 0.0
