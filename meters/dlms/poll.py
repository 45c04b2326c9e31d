"""The questions of one reading of a meter, in their order, and what the answers mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import lt

from grid import interval
from grid.errors import Finding, Severity
from meters import obis
from meters.dlms import civil_time, cosem, profile_generic, selection
from meters.dlms.data import Value
from meters.dlms.errors import AccessError, DlmsError, SecurityError, SilentError
from meters.dlms.events import AccessRefused, ValueReceived
from meters.dlms.exchange import MAX_RESPONSE
from meters.dlms.initiate import Conformance
from meters.dlms.profile import Profile
from meters.dlms.questions import Questions
from meters.dlms.session import Session
from meters.dlms.static_answers import Answer, StaticAnswers
from meters.dlms.xdlms import Attribute
from meters.reading import MISSING, MeterAddress, MeterRead, RegisterRow

CLOCK_LIMIT_S = 60
# A captured value takes fewer bytes than this, so that an answer stays below the limit.
_VALUE_BYTES = 32
SERIAL_MAX = 64
DEVICE_NAME = Attribute(cosem.DATA, obis.DEVICE_NAME, 2)

# Each question has its own invoke id, so that a late answer to one is never taken
# for the answer to the next, and the same question always gives the same bytes.
ID_NAME, ID_SCALER, _ID_REGISTER, _ID_VOLTAGE_SCALER, _ID_VOLTAGE = 1, 2, 6, 10, 11
ID_CLOCK, ID_COLUMNS, ID_PERIOD, ID_ROWS = 12, 13, 14, (15, 0)


@dataclass(frozen=True, slots=True)
class _Register:
    """An attribute to be read, with its unit and the invoke ids of its two questions."""

    value: Attribute
    unit: int
    value_id: int
    scaler_id: int

    @property
    def scaler_unit(self) -> Attribute:
        return Attribute(self.value.class_id, self.value.obis, 3)


class Poll:
    """One reading over a session; `findings` and `clock_offset_s` fill while it runs."""

    def __init__(
        self,
        session: Session,
        address: MeterAddress,
        profile: Profile,
        at_s: int,
        cache: StaticAnswers,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._session = session
        self._address = address
        self._profile = profile
        self._at_s = at_s
        self._now = clock
        self._questions = Questions(session, address.meter, cache)
        self._scalers: dict[Attribute, int] = {}
        self.findings: list[Finding] = []
        self.clock_offset_s: int | None = None

    async def read(self, conformance: int) -> MeterRead:
        """Ask everything and return the reading; errors as of ``read_meter``.

        The session has just associated; `conformance` is what that gave.
        """
        serial = await self._name()
        await self._ask_at_once(conformance)
        clock = await self._clock()
        values = [await self._energy(register) for register in self._registers()]
        if max(values) == MISSING:
            raise AccessError("gave no energy register")
        voltage_v = await self._voltage()
        rows = await self._load_profile(clock, conformance)
        drift_s = self._offset_s()
        now_s = self._at_s if abs(drift_s) <= CLOCK_LIMIT_S else clock.at_s
        now = RegisterRow(now_s, (values[0], values[1], values[2], values[3]))
        if self._now is not None:
            now = next((_whole(row, now) for row in rows if row.at_s == now_s), now)
        return MeterRead(
            self._address.meter,
            now,
            rows,
            voltage_v,
            self._questions.digest(),
            serial=serial,
            invocation_counter=self._session.connection.peer_counter,
            clock_offset_s=drift_s,
        )

    async def _ask_at_once(self, conformance: int) -> None:
        """Ask for what the reading will need in two lists, when the meter takes lists."""
        if not conformance & Conformance.MULTIPLE_REFERENCES:
            return
        registers = self._registers()
        if (voltage := self._profile.voltage) is not None:
            registers.append(_Register(voltage, cosem.UNIT_VOLT, _ID_VOLTAGE, _ID_VOLTAGE_SCALER))
        unchanging = [register.scaler_unit for register in registers]
        if self._address.since_s is not None and conformance & Conformance.SELECTIVE_ACCESS:
            unchanging += self._of_profile()
        await self._questions.unchanging_at_once(unchanging, ID_SCALER)
        changing = [self._profile.clock, *(register.value for register in registers)]
        await self._questions.at_once(changing, _ID_REGISTER)

    async def _name(self) -> str:
        return self._known_as(await self._questions.dynamic(DEVICE_NAME, ID_NAME))

    def _known_as(self, name: Answer) -> str:
        """Take the device's name, by which what it answered before still holds."""
        device_name = name.value if isinstance(name, ValueReceived) else None
        if isinstance(device_name, bytes) and device_name:
            self._questions.know(device_name)
        return printable(device_name)

    def _registers(self) -> list[_Register]:
        units = (cosem.UNIT_WH, cosem.UNIT_WH, cosem.UNIT_VARH, cosem.UNIT_VARH)
        return [
            _Register(attribute, unit, _ID_REGISTER + place, ID_SCALER + place)
            for place, (attribute, unit) in enumerate(
                zip(self._profile.registers, units, strict=True)
            )
        ]

    async def _clock(self) -> civil_time.Instant:
        return self._judged_clock(await self._questions.dynamic(self._profile.clock, ID_CLOCK))

    def _judged_clock(self, event: Answer) -> civil_time.Instant:
        if isinstance(event, AccessRefused):
            raise AccessError(f"refused its clock: {event.reason}")
        clock = civil_time.decode_date_time(event.value, self._profile.zone)
        ours_s = self._at_s if self._now is None else round(self._now())
        self.clock_offset_s = drift_s = clock.at_s - ours_s
        if abs(drift_s) > CLOCK_LIMIT_S:
            self._find("clock", f"clock is {drift_s:+d} s off, limit is {CLOCK_LIMIT_S} s")
        elif not clock.valid:
            self._find("clock", "clock says that its time is not valid")
        return clock

    def _offset_s(self) -> int:
        """Return how far the clock was ahead when it was read."""
        assert self.clock_offset_s is not None
        return self.clock_offset_s

    async def _energy(self, register: _Register) -> int:
        name = obis.label(register.value.obis)
        scaler_unit = await self._questions.unchanging(register.scaler_unit, register.scaler_id)
        value = await self._questions.dynamic(register.value, register.value_id)
        for event in (scaler_unit, value):
            if isinstance(event, AccessRefused):
                return self._missing(f"{name} refused: {event.reason}")
        assert isinstance(scaler_unit, ValueReceived)
        assert isinstance(value, ValueReceived)
        try:
            scaler = cosem.parse_scaler(scaler_unit.value, register.unit)
            self._scalers[register.value] = scaler
            energy = cosem.scale_energy(value.value, scaler)
        except DlmsError as error:
            return self._missing(f"{name}: {error}")
        return self._missing(f"{name} is null") if energy == MISSING else energy

    async def _voltage(self) -> float | None:
        attribute = self._profile.voltage
        if attribute is None:
            return None
        register = _Register(attribute, cosem.UNIT_VOLT, _ID_VOLTAGE, _ID_VOLTAGE_SCALER)
        scaler_unit = await self._questions.unchanging(register.scaler_unit, register.scaler_id)
        value = await self._questions.dynamic(register.value, register.value_id)
        try:
            if isinstance(scaler_unit, AccessRefused) or isinstance(value, AccessRefused):
                raise AccessError("refused")
            scaler = cosem.parse_scaler(scaler_unit.value, cosem.UNIT_VOLT)
            return cosem.scale_voltage(value.value, scaler)
        except DlmsError as error:
            self._missing(f"{obis.label(attribute.obis)}: {error}")
            return None

    async def _load_profile(
        self, clock: civil_time.Instant, conformance: int
    ) -> tuple[RegisterRow, ...]:
        since_s, until_s = self._address.since_s, self._address.until_s
        if since_s is None or until_s is None or until_s < since_s:
            return ()
        if abs(self._offset_s()) > CLOCK_LIMIT_S:
            self._find("profile", "load profile is not used: the clock is off")
            return ()
        try:
            if not conformance & Conformance.SELECTIVE_ACCESS:
                raise AccessError("the meter has no selective access")
            return await self._rows(since_s, until_s, clock)
        except (SilentError, SecurityError):
            raise
        except DlmsError as error:
            self._find("profile", f"load profile: {error}")
            return ()

    async def _rows(
        self, since_s: int, until_s: int, clock: civil_time.Instant
    ) -> tuple[RegisterRow, ...]:
        columns, period_s = await self._columns()
        part_s = period_s * (MAX_RESPONSE // (_VALUE_BYTES * len(columns)))
        rows: list[RegisterRow] = []
        for turn, from_s in enumerate(range(since_s, until_s + 1, part_s)):
            to_s = min(until_s, from_s + part_s - 1)
            rows += await self._part((from_s, to_s), turn, clock, columns, period_s)
        return self._distinct(row for row in rows if since_s <= row.at_s <= until_s)

    def _of_profile(self) -> tuple[Attribute, Attribute]:
        """Return the columns and the capture period of the load profile."""
        load_profile = self._profile.load_profile
        columns, period = (Attribute(cosem.PROFILE_GENERIC, load_profile, n) for n in (3, 4))
        return columns, period

    async def _columns(self) -> tuple[tuple[Attribute, ...], int]:
        """Return the columns of the load profile and its capture period in seconds."""
        columns_of, period_of = self._of_profile()
        columns = profile_generic.parse_capture_objects(
            value_of(await self._questions.unchanging(columns_of, ID_COLUMNS))
        )
        period_s = value_of(await self._questions.unchanging(period_of, ID_PERIOD))
        if type(period_s) is not int or not 1 <= period_s <= interval.DAY_S:
            raise DlmsError(f"the capture period is {period_s!r}, must be 1 to 86400 s")
        return columns, period_s

    async def _part(
        self,
        span: tuple[int, int],
        turn: int,
        clock: civil_time.Instant,
        columns: tuple[Attribute, ...],
        period_s: int,
    ) -> list[RegisterRow]:
        """Return the rows captured within `span`, in one answer; `turn` counts the parts."""
        profile = self._profile
        first, last = (
            civil_time.encode_date_time(at_s, clock.deviation_minutes, profile.zone)
            for at_s in span
        )
        wanted = selection.encode_range(first, last, profile.clock.obis)
        buffer = Attribute(cosem.PROFILE_GENERIC, profile.load_profile, 2)
        return profile_generic.parse_rows(
            value_of(await self._questions.dynamic(buffer, ID_ROWS[turn % 2], wanted)),
            columns,
            profile.registers,
            self._scalers,
            clock=profile.clock,
            period_s=period_s,
            zone=profile.zone,
        )

    def _distinct(self, rows: Iterable[RegisterRow]) -> tuple[RegisterRow, ...]:
        """Sort rows; the same row twice is one, two different ones for an instant are none."""
        rows = tuple(rows)
        times = [row.at_s for row in rows]
        if all(map(lt, times, times[1:])):
            return rows
        by_time: dict[int, set[RegisterRow]] = {}
        for row in rows:
            by_time.setdefault(row.at_s, set()).add(row)
        for at_s, same_time in by_time.items():
            if len(same_time) > 1:
                at = interval.label(at_s)
                self._find("duplicate", f"load profile has {len(same_time)} rows for {at}")
        return tuple(
            same_time.pop() for _, same_time in sorted(by_time.items()) if len(same_time) == 1
        )

    def _missing(self, what: str) -> int:
        self._find("register", what)
        return MISSING

    def _find(self, kind: str, what: str) -> None:
        meter, at = self._address.meter, interval.label(self._at_s)
        self.findings.append(
            Finding(f"meter.{kind}", meter, at, Severity.WARNING, f"{meter} {at} {what}")
        )


def value_of(event: Answer) -> Value:
    """Return what came; AccessError where it was refused."""
    if isinstance(event, AccessRefused):
        raise AccessError(f"refused: {event.reason}")
    return event.value


def printable(name: object) -> str:
    """Return a logical device name as text, what cannot be printed in hexadecimal."""
    if not isinstance(name, bytes) or not name:
        return ""
    text = name[:SERIAL_MAX].decode("ascii", "replace").rstrip("\0 ")
    return text if text.isascii() and text.isprintable() else name[: SERIAL_MAX // 2].hex()


def _whole(row: RegisterRow, read: RegisterRow) -> RegisterRow:
    """Return a captured row with what was read in place of what it does not have."""
    pairs = zip(row.values, read.values, strict=True)
    a, b, c, d = (was if captured == MISSING else captured for captured, was in pairs)
    return RegisterRow(row.at_s, (a, b, c, d))
