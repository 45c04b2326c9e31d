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


def _at(weeks: xr.Dataset, week: int) -> str:
    return interval.label(int(weeks["week_start"].to_numpy()[week].astype(np.int64)))


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
    made = []
    for week, point in np.argwhere(np.isin(verdict, _NOT_KEPT)):
        one = {name: column[week, point] for name, column in columns.items()}
        code = int(verdict[week, point])
        subject = str(weeks["usage_point"].to_numpy()[point])
        usual, every = rules.usual, rules.all_values
        made.append(
            Finding(
                "quality.voltage",
                subject,
                _at(weeks, week),
                _severity(code),
                f"{subject} {weeks['week'].to_numpy()[week]}: {Verdict(code).words}: "
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
    made = []
    for week, point in np.argwhere(np.isin(verdict, _NOT_KEPT)):
        code = int(verdict[week, point])
        subject = str(weeks["usage_point"].to_numpy()[point])
        made.append(
            Finding(
                "quality.unbalance",
                subject,
                _at(weeks, week),
                _severity(code),
                f"{subject} {weeks['week'].to_numpy()[week]}: {Verdict(code).words}: "
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
    made = []
    for week in np.flatnonzero(lacking.any(axis=1)).tolist():
        named = weeks["usage_point"].to_numpy()[lacking[week]]
        shown = ", ".join(str(name) for name in named[:5]) + (" …" if len(named) > 5 else "")
        label = weeks["week"].to_numpy()[week]
        made.append(
            Finding(
                "quality.insufficient",
                "voltage quality",
                _at(weeks, week),
                Severity.INFO,
                f"{label}: {len(named)} of {lacking.shape[1]} points have less than {limit:g} % of "
                f"the week (least {coverage[week][lacking[week]].min():.1f} %): {shown}",
            )
        )
    return made
