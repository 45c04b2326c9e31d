"""Reads gaps of a meter's load profile, a few rows at a time, and keeps what came.

For networks in which a whole reading hardly ever comes through: the answer to each question
stands by itself, so what a meter told before its connection broke need not be asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from grid.errors import Finding
from meters.dlms import cosem
from meters.dlms.civil_time import Instant
from meters.dlms.client import CLOCK_LIMIT_S, associate, profile_of
from meters.dlms.counters import CounterStore
from meters.dlms.errors import AccessError, DlmsError, SilentError
from meters.dlms.events import ValueReceived
from meters.dlms.initiate import Conformance
from meters.dlms.poll import DEVICE_NAME, ID_CLOCK, ID_COLUMNS, ID_NAME, Poll
from meters.dlms.profile import Profile
from meters.dlms.session import UNWATCHED, Session, Watch
from meters.dlms.static_answers import Answer, StaticAnswers
from meters.reading import MeterAddress, ProfileRead, RegisterRow
from meters.rounds import Question, Span, parts


class ProfilePoll(Poll):
    """One reading of gaps; what came is there whenever it ends."""

    def __init__(
        self,
        session: Session,
        address: MeterAddress,
        profile: Profile,
        clock: Callable[[], float],
        cache: StaticAnswers,
    ) -> None:
        super().__init__(session, address, profile, int(clock()), cache)
        self._now_s = clock
        self._rows_read: list[RegisterRow] = []
        self._answered: list[Span] = []
        self._serial = ""

    async def fill(self, question: Question, conformance: int) -> None:
        """Ask for the rows of `question`; the session has just associated.

        Raises
        ------
        DlmsError
            When the meter does not answer, refuses, answers wrongly, or has a wrong clock.
        """
        if not conformance & Conformance.SELECTIVE_ACCESS:
            raise AccessError("the meter has no selective access")
        listed = bool(conformance & Conformance.MULTIPLE_REFERENCES)
        asked_s = self._now_s()
        if listed:
            await self._questions.at_once((DEVICE_NAME, self._profile.clock), ID_NAME)
        self._serial = await self._name()
        if not self._questions.told(self._profile.clock):
            asked_s = self._now_s()
        clock = self._told_clock(
            asked_s, await self._questions.dynamic(self._profile.clock, ID_CLOCK)
        )
        if listed:
            scalers = [register.scaler_unit for register in self._registers()]
            needed = (*self._of_profile(), *scalers)
            await self._questions.unchanging_at_once(needed, ID_COLUMNS)
        columns, period_s = await self._columns()
        for register in self._registers():
            event = await self._questions.unchanging(register.scaler_unit, register.scaler_id)
            if isinstance(event, ValueReceived):
                self._scalers[register.value] = cosem.parse_scaler(event.value, register.unit)
        asked = parts(question.spans, period_s, question.rows_at_once)
        for turn, span in enumerate(asked):
            rows = await self._part(span, turn, clock, columns, period_s)
            self._rows_read += [row for row in rows if span[0] <= row.at_s <= span[1]]
            self._answered.append(span)

    def _told_clock(self, asked_s: float, event: Answer) -> Instant:
        """Take the clock, which stood so half way between the question and the answer."""
        self._at_s = int((asked_s + self._now_s()) / 2)
        clock = self._judged_clock(event)
        if self.clock_offset_s is None or abs(self.clock_offset_s) > CLOCK_LIMIT_S:
            raise DlmsError("its load profile is not used: the clock is off")
        return clock

    def result(self, failure: DlmsError | None) -> ProfileRead:
        """Return what came."""
        return ProfileRead(
            self._address.meter,
            self._distinct(self._rows_read),
            tuple(self._answered),
            self._questions.digest(),
            self._serial,
            self._session.connection.peer_counter,
            self.clock_offset_s,
            failure,
        )


async def read_profile(
    address: MeterAddress,
    question: Question,
    *,
    clock: Callable[[], float],
    timeout_s: float,
    cache: StaticAnswers | None = None,
    counters: CounterStore | None = None,
    watch: Watch = UNWATCHED,
) -> tuple[ProfileRead, list[Finding]]:
    """Return what a meter tells of the gaps of its load profile.

    Parameters
    ----------
    address : MeterAddress
        Its `since_s` and `until_s` are not looked at.
    question : Question
    clock : callable
        Gives our time, seconds UTC.
    timeout_s : float
        Longest time from connecting to the last answer, s.
    cache : StaticAnswers, optional
        Columns and scalers need then not be asked again after a break.
    counters : CounterStore, optional
        Needed by an address with ciphering.
    watch : Watch, optional
        Counts the questions, and limits the wait for each answer.

    Returns
    -------
    ProfileRead, list of Finding
        Codes: ``meter.clock``, ``meter.duplicate``. A failure of the meter is in the read.

    Raises
    ------
    BadInputError
        When the address is wrong.
    """
    profile = profile_of(address, counters)
    kept = cache if cache is not None else StaticAnswers()
    session: Session | None = None
    poll: ProfilePoll | None = None
    failure: DlmsError | None = None
    try:
        async with asyncio.timeout(timeout_s):
            session, agreed = await associate(address, profile, counters, None, watch)
            poll = ProfilePoll(session, address, profile, clock, kept)
            await poll.fill(question, agreed.conformance)
        await session.release()
    except (TimeoutError, OSError):
        failure = SilentError("gave no complete answer")
    except DlmsError as error:
        failure = error
    finally:
        if session is not None:
            session.connection.remember()
            await session.close()
    if poll is None:
        return ProfileRead(address.meter, (), (), b"", failure=failure), []
    return poll.result(failure), poll.findings
