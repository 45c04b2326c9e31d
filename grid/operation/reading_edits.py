"""Readings set by a person, taken back, and traced to what they came from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr

from grid import interval
from grid.errors import BadInputError
from grid.operation.record import record_action
from grid.operation.resettlement import mark_changed
from grid.site import Site
from grid.store import Transaction, control, edits, field, series
from meters.reading import CHANNELS, MISSING
from meters.vee import Quality
from meters.vee.editing import Edit, edit
from meters.vee.rules import trace as rules_behind

EDIT_MAX_DAYS = 31


def set_readings(tx: Transaction, site: Site, wanted: Edit) -> int:
    """Set intervals to what a person says; return the edit's number.

    What was there stays as the version before, the intervals are settled again, and the
    action is on the ledger.

    Parameters
    ----------
    wanted : Edit
        Its `meter` is a usage point of the site, or the feeder head's meter.

    Raises
    ------
    BadInputError
        When it is none of them, an interval is not over or not on a quarter-hour, more is
        set than the connection carries, or nothing would change.
    """
    end_s = _check(tx, site, wanted)
    stored = _stored(tx, site, wanted.meter, wanted.start_s, end_s)
    changed, kept = edit(stored.rename(usage_point="meter"), [wanted])
    if not kept:
        raise BadInputError(
            f"{wanted.meter} {interval.label(wanted.start_s)}: {wanted.channel} is set to this "
            "already"
        )
    before = {name: stored[name].values[0] for name in (wanted.channel, "quality", "rule")}
    number = edits.put_edit(tx, wanted, *before.values())
    _put(tx, site, changed.rename(meter="usage_point"), wanted.at_s)
    _record(tx, site, wanted, "readings.edit", number, wanted.editor)
    return number


def take_back(tx: Transaction, site: Site, number: int, by: str, at_s: int) -> None:
    """Withdraw an edit: where it still stands, what was there before stands again.

    Raises
    ------
    StoreError
        When there is no such edit, or it was withdrawn before.
    BadInputError
        When a later edit of the same intervals holds.
    """
    old = edits.get_edit(tx, number)
    wanted, end_s = old.edit, old.end_s
    for other in edits.about(tx, wanted.meter, wanted.start_s, end_s):
        later = other.number > number and not other.withdrawn_by
        if later and other.edit.channel == wanted.channel:
            raise BadInputError(
                f"{wanted.meter} {interval.label(wanted.start_s)}: edit {other.number} came "
                f"after edit {number}; take that one back first"
            )
    edits.withdraw(tx, number, by, at_s)
    stored = _stored(tx, site, wanted.meter, wanted.start_s, end_s)
    back = stored["quality"].values[0] == Quality.EDITED
    # What was missing cannot be unknown again: it counts as missing until it is validated.
    known = back & (old.energy != MISSING)
    stored[wanted.channel].values[0, known] = old.energy[known]
    stored["quality"].values[0, back] = old.quality[back]
    stored["rule"].values[0, back] = old.rule[back]
    _put(tx, site, stored, at_s)
    _record(tx, site, wanted, "readings.edit_withdrawn", number, by)


@dataclass(frozen=True, slots=True)
class Trace:
    """What one interval of a usage point rests on.

    Attributes
    ----------
    usage_point : str
    at_s : int
    energy : dict of str to int or None
    quality : Quality
    rules : str
        :func:`meters.vee.rules.trace`.
    sd_wh : dict of str to float
    versions : list of (register, version, cycle)
        Of its day.
    reads : list of dict
        The register rows at its two edges, with the hash of the bytes they came in.
    edits : list of StoredEdit
    """

    usage_point: str
    at_s: int
    energy: dict[str, int | None]
    quality: Quality
    rules: str
    sd_wh: dict[str, float]
    versions: list[tuple[str, int, int]]
    reads: list[dict[str, Any]]
    edits: list[edits.StoredEdit]

    def facts(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "usage_point": self.usage_point,
            "at": interval.label(self.at_s),
            "energy": self.energy,
            "quality": self.quality.code,
            "rules": self.rules,
            "sd": self.sd_wh,
            "versions": [
                {"register": register, "version": version, "cycle": interval.label(cycle_s)}
                for register, version, cycle_s in self.versions
            ],
            "reads": self.reads,
            "edits": [
                {"number": one.number, **asdict(one.edit), "withdrawn_by": one.withdrawn_by}
                for one in self.edits
            ],
        }


def trace(tx: Transaction, site: Site, usage_point: str, at_s: int) -> Trace:
    """Return what one interval rests on.

    Raises
    ------
    BadInputError
        When the usage point is not of the site, or `at_s` is not where an interval begins.
    """
    if usage_point not in site.measured or at_s % site.interval_s:
        raise BadInputError(
            f"{usage_point} {interval.label(at_s)}: no interval of a usage point of the site"
        )
    end_s = at_s + site.interval_s
    found = _stored(tx, site, usage_point, at_s, end_s)
    meters = [m.id for m in site.meter if usage_point in (m.usage_point, m.id)]
    rows = [row for meter in meters for row in field.raw_reads(tx, meter, at_s, end_s)]
    value = {name: int(found[name].values[0, 0]) for name in CHANNELS}
    return Trace(
        usage_point,
        at_s,
        {name: None if one == MISSING else one for name, one in value.items()},
        Quality(int(found["quality"].values[0, 0])),
        rules_behind(int(found["rule"].values[0, 0])),
        {str(k): float(v.values[0, 0]) for k, v in found.items() if str(k).endswith("_sd_wh")},
        series.versions(tx, usage_point, interval.local_day(at_s, site.time_zone).isoformat()),
        [_read(dict(row)) for row in rows],
        edits.about(tx, usage_point, at_s, end_s),
    )


def _read(row: dict[str, Any]) -> dict[str, Any]:
    raw: bytes = row.pop("raw_sha256")
    at = {"at": interval.label(row.pop("at_s")), "cycle": interval.label(row.pop("cycle_s"))}
    return {**at, **row, "raw_sha256": raw.hex()}


def _check(tx: Transaction, site: Site, wanted: Edit) -> int:
    where = f"{wanted.meter} {interval.label(wanted.start_s)}"
    count = len(wanted.values_wh)
    end_s = wanted.start_s + count * site.interval_s
    if wanted.meter not in site.measured:
        raise BadInputError(f"{where}: no usage point {wanted.meter} in the site")
    if wanted.start_s % site.interval_s or count > EDIT_MAX_DAYS * 96:
        raise BadInputError(
            f"{where}: {count} intervals, must begin on a quarter-hour and be at most "
            f"{EDIT_MAX_DAYS * 96}"
        )
    clock_s = control.clock_s(tx)
    if end_s > clock_s:
        raise BadInputError(f"{where}: ends {interval.label(end_s)}, after the site's clock")
    kw = {str(point.id): point.connection_kw for point in site.usage_point}
    most = round(2000 * site.interval_s / 3600 * kw.get(wanted.meter, sum(kw.values())))
    if max(wanted.values_wh) > most:
        raise BadInputError(
            f"{where}: {wanted.channel} {max(wanted.values_wh)} must be at most {most}, twice what "
            "the connection carries"
        )
    return end_s


def _stored(tx: Transaction, site: Site, name: str, start_s: int, end_s: int) -> xr.Dataset:
    return series.get_intervals(tx, [name], start_s, end_s, time_zone=site.time_zone, decided=True)


def _put(tx: Transaction, site: Site, changed: xr.Dataset, at_s: int) -> None:
    starts = series.put_intervals(tx, changed, time_zone=site.time_zone, cycle_s=at_s)
    first_s = int(control.get_meta(tx, "first_cycle_s") or 0)
    mark_changed(tx, {when for _, when in starts if when >= first_s})


def _record(tx: Transaction, site: Site, wanted: Edit, kind: str, number: int, user: str) -> None:
    detail = {
        "edit": number,
        "from": interval.label(wanted.start_s),
        "intervals": len(wanted.values_wh),
        "reason": wanted.reason,
        "register": wanted.channel,
        "sum": int(np.sum(wanted.values_wh)),
    }
    clock_s = control.clock_s(tx)
    record_action(tx, site, at_s=clock_s, user=user, kind=kind, subject=wanted.meter, detail=detail)
