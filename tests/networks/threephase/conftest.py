"""European LV feeders with their faults mended, and small nets of every vector group."""

import warnings
from copy import deepcopy

import numpy as np
import pytest

from networks.threephase.compile import compile_net

SCENARIOS = ("off_peak_1", "on_peak_566", "off_peak_1440")
SEQUENCE_DATA = {
    "vk0_percent": 3.8, "vkr0_percent": 1.2, "mag0_percent": 900.0, "mag0_rx": 0.1,
    "si0_hv_partial": 0.6,
}  # fmt: skip


@pytest.fixture(scope="session")
def compiled():
    """Return a function (net, voltage) -> compiled model; the net is left as it is."""

    def make(net, voltage_pu, assume=False):
        return compile_net(
            deepcopy(net), source="test:net", source_voltage_pu=voltage_pu, base_dir=None,
            assume_zero_sequence=assume,
        )  # fmt: skip

    return make


@pytest.fixture(scope="session")
def european():
    """Return a function (scenario) -> pandapower net of the IEEE European LV feeder.

    As shipped, reactive power of phases b and c is a thousandth of what it should
    be at minute 566, and the zero-sequence magnetising impedance of the
    transformer is a single short-circuit impedance. The source voltage is
    shipped in single precision, and ``runpp_3ph`` stops at 3e-8 of the base, which
    is shipped as 100 MVA.
    """
    import pandapower.networks

    made = {}

    def get(scenario):
        if scenario not in made:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                net = pandapower.networks.ieee_european_lv_asymmetric(scenario)
            if scenario == "on_peak_566":
                net.asymmetric_load[["q_b_mvar", "q_c_mvar"]] *= 1e3
            net.trafo["mag0_percent"] = 1e8
            net.ext_grid["vm_pu"] = 1.05
            net.sn_mva = 1e-3
            made[scenario] = net
        return deepcopy(made[scenario])

    return get


@pytest.fixture(scope="session")
def small_net():
    """Return a function (vector group, shift) -> five-bus net with an open line switch."""
    import pandapower as pp

    def make(group="Dyn", shift=150.0, vn_hv_kv=20.0):
        net = pp.create_empty_network(sn_mva=1.0)
        head = pp.create_bus(net, 20.0, name="head")
        buses = [pp.create_bus(net, 0.4, name=f"bus {n}") for n in range(1, 6)]
        pp.create_ext_grid(
            net, head, vm_pu=1.02, s_sc_max_mva=120.0, rx_max=0.3, r0x0_max=0.2, x0x_max=1.7
        )
        pp.create_transformer_from_parameters(
            net, head, buses[0], sn_mva=0.25, vn_hv_kv=vn_hv_kv, vn_lv_kv=0.41, vk_percent=4.0,
            vkr_percent=1.4, pfe_kw=0.46, i0_percent=0.3, shift_degree=shift, tap_side="hv",
            tap_pos=-1, tap_neutral=0, tap_step_percent=2.5, tap_changer_type="Ratio",
            vector_group=group, **SEQUENCE_DATA,
        )  # fmt: skip
        for first, last, length_km in ((0, 1, 0.25), (1, 2, 0.2), (1, 3, 0.3), (3, 4, 0.1)):
            pp.create_line_from_parameters(
                net, buses[first], buses[last], length_km, r_ohm_per_km=0.32, x_ohm_per_km=0.08,
                c_nf_per_km=700.0, max_i_ka=0.2, r0_ohm_per_km=1.1, x0_ohm_per_km=0.31,
                c0_nf_per_km=400.0,
            )  # fmt: skip
        pp.create_switch(net, buses[3], 3, et="l", closed=False)
        return net

    return make


@pytest.fixture(scope="session")
def draw_load():
    """Return a function (net, seed, kw) that gives every bus an asymmetric load, wye or delta."""
    import pandapower as pp

    def add(net, seed=3, kw=6.0, kinds=("wye",)):
        rng = np.random.default_rng(seed)
        for bus in net.bus.index:
            for kind in kinds:
                p, q = rng.random(3) * kw * 1e-3, rng.random(3) * kw * 4e-4 - 5e-4
                pp.create_asymmetric_load(
                    net, bus, p_a_mw=p[0], p_b_mw=p[1], p_c_mw=p[2] - 0.5e-3 * kw, q_a_mvar=q[0],
                    q_b_mvar=q[1], q_c_mvar=q[2], type=kind,
                )  # fmt: skip
        return net

    return add
