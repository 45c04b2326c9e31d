"""Opens associations with DLMS meters, and reads one: clock, registers, load profile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from grid.errors import BadInputError, Finding
from meters import transport
from meters.dlms import acse, cosem, initiate
from meters.dlms.association import Association
from meters.dlms.connection import ClientConnection
from meters.dlms.counters import LIMIT, CounterStore
from meters.dlms.errors import AccessError, DlmsError, SecurityError, SilentError
from meters.dlms.events import Associated, AssociationRefused, ValueReceived
from meters.dlms.hdlc_link import HdlcClientLink
from meters.dlms.link import Link
from meters.dlms.poll import CLOCK_LIMIT_S, Poll
from meters.dlms.profile import Profile, load_profile
from meters.dlms.security import Cipher
from meters.dlms.session import UNWATCHED, Session, Watch
from meters.dlms.static_answers import StaticAnswers
from meters.dlms.wrapper import WrapperLink
from meters.dlms.xdlms import Attribute
from meters.reading import MeterAddress, MeterRead
from meters.transport import Serial, Station

__all__ = ["CLOCK_LIMIT_S", "StaticAnswers", "open_association", "parse_url", "read_meter"]

_MECHANISMS = {
    "none": acse.Mechanism.NONE,
    "lls": acse.Mechanism.LLS,
    "hls-gmac": acse.Mechanism.HLS_GMAC,
}
HIGHEST_COUNTER_TAKEN = LIMIT - (1 << 24)
"""A counter that a meter states in clear is not believed beyond this: it would end the key."""


async def read_meter(
    address: MeterAddress,
    *,
    at_s: int,
    timeout_s: float,
    cache: StaticAnswers | None = None,
    counters: CounterStore | None = None,
    answered: Callable[[], None] | None = None,
    watch: Watch = UNWATCHED,
    clock: Callable[[], float] | None = None,
) -> tuple[MeterRead, list[Finding]]:
    """Return the registers of a meter, and its load profile when it is asked for.

    Parameters
    ----------
    address : MeterAddress
        With ``since_s`` and ``until_s`` also the rows captured in
        ``[since_s, until_s]`` are read.
    at_s : int
        The time of reading, seconds UTC.
    timeout_s : float
        Longest time from connecting to the last answer, in seconds.
    cache : StaticAnswers, optional
        Changes neither the reading nor its hash.
    counters : CounterStore, optional
        Needed by an address with ciphering.
    answered : callable, optional
        Called as soon as the meter has answered anything.
    watch : Watch, optional
        Counts the questions, and limits the wait for each answer.
    clock : callable, optional
        The time that the meter's clock is compared with, s UTC. Without it time stands still
        at `at_s`; with it a row that was captured at `at_s` takes the place of the registers,
        which are read a moment later.

    Returns
    -------
    MeterRead, list of Finding
        Codes: ``meter.clock``, ``meter.register``, ``meter.profile``,
        ``meter.duplicate``. The hash covers the answers the reading rests on.
        The rows of a meter whose clock is off by more than
        :data:`CLOCK_LIMIT_S` are not used.

    Raises
    ------
    BadInputError
        When the address is wrong.
    DlmsError
        When the meter does not answer, refuses, or answers wrongly.
    """
    profile = profile_of(address, counters)
    kept = cache if cache is not None else StaticAnswers()
    until = asyncio.get_running_loop().time() + timeout_s
    takes_lists = address.meter not in kept.one_by_one
    reading = partial(_read, address, profile, at_s, until, kept, counters, answered, watch, clock)
    try:
        try:
            return await reading()
        except (SilentError, SecurityError):
            raise
        except DlmsError:
            has_refused_lists = takes_lists and address.meter in kept.one_by_one
            if not has_refused_lists:
                raise
        return await reading()
    except (TimeoutError, OSError) as error:
        raise SilentError("gave no complete answer") from error


async def _read(
    address: MeterAddress,
    profile: Profile,
    at_s: int,
    until: float,
    cache: StaticAnswers,
    counters: CounterStore | None,
    answered: Callable[[], None] | None,
    watch: Watch,
    clock: Callable[[], float] | None,
) -> tuple[MeterRead, list[Finding]]:
    session: Session | None = None
    try:
        async with asyncio.timeout_at(until):
            session, agreed = await associate(address, profile, counters, answered, watch)
            poll = Poll(session, address, profile, at_s, cache, clock)
            result = await poll.read(agreed.conformance)
        await session.release()
    finally:
        if session is not None:
            session.connection.remember()
            await session.close()
    return result, poll.findings


@asynccontextmanager
async def open_association(
    address: MeterAddress, *, timeout_s: float, counters: CounterStore | None = None
) -> AsyncIterator[Association]:
    """Yield an open association with a meter, for whoever reads, writes and acts.

    `timeout_s` limits the whole of it, what is done inside included.

    Raises
    ------
    BadInputError
        When the address is wrong.
    DlmsError
        When the meter does not answer, refuses, or answers wrongly.
    """
    profile = profile_of(address, counters)
    session: Session | None = None
    try:
        async with asyncio.timeout(timeout_s):
            session, agreed = await associate(address, profile, counters)
            yield Association(session, profile, agreed)
            await session.release()
    except (TimeoutError, OSError) as error:
        raise SilentError("gave no complete answer") from error
    finally:
        if session is not None:
            session.connection.remember()
            await session.close()


def profile_of(address: MeterAddress, counters: CounterStore | None) -> Profile:
    """Return the profile of an address whose way in is possible."""
    profile = load_profile(address.profile)
    if address.auth not in _MECHANISMS or address.auth not in dict(profile.client_wport):
        raise BadInputError(f"auth is {address.auth!r}, must be one of the profile's")
    if address.auth == "lls" and not 0 < len(address.secret) <= 64:
        raise BadInputError(f"the LLS secret has {len(address.secret)} bytes, must have 1 to 64")
    if address.auth == "hls-gmac" and address.ciphering is None:
        raise BadInputError("auth hls-gmac needs a system title and keys")
    if address.ciphering is not None and counters is None:
        raise BadInputError("ciphering needs a store of invocation counters")
    return profile


async def associate(
    address: MeterAddress,
    profile: Profile,
    counters: CounterStore | None,
    answered: Callable[[], None] | None = None,
    watch: Watch = UNWATCHED,
) -> tuple[Session, Associated]:
    """Open an association; once, refresh our counter when the meter refuses it."""
    if address.ciphering is None or counters is None:
        return await _open(address, profile, None, answered, watch)
    cipher = Cipher(address.ciphering, counters)
    is_first = cipher.next_counter() == 0
    if is_first:
        # A key that was in use elsewhere: the meter knows how far it has come.
        await _refresh(address, profile, cipher, answered, watch)
    try:
        return await _open(address, profile, cipher, answered, watch)
    except SecurityError:
        raise
    except AccessError:
        if is_first or not await _refresh(address, profile, cipher, None, watch):
            raise
    return await _open(address, profile, Cipher(address.ciphering, counters), None, watch)


async def _open(
    address: MeterAddress,
    profile: Profile,
    cipher: Cipher | None,
    answered: Callable[[], None] | None,
    watch: Watch,
) -> tuple[Session, Associated]:
    station = parse_url(address.url)
    ciphering = address.ciphering
    conformance = initiate.PROPOSED
    if ciphering is not None and ciphering.general:
        conformance |= initiate.Conformance.GENERAL_PROTECTION
    if profile.general_blocks:
        conformance |= initiate.Conformance.GENERAL_BLOCK_TRANSFER
    connection = ClientConnection(
        link_to(station, dict(profile.client_wport)[address.auth]),
        mechanism=_MECHANISMS[address.auth],
        secret=address.secret,
        cipher=cipher,
        dedicated=ciphering is not None and ciphering.dedicated,
        conformance=conformance,
    )
    session = await Session.open(station.endpoint, connection, watch)
    try:
        event = await session.ask(connection.associate())
        if answered is not None:
            answered()
        if isinstance(event, AssociationRefused):
            raise AccessError(f"refused the association: {event.reason}")
    except BaseException:
        await session.close()
        raise
    assert isinstance(event, Associated)
    return session, event


async def _refresh(
    address: MeterAddress,
    profile: Profile,
    cipher: Cipher,
    answered: Callable[[], None] | None,
    watch: Watch,
) -> bool:
    """Raise our counter above what the meter shows to everybody; True when that was needed.

    It is told in clear, so it can only be raised, and not to where the key would end.
    """
    if profile.invocation_counter is None or "none" not in dict(profile.client_wport):
        return False
    public = replace(address, auth="none", secret=b"", ciphering=None)
    session: Session | None = None
    try:
        session, _ = await _open(public, profile, None, answered, watch)
        attribute = Attribute(cosem.DATA, profile.invocation_counter, 2)
        event = await session.ask(session.connection.get(attribute))
        await session.release()
    except SilentError:
        raise
    except DlmsError:
        return False
    finally:
        if session is not None:
            await session.close()
    if not isinstance(event, ValueReceived) or type(event.value) is not int:
        return False
    if not cipher.next_counter() <= event.value + 1 <= HIGHEST_COUNTER_TAKEN:
        return False
    cipher.raise_to(event.value + 1)
    return True


def link_to(station: Station, client: int) -> Link:
    """Return the client's end of a link to a meter."""
    if station.scheme == "dlms":
        return WrapperLink(client, station.number)
    return HdlcClientLink(client, station.number)


def parse_url(url: str) -> Station:
    """Return where a meter answers: ``dlms://HOST:PORT/SERVER_WPORT`` or ``hdlc...``.

    Raises
    ------
    BadInputError
        When the url has another form.
    """
    station = transport.parse_url(url)
    if station.scheme == "dlms" and isinstance(station.endpoint, Serial):
        raise BadInputError("a serial line takes hdlc+serial, not dlms+serial")
    if station.scheme not in ("dlms", "hdlc"):
        raise BadInputError(f"url starts with {station.scheme!r}, must be dlms or hdlc")
    if not 0 < station.number < 0x10000:
        raise BadInputError(f"station is {station.number}, must be 1 to 65535")
    return station
