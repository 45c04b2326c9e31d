"""What the feeders of a fleet are derived from: a SimBench feeder and its year of series."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from networks.equipment import Equipment, Float, Int

CODES = ("rural1", "rural2", "rural3", "semiurb4", "semiurb5", "urban6")
SCENARIOS = (0, 1, 2)

_Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Series:
    """A year of a base feeder's customers and plants.

    Attributes
    ----------
    source : str
    starts : datetime64[s] (interval,)
    bus : int64 (customer,)
    load_kw : float32 (interval, customer)
    load_kvar : float32 (interval, customer)
        Absorbed where positive.
    solar_per_unit : float32 (interval, plant)
        Of the plant's rated power.
    digest : str
        SHA-256 of all of it.
    """

    source: str
    starts: npt.NDArray[np.datetime64]
    bus: Int
    load_kw: _Float32
    load_kvar: _Float32
    solar_per_unit: _Float32
    digest: str

    @property
    def hours(self) -> float:
        """Length of an interval."""
        return float((self.starts[1] - self.starts[0]).astype(np.int64)) / 3600.0


@dataclass(frozen=True, eq=False)
class Base:
    """A base feeder as the one who plans the work sees it.

    Attributes
    ----------
    source : str
    equipment : Equipment
    customers, plants : int
        How many series there are of either.
    digest : str
        That of its :class:`Series`.
    """

    source: str
    equipment: Equipment
    customers: int
    plants: int
    digest: str


def sources(scenario: int) -> tuple[str, ...]:
    """Return the SimBench feeders of a scenario: 0 is today, 1 and 2 are years ahead."""
    return tuple(f"simbench:1-LV-{code}--{scenario}-sw" for code in CODES)


def base(source: str) -> Base:
    """Return a base feeder; the first time on a machine it is compiled and kept in the cache.

    Raises
    ------
    BadInputError
        When `source` is not a SimBench feeder with one transformer.
    """
    from networks.sources.source import equipment

    year = read_series(source)
    customers, plants = len(year.bus), year.solar_per_unit.shape[1]
    return Base(source, equipment(source), customers, plants, year.digest)


@lru_cache(maxsize=2)
def series(source: str) -> Series:
    """Return the series of a base feeder, kept: batches come one base after the other."""
    return read_series(source)


def read_series(source: str) -> Series:
    """Return the series of a base feeder from the cache; see :func:`base`."""
    from networks.sources.demo import demo_site_facts, load_year

    year = load_year(source)
    rated_kw: Float = np.array([plant.power_kw for plant in demo_site_facts(source).solar])
    starts = year["interval"].to_numpy().astype("datetime64[s]")
    bus = year["bus"].to_numpy().astype(np.int64)
    arrays = (
        year["load_kw"].to_numpy().astype(np.float32),
        (year["absorbed_kvar"].to_numpy() - year["injected_kvar"].to_numpy()).astype(np.float32),
        (year["solar_kw"].to_numpy() / rated_kw).astype(np.float32),
    )
    digest = hashlib.sha256(f"khazri series 1 {source}".encode())
    for array in (starts.astype(np.int64), bus, *arrays):
        digest.update(f"{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return Series(source, starts, bus, *arrays, digest.hexdigest())
