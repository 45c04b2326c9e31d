"""The COSEM objects of a simulated meter: what each attribute shows, what a client may do.

By its identifier a meter counts in Wh or in tenths of Wh, keeps UTC or UTC+4,
and writes each time of its load profile or leaves out those that follow from
the capture period. Values are taken from the points when they are asked for.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from itertools import pairwise
from operator import attrgetter, itemgetter
from zlib import crc32

from meters import obis
from meters.dlms import civil_time, cosem, data, last_gasp, writing, xdlms
from meters.dlms.data import Tag
from meters.dlms.errors import DlmsError
from meters.dlms.selection import capture_object
from meters.dlms.xdlms import Attribute
from meters.reading import RegisterRow
from meters.simulator.dlms_access import Key, object_list, selected
from meters.simulator.points import MeterPoint

CAPTURE_PERIOD_S = 900
PUBLIC_CLIENT = 16
MAX_EVENTS = 1000
EVENT_DISCONNECTED, EVENT_RECONNECTED, EVENT_CLOCK_SET = 1, 2, 3
_UINT32, _UINT64 = struct.Struct(">BI"), struct.Struct(">BQ")
_UNITS = (cosem.UNIT_WH, cosem.UNIT_WH, cosem.UNIT_VARH, cosem.UNIT_VARH)

_PUBLIC = {
    (cosem.CLOCK, obis.CLOCK),
    (cosem.DATA, obis.DEVICE_NAME),
    (cosem.DATA, obis.INVOCATION_COUNTER),
    (cosem.ASSOCIATION, obis.ASSOCIATION),
}


def _scaler_unit(scaler: int, unit: int) -> bytes:
    return data.structure([data.encode(Tag.INT8, scaler), data.encode(Tag.ENUM, unit)])


def _columns(attributes: Sequence[Attribute]) -> bytes:
    return data.array([capture_object(attribute) for attribute in attributes])


CLOCK = Attribute(cosem.CLOCK, obis.CLOCK, 2)
LOAD_COLUMNS = (CLOCK, *(Attribute(cosem.REGISTER, code, 2) for code in obis.ENERGY))
EVENT_COLUMNS = (CLOCK, Attribute(cosem.DATA, obis.EVENT_CODE, 2))


class DlmsMeter:
    """The COSEM objects of one point.

    Parameters
    ----------
    point : MeterPoint

    Attributes
    ----------
    events : list of (int, int)
        Seconds UTC and code, oldest first.
    counter : callable
        Gives the invocation counter that a client must exceed.
    """

    def __init__(self, point: MeterPoint) -> None:
        self.point = point
        kind = crc32(point.meter.encode())
        self.scaler = -(kind & 1)
        self.deviation_minutes = -240 * (kind >> 1 & 1)
        self.compressed = bool(kind >> 2 & 1)
        self.events: list[tuple[int, int]] = []
        self.counter: Callable[[], int] = lambda: 0
        self._fixed = self._constant(b"KHZ%013d" % kind)
        self._changing: dict[Key, Callable[[], bytes]] = {
            (cosem.CLOCK, obis.CLOCK, 2): self._clock,
            (cosem.REGISTER, obis.VOLTAGE_L1, 2): self._voltage,
            (cosem.PROFILE_GENERIC, obis.LOAD_PROFILE, 7): self._entries,
            (cosem.PROFILE_GENERIC, obis.EVENT_LOG, 7): lambda: data.encode(
                Tag.UINT32, len(self.events)
            ),
            (cosem.DATA, obis.INVOCATION_COUNTER, 2): lambda: data.encode(
                Tag.UINT32, self.counter()
            ),
            (cosem.DATA, obis.EVENT_CODE, 2): lambda: data.encode(
                Tag.UINT8, self.events[-1][1] if self.events else 0
            ),
            (cosem.DISCONNECT_CONTROL, obis.DISCONNECT, 2): lambda: data.encode(
                Tag.BOOLEAN, self.point.connected
            ),
            (cosem.DISCONNECT_CONTROL, obis.DISCONNECT, 3): lambda: data.encode(
                Tag.ENUM, int(self.point.connected)
            ),
            (cosem.EXTENDED_REGISTER, obis.MAXIMUM_DEMAND, 2): lambda: self._demand(max),
            (cosem.EXTENDED_REGISTER, obis.MAXIMUM_DEMAND, 5): self._clock,
            (cosem.DEMAND_REGISTER, obis.DEMAND, 2): lambda: self._demand(lambda all_w: all_w[-1]),
            (cosem.DEMAND_REGISTER, obis.DEMAND, 3): lambda: self._demand(lambda all_w: all_w[-1]),
            (cosem.DEMAND_REGISTER, obis.DEMAND, 6): self._clock,
            (cosem.DEMAND_REGISTER, obis.DEMAND, 7): self._clock,
        }
        self._register_of: dict[Key, int] = {}
        for place, (code, unit) in enumerate(zip(obis.ENERGY, _UNITS, strict=True)):
            self._fixed[cosem.REGISTER, code, 3] = _scaler_unit(self.scaler, unit)
            self._register_of[cosem.REGISTER, code, 2] = place
        shown = {*self._fixed, *self._changing, *self._register_of}
        self._fixed[cosem.ASSOCIATION, obis.ASSOCIATION, 2] = object_list(shown)

    def _constant(self, name: bytes) -> dict[Key, bytes]:
        profile = cosem.PROFILE_GENERIC
        period = data.encode(Tag.UINT32, CAPTURE_PERIOD_S)
        return {
            (cosem.DATA, obis.DEVICE_NAME, 2): data.encode(Tag.OCTET_STRING, name),
            (cosem.CLOCK, obis.CLOCK, 3): data.encode(Tag.INT16, self.deviation_minutes),
            (cosem.CLOCK, obis.CLOCK, 4): data.encode(Tag.UINT8, 0),
            (cosem.CLOCK, obis.CLOCK, 8): data.encode(Tag.BOOLEAN, False),
            (cosem.REGISTER, obis.VOLTAGE_L1, 3): _scaler_unit(-1, cosem.UNIT_VOLT),
            (cosem.EXTENDED_REGISTER, obis.MAXIMUM_DEMAND, 3): _scaler_unit(0, cosem.UNIT_WATT),
            (cosem.EXTENDED_REGISTER, obis.MAXIMUM_DEMAND, 4): data.encode(Tag.UINT8, 0),
            (cosem.DEMAND_REGISTER, obis.DEMAND, 4): _scaler_unit(0, cosem.UNIT_WATT),
            (cosem.DEMAND_REGISTER, obis.DEMAND, 5): data.encode(Tag.UINT8, 0),
            (cosem.DEMAND_REGISTER, obis.DEMAND, 8): period,
            (cosem.DEMAND_REGISTER, obis.DEMAND, 9): data.encode(Tag.UINT16, 1),
            (profile, obis.LOAD_PROFILE, 3): _columns(LOAD_COLUMNS),
            (profile, obis.LOAD_PROFILE, 4): period,
            (profile, obis.LOAD_PROFILE, 5): data.encode(Tag.ENUM, 1),
            (profile, obis.LOAD_PROFILE, 8): data.encode(Tag.UINT32, 1 << 16),
            (profile, obis.EVENT_LOG, 3): _columns(EVENT_COLUMNS),
            (profile, obis.EVENT_LOG, 4): data.encode(Tag.UINT32, 0),
            (profile, obis.EVENT_LOG, 5): data.encode(Tag.ENUM, 1),
            (profile, obis.EVENT_LOG, 8): data.encode(Tag.UINT32, MAX_EVENTS),
            (cosem.DISCONNECT_CONTROL, obis.DISCONNECT, 4): data.encode(Tag.ENUM, 4),
        }

    def get(self, request: xdlms.GetRequest, *, public: bool = False) -> bytes | int:
        """Return an encoded value, or the data-access-result that refuses.

        `public` is a client that has not said who it is, of a meter that asks for that.
        """
        attribute = request.attribute
        key = attribute.class_id, attribute.obis, attribute.index
        if public and key[:2] not in _PUBLIC:
            return xdlms.DENIED
        if (place := self._register_of.get(key)) is not None:
            return self._energy(self.point.registers[place])
        if key in self._fixed:
            return self._fixed[key]
        if key in self._changing:
            return self._changing[key]()
        try:
            if key == (cosem.PROFILE_GENERIC, obis.LOAD_PROFILE, 2):
                return self._rows(request.selection)
            if key == (cosem.PROFILE_GENERIC, obis.EVENT_LOG, 2):
                return self._event_rows(request.selection)
        except DlmsError:
            return xdlms.OTHER_REASON
        if attribute.index == 1:
            return data.encode(Tag.OCTET_STRING, attribute.obis)
        return xdlms.OBJECT_UNDEFINED

    def set(self, request: writing.SetRequest) -> int:
        """Take a value; return the data-access-result, 0 being success."""
        if request.attribute != CLOCK:
            return xdlms.DENIED
        try:
            time = civil_time.decode_date_time(data.decode(request.data))
        except DlmsError:
            return xdlms.TYPE_UNMATCHED
        self._event(EVENT_CLOCK_SET)
        self.point.clock_s = time.at_s
        return 0

    def act(self, request: writing.ActionRequest) -> int:
        """Do what a method does; return the action-result, 0 being success."""
        method = request.method
        if (method.class_id, method.obis) != (cosem.DISCONNECT_CONTROL, obis.DISCONNECT):
            return xdlms.OBJECT_UNDEFINED
        if method.index not in (1, 2):
            return xdlms.DENIED
        self.point.connected = method.index == 2
        self._event(EVENT_RECONNECTED if self.point.connected else EVENT_DISCONNECTED)
        if self.point.on_switch is not None:
            self.point.on_switch()
        return 0

    def _event(self, code: int) -> None:
        self.events.append((self.point.clock_s, code))
        del self.events[:-MAX_EVENTS]

    def registers(self) -> bytes:
        """Return what a push tells: the name, the clock and the registers."""
        energy = [self._energy(value) for value in self.point.registers]
        name = self._fixed[cosem.DATA, obis.DEVICE_NAME, 2]
        return data.structure([name, self._clock(), *energy])

    def last_gasp(self, at_s: int) -> tuple[bytes, bytes]:
        """Return the date-time and the value that tell of a power failure at an instant."""
        name = self._fixed[cosem.DATA, obis.DEVICE_NAME, 2]
        return self._time(at_s)[2:], last_gasp.value_of(name)

    def clock_time(self) -> bytes:
        """Return the twelve bytes of the clock."""
        return civil_time.encode_date_time(self.point.clock_s, self.deviation_minutes)

    def _energy(self, energy: int) -> bytes:
        if energy < 0:
            return b"\x00"
        value = energy if self.scaler == 0 else energy * 10
        if value < 1 << 32:
            return _UINT32.pack(Tag.UINT32, value)
        return _UINT64.pack(Tag.UINT64, value)

    def _clock(self) -> bytes:
        return b"\x09\x0c" + self.clock_time()

    def _time(self, at_s: int) -> bytes:
        return b"\x09\x0c" + civil_time.encode_date_time(at_s, self.deviation_minutes)

    def _voltage(self) -> bytes:
        return data.encode(Tag.UINT16, min(max(round(self.point.voltage_v * 10), 0), 0xFFFF))

    def _demand(self, which: Callable[[Sequence[int]], int]) -> bytes:
        energies = [row.values[0] for row in self.point.rows[-97:]]
        per_hour = 3600 // CAPTURE_PERIOD_S
        steps = pairwise(energies)
        demands_w = [per_hour * max(0, after - before) for before, after in steps] or [0]
        return data.encode(Tag.UINT32, min(which(demands_w), 0xFFFF_FFFF))

    def _entries(self) -> bytes:
        return data.encode(Tag.UINT32, len(self.point.rows))

    def _rows(self, selection: tuple[int, data.Value] | None) -> bytes:
        rows, columns = selected(selection, self.point.rows, attrgetter("at_s"), LOAD_COLUMNS)
        encoded = []
        before_s: int | None = None
        for row in rows:
            follows = before_s is not None and row.at_s == before_s + CAPTURE_PERIOD_S
            encoded.append(self._row(row, columns, leave_out=follows and self.compressed))
            before_s = row.at_s
        return data.array(encoded)

    def _row(self, row: RegisterRow, columns: Sequence[int], *, leave_out: bool) -> bytes:
        time = b"\x00" if leave_out else self._time(row.at_s)
        cells = [time, *map(self._energy, row.values)]
        return data.structure([cells[column] for column in columns])

    def _event_rows(self, selection: tuple[int, data.Value] | None) -> bytes:
        events, columns = selected(selection, self.events, itemgetter(0), EVENT_COLUMNS)
        encoded = []
        for at_s, code in events:
            cells = [self._time(at_s), data.encode(Tag.UINT8, code)]
            encoded.append(data.structure([cells[column] for column in columns]))
        return data.array(encoded)
