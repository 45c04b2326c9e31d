"""A Modbus meter's registers, by its profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from grid import interval
from grid.errors import Finding, Severity
from meters.modbus.client import Client
from meters.modbus.errors import ModbusError
from meters.modbus.gateway import Gateways, UnitAddress, ask_units
from meters.modbus.profile import Profile
from meters.reading import CHANNELS, MISSING, MeterRead, RegisterRow

MeterAnswer = tuple[MeterRead, list[Finding]]


async def read_units(
    units: Mapping[str, tuple[UnitAddress, Profile]],
    *,
    at_s: int,
    timeout_s: float,
    gateways: Gateways | None = None,
) -> dict[str, MeterAnswer | ModbusError]:
    """Return what each meter answered, by meter; see :func:`meters.reader.read_meters`."""
    profiles = {meter: profile for meter, (_, profile) in units.items()}
    return await (gateways.ask if gateways else ask_units)(
        {meter: address for meter, (address, _) in units.items()},
        partial(_read_unit, profiles=profiles, at_s=at_s),
        timeout_s=timeout_s,
        plan=lambda meter: (profiles[meter].function, profiles[meter].layout.groups),
    )


async def _read_unit(
    client: Client, unit: int, meter: str, *, profiles: Mapping[str, Profile], at_s: int
) -> MeterAnswer:
    profile = profiles[meter]
    client.start_digest()
    raws = profile.raws(await client.read_groups(unit, profile.function, profile.layout.groups))
    values = [
        None if register is None else register.energy(raws[channel])
        for channel, register in zip(CHANNELS, profile.channels, strict=True)
    ]
    if values.count(None) == len(values):
        raise ModbusError("holds no energy value that is finite, within 0 to 10^15 and implemented")
    imported, exported, import_varh, export_varh = [
        MISSING if value is None else value for value in values
    ]
    voltage = profile.register.get("voltage_v")
    voltage_v = None if voltage is None else voltage.value(raws["voltage_v"])
    read = MeterRead(
        meter=meter,
        now=RegisterRow(at_s, (imported, exported, import_varh, export_varh)),
        load_profile=(),
        voltage_v=voltage_v if voltage_v is not None and 0 <= voltage_v <= 10**6 else None,
        raw_sha256=client.digest(),
    )
    return read, _absent(meter, profile, values, at_s)


def _absent(meter: str, profile: Profile, values: Sequence[int | None], at_s: int) -> list[Finding]:
    if None not in values:
        return []
    at = interval.label(at_s)
    return [
        Finding(
            "meter.register",
            meter,
            at,
            Severity.WARNING,
            f"{meter} {at} {channel} is not implemented, not finite or outside 0 to 10^15",
        )
        for channel, value in zip(CHANNELS, values, strict=True)
        if value is None and channel in profile.register
    ]
