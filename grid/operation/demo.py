"""The demo: a past day of the demo microgrid through the whole loop, then live."""

from __future__ import annotations

import io
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import date
from pathlib import Path
from typing import Any

from grid import interval
from grid.errors import BadInputError, VerificationError
from grid.operation import audit, commission, cycle, history
from grid.operation.demo_site import TIME_ZONE, demo_site
from grid.operation.field.serve import KEYS_FILE
from grid.operation.opening import opened
from grid.operation.room import Room
from grid.operation.summary import summarise
from grid.site_file import SITE_FILE, parse
from grid.store import Store, log

Progress = Callable[[str], None]

CYCLES_A_DAY = 96


def prepare(directory: Path, *, day: date, seed: int, store_url: str = "") -> None:
    """Commission the demo site in `directory` unless a site is there already.

    The site and its history come into the store at once: what an interrupted
    call left behind is made again by the next one.

    Raises
    ------
    BadInputError
        When the folder holds something else.
    """
    if (directory / SITE_FILE).exists() and commission.commissioned(directory, store_url):
        return
    text = demo_site(day=day, seed=seed)
    _refuse_others(directory, text)
    directory.mkdir(parents=True, exist_ok=True)
    start_s, _ = interval.day_bounds(day, TIME_ZONE)
    site = parse(text)
    path = history.write_demo_history(directory, site, start_s)
    past = history.read(site, path, start_s)
    commission.commission(
        directory, text, at_s=start_s, seed=seed, store_url=store_url, history=past
    )


def _refuse_others(directory: Path, text: str) -> None:
    """Refuse a folder with anything that an interrupted demo would not have left."""
    ours = {SITE_FILE, KEYS_FILE, history.HISTORY_FILE, f"{history.HISTORY_FILE}.part"}
    ours |= {f"khazri.sqlite3{end}" for end in ("", "-wal", "-shm", "-journal")}
    found = {path.name for path in directory.iterdir()} if directory.exists() else set()
    if strange := sorted(found - ours):
        raise BadInputError(f"{directory} holds {strange[0]} and no site: take another folder")
    path = directory / SITE_FILE
    if SITE_FILE in found and path.read_bytes() != text.encode():
        raise BadInputError(f"{path} is not the demo's: 'khazri run {path}' runs it")


def play(room: Room, count: int, progress: Progress) -> None:
    """Run the next `count` cycles, one after the other."""
    for number in range(count):
        at_s = cycle.clock(room)
        cycle.run(room, at_s)
        if number % 8 == 0 or number == count - 1:
            local = interval.local_time(at_s, room.site.time_zone)
            progress(f"{number + 1:3d}/{count} {local} settled, planned and sent")


def once(directory: Path, *, day: date, seed: int, progress: Progress) -> dict[str, Any]:
    """Play one day into a fresh folder; return its summary.

    Raises
    ------
    BadInputError
        When the folder is not fresh.
    VerificationError
        When the exported ledger does not verify.
    """
    if directory.exists() and any(directory.iterdir()):
        raise BadInputError(f"{directory} is not empty: --once needs a fresh folder")
    began = time.monotonic()
    prepare(directory, day=day, seed=seed)
    progress("site commissioned, 28 days of history imported")
    start_s, end_s = interval.day_bounds(day, TIME_ZONE)
    with opened(directory) as room:
        # One more than the day has intervals: its last one is read and settled after it.
        play(room, (end_s - start_s) // room.site.interval_s + 1, progress)
        facts = summarise(room, start_s, end_s)
        facts |= ledger_facts(room.store)
    facts["seconds"] = round(time.monotonic() - began, 1)
    return facts


def ledger_facts(store: Store) -> dict[str, Any]:
    """Return the ledger's size, root and key, and whether a fresh export verifies.

    Raises
    ------
    VerificationError
        When it does not.
    """
    from trading.verify import main

    with tempfile.TemporaryDirectory(prefix="khazri-export-") as folder:
        out = Path(folder) / "ledger"
        head, key = audit.export(store, out, openings=True)
        with redirect_stdout(io.StringIO()):
            verified = main([str(out), "--key", key, "--openings"]) == 0
        shutil.rmtree(out)
    if not verified:
        raise VerificationError("the exported ledger does not verify")
    with store.read() as tx:
        size = log.size(tx)
    return {
        "ledger_entries": size,
        "ledger_root": head.root.hex(),
        "ledger_key": key,
        "ledger_verified": verified,
    }
