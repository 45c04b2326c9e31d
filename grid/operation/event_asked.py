"""What somebody outside asks for, and whether it can be meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from grid import interval
from grid.errors import BadInputError
from grid.site import Site
from grid.store import Transaction, control
from grid.store.events import EventKind

LONGEST_S: Final = 48 * 3600
AHEAD_S: Final = 31 * 86_400
TEXT_MAX: Final = {"asked_by": 255, "program": 128, "name": 128}
PRICE_MAX: Final = 10**9
"""Nano-currency per Wh: a thousand a kWh."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody outside asks for.

    Attributes
    ----------
    kind : EventKind
    start_s, end_s : int
        Seconds UTC, on the site's intervals.
    powers_w : tuple of int
        The limit or the reduction in each interval, or one for all of them.
    asked_by : str
        The utility or aggregator.
    received_by : str
        Who entered it: an operator's e-mail address.
    answer_by_s : int, optional
        When it expires unanswered; its start when not given.
    reward, penalty : int
        Per Wh delivered, and per Wh above the limit, nano-currency.
    program, name : str
        What they call it; both together tell whether it has come before.
    """

    kind: EventKind
    start_s: int
    end_s: int
    powers_w: tuple[int, ...]
    asked_by: str
    received_by: str
    answer_by_s: int | None = None
    reward: int = 0
    penalty: int = 0
    program: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        where = f"event of {self.asked_by[:64] or '?'}"
        if not self.received_by.strip():
            raise BadInputError(f"{where}: needs to know who received it")
        if not self.asked_by.strip():
            raise BadInputError(f"{where}: needs to know who asks")
        for field, most in TEXT_MAX.items():
            text = getattr(self, field)
            if len(text) > most or (text and not text.isprintable()):
                raise BadInputError(f"{where}: {field} has at most {most} printable characters")
        for field in ("reward", "penalty"):
            if not 0 <= getattr(self, field) <= PRICE_MAX:
                raise BadInputError(
                    f"{where}: {field} is {getattr(self, field) / 1e6:g} per kWh, must be within "
                    f"0 to {PRICE_MAX / 1e6:g}"
                )


def checked(tx: Transaction, site: Site, asked: Asked, now_s: int) -> tuple[int, ...]:
    """Return the power asked for in each interval.

    Raises
    ------
    BadInputError
        Naming who asks, what, its value and its limit.
    """
    where, step_s = f"event of {asked.asked_by[:64]}", site.interval_s
    for name, at_s in (("start", asked.start_s), ("end", asked.end_s)):
        if at_s % step_s:
            raise BadInputError(
                f"{where}: {name} is {interval.label(at_s)}, must be at the start of an interval "
                f"of {step_s} s"
            )
    if not step_s <= asked.end_s - asked.start_s <= LONGEST_S:
        raise BadInputError(
            f"{where}: lasts {(asked.end_s - asked.start_s) / 3600:g} h, must be within "
            f"{step_s / 3600:g} to {LONGEST_S / 3600:g} h"
        )
    first_s = now_s + step_s if "plan" in control.done(tx, now_s) else now_s
    if not first_s < asked.start_s <= now_s + AHEAD_S:
        raise BadInputError(
            f"{where}: begins at {interval.label(asked.start_s)}, must be after "
            f"{interval.label(first_s)} and by {interval.label(now_s + AHEAD_S)}"
        )
    until_s = asked.start_s if asked.answer_by_s is None else asked.answer_by_s
    if not now_s < until_s <= asked.start_s:
        raise BadInputError(
            f"{where}: to be answered by {interval.label(until_s)}, must be after "
            f"{interval.label(now_s)} and by its start, {interval.label(asked.start_s)}"
        )
    count = (asked.end_s - asked.start_s) // step_s
    powers = asked.powers_w * count if len(asked.powers_w) == 1 else asked.powers_w
    if len(powers) != count:
        raise BadInputError(f"{where}: tells {len(powers)} intervals, must tell 1 or {count}")
    most_w = round(1000 * getattr(site.grid, f"{asked.kind.way}_limit_kw"))
    low_w = 1 if asked.kind is EventKind.IMPORT_REDUCTION else 0
    for power_w in powers:
        if not low_w <= power_w <= most_w:
            raise BadInputError(
                f"{where}: {asked.kind} is {power_w / 1000:g} kW, must be within "
                f"{low_w / 1000:g} to {most_w / 1000:g} kW, the limit of the connection"
            )
    return powers
