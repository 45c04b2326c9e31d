"""Where the values of a make stand in the answers to its poll, worked out once.

A poll asks for the same groups of registers each time, so that one compiled format
takes every value of an answer at once, in place of a look-up for each register.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Mapping
from itertools import zip_longest
from operator import eq
from typing import TYPE_CHECKING

from meters.modbus.registers import FORMATS, INTEGERS
from meters.modbus.spans import Group, grouped

if TYPE_CHECKING:
    from meters.modbus.profile import Register

Raw = int | float | None
"""A value as its registers hold it; None where it is absent or not finite."""


class Layout:
    """The groups of registers that hold a make's values, and how each is taken apart.

    Parameters
    ----------
    registers : mapping of str to Register
        By quantity; they do not overlap.
    block, gap : int
        As :meth:`meters.modbus.client.Client.read_spans` takes them.
    little_words : bool
        The least significant register of a value comes first.

    Attributes
    ----------
    groups : tuple of Group
        What to ask for.
    """

    def __init__(
        self, registers: Mapping[str, Register], *, block: int, gap: int, little_words: bool
    ) -> None:
        spans = [register.span for register in registers.values()]
        self.groups = grouped(spans, block, gap)
        self._little_words = little_words
        at = sorted(registers.items(), key=lambda item: item[1].address)
        self._parts = [self._part(group, dict(at)) for group in self.groups]

    def _part(
        self, group: Group, registers: Mapping[str, Register]
    ) -> tuple[int, struct.Struct, list[str], list[int | None]]:
        """Return where a group starts, its format, its quantities, and what means absent."""
        start, count, _ = group
        names: list[str] = []
        absents: list[int | None] = []
        form, here = "<" if self._little_words else ">", start
        for quantity, register in registers.items():
            first, size = register.span
            if not start <= first < start + count:
                continue
            form += f"{2 * (first - here)}x{FORMATS[register.type]}"
            here = first + size
            usual = INTEGERS.get(register.type, (False, None))[1]
            names.append(quantity)
            absents.append(usual if register.absent is None else register.absent)
        if not any(absent is not None for absent in absents):
            absents = []
        return start, struct.Struct(form), names, absents

    def raws(self, content: Mapping[int, bytes]) -> dict[str, Raw] | None:
        """Return every value in the answers to :attr:`groups`, by quantity.

        None when a group was not answered as one.
        """
        found: dict[str, Raw] = {}
        for start, form, names, absents in self._parts:
            octets = content.get(start)
            if octets is None or len(octets) != form.size:
                return None
            if self._little_words:
                # With the bytes of each register turned round, all of a value is.
                words = array("H", octets)
                words.byteswap()
                octets = words.tobytes()
            values = form.unpack(octets)
            found.update(zip(names, values))  # noqa: B905 - the format has as many as names
            if math.isfinite(sum(values)) and not (absents and any(map(eq, values, absents))):
                continue  # all are there, as nearly always
            for quantity, value, absent in zip_longest(names, values, absents):
                if value == absent or not math.isfinite(value):
                    found[quantity] = None
        return found
