"""How a site is run: its feeder model and limits, its field, its cycles, its market."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import PurePosixPath

from grid.site_facts import FREE, Price, outside, refuse
from grid.site_zones import Zone, stand_twice

SEED_MAX = 2**63 - 1


class RegulationProfile(StrEnum):
    """Which law of trading holds at the site; what it says is in ``trading/regulations``."""

    AZERBAIJAN = "azerbaijan"
    AZERBAIJAN_SANDBOX = "azerbaijan_sandbox"
    EU_SHARING = "eu_sharing"
    AUSTRIA = "austria"
    LAWFUL = AZERBAIJAN
    SANDBOX = AZERBAIJAN_SANDBOX

    @classmethod
    def _missing_(cls, value: object) -> RegulationProfile | None:
        """Return the profile of a name from before there were other countries."""
        return {"lawful": cls.AZERBAIJAN, "sandbox": cls.AZERBAIJAN_SANDBOX}.get(str(value))


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """Another profile from the civil day `valid_from` of the site on."""

    valid_from: date
    profile: RegulationProfile


@dataclass(frozen=True, slots=True)
class Network:
    """Where the feeder model comes from and the limits it must keep."""

    source: str
    source_voltage_pu: float = 1.0
    voltage_min_pu: float = 0.90
    voltage_max_pu: float = 1.10
    loading_max_percent: float = 100.0

    def __post_init__(self) -> None:
        faults = outside(
            self,
            "[network]",
            source_voltage_pu=(0.8, 1.2),
            voltage_min_pu=(0.5, 1.0),
            voltage_max_pu=(1.0, 1.5),
            loading_max_percent=(1.0, 300.0),
        )
        refuse(faults)


@dataclass(frozen=True, slots=True)
class Location:
    """Where on earth the site is: north and east count up."""

    latitude_degree: float
    longitude_degree: float
    altitude_m: float = 0.0

    def __post_init__(self) -> None:
        faults = outside(
            self,
            "[location]",
            latitude_degree=(-90.0, 90.0),
            longitude_degree=(-180.0, 180.0),
            altitude_m=(-500.0, 9000.0),
        )
        refuse(faults)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What forecasts are made from besides the site's own past.

    `weather` is a file of weather forecasts in the site's folder; nothing is forecast by one
    that was issued more than `stale_after_hours` ago.
    """

    weather: str = ""
    stale_after_hours: float = 12.0

    def __post_init__(self) -> None:
        faults = outside(self, "[forecast]", stale_after_hours=(0.25, 240.0))
        path = PurePosixPath(self.weather)
        if path.is_absolute() or ".." in path.parts:
            message = f"[forecast]: weather is {self.weather!r}, must be within the site's folder"
            faults.append(("weather", message))
        refuse(faults)


BY_PAST = Forecast()


@dataclass(frozen=True, slots=True)
class Ledger:
    """Who must have seen the ledger before anything in it is final.

    `policy` is a C2SP tlog-policy file in the site's folder: witnesses with their URLs, and
    the quorum; empty where nobody is asked.
    """

    policy: str = ""

    def __post_init__(self) -> None:
        path = PurePosixPath(self.policy)
        if path.is_absolute() or ".." in path.parts:
            message = f"[ledger]: policy is {self.policy!r}, must be within the site's folder"
            refuse([("policy", message)])


UNWITNESSED = Ledger()


@dataclass(frozen=True, slots=True)
class Field:
    """The devices: ``simulated`` on loopback sockets, or ``real`` at their URLs."""

    kind: str = "real"
    seed: int = 1
    profile_offset_days: int = 0

    def __post_init__(self) -> None:
        faults = outside(self, "[field]", seed=(0, SEED_MAX), profile_offset_days=(-(10**6), 10**6))
        if self.kind not in ("simulated", "real"):
            message = f"[field]: kind is {self.kind!r}, must be 'simulated' or 'real'"
            faults.append(("kind", message))
        refuse(faults)


