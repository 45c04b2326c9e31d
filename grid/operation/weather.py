"""The site's file of weather forecasts: read, kept by issue, and what is known of it at a cycle.

What was read is stored before anything uses it, and an issue that is stored stays as it is:
so a forecast follows from the store alone, whatever becomes of the file.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import xarray as xr

from dispatch.forecast.outlook import Outside
from dispatch.forecast.weather import by_issue, joined, parse_weather
from grid import interval
from grid.errors import BadInputError, Finding, Severity
from grid.operation.room import Room
from grid.site import Site
from grid.store import Transaction, control, datasets

KIND = "weather"
CODE = "forecast.weather"
_READ = "weather_sha256"
_REACH_S = 10 * 86_400
"""No issue is looked for that is older than this when the first step begins."""
_MOST_OCTETS = 256 * 2**20


def read_weather(path: Path, *, issued_s: int | None = None) -> xr.Dataset:
    """Return the records of a file.

    Raises
    ------
    BadInputError
        When it cannot be read or is wrong.
    """
    return parse_weather(_octets(path), path.name, issued_s=issued_s)


def keep(room: Room, at_s: int) -> None:
    """Store each issue of the site's file that is new; what is wrong with the file is a finding.

    Lines without ``issued_at`` were issued at the cycle that first read them.
    """
    if not room.site.forecast.weather:
        return
    path = room.directory / room.site.forecast.weather
    with room.store.write() as tx:
        try:
            octets = _octets(path)
            content = hashlib.sha256(octets).hexdigest()
            if control.get_meta(tx, _READ) == content:
                return
            issues = by_issue(parse_weather(octets, path.name, issued_s=at_s))
        except BadInputError as error:
            _tell(room, tx, at_s, _day_label(room.site, at_s), f"nothing new is known: {error}")
            return
        have = set(datasets.instants(tx, KIND, min(issues), max(issues) + 1))
        fresh = sorted(set(issues) - have)
        for issued_s in fresh:
            datasets.put_dataset(tx, KIND, issued_s, issues[issued_s])
        control.put_meta(tx, _READ, content)
    room.log(at_s, "weather", issues=len(issues), new=len(fresh))


def outside(room: Room, tx: Transaction, start_s: int, at_s: int) -> Outside:
    """Return where the site's plants stand, and what weather of `start_s` on was known at `at_s`.

    Weather that is stale tells nothing, which is a finding.
    """
    site = room.site
    place = Outside(site.location, site.plants)
    if not site.forecast.weather:
        return place
    issues = datasets.instants(tx, KIND, start_s - _REACH_S, at_s + 1)
    stale_s = at_s - int(site.forecast.stale_after_hours * 3600)
    if not issues or issues[-1] < stale_s:
        since = interval.label(issues[-1]) if issues else "ever"
        said = f"the last was issued {since}" if issues else "none was ever issued"
        limit = f"limit {site.forecast.stale_after_hours:g} h"
        when = since if issues else _day_label(site, at_s)
        _tell(room, tx, at_s, when, f"{said}, {limit}: forecasts follow the past alone", stale=True)
        return place
    key = f"weather {start_s} {len(issues)} {issues[-1]}"
    if key not in room.memory:
        for old in [name for name in room.memory if name.startswith("weather ")]:
            del room.memory[old]
        parts = (datasets.require_dataset(tx, KIND, one) for one in issues)
        room.memory[key] = joined(list(parts))
    return Outside(site.location, site.plants, room.memory[key])


def kept(room: Room) -> xr.Dataset | None:
    """Return all weather that the site has kept, ``None`` for none."""
    with room.store.read() as tx:
        return _all(tx)


def _all(tx: Transaction) -> xr.Dataset | None:
    found = datasets.instants(tx, KIND, 0, 2**62)
    return joined([datasets.require_dataset(tx, KIND, one) for one in found])


def _octets(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MOST_OCTETS:
            raise BadInputError(f"{path.name}: has more than {_MOST_OCTETS} bytes")
        return path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path.name}: {error.strerror}") from error


def _day_label(site: Site, at_s: int) -> str:
    """Return the label of the civil day: a lasting fault is told once a day."""
    day = interval.local_day(at_s, site.time_zone)
    return interval.label(interval.day_bounds(day, site.time_zone)[0])


def _tell(
    room: Room, tx: Transaction, at_s: int, when: str, said: str, *, stale: bool = False
) -> None:
    code = f"{CODE}.stale" if stale else CODE
    message = f"weather {when}: {said}"
    finding = Finding(code, room.site.forecast.weather, when, Severity.WARNING, message)
    control.put_findings(tx, at_s, [finding])
