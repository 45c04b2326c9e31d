"""What a microgrid is: the frozen facts of a site.

Read from ``SITE.toml`` by :mod:`grid.site_file`. Every other package takes
these facts as values. Powers are kW, energies kWh, prices nano-currency per Wh
(:mod:`grid.quantities`); a `bus` is the bus index of the network model.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction

from grid.ids import AssetId, MeterId, PartyId, TariffId, UsagePointId
from grid.quantities import UNITY, Ratio
from grid.site_control import STANDARD, Control, Ramp
from grid.site_devices import (
    Asset,
    Battery,
    Charger,
    ColdStart,
    Flexible,
    FuelSegment,
    Genset,
    Plant,
    Shedding,
    Solar,
    Wind,
)
from grid.site_facts import (
    AMOUNT_MOST,
    CLOCK,
    NOTHING,
    PRICE_MOST,
    Amount,
    Price,
    UsageKind,
    outside,
    refuse,
)
from grid.site_reading import AS_EVER, Reading
from grid.site_sensors import Mqtt, PayloadForm, Sensor
from grid.site_settings import (
    BY_PAST,
    CAUTIOUS,
    IN_TIME,
    UNWITNESSED,
    Field,
    Forecast,
    Ledger,
    Location,
    Market,
    Network,
    Operation,
    Orders,
    ProfileChange,
    RegulationProfile,
    Settlement,
)
from grid.site_tariff import FeeBy, Tariff, TariffBlock, TariffRate, TariffVersion
from grid.site_validation import AS_USUAL, Threshold, Validation
from grid.site_zones import Zone

__all__ = [
    "Amount", "Asset", "Battery", "Charger", "ColdStart", "Control", "FeeBy", "Field", "Flexible",
    "Forecast", "FuelSegment", "Genset", "GridConnection", "GridPrice", "Ledger", "Location",
    "Market", "Meter", "MeterRole", "Mqtt", "Network", "Operation", "Orders", "Outage", "Party",
    "PayloadForm", "Plant", "Price", "ProfileChange", "Protocol", "Ramp", "Reading",
    "RegulationProfile", "Sensor", "Settlement", "Shedding", "Site", "Solar", "Tariff",
    "TariffBlock", "TariffRate", "TariffVersion", "Threshold", "UsageKind", "UsagePoint",
    "Validation", "Wind", "Zone",
]  # fmt: skip


class Protocol(StrEnum):
    """How a meter is read."""

    MODBUS = "modbus"
    DLMS = "dlms"


class MeterRole(StrEnum):
    """What a meter measures."""

    CONNECTION = "connection"
    FEEDER_HEAD = "feeder_head"


@dataclass(frozen=True, slots=True)
class Party:
    """Someone with rights and duties: a household, a business, the community."""

    id: PartyId
    name: str
    kind: UsageKind


@dataclass(frozen=True, slots=True)
class UsagePoint:
    """A connection to the network with all that stands behind it.

    `critical` load is the last to be shed in an island. `medical` means that a life hangs on
    it: nobody may order it disconnected.
    """

    id: UsagePointId
    bus: int
    party: PartyId
    kind: UsageKind
    tariff: TariffId
    connection_kw: float
    critical: bool = False
    medical: bool = False

    def __post_init__(self) -> None:
        refuse(outside(self, f"usage point {self.id}", connection_kw=(0.1, 100_000.0)))


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter: what it measures and how it is read.

    `url` is as :mod:`meters.transport` takes it; empty at a simulated field, which tells
    its addresses in ``field.json``. `auth` is ``none``, ``lls`` or ``hls-gmac``; passwords
    and keys are in the store, never here. What stands below `url` is of the first device that
    stood here; what changes after it is told with its date. `current` and `voltage` are the
    ratios of the instrument transformers before it, `multiplier` its own: primary Wh are what
    it shows times all three. `verified_until` is when its verification expires.
    """

    id: MeterId
    protocol: Protocol
    profile: str
    usage_point: UsagePointId | None = None
    role: MeterRole = MeterRole.CONNECTION
    auth: str = "none"
    url: str = ""
    register_digits: int = 9
    multiplier: int = 1
    current: Ratio = UNITY
    voltage: Ratio = UNITY
    verified_until: date | None = None

    @property
    def factor(self) -> Fraction:
        """Primary Wh for each Wh that the first device shows."""
        return self.current.value * self.voltage.value * self.multiplier

    def __post_init__(self) -> None:
        name = f"meter {self.id}"
        faults = outside(self, name, register_digits=(4, 15), multiplier=(1, 10**6))
        if not faults and 10**self.register_digits * self.factor > 10**18:
            message = f"{name}: {self.register_digits} digits times {self.factor}"
            faults.append(("multiplier", f"{message} is beyond 10^18 Wh"))
        if max(self.factor.as_integer_ratio()) > 10**9:
            message = f"{name}: the factor {self.factor} of its transformers has a part beyond 10^9"
            faults.append(("current", message))
        if (self.role is MeterRole.FEEDER_HEAD) != (self.usage_point is None):
            message = "a connection meter has a usage_point, a feeder head has none"
            faults.append(("usage_point", f"meter {self.id}: {message}"))
        if self.auth not in ("none", "lls", "hls-gmac"):
            message = f"meter {self.id}: auth is {self.auth!r}, must be none, lls or hls-gmac"
            faults.append(("auth", message))
        refuse(faults)


