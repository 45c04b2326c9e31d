"""Answers of meters that stay the same: units, scalers, the columns of a load profile."""

from __future__ import annotations

from meters.dlms.events import AccessRefused, ValueReceived
from meters.dlms.xdlms import Attribute

Answer = ValueReceived | AccessRefused
Known = dict[tuple[Attribute, ...], tuple[tuple[Answer, ...], bytes]]
"""By what was asked in one question: the answers, and the bytes that told them."""


class StaticAnswers:
    """What meters answered to questions whose answer does not change.

    Units, scalers and the columns of the load profile need not be asked again
    while the meter says the same logical device name; another name, or a meter
    that has none, forgets them. Whoever changes a meter's configuration calls
    :meth:`forget`.

    Attributes
    ----------
    one_by_one : set of str
        Meters that refused a list, or answered one wrongly.
    """

    def __init__(self) -> None:
        self._of: dict[str, tuple[bytes, Known]] = {}
        self.one_by_one: set[str] = set()

    def of(self, meter: str, device_name: bytes) -> Known:
        """Return the answers of `meter`, to be added to."""
        known = self._of.get(meter)
        if known is None or known[0] != device_name:
            known = self._of[meter] = device_name, {}
        return known[1]

    def forget(self, meter: str) -> None:
        """Ask everything again at the next reading."""
        self._of.pop(meter, None)
        self.one_by_one.discard(meter)
