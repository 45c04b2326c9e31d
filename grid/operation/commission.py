"""Bringing a site to life: its folder, store, secrets, history and genesis."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid import interval
from grid.errors import BadInputError
from grid.operation import record
from grid.operation.check import check
from grid.operation.field.serve import KEYS_FILE, open_world
from grid.operation.field.world import World
from grid.site import Site
from grid.site_file import SITE_FILE
from grid.store import Store, control, series
from meters.formats.history import read_history, write_history
from meters.vee import Quality

HISTORY_FILE = "history.csv"
AVAILABLE = ".available"
DLMS_SECRET = "dlms/"
_WH_PER_KW_INTERVAL = 250


def open_store(directory: Path, site_store: str = "") -> Store:
    """Return the store of a site folder, or of another database by URL."""
    return Store(site_store) if site_store else Store.at(directory)


DRAW_SECRET = "market.draw"
"""What the default agents' limits are drawn with, so that nobody can draw them again."""


def _secrets(site: Site, seed: int | None) -> dict[str, bytes]:
    """Return every secret of a new site, from `seed` in a demo, else from the system."""
    names = ["ledger.ed25519", "console.secret_key", DRAW_SECRET]
    names += [f"party/{party.id}" for party in site.party]
    names += [f"{DLMS_SECRET}{meter.id}" for meter in site.meter if meter.auth == "lls"]
    if seed is None:
        return {name: secrets.token_bytes(32) for name in names}
    root = hashlib.sha256(f"khazri demo {site.id} {seed}".encode()).digest()
    made = {name: hmac.digest(root, name.encode(), "sha256") for name in names}
    made["console.secret_key"] = secrets.token_bytes(32)
    return made


def commission(
    directory: Path, text: str, *, at_s: int, seed: int | None, store_url: str = ""
) -> Site:
    """Make a site folder from the text of its site file.

    The store, the secrets, the genesis of the ledger and the meters' passwords
    are made in one transaction. Running it on a commissioned folder is refused.

    Parameters
    ----------
    at_s : int
        The first cycle.
    seed : int or None
        Demo only: makes the secrets follow from the seed, so that the same run
        gives the same ledger.
    store_url : str
        Another database than the embedded one.

    Raises
    ------
    BadInputError
        When the site file is wrong or the store has a site already.
    """
    site = check(text, base_dir=directory)
    directory.mkdir(parents=True, exist_ok=True)
    store = Store(store_url, create=True) if store_url else Store.at(directory, create=True)
    with store.write() as tx:
        if control.get_meta(tx, "site_toml") is not None:
            raise BadInputError(f"{directory} holds a site already")
        made = _secrets(site, seed)
        control.put_secrets(tx, made)
        control.put_meta(tx, "site_toml", text)
        control.put_meta(tx, "clock_s", str(at_s))
        control.put_meta(tx, "first_cycle_s", str(at_s))
        control.put_meta(tx, "ledger_vkey", record.begin(tx, site, at_s))
    store.close()
    (directory / SITE_FILE).write_text(text, encoding="utf-8")
    keys = directory / KEYS_FILE
    keys.touch(mode=0o600)
    passwords = {n.removeprefix(DLMS_SECRET): lls(v) for n, v in made.items() if DLMS_SECRET in n}
    keys.write_text(json.dumps({name: key.hex() for name, key in passwords.items()}))
    return site


def lls(secret: bytes) -> bytes:
    """Return the low-level-security password of a meter: 16 printable characters."""
    return hashlib.sha256(secret).hexdigest()[:16].encode()


def history(world: World, end_s: int, days: int) -> xr.Dataset:
    """Return what an older metering system would export of the days before `end_s`.

    Usage points as metered, and for each solar plant and turbine what it
    produced (``ID``) and could have produced (``ID.available``). No battery or
    genset ran.
    """
    site = world.site
    starts_s = end_s - 900 * np.arange(days * 96, 0, -1, dtype=np.int64)
    weather = world.weather(starts_s)
    plants = site.plants
    produced = np.hstack([weather.solar_kw, weather.wind_kw])
    row = {str(point.id): number for number, point in enumerate(site.usage_point)}
    net: npt.NDArray[np.float64] = weather.load_kw.copy()
    for column, plant in enumerate(plants):
        net[:, row[plant.usage_point]] -= produced[:, column]
    names = known_series(site)
    none = np.zeros_like(produced)
    columns = {
        "import_wh": np.hstack([np.maximum(net, 0.0), none, none]),
        "export_wh": np.hstack([np.maximum(-net, 0.0), produced, produced]),
        "import_varh": np.hstack([weather.absorbed_kvar, none, none]),
        "export_varh": np.hstack([weather.injected_kvar, none, none]),
    }
    dims = ("usage_point", "interval")
    variables = {
        name: (dims, np.rint(values.T * _WH_PER_KW_INTERVAL).astype(np.int64))
        for name, values in columns.items()
    }
    shape = (len(names), len(starts_s))
    return xr.Dataset(
        {**variables, "quality": (dims, np.full(shape, Quality.VALID, np.uint16))},
        coords={"usage_point": names, "interval": starts_s.astype("datetime64[s]")},
    )


def known_series(site: Site) -> list[str]:
    """Return what a history may tell of: usage points, plants, what plants could have made."""
    return [
        *(str(point.id) for point in site.usage_point),
        *(str(plant.id) for plant in site.plants),
        *(f"{plant.id}{AVAILABLE}" for plant in site.plants),
    ]


def write_demo_history(directory: Path, site: Site, end_s: int) -> Path:
    """Write the simulated field's past as a history file; return its path."""
    path = directory / HISTORY_FILE
    write_history(history(open_world(site), end_s, site.operation.history_days), path)
    return path


def import_history(store: Store, site: Site, path: Path) -> int:
    """Take a history file into the store; return the number of intervals.

    Raises
    ------
    BadInputError
        Naming the first refused lines; nothing is stored then.
    """
    taken, refused = read_history(path)
    known = set(known_series(site))
    strangers = [str(name) for name in taken["usage_point"].values if str(name) not in known]
    if refused or strangers:
        problems = [finding.message for finding in refused]
        problems += [f"{path.name}: the site has no usage point {name}" for name in strangers]
        raise BadInputError("\n".join(problems[:20]))
    with store.write() as tx:
        at_s = int(control.get_meta(tx, "clock_s") or 0)
        series.put_intervals(tx, taken, time_zone=site.time_zone, cycle_s=at_s)
    return int(taken["import_wh"].size)


def month_of(site: Site, at_s: int) -> str:
    """Return the civil month of an instant at the site."""
    return interval.month_label(at_s, site.time_zone)
