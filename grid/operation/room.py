"""What the stages of a cycle share: the site, its store, its field, its feeder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid import interval
from grid.operation.field.link import Link
from grid.operation.gasp_door import GaspDoor
from grid.operation.signer import Signer
from grid.operation.solver import Solver
from grid.site import MeterRole, Shedding, Site
from grid.store import Store
from meters.dlms.counters import FileCounterStore
from meters.dlms.static_answers import StaticAnswers
from meters.patience import Patience
from networks.model import NetworkModel
from trading.ledger.policy import Policy

COUNTERS = "counters"
logger = logging.getLogger("khazri.operation")

Ints = npt.NDArray[np.int64]


@dataclass
class Room:
    """The control room of one site.

    Attributes
    ----------
    memory : dict
        What can be computed again from the store: trained forecasts, like-day
        means. Never the only place of a fact.
    revive_field : callable
        Starts a simulated field again when it has died, and links to it.
    door : GaspDoor or None
        Hears what meters say when they lose their supply; None where nobody listens.
    policy : Policy or None
        Witnesses of the ledger; None where it is unwitnessed.
    watchdog_s : int
        A stage that takes longer ends the process; 0 for never.
    """

    directory: Path
    site: Site
    store: Store
    link: Link
    first_cycle_s: int
    memory: dict[str, Any] = field(default_factory=dict)
    revive_field: Callable[[], None] = lambda: None
    door: GaspDoor | None = None
    policy: Policy | None = None
    watchdog_s: int = 0

    @cached_property
    def model(self) -> NetworkModel:
        """The feeder, loaded once."""
        from networks.sources.source import load

        network = self.site.network
        return load(
            network.source,
            source_voltage_pu=network.source_voltage_pu,
            base_dir=self.directory,
        )

    @cached_property
    def counters(self) -> FileCounterStore:
        """How far the invocation counters of the meters' keys have come, on disk."""
        return FileCounterStore(self.directory / COUNTERS)

    @cached_property
    def patience(self) -> Patience:
        """Which meters were silent when they were last asked."""
        return Patience()

    @cached_property
    def static_answers(self) -> StaticAnswers:
        """What DLMS meters answered to questions whose answer does not change."""
        return StaticAnswers()

    @cached_property
    def points(self) -> list[str]:
        """Usage points in the order of the site."""
        return [str(point.id) for point in self.site.usage_point]

    @cached_property
    def row(self) -> dict[str, int]:
        """Position of each usage point."""
        return {point: number for number, point in enumerate(self.points)}

    @cached_property
    def position(self) -> npt.NDArray[np.intp]:
        """Position of each usage point's bus in the network model."""
        return np.array([self.model.position(point.bus) for point in self.site.usage_point])

    @cached_property
    def solver(self) -> Solver:
        """The process that plans."""
        return Solver()

    @cached_property
    def signer(self) -> Signer:
        """The process that signs checkpoints."""
        return Signer(self.directory)

    @cached_property
    def point_of(self) -> dict[str, str]:
        """Usage point of each device that has one."""
        return {
            str(asset.id): str(asset.usage_point)
            for asset in self.site.assets
            if not isinstance(asset, Shedding)
        }

    @cached_property
    def head(self) -> str:
        """The feeder-head meter."""
        return next(m.id for m in self.site.meter if m.role is MeterRole.FEEDER_HEAD)

    @cached_property
    def forming_bus(self) -> int | None:
        """Bus of the battery that forms an island."""
        bus = {point.id: point.bus for point in self.site.usage_point}
        return next((bus[b.usage_point] for b in self.site.battery if b.forming), None)

    def grid_available(self, starts_s: Ints) -> npt.NDArray[np.bool_]:
        """Return whether the public network is there in each interval."""
        available = np.ones(len(starts_s), np.bool_)
        for outage in self.site.outage:
            available &= ~((starts_s >= outage.start_s) & (starts_s < outage.end_s))
        return available

    def by_bus(self, per_point: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return (interval, bus) sums of (usage point, interval) values."""
        total = np.zeros((per_point.shape[1], len(self.model.bus)))
        np.add.at(total.T, self.position, per_point)
        return total

    def flow(self, series: xr.Dataset) -> xr.Dataset:
        """Return the network state of intervals in which every usage point is known.

        Parameters
        ----------
        series : xarray.Dataset
            Dims (usage_point, interval), the four registers, usage points in
            the order of the site.
        """
        from networks.flow.solve import flow

        starts = series["interval"].values
        kilo = 3.6 / self.site.interval_s
        names = ("import_wh", "export_wh", "import_varh", "export_varh")
        inputs = [self.by_bus(series[name].values * kilo) for name in names]
        return flow(
            self.model,
            *inputs,
            starts=starts,
            grid_available=self.grid_available(starts.astype(np.int64)),
            forming_bus=self.forming_bus,
        )

    def log(self, at_s: int, stage: str, **facts: object) -> None:
        """Write one line of the log, with the cycle it belongs to."""
        text = " ".join(f"{key}={value}" for key, value in facts.items())
        logger.info("cycle=%s stage=%s %s", interval.label(at_s), stage, text)
