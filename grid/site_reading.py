"""When the load profiles of a site's meters are read round by round, and how far clocks may be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from grid import interval
from grid.site_facts import outside, refuse

_LAST_PORT = 65_535
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reading:
    """The ``[reading]`` table.

    Attributes
    ----------
    profile_at : tuple of str
        Civil times of day ``HH:MM`` from which meters with gaps in a past day are asked for
        them, in rounds, beside what every cycle reads. None: no rounds.
    give_up_minutes : int
        How long after each of them; what is missing then is asked for from the next one on.
    retry_minutes, longest_retry_minutes : float
        Pause of a meter that broke off, doubled from one failure to the next up to the longest.
    back_days : int
        How many past days may have gaps.
    round_s : float
        Most of one cycle's time that is spent on rounds, s.
    connections, per_gateway : int
        Meters asked at the same time, in all and behind one gateway.
    answer_timeout_s, session_timeout_s : float
        Longest wait for one answer, and for one connection with a meter, s.
    clock_warn_s : int
        A meter's clock further off than this is told of.
    clock_correct_s : int or None
        One further off than this is set; None: none ever is.
    clock_max_s : int
        One further off than this is an alarm, and not set.
    push_port : int or None
        Where meters that lose their supply tell it, on all of the machine's addresses; None:
        nobody listens at real devices. A simulated field is listened to on loopback.

    Raises
    ------
    FactError
        With every value that is out of its limits.
    """

    profile_at: tuple[str, ...] = ()
    give_up_minutes: int = 60
    retry_minutes: float = 1.0
    longest_retry_minutes: float = 15.0
    back_days: int = 3
    round_s: float = 300.0
    connections: int = 128
    per_gateway: int = 2
    answer_timeout_s: float = 5.0
    session_timeout_s: float = 120.0
    clock_warn_s: int = 5
    clock_correct_s: int | None = None
    clock_max_s: int = 300
    push_port: int | None = None

    def __post_init__(self) -> None:
        faults = outside(
            self,
            "[reading]",
            give_up_minutes=(1, 1440),
            retry_minutes=(0.01, 1440),
            longest_retry_minutes=(self.retry_minutes, 1440),
            back_days=(1, 60),
            round_s=(1, 86_400),
            connections=(1, 4096),
            per_gateway=(1, 4096),
            answer_timeout_s=(0.1, 600),
            session_timeout_s=(0.1, 3600),
            clock_warn_s=(1, 86_400),
            clock_max_s=(self.clock_warn_s, 86_400),
        )
        for time in self.profile_at:
            if not _CLOCK.fullmatch(time):
                message = f"[reading]: profile_at has {time!r}, must be HH:MM"
                faults.append(("profile_at", message))
        if self.clock_correct_s is not None and not (1 <= self.clock_correct_s <= self.clock_max_s):
            message = (
                f"[reading]: clock_correct_s is {self.clock_correct_s}, "
                f"must be within 1 to clock_max_s = {self.clock_max_s}"
            )
            faults.append(("clock_correct_s", message))
        if self.push_port is not None and not 1 <= self.push_port <= _LAST_PORT:
            message = f"[reading]: push_port is {self.push_port}, must be within 1 to {_LAST_PORT}"
            faults.append(("push_port", message))
        refuse(faults)

    def is_open(self, at_s: int, time_zone: str) -> bool:
        """Return whether rounds are asked at an instant, seconds UTC."""
        minute = interval.minute_of_day(at_s, time_zone)
        for time in self.profile_at:
            hours, minutes = time.split(":")
            since = (minute - 60 * int(hours) - int(minutes)) % 1440
            if since < self.give_up_minutes:
                return True
        return False


AS_EVER: Final = Reading()
