r"""A month's charge as a function of its energy by segment, in whatever order that came.

In each register energy fills the blocks over the whole month, version after
version. With :math:`C_s` the energy up to and with the time of version *s*, and
:math:`C_0` what the energy bank brings in, below zero, the charge is

.. math:: \sum_s F_s(\max(C_s, 0)) - F_s(\max(C_{s-1}, 0))

where :math:`F_s` prices a month's energy by the blocks of version *s*. Exports
that are netted may take :math:`C` below zero; what is below it at the month's
end goes into the bank. As the sum depends on totals alone, intervals, splits and
corrections may come in any order: what is posted is the difference of two
charges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from grid.errors import BadInputError
from grid.site import Tariff, TariffRate
from trading.tariffs.blocks import charge_blocks
from trading.tariffs.clock import Segment


@dataclass(frozen=True, slots=True)
class MonthUse:
    """Energy of a usage point in a month by segment.

    Attributes
    ----------
    energy : tuple of (Segment, int)
        Wh, negative where exports are netted; sorted, without zeros, so that what is the
        same energy is equal.
    """

    energy: tuple[tuple[Segment, int], ...] = ()

    @property
    def total_wh(self) -> int:
        """All energy of the month."""
        return sum(energy_wh for _, energy_wh in self.energy)


@dataclass(frozen=True, slots=True)
class ChargeLine:
    """Energy at one price.

    Attributes
    ----------
    version : int
        Place among the tariff's versions.
    rate : str
        The register.
    block : int
        Place among the rate's blocks, 0 where its price is dynamic.
    energy_wh : int
        Negative where netted exports or a correction take energy out of a block.
    price : int
        Nano-currency per Wh.
    """

    version: int
    rate: str
    block: int
    energy_wh: int
    price: int

    @property
    def amount_nano(self) -> int:
        """Nano-currency to pay."""
        return self.energy_wh * self.price


def month_use(energy: Iterable[tuple[Segment, int]]) -> MonthUse:
    """Return the use that the parts make together, whatever their order."""
    total: Counter[Segment] = Counter()
    for segment, energy_wh in energy:
        total[segment] += energy_wh
    return MonthUse(tuple(sorted((key, wh) for key, wh in total.items() if wh)))


def with_energy(use: MonthUse, segment: Segment, energy_wh: int) -> MonthUse:
    """Return `use` with Wh more in a segment, fewer where a correction is negative."""
    return month_use([*use.energy, (segment, energy_wh)])


def charges(tariff: Tariff, use: MonthUse, bank_wh: int = 0) -> tuple[ChargeLine, ...]:
    """Return what the energy of a month costs, without the fixed fee.

    Parameters
    ----------
    bank_wh : int
        What the energy bank holds at the start of the month.

    Raises
    ------
    BadInputError
        When a segment is not of the tariff, the bank is negative, or exports or a bank are
        to be netted against more than one register or a dynamic price: they have no order.
    """
    _check(tariff, use, bank_wh)
    lines: list[ChargeLine] = []
    counters: dict[str, int] = {}
    for segment, energy_wh in use.energy:
        rate = _rate(tariff, segment)
        if segment.price is not None:
            lines.append(ChargeLine(segment.version, rate.id, 0, energy_wh, segment.price))
            continue
        before = counters.get(rate.id, -bank_wh)
        counters[rate.id] = after = before + energy_wh
        blocks = charge_blocks(rate, before, after)
        lines += [
            ChargeLine(segment.version, rate.id, place, block_wh, step.price)
            for place, (block_wh, step) in enumerate(zip(blocks, rate.block, strict=True))
            if block_wh
        ]
    return tuple(lines)


def closing_bank(use: MonthUse, bank_wh: int = 0) -> int:
    """Return Wh left below zero at the month's end: what goes into the energy bank."""
    return max(bank_wh - use.total_wh, 0)


def difference(before: Iterable[ChargeLine], after: Iterable[ChargeLine]) -> tuple[ChargeLine, ...]:
    """Return the lines to add to `before` so that it amounts to `after`."""
    change: Counter[tuple[int, str, int, int]] = Counter()
    for sign, lines in ((-1, before), (1, after)):
        for line in lines:
            change[line.version, line.rate, line.block, line.price] += sign * line.energy_wh
    return tuple(
        ChargeLine(version, rate, block, energy_wh, price)
        for (version, rate, block, price), energy_wh in sorted(change.items())
        if energy_wh
    )


def charge_nano(tariff: Tariff, use: MonthUse, bank_wh: int = 0) -> int:
    """Return the sum of :func:`charges` in nano-currency."""
    return sum(line.amount_nano for line in charges(tariff, use, bank_wh))


def marginal_price(tariff: Tariff, use: MonthUse, segment: Segment, bank_wh: int = 0) -> int:
    """Return nano-currency for the next Wh in a segment; nothing while the bank lasts."""
    more = with_energy(use, segment, 1)
    return charge_nano(tariff, more, bank_wh) - charge_nano(tariff, use, bank_wh)


def _rate(tariff: Tariff, segment: Segment) -> TariffRate:
    versions = tariff.versions
    if 0 <= segment.version < len(versions):
        for rate in versions[segment.version].rates:
            if rate.id == segment.rate and bool(rate.series) == (segment.price is not None):
                return rate
    raise BadInputError(
        f"tariff {tariff.id}: version {segment.version} has no rate {segment.rate!r} "
        f"{'without' if segment.price is None else 'with'} a dynamic price"
    )


def _check(tariff: Tariff, use: MonthUse, bank_wh: int) -> None:
    """Refuse to net what could be netted in more than one way."""
    if bank_wh < 0:
        raise BadInputError(f"tariff {tariff.id}: bank_wh is {bank_wh}, must be at least 0")
    netted = bank_wh > 0 or any(energy_wh < 0 for _, energy_wh in use.energy)
    if netted and not is_netted_alike(_registers(use)):
        names = ", ".join(sorted({segment.rate for segment, _ in use.energy}))
        raise BadInputError(
            f"tariff {tariff.id}: exports are netted in one register of blocks, not in {names}"
        )


def _registers(use: MonthUse) -> Iterator[tuple[str, bool]]:
    return ((segment.rate, segment.price is not None) for segment, _ in use.energy)


def is_netted_alike(registers: Iterable[tuple[str, bool]]) -> bool:
    """Tell whether registers, each with whether its price is dynamic, are one of blocks."""
    found = set(registers)
    return len(found) <= 1 and not any(dynamic for _, dynamic in found)
