"""NEM12 (intervals) and NEM13 (accumulated reads), AEMO's Meter Data File Format.

::

    100,NEM12,200405011135,MDA1,Ret1
    200,VABD000163,E1Q1,1,E1,N1,METSER123,kWh,30,
    300,20040201,1.111, … ,1.111,A,,,20040202120025,
    900
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from grid.errors import BadInputError
from meters.formats import nem_records as record
from meters.formats.blocks import FLAG, NOTHING, Block, Flags, Ints, Qualities
from meters.formats.source import Refused
from meters.vee.quality import Quality, least_certain

DAY_MIN: Final = 1440
_RECORDS: Final = (b"200", b"300", b"500", b"900")
_TAIL: Final = ("QualityMethod", "ReasonCode", "ReasonDescription", "UpdateDateTime", "MSATS")


class _Channel(NamedTuple):
    nmi: str
    suffix: str
    unit: str
    interval_s: int
    scale: record.Scale
    beside: tuple[str, ...]


@dataclass(slots=True)
class _Day:
    """A 300 record that 400 records may still refine."""

    line: int
    start_s: int
    raw: Ints
    method: bytes
    flags: list[bytes] | None = None
    """By interval, once a 400 record came: empty where none tells of it."""


@dataclass(slots=True)
class NemReader:
    """Reads the records of one file, in order.

    Attributes
    ----------
    refused : Refused
    version : str
        ``"NEM12"`` or ``"NEM13"``, once the first record was read.
    readings : int
    """

    refused: Refused
    version: str = ""
    readings: int = 0
    _channel: _Channel | None = None
    _day: _Day | None = None
    _details: int = 0
    _ended: int = 0
    _last: int = 0
    _day_refused: bool = False

    def read(self, lines: Iterable[tuple[int, bytes]]) -> Iterator[Block]:
        """Yield one block per 300 or 250 record that is good; refuse the others by line."""
        for line, content in lines:
            self._last = line
            fields = content.split(b",")
            if not content.strip(b", \t") and self.version:
                continue
            try:
                if fields[0] != b"400":
                    yield from self._close()
                    self._day_refused &= fields[0] not in _RECORDS
                if block := self._record(line, fields):
                    self.readings += len(block.raw)
                    yield block
            except BadInputError as error:
                self._refuse(line, fields[0], str(error))
        yield from self._close()
        if not self._ended:
            self.refused.add(max(self._last, 1), "ends without a 900 record: cut short")

    def _refuse(self, line: int, indicator: bytes, reason: str) -> None:
        self.refused.add(line, reason, self._channel.nmi if self._channel else "")
        if indicator == b"200":
            self._channel = None
        self._day = None
        # What refines a refused day goes with it, without a word of its own.
        self._day_refused |= indicator in (b"300", b"400")

    def _record(self, line: int, fields: list[bytes]) -> Block | None:
        kind = fields[0]
        if not self.version:
            self._header(fields)
            return None
        if self._ended:
            raise BadInputError(f"record {record.text(kind)} after the 900 of line {self._ended}")
        if kind == b"900":
            self._ended = line
            if not self._details:
                wanted = "200" if self.version == "NEM12" else "250"
                raise BadInputError(f"record '900' ends a file without any {wanted} record")
        elif self.version == "NEM13":
            return self._nem13(line, kind, fields)
        elif kind == b"200":
            self._details_record(fields)
        elif kind == b"300":
            self._day = self._interval_record(line, fields)
        elif kind == b"400":
            if not self._day_refused:
                self._event_record(fields)
        elif kind == b"500":
            self._need(fields, 5, "500")
            record.optional_instant(fields[3], "ReadDateTime")
        else:
            raise BadInputError(f"RecordIndicator {record.text(kind)}: no record of NEM12")
        return None

    def _header(self, fields: list[bytes]) -> None:
        """Take the 100 record; where there is none, go on as NEM12 behind the refusal."""
        self.version = "NEM12"
        if fields[0] != b"100" or len(fields) < 3:
            raise BadInputError(
                f"RecordIndicator {record.text(fields[0])}: a file begins with a 100 record"
            )
        if fields[1] not in (b"NEM12", b"NEM13"):
            raise BadInputError(f"VersionHeader {record.text(fields[1])}: must be NEM12 or NEM13")
        self.version = fields[1].decode()
        record.instant(fields[2], "DateTime")

    def _need(self, fields: list[bytes], count: int, kind: str) -> None:
        if len(fields) < count:
            raise BadInputError(f"record {kind} has {len(fields)} fields, must have {count}")

    def _details_record(self, fields: list[bytes]) -> None:
        self._need(fields, 9, "200")
        self._details += 1
        nmi, suffix = record.nmi(fields[1]), record.suffix(fields[4])
        unit = fields[7].decode("ascii", "replace")[:16]
        scale = record.scale(suffix[0], unit)
        interval_s = record.interval_s(fields[8], scale.register)
        if len(fields) > 9:
            record.optional_instant(fields[9], "NextScheduledReadDate")
        beside = _beside(fields[2], suffix)
        self._channel = _Channel(nmi, suffix, unit, interval_s, scale, beside)

    def _interval_record(self, line: int, fields: list[bytes]) -> _Day:
        if self._channel is None:
            raise BadInputError("record '300' without a good 200 record before it")
        count = DAY_MIN * 60 // self._channel.interval_s
        self._need(fields, count + 3, f"300 of {count} intervals")
        start_s = record.day_start(fields[1])
        raw = record.micro(fields[2 : 2 + count])
        tail = fields[2 + count :]
        if any(tail[len(_TAIL) :]):
            most = count + 2 + len(_TAIL)
            raise BadInputError(f"record 300 of {count} intervals has more than {most} fields")
        method = record.flag(tail[0].strip(), variable=True)
        tail += [b""] * (len(_TAIL) - len(tail))
        record.reason(tail[1])
        for name, stamp in zip(_TAIL[3:], tail[3:], strict=False):
            record.optional_instant(stamp, name)
        return _Day(line, start_s, raw, method)

    def _event_record(self, fields: list[bytes]) -> None:
        if self._day is None:
            raise BadInputError("record '400' without a good 300 record before it")
        self._need(fields, 4, "400")
        count = len(self._day.raw)
        low, high = (int(one) if one.isdigit() and len(one) <= 4 else 0 for one in fields[1:3])
        if not 1 <= low <= high <= count:
            shown = f"{record.text(fields[1])} to {record.text(fields[2])}"
            raise BadInputError(f"intervals {shown}: must be within 1 to {count}, in order")
        method = record.flag(fields[3].strip())
        record.reason(fields[4] if len(fields) > 4 else b"")
        flags = self._day.flags = self._day.flags or [b""] * count
        if any(flags[low - 1 : high]):
            raise BadInputError(f"intervals {low} to {high}: a 400 record before tells of some")
        flags[low - 1 : high] = [method] * (high - low + 1)

    def _close(self) -> Iterator[Block]:
        """Yield the day that no further record refines."""
        day, channel = self._day, self._channel
        self._day = None
        if day is None or channel is None:
            return
        try:
            flags, quality = _qualities(day)
            at = np.flatnonzero((day.raw == NOTHING) & (quality != Quality.MISSING))
            if at.size:
                told = flags[at[0]].decode()
                raise BadInputError(f"IntervalValue{at[0] + 1} '': empty, its quality is {told}")
        except BadInputError as error:
            self.refused.add(day.line, str(error), channel.nmi)
            return
        block = Block(
            channel.nmi, channel.suffix, channel.scale.register, channel.unit, day.start_s,
            channel.interval_s, day.raw, channel.scale.up, channel.scale.down, quality, flags,
            day.line, channel.beside,
        )  # fmt: skip
        self.readings += len(day.raw)
        yield block

    def _nem13(self, line: int, kind: bytes, fields: list[bytes]) -> Block | None:
        if kind == b"550":
            self._need(fields, 5, "550")
            return None
        if kind != b"250":
            raise BadInputError(f"RecordIndicator {record.text(kind)}: no record of NEM13")
        self._need(fields, 20, "250")
        self._details += 1
        nmi, suffix = record.nmi(fields[1]), record.suffix(fields[4])
        unit = fields[19].decode("ascii", "replace")[:16]
        if fields[7] not in (b"E", b"I"):
            raise BadInputError(f"DirectionIndicator {record.text(fields[7])}: must be E or I")
        reactive = unit.lower().endswith("varh")
        from_market = fields[7] == b"E"
        scale = record.scale(("Q" if from_market else "K") if reactive else
                             ("E" if from_market else "B"), unit)  # fmt: skip
        record.register_read(fields[8], "PreviousRegisterRead")
        record.register_read(fields[13], "CurrentRegisterRead")
        start_s = record.instant(fields[9], "PreviousRegisterReadDateTime")
        end_s = record.instant(fields[14], "CurrentRegisterReadDateTime")
        if end_s <= start_s:
            raise BadInputError(
                f"CurrentRegisterReadDateTime {record.text(fields[14])}: must be after "
                f"{record.text(fields[9])}"
            )
        before, now = record.flag(fields[10]), record.flag(fields[15])
        quantity = record.quantity_micro(fields[18])
        worst = least_certain(
            np.array([record.quality(before)], np.uint16),
            np.array([record.quality(now)], np.uint16),
        )
        return Block(
            nmi, suffix, scale.register, unit, start_s, end_s - start_s,
            np.array([quantity], np.int64), scale.up, scale.down, worst, np.array([now], FLAG),
            line,
        )  # fmt: skip


def _qualities(day: _Day) -> tuple[Flags, Qualities]:
    """Return each interval's quality, in the file's words and in ours."""
    count = len(day.raw)
    if day.flags is None:
        if day.method == b"V":
            raise BadInputError("QualityMethod 'V': no 400 record tells of interval 1")
        quality = np.full(count, record.quality(day.method), np.uint16)
        return np.full(count, day.method, FLAG), quality
    told = [one or day.method for one in day.flags]
    if b"V" in told:
        at = told.index(b"V") + 1
        raise BadInputError(f"QualityMethod 'V': no 400 record tells of interval {at}")
    return np.array(told, FLAG), np.array([record.quality(one) for one in told], np.uint16)


def _beside(configuration: bytes, suffix: str) -> tuple[str, ...]:
    """Return the other channels of a configuration that count the same way as `suffix`."""
    found = set(record.channels(configuration))
    return tuple(sorted(one for one in found if one[0] == suffix[0] and one != suffix))
