"""A fleet: which feeders there are, and in which batches they go to workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from grid.errors import BadInputError
from networks.equipment import Int
from networks.fleet.base import Base, base
from networks.fleet.feeder import Feeder, feeder
from networks.fleet.jobs import Batch, Limits

BATCH = 10
DEFAULT = Limits()


@dataclass(frozen=True, eq=False)
class Fleet:
    """Feeders 0 to `count` - 1, derived from the bases in turn.

    Attributes
    ----------
    bases : tuple of Base
    count : int
    seed : int
    limits : Limits
    """

    bases: tuple[Base, ...]
    count: int
    seed: int
    limits: Limits = DEFAULT

    def base(self, number: int) -> Base:
        """Return what a feeder is derived from."""
        return self.bases[number % len(self.bases)]

    def feeder(self, number: int) -> Feeder:
        """Return a feeder."""
        return feeder(number, self.base(number), seed=self.seed)

    def bus(self, number: int) -> Int:
        """Return the buses of a feeder, (bus,)."""
        return self.base(number).equipment.bus

    def batches(self, numbers: Iterable[int], *, size: int = BATCH) -> Iterator[tuple[int, ...]]:
        """Yield the numbers of each batch: of one base, and one base after the other.

        A worker that goes through them holds the series of one base or two.
        """

        def turn(number: int) -> int:
            return number % len(self.bases)

        for _, same in groupby(sorted(numbers, key=turn), turn):
            members = list(same)
            for first in range(0, len(members), size):
                yield tuple(members[first : first + size])

    def batch(self, numbers: Sequence[int]) -> Batch:
        """Return what a worker needs to solve feeders of one base."""
        origin = self.base(numbers[0])
        feeders = tuple(self.feeder(number) for number in numbers)
        # What others keep beside the equipment, a pandapower net among it, does not travel.
        return Batch(replace(origin.equipment), origin.digest, self.limits, feeders)


def plan(
    sources: Sequence[str],
    *,
    count: int,
    seed: int,
    limits: Limits = DEFAULT,
    tell: Callable[[str], None] | None = None,
) -> Fleet:
    """Return the fleet of `count` feeders derived from `sources`.

    Parameters
    ----------
    tell : callable, optional
        Is told of each source before it is loaded, which takes half a minute the first time.

    Raises
    ------
    BadInputError
        No source, a source that is not a SimBench feeder with one transformer, `count` below 1.
    """
    if not sources or count < 1:
        raise BadInputError(f"a fleet of {count} feeders from {len(sources)} sources has no feeder")
    made = []
    for source in sources[:count]:
        if tell is not None:
            tell(source)
        made.append(base(source))
    return Fleet(tuple(made), count, seed, limits)
