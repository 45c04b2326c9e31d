"""What the product says of a feeder, and whether another engine says the same."""

from __future__ import annotations

from functools import cache

import numpy as np
import xarray as xr

from networks.flow.solve import flow
from networks.sources.compile import compile_net
from networks.sources.source import read_net
from networks.topology import connect
from tests.networks.engines.physical import Answer

REACH_PU = 1e-6
"""Of complex voltage."""
REACH_POWER = 2e-6
"""Of the feeder's apparent power at its head."""
FEEDS = {
    "nominal": {},
    "light": {"load": 0.3, "plant": 0.0},
    "heavy": {"load": 1.5, "plant": 0.0},
    "reverse": {"load": 0.2, "roof": 2.0},
}
"""Arguments of :meth:`tests.networks.engines.physical.Feeder.fed`."""


@cache
def case(source):
    """Return (pandapower net, our network) of a source; the net is nobody's to change."""
    net = read_net(source)
    return net, connect(compile_net(net, source=source, base_dir=None))


def inputs(model, feeds=FEEDS):
    """Return the four inputs (feed, bus) of the product's power flow."""
    nominal = model.equipment

    def rows(one):
        return np.array(
            [one(**{"load": 1.0, "plant": 1.0, "roof": 0.0, **f}) for f in feeds.values()]
        )

    made = {
        "absorbed_kw": rows(lambda load, plant, roof: load * nominal.nominal_absorbed_kw),
        "injected_kw": rows(
            lambda load, plant, roof: (
                plant * nominal.nominal_injected_kw + roof * nominal.nominal_absorbed_kw
            )
        ),
        "absorbed_kvar": rows(lambda load, plant, roof: load * nominal.nominal_absorbed_kvar),
        "injected_kvar": rows(lambda load, plant, roof: plant * nominal.nominal_injected_kvar),
    }
    starts = np.arange(len(feeds)).astype("datetime64[s]")
    return xr.Dataset(
        {name: (("interval", "bus"), values) for name, values in made.items()},
        {"interval": starts, "bus": model.bus},
    )


def answers(model, feeds=FEEDS, *, forming_bus=None):
    """Return what the product says at each feed, all of them solved at once.

    Parameters
    ----------
    forming_bus : int, optional
        Bus of the source that forms an island; the public network is there when not given.
    """
    series = inputs(model, feeds)
    state = flow(
        model,
        *(values.to_numpy() for values in series.data_vars.values()),
        starts=series["interval"].to_numpy(),
        grid_available=np.full(len(feeds), forming_bus is None),
        forming_bus=forming_bus,
    )
    if forming_bus is None:
        given, taken = "head_import", "head_export"
    else:
        given, taken = "forming_injected", "forming_absorbed"
    return {
        name: Answer(
            bus=tuple(model.bus.tolist()),
            vm_pu=one["vm_pu"].to_numpy(),
            va_degree=one["va_degree"].to_numpy(),
            losses_kw=float(one["losses_kw"]),
            head_kw=float(one[f"{given}_kw"] - one[f"{taken}_kw"]),
            head_kvar=float(one[f"{given}_kvar"] - one[f"{taken}_kvar"]),
        )
        for name, one in ((name, state.isel(interval=row)) for row, name in enumerate(feeds))
    }


def assert_agree(ours, theirs):
    """Raise an AssertionError that names the bus or the power where two answers part."""
    assert ours.bus == theirs.bus
    parted = np.isnan(ours.vm_pu) != np.isnan(theirs.vm_pu)
    assert not parted.any(), f"bus {ours.bus[parted.argmax()]} is dead for one of them"
    gap = np.nan_to_num(voltage_gap(ours, theirs))
    at = int(gap.argmax())
    assert gap[at] <= REACH_PU, (
        f"bus {ours.bus[at]}: {ours.vm_pu[at]:.9f} pu {ours.va_degree[at]:.7f} degree against "
        f"{theirs.vm_pu[at]:.9f} pu {theirs.va_degree[at]:.7f} degree"
    )
    head_kva = np.hypot(theirs.head_kw, theirs.head_kvar)
    for name in ("losses_kw", "head_kw", "head_kvar"):
        ours_is, theirs_is = getattr(ours, name), getattr(theirs, name)
        assert abs(ours_is - theirs_is) <= REACH_POWER * head_kva, (
            f"{name}: {ours_is:.6f} against {theirs_is:.6f}"
        )


def voltage_gap(ours, theirs):
    """Return the size of the difference of complex voltage at each bus, pu."""
    one, other = (
        answer.vm_pu * np.exp(1j * np.radians(answer.va_degree)) for answer in (ours, theirs)
    )
    return np.abs(one - other)
