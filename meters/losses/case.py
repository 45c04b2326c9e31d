"""A case of lost energy: who, what, since when, how much, why, and what to look at next."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from grid.interval import label


class CaseKind(StrEnum):
    """What the evidence says happened."""

    BYPASS = "bypass"
    STOPPED = "stopped"
    REVERSED = "reversed"
    SWAPPED = "swapped"
    INACCURATE = "inaccurate"
    SURPLUS = "surplus"


_WORDS = {
    CaseKind.BYPASS: "takes energy that its meter does not count",
    CaseKind.STOPPED: "takes energy while its meter stands still",
    CaseKind.REVERSED: "has a meter that counts in the wrong direction",
    CaseKind.SWAPPED: "have their meters exchanged",
    CaseKind.INACCURATE: "has a meter outside its class",
    CaseKind.SURPLUS: "takes less than its meter counts, or feeds in what no meter counts",
}

_NARROWED = 0.95

NEXT = {
    CaseKind.BYPASS: "inspect the connection before the meter, seals first; measure the current of "
    "the service cable against the meter's reading",
    CaseKind.STOPPED: "inspect the meter: display, terminals, load switch; exchange it",
    CaseKind.REVERSED: "inspect the direction and order of the current transformers",
    CaseKind.SWAPPED: "read both serial numbers at the doors and compare them with the register "
    "of meters",
    CaseKind.INACCURATE: "test the meter against a reference; look at phases and transformer ratio",
    CaseKind.SURPLUS: "look for a plant that is not registered; test the meter against a reference",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """One statistic: its name, value and the limit it went beyond (or kept, where it exonerates).

    Attributes
    ----------
    code : str
        ``balance``, ``voltage``, ``share``, ``misfit``, ``follows``, ``fell``,
        ``still``, ``backwards``, ``event``, ``gain`` or ``swap``.
    value, limit : float
    words : str
        The same in a sentence with units.
    """

    code: str
    value: float
    limit: float
    words: str


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to look into.

    Attributes
    ----------
    kind : CaseKind
    subject : tuple of str
        Usage points accused by a statistic; empty when the energy is known to be
        lost and not where.
    since_s : int
        First day of it, seconds UTC at its start.
    found_s : int
        When the balance first went beyond its limit: the end of that day.
    kwh_per_day, kwh_per_day_sd : float
        Unmetered energy and its standard deviation; 0 where the energy is only
        on the wrong account.
    suspects : tuple of (str, float)
        Up to five usage points and the probability of each, the likeliest first.
    elsewhere : float
        Probability of no usage point at all: busbar, transformer, head meter.
    evidence : tuple of Evidence
    next_step : str
    one_place : bool
        A single place explains the voltages; else the suspects are only where most is lost.
    """

    kind: CaseKind
    subject: tuple[str, ...]
    since_s: int
    found_s: int
    kwh_per_day: float
    kwh_per_day_sd: float
    suspects: tuple[tuple[str, float], ...]
    elsewhere: float
    evidence: tuple[Evidence, ...]
    next_step: str
    one_place: bool = True

    @property
    def located(self) -> bool:
        """Whether a usage point is named."""
        return bool(self.subject)

    @property
    def narrowed(self) -> tuple[str, ...]:
        """The fewest suspects that hold 95 % of the probability, none when five do not."""
        if not self.one_place:
            return ()
        total = 0.0
        for count, (_, share) in enumerate(self.suspects, start=1):
            total += share
            if total >= _NARROWED:
                return tuple(point for point, _ in self.suspects[:count])
        return ()

    @property
    def message(self) -> str:
        """The case in words, with every number that it rests on."""
        amount = f"{self.kwh_per_day:.2f} ± {self.kwh_per_day_sd:.2f} kWh a day"
        if self.located:
            said = f"{' and '.join(self.subject)} {_WORDS[self.kind]} since {label(self.since_s)}"
            said += f": {amount}" if self.kwh_per_day else ""
        else:
            listed = ", ".join(f"{point} {100 * share:.0f} %" for point, share in self.suspects)
            listed += f", no usage point {100 * self.elsewhere:.0f} %"
            how = "not located"
            if self.narrowed:
                how = f"narrowed to {', '.join(self.narrowed)}"
            what = "more than was taken" if self.kind is CaseKind.SURPLUS else "less than was taken"
            said = (
                f"the meters count {what} since {label(self.since_s)}: {amount}; "
                f"detected, {how}: {listed}"
            )
        told = "; ".join(item.words for item in self.evidence)
        return f"{said}. {told}. Next: {self.next_step}."
