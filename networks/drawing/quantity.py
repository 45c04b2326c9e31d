"""What a heat map can show of a year, with unit and limits."""

from __future__ import annotations

from dataclasses import dataclass, replace

from grid.site import Network


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a heat map shows.

    Attributes
    ----------
    column : str
        In the dataset of :func:`networks.flow.year.year`.
    unit : str
    digits : int
    worse_is_low : bool
    low, high : float, optional
        Limits.
    """

    column: str
    name: str
    unit: str
    digits: int
    worse_is_low: bool = False
    low: float | None = None
    high: float | None = None

    def text(self, value: float) -> str:
        """Return a value with its unit."""
        return f"{value:,.{self.digits}f} {self.unit}".replace(",", "\u202f")


QUANTITIES = {
    one.column: one
    for one in (
        Quantity("vm_pu_lowest", "Lowest voltage", "pu", 4, worse_is_low=True),
        Quantity("vm_pu_highest", "Highest voltage", "pu", 4),
        Quantity("line_loading_percent_highest", "Highest loading of a line", "%", 1),
        Quantity("trafo_loading_percent_highest", "Highest loading of a transformer", "%", 1),
        Quantity("losses_kw", "Losses", "kW", 2),
        Quantity("head_import_kw", "Import at the feeder head", "kW", 1),
        Quantity("head_export_kw", "Export at the feeder head", "kW", 1),
    )
}
"""What can be shown of a year, by its column."""


def quantity(column: str, limits: Network, name: str = "") -> Quantity:
    """Return a quantity with its limits, and with a name of one's own where one is given."""
    made = QUANTITIES[column]
    if column == "vm_pu_lowest":
        made = replace(made, low=limits.voltage_min_pu)
    elif column == "vm_pu_highest":
        made = replace(made, high=limits.voltage_max_pu)
    elif "loading" in column:
        made = replace(made, high=limits.loading_max_percent)
    return replace(made, name=name or made.name)
