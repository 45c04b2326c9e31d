"""What a microgrid is: the frozen facts of a site.

Read from ``SITE.toml`` by :mod:`grid.site_file`. Every other package takes
these facts as values. Powers are kW, energies kWh, prices nano-currency per Wh
(:mod:`grid.quantities`); a `bus` is the bus index of the network model.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType, TypeAlias

from grid.errors import BadInputError
from grid.ids import AssetId, MeterId, PartyId, TariffId, UsagePointId

Price = NewType("Price", int)
"""Nano-currency per Wh; a decimal text per kWh in the site file."""

Amount = NewType("Amount", int)
"""Nano-currency; a decimal text of currency in the site file."""


class UsageKind(StrEnum):
    """Who stands behind a usage point."""

    HOUSEHOLD = "household"
    BUSINESS = "business"
    COMMUNITY = "community"


class Protocol(StrEnum):
    """How a meter is read."""

    MODBUS = "modbus"
    DLMS = "dlms"


class MeterRole(StrEnum):
    """What a meter measures."""

    CONNECTION = "connection"
    FEEDER_HEAD = "feeder_head"


class RegulationProfile(StrEnum):
    """Which law of trading holds at the site."""

    SANDBOX = "sandbox"
    LAWFUL = "lawful"


def _within(subject: str, name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise BadInputError(f"{subject}: {name} is {value}, must be within {low} to {high}")


@dataclass(frozen=True, slots=True)
class Network:
    """Where the feeder model comes from and the limits it must keep."""

    source: str
    source_voltage_pu: float = 1.0
    voltage_min_pu: float = 0.90
    voltage_max_pu: float = 1.10
    loading_max_percent: float = 100.0

    def __post_init__(self) -> None:
        _within("[network]", "source_voltage_pu", self.source_voltage_pu, 0.8, 1.2)
        _within("[network]", "voltage_min_pu", self.voltage_min_pu, 0.5, 1.0)
        _within("[network]", "voltage_max_pu", self.voltage_max_pu, 1.0, 1.5)
        _within("[network]", "loading_max_percent", self.loading_max_percent, 1.0, 300.0)


@dataclass(frozen=True, slots=True)
class Field:
    """The devices: ``simulated`` on loopback sockets, or ``real`` at their URLs."""

    kind: str = "real"
    seed: int = 1
    profile_offset_days: int = 0

    def __post_init__(self) -> None:
        if self.kind not in ("simulated", "real"):
            raise BadInputError(f"[field]: kind is {self.kind!r}, must be 'simulated' or 'real'")


@dataclass(frozen=True, slots=True)
class Operation:
    """How the control room runs its cycles."""

    horizon_intervals: int = 96
    history_days: int = 28
    estimate_after_intervals: int = 2
    final_after_intervals: int = 32
    solver_gap: float = 0.001
    solver_nodes: int = 2000
    solver_deadline_s: float = 60.0
    read_timeout_s: float = 5.0
    critical_reserve_percent: float = 20.0

    def __post_init__(self) -> None:
        _within("[operation]", "horizon_intervals", self.horizon_intervals, 4, 672)
        _within("[operation]", "history_days", self.history_days, 8, 400)
        _within("[operation]", "estimate_after_intervals", self.estimate_after_intervals, 1, 96)
        _within("[operation]", "final_after_intervals", self.final_after_intervals, 3, 9600)
        _within("[operation]", "solver_gap", self.solver_gap, 0.0, 0.1)
        _within("[operation]", "solver_nodes", self.solver_nodes, 1, 10**7)
        _within("[operation]", "solver_deadline_s", self.solver_deadline_s, 1.0, 3600.0)
        _within("[operation]", "read_timeout_s", self.read_timeout_s, 0.1, 600.0)
        _within("[operation]", "critical_reserve_percent", self.critical_reserve_percent, 0, 100)


@dataclass(frozen=True, slots=True)
class Market:
    """The local market and the prices around it.

    Attributes
    ----------
    mechanism : str
        A name of ``trading.mechanisms.REGISTRY``.
    profile : RegulationProfile
    feed_in : Price
        Paid to a prosumer for energy exported outside a trade.
    shortfall : Price
        Charged for energy sold in a trade and not delivered.
    surplus : Price
        Paid for energy bought in a trade and not consumed.
    grid_fee : Price
        Charged to the buyer of each traded Wh.
    battery_use_fee : Price
        Paid to a battery's owner for each Wh discharged on instruction.
    minimum_group : int
        Aggregates over fewer parties are not published.
    """

    mechanism: str
    profile: RegulationProfile
    feed_in: Price
    shortfall: Price
    surplus: Price
    grid_fee: Price
    battery_use_fee: Price
    minimum_group: int = 5


@dataclass(frozen=True, slots=True)
class TariffBlock:
    """A step of a block tariff: `price` holds up to `up_to_kwh` a month (0: no end)."""

    up_to_kwh: int
    price: Price


@dataclass(frozen=True, slots=True)
class Tariff:
    """A retail tariff, VAT included: increasing blocks and a monthly fee."""

    id: TariffId
    name: str
    fixed_fee: Amount
    block: tuple[TariffBlock, ...]

    def __post_init__(self) -> None:
        ends = [step.up_to_kwh for step in self.block]
        if not ends or ends[-1] != 0:
            raise BadInputError(f"tariff {self.id}: the last block must have up_to_kwh = 0")
        if any(end <= 0 for end in ends[:-1]) or sorted(set(ends[:-1])) != ends[:-1]:
            raise BadInputError(f"tariff {self.id}: block ends {ends} must rise")


@dataclass(frozen=True, slots=True)
class Party:
    """Someone with rights and duties: a household, a business, the community."""

    id: PartyId
    name: str
    kind: UsageKind


@dataclass(frozen=True, slots=True)
class UsagePoint:
    """A connection to the network with all that stands behind it."""

    id: UsagePointId
    bus: int
    party: PartyId
    kind: UsageKind
    tariff: TariffId
    connection_kw: float
    critical: bool = False

    def __post_init__(self) -> None:
        _within(f"usage point {self.id}", "connection_kw", self.connection_kw, 0.1, 100_000.0)


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter: what it measures and how it is read.

    `url` is ``modbus://HOST:PORT/UNIT`` or ``dlms://HOST:PORT/SERVER``; empty at
    a simulated field, which tells its addresses in ``field.json``. `auth` is
    ``none`` or ``lls``; the secret itself is in the store, never here.
    """

    id: MeterId
    protocol: Protocol
    profile: str
    usage_point: UsagePointId | None = None
    role: MeterRole = MeterRole.CONNECTION
    auth: str = "none"
    url: str = ""
    register_digits: int = 9

    def __post_init__(self) -> None:
        if (self.role is MeterRole.FEEDER_HEAD) != (self.usage_point is None):
            raise BadInputError(
                f"meter {self.id}: a connection meter has a usage_point, a feeder head has none"
            )
        if self.auth not in ("none", "lls"):
            raise BadInputError(f"meter {self.id}: auth is {self.auth!r}, must be 'none' or 'lls'")
        _within(f"meter {self.id}", "register_digits", self.register_digits, 4, 15)


