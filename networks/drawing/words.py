"""The words in a picture, so that whoever shows it can say them in another language."""

from __future__ import annotations

from dataclasses import dataclass

ENGLISH_MONTHS = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Words:
    """Every word that a picture of a network may hold."""

    one_line: str = "One-line diagram of the feeder"
    map: str = "Map of the feeder"
    public_grid: str = "Public grid"
    forming: str = "Forming source"
    gives: str = "gives"
    takes: str = "takes"
    feeder: str = "feeder"
    lowest: str = "lowest"
    highest: str = "highest"
    tap: str = "tap"
    open: str = "open"
    out: str = "out of service"
    without_voltage: str = "without voltage"
    buses: str = "buses"
    estimated: str = "estimated"
    voltage: str = "Voltage"
    loading: str = "Loading"
    no_usage_point: str = "no usage point"
    north: str = "N"
    beside: str = "drawn beside their place"


@dataclass(frozen=True, slots=True)
class HeatWords:
    """Every word that a heat map may hold."""

    months: tuple[str, ...] = ENGLISH_MONTHS
    lowest: str = "lowest"
    highest: str = "highest"
    below: str = "below"
    above: str = "above"
    missing: str = "missing"
    utc: str = "Times are UTC: clocks are never changed."
    civil: str = "Civil time in {zone}."
    changes: str = (
        "Clocks are changed: the hour left out is blank, of the hour that comes twice the worse "
        "is shown."
    )


@dataclass(frozen=True, slots=True)
class HostingWords:
    """Every word that a picture of hosting capacities may hold."""

    title: str = "Hosting capacity"
    least: str = "least"
    most: str = "most"
    unknown: str = "not known"