@dataclass(frozen=True, slots=True)
class Operation:
    """How the control room runs its cycles.

    Attributes
    ----------
    critical_reserve_percent : float
        Of the load: headroom that an island keeps.
    survive_h : float
        For so long the forming batteries are to carry the load of critical and medical usage
        points alone, whenever the public network is lost; 0 where nothing is kept for that.
    """

    horizon_intervals: int = 96
    history_days: int = 28
    estimate_after_intervals: int = 2
    final_after_intervals: int = 32
    solver_gap: float = 0.001
    solver_nodes: int = 2000
    solver_deadline_s: float = 60.0
    read_timeout_s: float = 5.0
    critical_reserve_percent: float = 20.0
    survive_h: float = 0.0

    def __post_init__(self) -> None:
        faults = outside(
            self,
            "[operation]",
            horizon_intervals=(4, 672),
            history_days=(8, 400),
            estimate_after_intervals=(1, 96),
            final_after_intervals=(3, 9600),
            solver_gap=(0.0, 0.1),
            solver_nodes=(1, 10**7),
            solver_deadline_s=(1.0, 3600.0),
            read_timeout_s=(0.1, 600.0),
            critical_reserve_percent=(0, 100),
            survive_h=(0.0, 48.0),
        )
        refuse(faults)


@dataclass(frozen=True, slots=True)
class Orders:
    """Limits of what is ordered of meters.

    Attributes
    ----------
    per_hour : int
        Most disconnections carried out within an hour, and most keys replaced: a console in
        the wrong hands must not black out a town.
    expiry_hours : float
        An order that was not carried out by then never is.
    """

    per_hour: int = 10
    expiry_hours: float = 24.0

    def __post_init__(self) -> None:
        refuse(outside(self, "[orders]", per_hour=(1, 1000), expiry_hours=(0.25, 168.0)))


CAUTIOUS = Orders()


@dataclass(frozen=True, slots=True)
class Settlement:
    """Deadlines of settlement and billing, in days.

    Attributes
    ----------
    late_until_days : int
        For so long readings of a final interval that change are settled, against the pool.
    invoice_after_days : int
        After the end of a month its invoices are made, when every interval of it is final.
    dispute_until_days : int
        For so long a line of an invoice can be disputed.
    retention_days : int
        After somebody's last agreement and last invoice they can be erased; not before.
    """

    late_until_days: int = 60
    invoice_after_days: int = 3
    dispute_until_days: int = 30
    retention_days: int = 3650

    def __post_init__(self) -> None:
        faults = outside(
            self,
            "[settlement]",
            late_until_days=(0, 400),
            invoice_after_days=(0, 60),
            dispute_until_days=(1, 400),
            retention_days=(1, 36_500),
        )
        refuse(faults)


IN_TIME = Settlement()


@dataclass(frozen=True, slots=True)
class Market:
    """The local market and the prices around it.

    Attributes
    ----------
    mechanism : str
        A name of ``trading.mechanisms.REGISTRY``.
    profile : RegulationProfile
        The first; later ones are in `change`.
    feed_in : Price
        Paid to a prosumer for energy exported outside a trade.
    shortfall : Price
        Charged for energy sold in a trade and not delivered.
    surplus : Price
        Paid for energy bought in a trade and not consumed.
    grid_fee : Price
        Charged to the buyer of each traded Wh, less what the law takes off by locality.
    battery_use_fee : Price
        Paid to a battery's owner for each Wh discharged on instruction.
    minimum_group : int
        Aggregates over fewer parties are not published.
    shared_price : Price
        What members agreed to pay for energy that is shared by a key.
    reference_price : Price
        The retail price that rules for shared energy reckon with.
    guaranteed : bool
        Whoever lost by trading is topped up to what they would have paid without.
    change : tuple of ProfileChange
        In the order of their days.
    zone : tuple of Zone
    loss_fees : bool
        Buyers pay what their trade adds to the losses of the network.
    """

    mechanism: str
    profile: RegulationProfile
    feed_in: Price
    shortfall: Price
    surplus: Price
    grid_fee: Price
    battery_use_fee: Price
    minimum_group: int = 5
    shared_price: Price = FREE
    reference_price: Price = FREE
    guaranteed: bool = False
    change: tuple[ProfileChange, ...] = ()
    zone: tuple[Zone, ...] = ()
    loss_fees: bool = False

    def __post_init__(self) -> None:
        faults = outside(self, "[market]", minimum_group=(1, 10**6))
        faults += stand_twice(self.zone)
        days = [change.valid_from for change in self.change]
        if sorted(set(days)) != days:
            told = ", ".join(map(str, days))
            faults.append(("change", f"[market]: the days {told} of its changes must rise"))
        refuse(faults)

    def profile_on(self, day: date) -> RegulationProfile:
        """Return the profile in force on a civil day of the site."""
        changed = [change.profile for change in self.change if change.valid_from <= day]
        return changed[-1] if changed else self.profile