@dataclass(frozen=True, slots=True)
class GridPrice:
    """The community's energy prices from a civil time of day (``HH:MM``) on."""

    from_time: str
    buy: Price
    sell: Price

    def __post_init__(self) -> None:
        most = PRICE_MOST
        faults = outside(self, "grid price", buy=(-most, most), sell=(-most, most))
        if not CLOCK.fullmatch(self.from_time):
            message = f"from_time is {self.from_time!r}, must be HH:MM on a quarter-hour"
            faults.append(("from_time", f"grid price: {message}"))
        refuse(faults)


@dataclass(frozen=True, slots=True)
class GridConnection:
    """The connection to the public network at the feeder head.

    `demand_charge` is paid per kW of the highest import of a billing period; what is drawn
    there brings `co2_g_per_kwh`.
    """

    id: AssetId
    import_limit_kw: float
    export_limit_kw: float
    price: tuple[GridPrice, ...]
    demand_charge: Amount = NOTHING
    co2_g_per_kwh: float = 0.0

    def __post_init__(self) -> None:
        faults = outside(
            self,
            f"grid {self.id}",
            import_limit_kw=(0.0, 1e6),
            export_limit_kw=(0.0, 1e6),
            co2_g_per_kwh=(0.0, 1e5),
            demand_charge=(0, AMOUNT_MOST),
        )
        times = [step.from_time for step in self.price]
        if not times or times[0] != "00:00" or sorted(set(times)) != times:
            faults.append(("price", f"grid {self.id}: price times {times} must rise from 00:00"))
        refuse(faults)

    @property
    def co2_mg_per_kwh(self) -> int:
        """What is drawn brings, in whole milligrams; 0 where the site does not tell."""
        return round(self.co2_g_per_kwh * 1_000)


@dataclass(frozen=True, slots=True)
class Outage:
    """An announced loss of the public network, ``[start_s, end_s)``."""

    start_s: int
    end_s: int

    def __post_init__(self) -> None:
        if self.end_s <= self.start_s:
            refuse([("end", "outage: end must be after start")])


@dataclass(frozen=True, slots=True)
class Site:
    """A whole microgrid, checked for references between its parts."""

    id: str
    name: str
    time_zone: str
    currency: str
    interval_s: int
    network: Network
    field: Field
    operation: Operation
    market: Market
    grid: GridConnection
    tariff: tuple[Tariff, ...]
    party: tuple[Party, ...]
    usage_point: tuple[UsagePoint, ...]
    meter: tuple[Meter, ...]
    battery: tuple[Battery, ...] = ()
    solar: tuple[Solar, ...] = ()
    wind: tuple[Wind, ...] = ()
    genset: tuple[Genset, ...] = ()
    shedding: tuple[Shedding, ...] = ()
    charger: tuple[Charger, ...] = ()
    flexible: tuple[Flexible, ...] = ()
    outage: tuple[Outage, ...] = ()
    mqtt: Mqtt | None = None
    sensor: tuple[Sensor, ...] = ()
    vee: Validation = AS_USUAL
    orders: Orders = CAUTIOUS
    reading: Reading = AS_EVER
    control: Control = STANDARD
    location: Location | None = None
    forecast: Forecast = BY_PAST
    settlement: Settlement = IN_TIME
    ledger: Ledger = UNWITNESSED

    @property
    def assets(self) -> tuple[Asset, ...]:
        """Every controllable device, in the order of a schedule."""
        return (
            *self.battery, *self.solar, *self.wind, *self.genset, *self.shedding, *self.charger,
            *self.flexible,
        )  # fmt: skip

    @property
    def measured(self) -> list[str]:
        """What each meter measures: its usage point, the feeder head by the meter's name."""
        return [str(meter.usage_point or meter.id) for meter in self.meter]

    @property
    def plants(self) -> tuple[Plant, ...]:
        """Every plant whose output the weather gives."""
        return (*self.solar, *self.wind)
