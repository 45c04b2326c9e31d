"""What is to be connected, and the series that it is judged in where there is no year of one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from grid.errors import BadInputError
from networks.injection import INPUTS
from networks.model import Float, NetworkModel

DIRECTIONS = ("plant", "load")


@dataclass(frozen=True, eq=False)
class Addition:
    """What is to be connected.

    Attributes
    ----------
    direction : str
        ``plant`` or ``load``.
    power_factor : float
        Of active to apparent power, 0.5 to 1.
    gives_reactive : bool
        Whether the reactive power goes into the network; it is taken from it else.
    profile : float64 (interval,), optional
        Of its size, what is given or taken in each interval, 0 to 1. When not given, a plant
        follows the sum of the plants that are there (:func:`coincident`), and a load is always
        there in full.
    """

    direction: str = "plant"
    power_factor: float = 1.0
    gives_reactive: bool = False
    profile: Float | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS:
            raise BadInputError(f"direction {self.direction!r} is none of {', '.join(DIRECTIONS)}")
        if not 0.5 <= self.power_factor <= 1.0:
            raise BadInputError(f"power_factor is {self.power_factor}, must be within 0.5 to 1")

    @property
    def per_kw(self) -> complex:
        """KW and kvar into the network for a kW of size."""
        kvar = math.tan(math.acos(self.power_factor))
        return complex(
            1.0 if self.direction == "plant" else -1.0, kvar if self.gives_reactive else -kvar
        )

    def profile_of(self, inputs: xr.Dataset) -> Float:
        """Return the profile over a series."""
        if self.profile is not None:
            return np.asarray(self.profile, dtype=np.float64)
        if self.direction == "load":
            return np.ones(inputs.sizes["interval"])
        return coincident(inputs)


def coincident(inputs: xr.Dataset, share: float = 1.0) -> Float:
    """Return the profile of a plant that peaks when all plants together do.

    Parameters
    ----------
    inputs : xarray.Dataset
        With ``injected_kw`` (interval, bus). Where nothing injects, a plant is always there in
        full, the worst that can be.
    share : float
        Of its rating, what it gives at the peak of all plants.
    """
    if not 0.0 < share <= 1.0:
        raise BadInputError(
            f"the share of the rating at the peak is {share}, must be within 0 to 1"
        )
    total = np.asarray(inputs["injected_kw"].sum("bus").to_numpy(), dtype=np.float64)
    highest = float(total.max(initial=0.0))
    if not highest > 0.0:
        return np.full(len(total), share)
    return np.asarray(total / highest * share, dtype=np.float64)


def rated_inputs(model: NetworkModel) -> xr.Dataset:
    """Return three intervals for a network without a year of series.

    Its rated loads with its rated plants, its plants alone, its loads alone: what is added is
    worst with the plants alone, or with the loads alone.
    """
    equipment = model.equipment
    rated = {name: getattr(equipment, f"nominal_{name}") for name in INPUTS}
    factor = {"absorbed": np.array([1.0, 0.0, 1.0]), "injected": np.array([1.0, 1.0, 0.0])}
    return xr.Dataset(
        {
            name: (("interval", "bus"), factor[name.split("_")[0]][:, None] * rated[name])
            for name in INPUTS
        },
        {"interval": np.arange(3).astype("datetime64[s]"), "bus": model.bus},
    )
