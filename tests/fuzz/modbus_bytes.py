"""Targets of Modbus and SunSpec: frames, registers, model chains, and the simulated units."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from grid.errors import GridError
from meters.device import Setpoint
from meters.modbus import models, setpoints, sunspec
from meters.modbus.chain import discover
from meters.modbus.errors import RefusedError
from meters.modbus.framing import Exchange, RtuExchange, TcpExchange, read_request, write_request
from meters.modbus.profile import load_profile
from meters.modbus.registers import SIZES, decode
from meters.modbus.values import read_values
from meters.reading import CHANNELS
from meters.simulator import rtu
from meters.simulator.units import RegisterUnit
from tests.fuzz.target import Target, joined, parts

READ = read_request(9, 3, 100, 2)
WRITE = write_request(9, 100, (1, 2))
PROFILES = [load_profile(name) for name in ("sdm630", "abb-b23", "em24", "iem3000")]


def _take(exchange: Exchange, octets: bytes) -> None:
    """Give an exchange its bytes as they may come: in pieces, then no more."""
    received = bytearray()
    for at in range(0, len(octets), 50):
        received += octets[at : at + 50]
        if (pdu := exchange.take(received)) is not None:
            assert pdu
            return
    exchange.take(received, last=True)


def tcp(octets: bytes) -> None:
    """The answer to a read and to a write over TCP."""
    for request in (READ, WRITE):
        exchange = TcpExchange(request, 7)
        received = bytearray(octets)
        try:
            pdu = exchange.take(received)
        except GridError:
            continue
        if pdu is not None:
            request.mismatch(pdu)


def serial(octets: bytes) -> None:
    """The answer on a line; with a first byte of one bit each piece gets its checksum."""
    content = octets[1:]
    if octets[:1] > b"\x80":
        content = b"".join(piece + rtu.checksum(piece) for piece in parts(content))
    for request in (READ, WRITE):
        try:
            _take(RtuExchange(request), content)
        except GridError:
            continue


def units(octets: bytes) -> None:
    """Requests to simulated units."""
    served = {9: RegisterUnit(dict.fromkeys(range(100, 110), 7))}
    received = bytearray(octets[1:])
    if octets[:1] > b"\x80":
        received = bytearray(b"".join(one + rtu.checksum(one) for one in parts(octets[1:])))
    for answer in rtu.answers(served, received):
        assert len(answer) >= 5


def registers(octets: bytes) -> None:
    """Every type of value, and the quantities of meters whose registers hold anything."""
    padded = octets.ljust(16, b"\0")
    words = struct.unpack(f">{len(padded) // 2}H", padded[: len(padded) // 2 * 2])
    for kind, size in SIZES.items():
        decode(kind, words[:size])
        decode(kind, words[:size], little_words=True, absent=3)
    for profile in PROFILES:
        held = {at: words[at % len(words)] for one in profile.register.values()
                for at in range(one.address, one.address + SIZES[one.type])}  # fmt: skip
        for channel in CHANNELS:
            energy = profile.energy(channel, held)
            assert energy is None or 0 <= energy <= 10**15
        profile.value("voltage_v", held)


class Registers:
    """A client of a unit whose registers are given: those that are not there are refused."""

    def __init__(self, words: dict[int, int]) -> None:
        self._words = words
        self.asked = 0

    async def read(self, unit: int, function: int, address: int, count: int) -> tuple[int, ...]:
        """Return registers."""
        self.asked += count
        assert address >= 0
        assert address + count <= 0x10000
        assert count <= 125
        if any(at not in self._words for at in range(address, address + count)):
            raise RefusedError(2)
        return tuple(self._words[at] for at in range(address, address + count))

    async def read_spans(
        self, unit: int, function: int, spans: Iterable[tuple[int, int]]
    ) -> dict[int, int]:
        """Return registers by address."""
        found: dict[int, int] = {}
        for first, size in spans:
            self.asked += size
            for at in range(first, first + size):
                if at not in self._words:
                    raise RefusedError(2)
                found[at] = self._words[at]
        return found


def _device(octets: bytes) -> Registers:
    content = octets[: len(octets) // 2 * 2]
    words = struct.unpack(f">{len(content) // 2}H", content)
    base = models.BASE
    held = dict(enumerate((*models.MARKER, *words, models.END, 0), start=base))
    # Registers past the end, so that a model may be read that tells more than it has.
    held.update((at, 0) for at in range(base + len(held), base + len(held) + 200))
    return Registers(held)


def _run(coroutine: object) -> object:
    """Return what a coroutine that waits for nobody returns."""
    try:
        coroutine.send(None)  # type: ignore[attr-defined]
    except StopIteration as done:
        return done.value
    raise AssertionError("waits")


async def _values(client: Registers) -> None:
    device = await discover(client, 1)  # type: ignore[arg-type]
    await read_values(client, device)  # type: ignore[arg-type]


async def _control(client: Registers) -> None:
    device = await discover(client, 1)  # type: ignore[arg-type]
    await device.read(client, models.RATINGS, models.CONTROLS)  # type: ignore[arg-type]
    for kind in ("limit", "storage", "genset"):
        wanted = Setpoint("a", kind, limit_w=5) if kind == "limit" else Setpoint("a", kind)
        try:
            for _, _, written in setpoints.writes(device, wanted):
                assert all(0 <= word <= 0xFFFF for word in written)
        except GridError:
            continue


def sunspec_values(octets: bytes) -> None:
    """The model chain of a unit and every value in it."""
    client = _device(octets)
    try:
        _run(_values(client))
    finally:
        assert client.asked < 20_000


def sunspec_device(octets: bytes) -> None:
    """A controllable device: its state, and what would be written to it."""
    for read in (lambda: sunspec._read(_device(octets), 1, "a", at_s=0), lambda: _control(_device(octets))):  # type: ignore[arg-type]  # fmt: skip  # noqa: E501
        try:
            _run(read())
        except GridError:
            continue


def _words(*words: int) -> bytes:
    return struct.pack(f">{len(words)}H", *words)


def _chain(*wanted: int) -> bytes:
    """Return models that are long enough, their registers counting up."""
    lengths = {1: 66, 101: 50, 111: 60, 120: 26, 124: 24, 160: 48, 202: 105, 701: 153, 702: 50}
    lengths |= {703: 17, 704: 65, 705: 60, 707: 60, 711: 60, 713: 7, 714: 60, 122: 44}
    return b"".join(
        _words(model, lengths[model], *(n % 3 for n in range(lengths[model]))) for model in wanted
    )


def _tcp(pdu: bytes) -> bytes:
    return struct.pack(">HHHB", 7, 0, len(pdu) + 1, 9) + pdu


_ANSWERS = (b"\x03\x04\x00\x01\x00\x02", b"\x83\x02", b"\x10\x00\x64\x00\x02")
TARGETS = {
    "modbus-tcp": Target(tcp, [_tcp(pdu) for pdu in _ANSWERS], 300),
    "modbus-rtu": Target(
        serial,
        [
            b"\xff" + joined(*(b"\x09" + pdu for pdu in _ANSWERS)),
            *(b"\x00" + b"\x09" + pdu + rtu.checksum(b"\x09" + pdu) for pdu in _ANSWERS),
        ],
        400,
    ),
    "modbus-units": Target(units, [b"\xff" + joined(b"\x09" + READ.pdu, b"\x09" + WRITE.pdu)], 400),
    "registers": Target(registers, [bytes(range(16)), b"\x7f\xc0\0\0" * 4], 64),
    "sunspec": Target(
        sunspec_values,
        [_chain(120), _chain(124), _chain(160)]
        + [_chain(1, model) for model in (101, 111, 120, 124, 160, 202, 705, 707, 711, 714)],
        700,
        quick=False,
    ),
    "sunspec-device": Target(
        sunspec_device,
        [_chain(704), _chain(124), _chain(1, 701, 702, 703, 704, 713), _chain(122, 701, 702, 704)],
        1000,
        quick=False,
    ),
}
