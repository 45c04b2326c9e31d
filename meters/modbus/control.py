"""Writing points of a SunSpec model: values, then timers, then what enables them.

A device is under control throughout: what enables is written last and never
taken back first, and what was written is read back.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from grid.errors import BadInputError
from meters.modbus.chain import Device, Found
from meters.modbus.client import Client
from meters.modbus.errors import ModbusError
from meters.modbus.registers import encode
from meters.modbus.tables import Point
from meters.modbus.values import Block, parse, raw_value, read_words

_ENABLES = frozenset(
    {"Ena", "Conn", "StorCtl_Mod", "SetOp", "SetInvState", "ES", "AdptCrvReq", "AdptCtlReq"}
)
_TIMER_ENDS = ("Tms", "WinTms", "RvrtTms", "RmpTms")

Number = int | Decimal


async def write_values(
    client: Client, device: Device, model: int, values: Mapping[str, Number]
) -> Block:
    """Write points of a model in their units, and return the model as it then stands.

    Parameters
    ----------
    values : mapping of str to int or Decimal
        By point; multiples of the point's scale factor.

    Raises
    ------
    BadInputError
        When a point is not in the model, cannot be written, or cannot hold its
        value exactly; then nothing was written.
    ModbusError
        When the device does not have the model, an answer is wrong, or it does
        not hold what was written.
    """
    found = next((one for one in device.found if one.model == model), None)
    if found is None:
        raise ModbusError(f"does not have SunSpec model {model}")
    words, placed = await read_words(client, device, found)
    known = {point.name: (point, offset) for point, offset in placed.points}
    scales = {
        point.name: raw_value(point, offset, words)
        for point, offset in placed.points
        if point.type == "sunssf"
    }
    registers = {}
    for name, value in values.items():
        if name not in known or not known[name][0].writable:
            raise BadInputError(f"{name} of SunSpec model {model} cannot be written")
        registers[name] = _registers(known[name][0], value, scales, model)
    for name in sorted(registers, key=_order):
        await client.write(device.unit, found.address + known[name][1], registers[name])
    return await _read_back(client, device, found, registers)


async def _read_back(
    client: Client, device: Device, found: Found, registers: Mapping[str, tuple[int, ...]]
) -> Block:
    words, placed = await read_words(client, device, found)
    for point, offset in placed.points:
        held = tuple(words[offset + word] for word in range(point.size))
        if point.name in registers and held != registers[point.name]:
            raise ModbusError(
                f"holds {held} in {point.name} of SunSpec model {found.model} where "
                f"{registers[point.name]} was written"
            )
    return parse(placed, words, found.model)


def _order(name: str) -> tuple[int, str]:
    """Return when a point is written: values first, then timers, then what enables them."""
    if name in _ENABLES or name.endswith("Ena"):
        return 2, name
    return (1 if name.endswith(_TIMER_ENDS) else 0), name


def _registers(
    point: Point, value: Number, scales: Mapping[str, int | float | str | None], model: int
) -> tuple[int, ...]:
    scaled = Decimal(value)
    where = f"{point.name} of SunSpec model {model}"
    if point.scale:
        scale = scales.get(point.scale)
        if not isinstance(scale, int):
            raise ModbusError(f"does not implement {point.scale} of SunSpec model {model}")
        scaled = scaled.scaleb(-scale)
    if not scaled.is_finite() or scaled != scaled.to_integral_value():
        raise BadInputError(f"{where} cannot hold {value} exactly")
    try:
        return encode(point.type, int(scaled))
    except OverflowError as error:
        raise BadInputError(f"{where} cannot hold {value}: {error}") from error
