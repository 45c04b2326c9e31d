"""A tariff list with one more version, or one more tariff, from a day on."""

from __future__ import annotations

from grid.site import Tariff


def changed(tariffs: tuple[Tariff, ...], new: Tariff) -> tuple[Tariff, ...]:
    """Return tariffs with the versions of `new` added to the one of its identifier.

    One that is not among them is added whole, and holds from its first version on.

    Raises
    ------
    BadInputError
        When the tariff has a version of the same day.
    """
    known = next((one for one in tariffs if one.id == new.id), None)
    if known is None:
        return (*tariffs, new)
    first, *later = sorted((*known.versions, *new.versions), key=lambda one: one.valid_from)
    made = Tariff(
        known.id, first.name, first.fixed_fee, first.block, first.rate, first.vat_percent,
        first.fixed_fee_by, first.valid_from, tuple(later),
    )  # fmt: skip
    return tuple(made if one is known else one for one in tariffs)