@dataclass(frozen=True, slots=True)
class Battery:
    """A battery with its controller. `wear` is charged per Wh discharged."""

    id: AssetId
    usage_point: UsagePointId
    power_kw: float
    energy_kwh: float
    charge_efficiency: float = 0.95
    discharge_efficiency: float = 0.95
    min_energy_kwh: float = 0.0
    initial_energy_kwh: float = 0.0
    wear: Price = Price(0)
    forming: bool = False
    url: str = ""

    def __post_init__(self) -> None:
        subject = f"battery {self.id}"
        _within(subject, "power_kw", self.power_kw, 0.001, 1e6)
        _within(subject, "energy_kwh", self.energy_kwh, 0.001, 1e7)
        _within(subject, "charge_efficiency", self.charge_efficiency, 0.5, 1.0)
        _within(subject, "discharge_efficiency", self.discharge_efficiency, 0.5, 1.0)
        _within(subject, "min_energy_kwh", self.min_energy_kwh, 0.0, self.energy_kwh)
        _within(subject, "initial_energy_kwh", self.initial_energy_kwh, 0.0, self.energy_kwh)


@dataclass(frozen=True, slots=True)
class Solar:
    """A photovoltaic plant whose output can be limited."""

    id: AssetId
    usage_point: UsagePointId
    power_kw: float
    url: str = ""

    def __post_init__(self) -> None:
        _within(f"solar {self.id}", "power_kw", self.power_kw, 0.001, 1e6)


