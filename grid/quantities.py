"""Money, energy and ratios as exact numbers, and the checks every number passes.

Money is an ``int`` of nano-currency (1 ₼ = 1,000,000,000). Settled energy is
an ``int`` of Wh. A price is an ``int`` of nano-currency per Wh, so that
Wh × price is money without a rounding; people see it per kWh.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from grid.errors import BadInputError

NANO = 1_000_000_000
WH_PER_KWH = 1_000
INT64_MAX = 2**63 - 1

RATIO_MOST = 1_000_000

_RATIO = re.compile(r"([0-9]{1,7})/([0-9]{1,7})", re.ASCII)
_DECIMAL = re.compile(r"[+-]?[0-9]{1,12}(\.[0-9]{1,9})?", re.ASCII)


def _scaled(text: str, scale: int, what: str) -> int:
    if not _DECIMAL.fullmatch(text):
        raise BadInputError(f"{what} {text!r} is not a plain decimal number such as 0.084")
    try:
        value = Decimal(text) * scale
    except InvalidOperation as error:
        raise BadInputError(f"{what} {text!r} is not a decimal number") from error
    if value != value.to_integral_value():
        raise BadInputError(f"{what} {text!r} has more digits than can be kept exactly")
    return int(value)


def parse_price(text: str) -> int:
    """Return nano-currency per Wh from a decimal price per kWh.

    Raises
    ------
    BadInputError
        When the text is no plain ASCII decimal, or has more than 6 decimals.
    """
    return _scaled(text, NANO // WH_PER_KWH, "price per kWh")


def parse_money(text: str) -> int:
    """Return nano-currency from a decimal amount of currency.

    Raises
    ------
    BadInputError
        When the text is no plain ASCII decimal, or has more than 9 decimals.
    """
    return _scaled(text, NANO, "amount")


def format_money(nano: int, places: int = 2) -> str:
    """Return an amount with `places` decimals, half away from zero, for people."""
    unit = 10 ** (9 - places)
    sign = "-" if nano < 0 else ""
    whole = (abs(nano) + unit // 2) // unit
    if whole == 0:
        sign = ""
    digits = f"{whole:0{places + 1}d}"
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"


def format_price(nano_per_wh: int) -> str:
    """Return a price per kWh with all its digits, at least four decimals."""
    sign = "-" if nano_per_wh < 0 else ""
    text = f"{abs(nano_per_wh):07d}"
    decimals = text[-6:].rstrip("0").ljust(4, "0")
    return f"{sign}{text[:-6]}.{decimals}"


def require_finite(
    values: npt.ArrayLike, *, name: str, low: float = -np.inf, high: float = np.inf
) -> npt.NDArray[np.float64]:
    """Return `values` as float64 after checking that each is finite and in range.

    Raises
    ------
    BadInputError
        Naming the first offending position, its value and the limits.
    """
    array = np.asarray(values, dtype=np.float64)
    bad = ~np.isfinite(array) | (array < low) | (array > high)
    if bad.any():
        where = tuple(int(place) for place in np.argwhere(bad)[0])
        value = array[where]
        position = f" at {list(where)}" if where else ""
        raise BadInputError(f"{name}{position} is {value}: must be finite within [{low}, {high}]")
    return array


@dataclass(frozen=True, slots=True)
class Ratio:
    """Of an instrument transformer: primary over secondary, as on its plate.

    Raises
    ------
    BadInputError
        When a part is not within 1 to :data:`RATIO_MOST`.
    """

    primary: int = 1
    secondary: int = 1

    def __post_init__(self) -> None:
        if not (1 <= self.primary <= RATIO_MOST and 1 <= self.secondary <= RATIO_MOST):
            raise BadInputError(f"ratio {self}: both parts must be within 1 to {RATIO_MOST}")

    @classmethod
    def parse(cls, text: str) -> Ratio:
        """Return the ratio of a text such as ``200/5``.

        Raises
        ------
        BadInputError
            When it is none.
        """
        found = _RATIO.fullmatch(text)
        if found is None:
            raise BadInputError(f'{text[:32]!r} must be a ratio as text, such as "200/5"')
        return cls(int(found[1]), int(found[2]))

    @property
    def value(self) -> Fraction:
        """The exact factor."""
        return Fraction(self.primary, self.secondary)

    def __str__(self) -> str:
        return f"{self.primary}/{self.secondary}"


UNITY = Ratio()
"""Of a meter without instrument transformers."""
