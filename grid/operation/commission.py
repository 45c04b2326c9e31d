"""Bringing a site to life: its folder, store, secrets, history and genesis."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from itertools import zip_longest
from pathlib import Path

import xarray as xr

from grid.errors import BadInputError
from grid.operation import agreements, erasure, log_key, meter_keys, record
from grid.operation.check import check
from grid.operation.field.serve import KEYS_FILE
from grid.operation.signer import FOLDER, LOG_SEED
from grid.operation.terms_entries import tell_terms
from grid.site import Site
from grid.site_file import SITE_FILE, parse, read_text
from grid.store import NoStoreError, Store, control, series
from trading.ledger import note

AVAILABLE = ".available"
_SITE = "site_toml"


def open_store(directory: Path, site_store: str = "") -> Store:
    """Return the store of a site folder, or of another database by URL.

    Whoever was erased and is in it again, because an older copy was restored, leaves it first.
    """
    store = Store(site_store) if site_store else Store.at(directory)
    try:
        erasure.purge(directory, store)
    except BaseException:
        store.close()
        raise
    return store


DRAW_SECRET = "market.draw"
"""What the default agents' limits are drawn with, so that nobody can draw them again."""


def _secrets(site: Site, seed: int | None) -> dict[str, bytes]:
    """Return every secret of a new site, from `seed` in a demo, else from the system."""
    names = [LOG_SEED, record.RECEIPTS_SEED, "console.secret_key", DRAW_SECRET]
    names += [f"party/{party.id}" for party in site.party]
    if seed is None:
        return {name: secrets.token_bytes(32) for name in names}
    root = _demo_root(site, seed)
    made = {name: hmac.digest(root, name.encode(), "sha256") for name in names}
    made["console.secret_key"] = secrets.token_bytes(32)
    return made


def simulated(site: Site) -> bool:
    """Return whether the devices of a site are simulated."""
    return site.field.kind == "simulated"


def _access(site: Site, directory: Path, seed: int | None) -> dict[str, bytes]:
    """Return what lets us into the meters: made up where they are simulated, else brought."""
    if not simulated(site):
        return meter_keys.brought(site, directory / meter_keys.KEYS_TOML)
    root = secrets.token_bytes(32) if seed is None else _demo_root(site, seed)
    return meter_keys.made_up(site, root)


def _demo_root(site: Site, seed: int) -> bytes:
    return hashlib.sha256(f"khazri demo {site.id} {seed}".encode()).digest()


def commission(
    directory: Path,
    text: str,
    *,
    at_s: int,
    seed: int | None,
    store_url: str = "",
    history: xr.Dataset | None = None,
) -> Site:
    """Make a site folder from the text of its site file.

    The store's content, the secrets, the history and the genesis of the ledger
    are one transaction, and the folder's files are there before it commits: a
    site is commissioned whole, or it can be commissioned again. Running it on a
    commissioned folder is refused.

    Parameters
    ----------
    at_s : int
        The first cycle.
    seed : int or None
        Demo only: makes the secrets follow from the seed, so that the same run
        gives the same ledger.
    store_url : str
        Another database than the embedded one.
    history : xarray.Dataset, optional
        Intervals before `at_s`, as :func:`grid.store.series.put_intervals` takes.

    Raises
    ------
    BadInputError
        When the site file is wrong or the store has a site already.
    """
    site = check(text, base_dir=directory)
    directory.mkdir(parents=True, exist_ok=True)
    store = Store(store_url, create=True) if store_url else Store.at(directory, create=True)
    try:
        with store.write() as tx:
            if control.get_meta(tx, _SITE) is not None:
                raise BadInputError(f"{directory} holds a site already")
            made = _secrets(site, seed)
            access = _access(site, directory, seed)
            made |= access
            # The ledger's key has a process of its own: the store never sees it.
            log_seed = made.pop(LOG_SEED)
            control.put_secrets(tx, made)
            control.put_meta(tx, _SITE, text)
            control.put_meta(tx, "clock_s", str(at_s))
            control.put_meta(tx, "first_cycle_s", str(at_s))
            signer = note.signer(record.origin(site), log_seed)
            signed = record.begin(tx, at_s, signer)
            agreements.begin_all(tx, site, at_s)
            tell_terms(tx, site, at_s)
            if history is not None:
                series.put_intervals(tx, history, time_zone=site.time_zone, cycle_s=at_s)
            _write_files(directory, text, access if simulated(site) else {})
            log_key.begin(directory / FOLDER, signer.key.name, log_seed, signed)
    finally:
        store.close()
    return site


def _write_files(directory: Path, text: str, access: dict[str, bytes]) -> None:
    """Write the site file, unless it is there so already, and the keys of simulated meters."""
    path = directory / SITE_FILE
    if not path.exists() or path.read_bytes() != text.encode():
        path.write_text(text, encoding="utf-8")
    keys = directory / KEYS_FILE
    keys.touch(mode=0o600)
    keys.write_text(json.dumps({name: value.decode() for name, value in access.items()}))


def commissioned(directory: Path, store_url: str = "") -> str | None:
    """Return the text that a folder's site was made from, ``None`` when it has none yet."""
    try:
        store = open_store(directory, store_url)
    except NoStoreError:
        return None
    with store.read() as tx:
        text = control.get_meta(tx, _SITE)
    store.close()
    return text


def ensure(path: Path, *, now_s: int, store_url: str = "") -> bool:
    """Commission the site of ``SITE.toml`` when it has no store yet.

    Its secrets are random, it has no history, and its first cycle is where the
    next interval begins.

    Parameters
    ----------
    path : Path
        ``DIR/SITE.toml``.
    now_s : int
        The time, seconds UTC.

    Returns
    -------
    bool
        Whether the site was made now.

    Raises
    ------
    BadInputError
        When the file is wrong, or says another site than the one it was made from.
    """
    if path.name != SITE_FILE:
        raise BadInputError(f"{path}: the file of a site that runs is named {SITE_FILE}")
    text = read_text(path)
    made_from = commissioned(path.parent, store_url)
    if made_from is None:
        interval_s = parse(text).interval_s
        at_s = -(-now_s // interval_s) * interval_s
        commission(path.parent, text, at_s=at_s, seed=None, store_url=store_url)
        return True
    if text != made_from and parse(text) != parse(made_from):
        lines = zip_longest(text.splitlines(), made_from.splitlines())
        line = next(n for n, (now, then) in enumerate(lines, start=1) if now != then)
        raise BadInputError(
            f"{path}:{line}: the site was made from another text; put it back, or take a new folder"
        )
    return False
