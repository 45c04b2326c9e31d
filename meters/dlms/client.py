"""Reads one DLMS meter over TCP: its clock, registers, voltage and load profile."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from grid.errors import BadInputError, Finding
from meters.dlms import acse
from meters.dlms.connection import ClientConnection
from meters.dlms.errors import SilentError
from meters.dlms.poll import CLOCK_LIMIT_S, Poll, StaticAnswers
from meters.dlms.profile import load_profile
from meters.dlms.session import Session
from meters.reading import MeterAddress, MeterRead

__all__ = ["CLOCK_LIMIT_S", "StaticAnswers", "parse_url", "read_meter"]

_MECHANISMS = {"none": acse.Mechanism.NONE, "lls": acse.Mechanism.LLS}


async def read_meter(
    address: MeterAddress,
    *,
    at_s: int,
    timeout_s: float,
    cache: StaticAnswers | None = None,
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
    host, port, server_port = parse_url(address.url)
    profile = load_profile(address.profile)
    client_port = dict(profile.client_wport).get(address.auth)
    if address.auth not in _MECHANISMS or client_port is None:
        raise BadInputError(f"auth is {address.auth!r}, must be one of the profile's")
    if address.auth == "lls" and not 0 < len(address.secret) <= 64:
        raise BadInputError(f"the LLS secret has {len(address.secret)} bytes, must have 1 to 64")
    connection = ClientConnection(
        client_port, server_port, mechanism=_MECHANISMS[address.auth], secret=address.secret
    )
    session: Session | None = None
    try:
        async with asyncio.timeout(timeout_s):
            session = await Session.open(host, port, connection)
            poll = Poll(session, address, profile, at_s, cache)
            result = await poll.read()
        await session.release()
    except (TimeoutError, OSError) as error:
        raise SilentError("gave no complete answer") from error
    finally:
        if session is not None:
            session.close()
    return result, poll.findings


def parse_url(url: str) -> tuple[str, int, int]:
    """Return host, TCP port and wrapper port of ``dlms://HOST:PORT/SERVER_WPORT``.

    Raises
    ------
    BadInputError
        When the url has another form.
    """
    try:
        parts = urlsplit(url)
        host, port, server_port = parts.hostname, parts.port, int(parts.path[1:])
        (host or "").encode("idna")
    except ValueError:
        host = port = None
        server_port = 0
    if parts.scheme != "dlms" or not host or not port or not 0 < server_port < 0x10000:
        raise BadInputError(f"url {url!r} must be dlms://HOST:PORT/SERVER_WPORT")
    return host, port, server_port
