"""A folder of results that a killed run leaves and a later one resumes: what every fleet's has."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Set
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from grid.errors import BadInputError, StoreError

FACTS, LOCK = "fleet.json", "lock"


def open_array(directory: Path, name: str, *, mode: Any = "r") -> Any:
    """Return an array of the store, mapped.

    Raises
    ------
    StoreError
        When it is missing or not whole.
    """
    path = directory / f"{name}.npy"
    try:
        # Mapped for writing, a file that was cut would be made longer.
        whole = np.lib.format.open_memmap(path, mode="r")
        return whole if mode == "r" else np.lib.format.open_memmap(path, mode=mode)
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: not a whole array of a fleet's results ({error})") from error


def read_json(path: Path) -> Any:
    """Return a file of the store.

    Raises
    ------
    StoreError
        When it is damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StoreError(f"{path}: not a fleet's JSON ({error})") from error


def refuse_foreign(directory: Path, known: Set[str]) -> None:
    """Refuse a folder that has something else in it than `known`."""
    foreign = sorted(
        entry.name
        for entry in directory.iterdir()
        if entry.name not in known and not entry.name.endswith(".part")
    )
    if foreign:
        raise BadInputError(
            f"{directory} has {foreign[0]!r} in it; a fleet's results need a folder of their own"
        )


def locked(directory: Path) -> TextIO:
    """Return the lock of a folder, held; refuse one that another run holds."""
    file = (directory / LOCK).open("a", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise BadInputError(f"{directory}: another run is writing its results here") from error
    return file


def refuse_other(directory: Path, facts: dict[str, Any]) -> None:
    """Refuse a folder whose results are of another fleet."""
    known = read_json(directory / FACTS)
    for name, value in facts.items():
        if known.get(name) != value:
            shown = "" if isinstance(value, list) else f": {known.get(name)}, now {value}"
            raise BadInputError(
                f"{directory} has the results of another fleet ({name} differs{shown}); "
                "choose another folder"
            )


def replace(path: Path, facts: dict[str, Any]) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        json.dump(facts, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
