"""Networks switched and fed in every way that certificates and slopes must stand."""

from copy import deepcopy

import pandapower as pp
import pytest

from networks.sources.compile import compile_net
from networks.sources.source import load, read_net
from networks.topology import connect

CIGRE = "pandapower:create_cigre_network_mv"
MV = "simbench:1-MV-rural--0-sw"


@pytest.fixture(scope="session")
def cigre():
    return load(CIGRE)


@pytest.fixture(scope="session")
def mv():
    return load(MV)


@pytest.fixture(scope="session")
def two_sources():
    """CIGRE MV with a second source of another voltage at its far end."""
    net = read_net(CIGRE)
    pp.create_ext_grid(net, 11, vm_pu=0.98, va_degree=-30.5)
    model = connect(compile_net(deepcopy(net), source="two sources", base_dir=None))
    model.equipment.kept["net"] = net
    return model


@pytest.fixture(scope="session")
def open_ended(mv):
    """MV rural with a cable open at its far end, its transformers tapped, a line out."""
    switch, line = mv.equipment.switch, mv.line
    row = {int(index): number for number, index in enumerate(line.index)}
    far = next(
        int(switch.index[k])
        for k in range(20, len(switch))
        if switch.kind[k] == 1
        and mv.switching.closed[k]
        and line.to_bus[row[int(switch.element[k])]] == switch.bus[k]
    )
    return mv.switched(opened=[far], out=[("line", int(line.index[40]))], taps={0: -1, 1: 1})
