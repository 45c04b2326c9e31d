"""Reads many meters at once, whatever their protocol.

A meter that fails becomes a finding; it never delays or spoils another one.
Messages have no latency, port or path: the same field gives the same bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING

from grid import interval
from grid.errors import BadInputError, Finding, PeerError, Severity
from meters.patience import Patience, Slots
from meters.reading import MeterAddress, MeterRead
from meters.statistics import Record
from meters.transport import name_of

if TYPE_CHECKING:
    from meters.dlms.counters import CounterStore
    from meters.dlms.static_answers import StaticAnswers
    from meters.modbus.gateway import Gateways

Answer = tuple[MeterRead, list[Finding]]

MODBUS_SCHEMES = ("modbus:", "modbus-rtu:", "modbus+serial:")
DLMS_SCHEMES = ("dlms:", "hdlc:", "hdlc+serial:")

ALARMS = ("meter.security", "meter.replay", "meter.counter")
"""Failures that somebody may have made on purpose, or that a person must mend."""


async def read_meters(
    addresses: Sequence[MeterAddress],
    *,
    at_s: int,
    timeout_s: float,
    gateways: Gateways | None = None,
    counters: CounterStore | None = None,
    patience: Patience | None = None,
    unchanging: StaticAnswers | None = None,
    record: Record | None = None,
    clock: Callable[[], float] | None = None,
) -> tuple[list[MeterRead], list[Finding]]:
    """Return what the meters answered, and a finding for each that did not.

    Parameters
    ----------
    addresses : sequence of MeterAddress
        With distinct meters.
    at_s : int
        The time of reading, seconds UTC; also the time of registers of meters
        without a clock.
    timeout_s : float
        Longest time spent on one meter and on one gateway, in seconds.
    gateways : meters.modbus.gateway.Gateways, optional
        Kept by the caller between readings: back-off and statistics of Modbus meters.
    counters : CounterStore, optional
        Needed by ciphered meters.
    patience : Patience, optional
        Kept by the caller between readings: DLMS meters that were silent are asked in slots
        of their own. Without it a meter that says nothing gives its slot up after
        :data:`meters.patience.PROMPT_S`.
    unchanging : StaticAnswers, optional
        Kept by the caller between readings: what DLMS meters need not be asked again.
    record : Record, optional
        Counts how asking went; not of Modbus meters where `gateways` is given, which count
        for themselves.
    clock : callable, optional
        The time that meters' clocks are compared with, s UTC; see
        :func:`meters.dlms.client.read_meter`.

    Returns
    -------
    list of MeterRead, list of Finding
        Sorted by meter. Codes: ``meter.silent``, ``meter.malformed``,
        ``meter.access`` (no reading), ``meter.security``, ``meter.replay`` and
        ``meter.counter`` (no reading, and an alarm), ``meter.address`` (not asked),
        ``meter.register`` (one value missing), and those of
        :func:`meters.dlms.client.read_meter`.

    Raises
    ------
    BadInputError
        When a meter is given twice.
    """
    by_meter = {address.meter: address for address in addresses}
    if len(by_meter) != len(addresses):
        raise BadInputError("a meter was given twice to one reading")
    modbus = [address for address in addresses if address.url.startswith(MODBUS_SCHEMES)]
    dlms = [address for address in addresses if address.url.startswith(DLMS_SCHEMES)]
    answers: dict[str, Answer | PeerError | BadInputError] = {
        address.meter: BadInputError("url must start with modbus, dlms or hdlc")
        for address in addresses
        if not address.url.startswith(MODBUS_SCHEMES + DLMS_SCHEMES)
    }
    parts = await asyncio.gather(
        _read_modbus(modbus, at_s, timeout_s, gateways, record),
        _read_dlms(
            dlms, at_s, timeout_s, counters, patience or Patience(), unchanging, record, clock
        ),
    )
    for part in parts:
        answers.update(part)
    reads: list[MeterRead] = []
    findings: list[Finding] = []
    for meter, answer in sorted(answers.items()):
        if isinstance(answer, tuple):
            reads.append(answer[0])
            findings.extend(answer[1])
        else:
            findings.append(failed(meter, answer, at_s))
    return reads, sorted(findings, key=lambda finding: (finding.subject, finding))


def failed(meter: str, error: PeerError | BadInputError, at_s: int) -> Finding:
    """Return the finding about a meter that gave no reading."""
    at = interval.label(at_s)
    code = "address" if isinstance(error, BadInputError) else getattr(error, "code", "malformed")
    code = f"meter.{code.removeprefix('meter.')}"
    severity = Severity.ALARM if code in ALARMS else Severity.WARNING
    return Finding(code, meter, at, severity, f"{meter} {at} {error}")


async def _read_modbus(
    addresses: Sequence[MeterAddress],
    at_s: int,
    timeout_s: float,
    gateways: Gateways | None,
    record: Record | None,
) -> dict[str, Answer | PeerError | BadInputError]:
    if not addresses:
        return {}
    from meters.modbus.gateway import Gateways, UnitAddress, parse_url
    from meters.modbus.meter import read_units
    from meters.modbus.profile import Profile, load_profile

    answers: dict[str, Answer | PeerError | BadInputError] = {}
    units: dict[str, tuple[UnitAddress, Profile]] = {}
    for address in addresses:
        try:
            units[address.meter] = parse_url(address.url), load_profile(address.profile)
        except BadInputError as error:
            answers[address.meter] = error
    asked = gateways or Gateways(Random(0))
    answers.update(await read_units(units, at_s=at_s, timeout_s=timeout_s, gateways=asked))
    if record is not None and gateways is None:
        record.meters.update(asked.by_subject)
        record.gateways.update({name_of(one): it for one, it in asked.by_endpoint.items()})
    return answers


async def _read_dlms(
    addresses: Sequence[MeterAddress],
    at_s: int,
    timeout_s: float,
    counters: CounterStore | None,
    patience: Patience,
    unchanging: StaticAnswers | None,
    record: Record | None,
    clock: Callable[[], float] | None,
) -> dict[str, Answer | PeerError | BadInputError]:
    if not addresses:
        return {}
    from meters.dlms.client import parse_url, read_meter
    from meters.dlms.errors import SilentError
    from meters.dlms.session import UNWATCHED, Watch

    answers: dict[str, Answer | PeerError | BadInputError] = {}
    slots = Slots(patience)

    def watch(address: MeterAddress) -> Watch:
        if record is None:
            return UNWATCHED
        gateway = name_of(parse_url(address.url).endpoint)
        return Watch(observers=record.observers(address.meter, gateway))

    async def read(address: MeterAddress) -> None:
        async with slots.slot(address.meter) as answered:
            try:
                answers[address.meter] = await read_meter(
                    address,
                    at_s=at_s,
                    timeout_s=timeout_s,
                    cache=unchanging,
                    counters=counters,
                    answered=answered,
                    watch=watch(address),
                    clock=clock,
                )
            except (PeerError, BadInputError) as error:
                answers[address.meter] = error

    async with asyncio.TaskGroup() as group:
        for address in sorted(addresses, key=lambda one: slots.suspects(one.meter)):
            group.create_task(read(address))
    silent = {meter for meter, answer in answers.items() if isinstance(answer, SilentError)}
    patience.learn(answers, silent)
    return answers
