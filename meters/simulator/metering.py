"""A meter point as a Modbus meter of any make that has a profile."""

from __future__ import annotations

from collections.abc import Sequence

from meters.modbus.profile import Profile
from meters.modbus.registers import encode
from meters.reading import CHANNELS
from meters.simulator.points import MeterPoint

_FREQUENCY_HZ = 50.0


class ProfileUnit:
    """The registers of a make; what lies between them reads as 0 where the make allows it."""

    def __init__(self, point: MeterPoint, profile: Profile) -> None:
        self._point = point
        self._profile = profile
        spans = [register.span for register in profile.register.values()]
        self._first = min(first for first, _ in spans)
        self._last = max(first + size for first, size in spans)
        self._shown: tuple[float, ...] = ()
        self._image = b""
        self._mapped = {address for first, size in spans for address in range(first, first + size)}

    @property
    def silent(self) -> bool:
        """Whether the meter leaves requests unanswered."""
        return self._point.silent

    def read(self, function: int, address: int, count: int) -> bytes | None:
        """Return registers of the map."""
        if function != self._profile.function or count > self._profile.block:
            return None
        if address < self._first or address + count > self._last:
            return None
        asked = range(address, address + count)
        if not self._profile.gap and not self._mapped.issuperset(asked):
            return None
        self._show()
        start = 2 * (address - self._first)
        return self._image[start : start + 2 * count]

    def write(self, address: int, words: Sequence[int]) -> bool:
        """Refuse: nothing of a meter is set over the wire."""
        return False

    def _show(self) -> None:
        point = self._point
        shown = (point.voltage_v, *point.registers)
        if shown == self._shown:
            return
        self._shown = shown
        values = {"voltage_v": point.voltage_v, "power_w": 0.0, "frequency_hz": _FREQUENCY_HZ}
        values.update(zip(CHANNELS, point.registers, strict=True))
        words = dict.fromkeys(range(self._first, self._last), 0)
        for quantity, register in self._profile.register.items():
            raw = values[quantity] * register.divide / register.scale
            if not register.type.startswith("float"):
                # A counter shows what is full; and exactly, beyond what a float holds.
                raw = int(values[quantity]) * register.divide // register.scale
                if quantity not in CHANNELS:
                    raw = round(values[quantity] * register.divide / register.scale)
            content = encode(register.type, raw, little_words=self._profile.little_words)
            words.update(enumerate(content, start=register.address))
        self._image = b"".join(word.to_bytes(2, "big") for word in words.values())
