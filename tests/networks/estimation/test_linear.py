"""Derivatives against finite differences, and the adjoint against the derivatives."""

from dataclasses import replace

import numpy as np
import pytest

from networks.estimation.linear import gradient, jacobian, view_of
from networks.estimation.solve import _flow
from networks.sources.source import load


@pytest.fixture(scope="module", params=["rural", "pandapower:create_cigre_network_mv"])
def view(request, rural):
    """A feeder with a phase-shifting transformer: its admittances are not symmetric."""
    return view_of(rural if request.param == "rural" else load(request.param))


@pytest.fixture(scope="module")
def point(view):
    draw = np.random.default_rng(3)
    count, size = len(view.model.node_kv), 5e-3 if view.model.node_kv.min() < 1 else 1.0
    power = -(draw.random(count) + 0.4j * draw.random(count)) * size
    return power[:, None] / view.model.base_mva, 1.02


def _seen(view, power, source):
    voltage = _flow(view, power, np.array([source]), None)
    held = view.op.held
    head = voltage[held[0]] * (view.head_row @ voltage).conj() - power[held].sum(axis=0)
    return np.concatenate([np.abs(voltage[:, 0]), head.real, head.imag])


def test_the_derivative_is_the_slope_of_the_power_flow(view, point):
    power, source = point
    voltage = _flow(view, power, np.array([source]), None)
    nodes = np.arange(len(power))
    given = jacobian(view, voltage[:, 0], power[:, 0], nodes)
    derivative = np.concatenate([given.vm, given.head])
    step = 1e-6
    for column in (0, 3, len(nodes) - 1, len(nodes) + 3, 2 * len(nodes)):
        up, down = power.copy(), power.copy()
        high = low = source
        if column == 2 * len(nodes):
            high, low = source + step, source - step
        else:
            turn = 1.0 if column < len(nodes) else 1.0j
            up[column % len(nodes)] += turn * step
            down[column % len(nodes)] -= turn * step
        slope = (_seen(view, up, high) - _seen(view, down, low)) / (2 * step)
        assert slope == pytest.approx(derivative[:, column], rel=1e-6, abs=1e-7), column


@pytest.mark.parametrize("compiled", [False, True])
def test_the_gradient_is_the_transposed_derivative(view, point, compiled):
    power, source = point
    voltage = _flow(view, power, np.array([source]), None)
    given = jacobian(view, voltage[:, 0], power[:, 0], np.arange(len(power)))
    draw = np.random.default_rng(4)
    weight, head = draw.standard_normal(len(power)), draw.standard_normal(2)
    by_node = {node: np.array([share]) for node, share in enumerate(weight.tolist())}
    injection, by_source = gradient(
        replace(view, compiled=compiled),
        voltage,
        power,
        by_node,
        np.array([head[0] + 1j * head[1]]),
    )
    expected = weight @ given.vm + head @ given.head
    found = np.concatenate([injection[:, 0].real, injection[:, 0].imag, by_source])
    assert found == pytest.approx(expected, rel=1e-8, abs=1e-8)
