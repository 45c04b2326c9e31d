"""The problems of a fleet: one a file, or many derived from one file by a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dispatch.plan import PlanInput
from dispatch.problem_file import parse
from grid.errors import BadInputError
from grid.site_file import read_text

SPREAD = {"load": 0.3, "weather": 0.4, "price": 0.2}
"""By what share load, sun and wind, and prices of a derived problem differ from the file's."""

BATCH = 8
"""Problems of a task: a few, so that a lost worker loses little."""

FILES_MOST = 1_000_000


@dataclass(frozen=True)
class Problem:
    """A problem on its way to a worker; parsed there.

    Attributes
    ----------
    number : int
    name : str
        Of its file, with its number where it is derived.
    text : str
        TOML as :mod:`dispatch.problem_file` reads it.
    seed : int or None
        Derived by it and `number`; None for the file as it is.
    """

    number: int
    name: str
    text: str
    seed: int | None = None

    def read(self) -> PlanInput:
        """Return the problem.

        Raises
        ------
        BadInputError
            As :func:`dispatch.problem_file.parse`.
        """
        given = parse(self.text, self.name)
        return given if self.seed is None else derived(given, self.seed, self.number)


@dataclass(frozen=True)
class Fleet:
    """Problems 0 to `count` - 1.

    Attributes
    ----------
    files : tuple of (str, str)
        Name and text of each.
    count : int
    seed : int or None
        None where each problem is a file of its own.
    gap : float
    nodes : int
    """

    files: tuple[tuple[str, str], ...]
    count: int
    seed: int | None
    gap: float
    nodes: int

    def problem(self, number: int) -> Problem:
        """Return a problem."""
        name, text = self.files[number % len(self.files)]
        if self.seed is None:
            return Problem(number, name, text)
        return Problem(number, f"{name}#{number}", text, self.seed)

    @property
    def digests(self) -> list[str]:
        """SHA-256 of each file."""
        return [hashlib.sha256(text.encode()).hexdigest() for _, text in self.files]


def fleet(
    paths: Sequence[Path], *, generate: int | None, seed: int, gap: float, nodes: int
) -> Fleet:
    """Return the fleet of problem files, or of `generate` problems derived from one.

    Parameters
    ----------
    paths : sequence of Path
        Files, and folders whose ``*.toml`` are taken in the order of their names.

    Raises
    ------
    BadInputError
        No file, a file that cannot be read, or several to derive from.
    """
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.glob("*.toml")) if path.is_dir() else [path]
        if not inside:
            raise BadInputError(f"{path}: no problem file (*.toml) in this folder")
        found += inside
    if len(found) > FILES_MOST:
        raise BadInputError(f"a fleet of {len(found)} problems: must be at most {FILES_MOST}")
    files = tuple((path.name, read_text(path)) for path in found)
    if generate is None:
        return Fleet(files, len(files), None, gap, nodes)
    if len(files) != 1:
        raise BadInputError(f"problems are derived from one file, not from {len(files)}")
    return Fleet(files, generate, seed, gap, nodes)


def derived(given: PlanInput, seed: int, number: int) -> PlanInput:
    """Return a problem with other load, weather and prices, by `seed` and its number alone."""
    draw = np.random.default_rng([seed, number])
    share = {name: 1.0 + draw.uniform(-most, most) for name, most in SPREAD.items()}
    critical = given.critical_kw
    return replace(
        given,
        demand_kw=given.demand_kw * share["load"],
        sheddable_kw=given.sheddable_kw * share["load"],
        critical_kw=None if critical is None else critical * share["load"],
        solar_available_kw=given.solar_available_kw * share["weather"],
        wind_available_kw=given.wind_available_kw * share["weather"],
        buy_price=given.buy_price * share["price"],
        sell_price=given.sell_price * share["price"],
    )
