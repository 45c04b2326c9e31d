"""What the parts of a site file must be to each other, table by table of its text.

It looks at the tables as TOML gives them, so that a file with a wrong value in
one table is still told everything else that is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from grid.site_devices import MOST_FORMING

ASSETS = ("battery", "solar", "wind", "genset", "shedding", "charger", "flexible")
_PLANTS = ("solar", "wind")
_OWN = ("tariff", "party", "usage_point", "meter", "sensor")

Refuse = Callable[[str, int, str, str], None]


class _Tables:
    def __init__(self, raw: dict[str, Any]) -> None:
        self._raw = raw

    def rows(self, *names: str) -> Iterator[tuple[str, int, dict[str, Any]]]:
        """Yield name, position and content of each well-formed table."""
        for name in names:
            value = self._raw.get(name, [])
            for number, row in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(row, dict):
                    yield name, number, row

    def texts(self, key: str, *names: str) -> Iterator[tuple[str, int, str]]:
        """Yield name, position and value of each table that has a text at `key`."""
        for name, number, row in self.rows(*names):
            if isinstance(row.get(key), str):
                yield name, number, row[key]


def check_references(raw: dict[str, Any], refuse: Refuse) -> None:
    """Refuse what stands twice, leads nowhere, or lacks its other half.

    Parameters
    ----------
    raw : dict
        The file as TOML gives it.
    refuse : callable
        Takes table, position, key and message.
    """
    tables = _Tables(raw)
    _twice(tables, refuse)
    _series(tables, refuse)
    _nowhere(tables, refuse)
    _metered(tables, refuse)
    _sensed(tables, refuse)
    _ramped(tables, refuse)
    _outlived(tables, refuse)
    _placed(tables, refuse)
    if not any(kind == "community" for _, _, kind in tables.texts("kind", "party")):
        refuse("party", 0, "", "no party has kind 'community'")
    forming = any(row.get("forming") is True for _, _, row in tables.rows("battery"))
    if any(tables.rows("outage")) and not forming:
        refuse("outage", 0, "", "an outage needs a battery with forming = true")


def _twice(tables: _Tables, refuse: Refuse) -> None:
    for group in (*((name,) for name in _OWN), ("grid", *ASSETS)):
        seen: set[str] = set()
        for table, number, name in tables.texts("id", *group):
            if name in seen:
                refuse(table, number, "id", f"{table} {name} stands twice")
            seen.add(name)


def _series(tables: _Tables, refuse: Refuse) -> None:
    """Refuse names under which the store would mix two series of intervals."""
    taken = {name: "usage point" for _, _, name in tables.texts("id", "usage_point")}
    for table, number, row in tables.rows("meter"):
        name = row.get("id")
        if row.get("role") == "feeder_head" and isinstance(name, str):
            if name in taken:
                refuse(table, number, "id", f"meter {name}: a usage point has the same id")
            taken[name] = "meter"
    plants = {f"{name}.available": name for _, _, name in tables.texts("id", *_PLANTS)}
    for table, number, name in tables.texts("id", *ASSETS, "sensor"):
        if name in taken:
            refuse(table, number, "id", f"{table} {name}: a {taken[name]} has the same id")
    for table, number, name in tables.texts("id", "usage_point", "meter", *ASSETS):
        if name in plants:
            message = f"{table} {name}: the id stands for what {plants[name]} could produce"
            refuse(table, number, "id", message)


def _nowhere(tables: _Tables, refuse: Refuse) -> None:
    for target in ("party", "tariff", "usage_point"):
        known = {name for _, _, name in tables.texts("id", target)}
        for table, number, value in tables.texts(target, *_OWN, *ASSETS):
            if value not in known:
                refuse(
                    table, number, target, f"{_named(tables, table, number)}: no {target} {value}"
                )
    points = {name for _, _, name in tables.texts("id", "usage_point")}
    for table, number, row in tables.rows("shedding"):
        listed = row.get("usage_points")
        seen: set[str] = set()
        for value in listed if isinstance(listed, list) else []:
            if isinstance(value, str) and (value not in points or value in seen):
                what = "stands twice" if value in seen else "is no usage_point"
                message = f"{_named(tables, table, number)}: {value} {what}"
                refuse(table, number, "usage_points", message)
            seen.add(str(value))


def _metered(tables: _Tables, refuse: Refuse) -> None:
    meters: dict[str, str] = {}
    for table, number, point in tables.texts("usage_point", "meter"):
        name = _named(tables, table, number)
        if point in meters:
            message = f"{name}: usage point {point} has {meters[point]} already, the limit is one"
            refuse(table, number, "usage_point", f"{message}: several are not netted yet")
        meters.setdefault(point, name)
    for table, number, point in tables.texts("id", "usage_point"):
        if point not in meters:
            refuse(table, number, "id", f"usage point {point} has no meter")
    heads = sum(role == "feeder_head" for _, _, role in tables.texts("role", "meter"))
    if heads != 1:
        refuse("meter", 0, "", f"there are {heads} feeder-head meters, must be 1")


def _sensed(tables: _Tables, refuse: Refuse) -> None:
    """Refuse sensors without a broker, and two that would read the same value."""
    places: dict[tuple[str, str], int] = {}
    for table, number, row in tables.rows("sensor"):
        place = str(row.get("topic")), str(row.get("value", ""))
        first = places.setdefault(place, number)
        if first != number:
            message = f"{_named(tables, table, first)} reads the same value there"
            refuse(table, number, "topic", f"{_named(tables, table, number)}: {message}")
    if any(tables.rows("sensor")) and not any(tables.rows("mqtt")):
        refuse("sensor", 0, "", "a sensor needs [mqtt], the broker it speaks to")


def _ramped(tables: _Tables, refuse: Refuse) -> None:
    known = {name for _, _, name in tables.texts("id", *ASSETS)}
    for table, number, row in tables.rows("control"):
        ramps = row.get("ramp")
        for ramp in ramps if isinstance(ramps, list) else []:
            asset = ramp.get("asset") if isinstance(ramp, dict) else None
            if isinstance(asset, str) and asset not in known:
                refuse(table, number, "ramp", f"[control]: ramp of {asset}: no such device")


def _outlived(tables: _Tables, refuse: Refuse) -> None:
    """Refuse an outage that is to be outlived by more batteries than a plan can try, or by none."""
    for table, number, row in tables.rows("operation"):
        hours = row.get("survive_h", 0)
        if not isinstance(hours, (int, float)) or not hours > 0:
            continue
        forming = sum(one.get("forming") is True for _, _, one in tables.rows("battery"))
        if not 1 <= forming <= MOST_FORMING:
            message = f"survive_h is {hours:g} with {forming} batteries with forming = true"
            limit = f"must be 1 to {MOST_FORMING}"
            refuse(table, number, "survive_h", f"[operation]: {message}, {limit}")


def _named(tables: _Tables, table: str, number: int) -> str:
    names = {at: name for _, at, name in tables.texts("id", table)}
    return f"{table} {names.get(number, f'number {number + 1}')}"


def _placed(tables: _Tables, refuse: Refuse) -> None:
    """Refuse modules that lie somehow on a site that is nowhere."""
    if any(tables.rows("location")):
        return
    for name, number, row in tables.rows("solar"):
        if "tilt_degree" in row or "azimuth_degree" in row:
            said = f"tilt_degree needs a table [location] for {name} {row.get('id')}"
            refuse(name, number, "tilt_degree" if "tilt_degree" in row else "azimuth_degree", said)
