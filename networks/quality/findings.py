"""What a weekly report says in words."""

from __future__ import annotations

import numpy as np
import xarray as xr

from grid import interval
from grid.errors import Finding, Severity
from networks.quality.rules import Band, Rules, Verdict

_NOT_KEPT = (Verdict.NOT_KEPT, Verdict.INDICATIVE_NOT_KEPT)


def findings(weeks: xr.Dataset, rules: Rules) -> list[Finding]:
    """Return findings of a report's weeks, sorted.

    Parameters
    ----------
    weeks : xarray.Dataset
        See :class:`networks.quality.voltage.Report`.
    """
    found = _voltages(weeks, rules)
    if "unbalance_verdict" in weeks:
        found += _unbalances(weeks, rules)
    return sorted(found + _insufficient(weeks))


class _Names:
    """Weeks and points as they are told."""

    def __init__(self, weeks: xr.Dataset) -> None:
        starts = weeks["week_start"].to_numpy().astype(np.int64).tolist()
        self.at = [interval.label(start_s) for start_s in starts]
        self.week = [str(label) for label in weeks["week"].to_numpy().tolist()]
        self.point = [str(point) for point in weeks["usage_point"].to_numpy().tolist()]


def _severity(verdict: int) -> Severity:
    return Severity.ALARM if verdict == Verdict.NOT_KEPT else Severity.WARNING


def _asked(band: Band) -> str:
    sides = " on either side" if band.each_side else ""
    return f"{band.share_percent:g} %{sides}"


def _voltages(weeks: xr.Dataset, rules: Rules) -> list[Finding]:
    verdict = weeks["verdict"].to_numpy()
    columns = {
        name: weeks[name].to_numpy()
        for name in ("share_within_percent", "vm_pu_lowest", "vm_pu_highest", "intervals_outside")
    }
    names, usual, every = _Names(weeks), rules.usual, rules.all_values
    made = []
    for week, point in np.argwhere(np.isin(verdict, _NOT_KEPT)).tolist():
        one = {name: column[week, point] for name, column in columns.items()}
        code = int(verdict[week, point])
        subject = names.point[point]
        made.append(
            Finding(
                "quality.voltage",
                subject,
                names.at[week],
                _severity(code),
                f"{subject} {names.week[week]}: {Verdict(code).words}: "
                f"{one['share_within_percent']:.2f} % of {weeks.attrs['values']} are within "
                f"{usual.low:g} to {usual.high:g} pu (asked {_asked(usual)}), "
                f"{one['intervals_outside']} outside {every.low:g} to {every.high:g} pu (asked 0); "
                f"{one['vm_pu_lowest']:.4f} to {one['vm_pu_highest']:.4f} pu",
            )
        )
    return made


def _unbalances(weeks: xr.Dataset, rules: Rules) -> list[Finding]:
    verdict = weeks["unbalance_verdict"].to_numpy()
    share = weeks["unbalance_share_within_percent"].to_numpy()
    highest = weeks["unbalance_percent_highest"].to_numpy()
    names = _Names(weeks)
    made = []
    for week, point in np.argwhere(np.isin(verdict, _NOT_KEPT)).tolist():
        code = int(verdict[week, point])
        subject = names.point[point]
        made.append(
            Finding(
                "quality.unbalance",
                subject,
                names.at[week],
                _severity(code),
                f"{subject} {names.week[week]}: {Verdict(code).words}: "
                f"unbalance is up to {rules.unbalance.high:g} % in {share[week, point]:.2f} % of "
                f"{weeks.attrs['values']} (asked {_asked(rules.unbalance)}), highest "
                f"{highest[week, point]:.2f} %",
            )
        )
    return made


def _insufficient(weeks: xr.Dataset) -> list[Finding]:
    """One finding for each week: what is not known is said once, not of each point."""
    lacking = weeks["verdict"].to_numpy() == Verdict.INSUFFICIENT
    coverage = weeks["coverage_percent"].to_numpy()
    limit = weeks.attrs["coverage_min_percent"]
    names = _Names(weeks)
    made = []
    for week in np.flatnonzero(lacking.any(axis=1)).tolist():
        least = coverage[week][lacking[week]].min()
        named = [names.point[point] for point in np.flatnonzero(lacking[week]).tolist()]
        shown = ", ".join(named[:5]) + (" …" if len(named) > 5 else "")
        made.append(
            Finding(
                "quality.insufficient",
                "voltage quality",
                names.at[week],
                Severity.INFO,
                f"{names.week[week]}: {len(named)} of {lacking.shape[1]} points have less than "
                f"{limit:g} % of the week (least {least:.1f} %): {shown}",
            )
        )
    return made