@dataclass(frozen=True, slots=True)
class Wind:
    """A wind turbine whose output can be limited; `profile` names its simulated wind."""

    id: AssetId
    usage_point: UsagePointId
    power_kw: float
    profile: str = ""
    url: str = ""

    def __post_init__(self) -> None:
        _within(f"wind {self.id}", "power_kw", self.power_kw, 0.001, 1e6)


@dataclass(frozen=True, slots=True)
class Genset:
    """A diesel genset: `fuel` per Wh produced, `no_load` per hour running.

    With `island_required` it runs whenever the public network is away: fuses and
    breakers need the short-circuit current that inverters cannot give.
    """

    id: AssetId
    usage_point: UsagePointId
    power_kw: float
    min_power_kw: float
    fuel: Price
    no_load_per_hour: Amount
    start: Amount
    min_up_intervals: int = 1
    min_down_intervals: int = 1
    island_required: bool = False
    url: str = ""

    def __post_init__(self) -> None:
        subject = f"genset {self.id}"
        _within(subject, "power_kw", self.power_kw, 0.001, 1e6)
        _within(subject, "min_power_kw", self.min_power_kw, 0.0, self.power_kw)
        _within(subject, "min_up_intervals", self.min_up_intervals, 1, 96)
        _within(subject, "min_down_intervals", self.min_down_intervals, 1, 96)


@dataclass(frozen=True, slots=True)
class Shedding:
    """Load that may be limited as a last resort, at `penalty` per Wh not served."""

    id: AssetId
    usage_points: tuple[UsagePointId, ...]
    penalty: Price
    url: str = ""


@dataclass(frozen=True, slots=True)
class GridPrice:
    """The community's energy prices from a civil time of day (``HH:MM``) on."""

    from_time: str
    buy: Price
    sell: Price


@dataclass(frozen=True, slots=True)
class GridConnection:
    """The connection to the public network at the feeder head."""

    id: AssetId
    import_limit_kw: float
    export_limit_kw: float
    price: tuple[GridPrice, ...]

    def __post_init__(self) -> None:
        _within(f"grid {self.id}", "import_limit_kw", self.import_limit_kw, 0.0, 1e6)
        _within(f"grid {self.id}", "export_limit_kw", self.export_limit_kw, 0.0, 1e6)
        times = [step.from_time for step in self.price]
        if not times or times[0] != "00:00" or sorted(set(times)) != times:
            raise BadInputError(f"grid {self.id}: price times {times} must rise from 00:00")


@dataclass(frozen=True, slots=True)
class Outage:
    """An announced loss of the public network, ``[start_s, end_s)``."""

    start_s: int
    end_s: int

    def __post_init__(self) -> None:
        if self.end_s <= self.start_s:
            raise BadInputError("outage: end must be after start")


Plant: TypeAlias = Solar | Wind
Asset: TypeAlias = Battery | Solar | Wind | Genset | Shedding


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
    outage: tuple[Outage, ...] = ()

    @property
    def assets(self) -> tuple[Asset, ...]:
        """Every controllable device, in the order of the site file."""
        return (*self.battery, *self.solar, *self.wind, *self.genset, *self.shedding)

    @property
    def plants(self) -> tuple[Plant, ...]:
        """Every plant whose output the weather gives."""
        return (*self.solar, *self.wind)
