"""A feeder that can be calculated by hand, and two networks of others."""

import pandapower as pp
import pytest

from networks.sources.source import read_net


def build_feeder(lengths_km=(0.1, 0.9), vector_group="Dyn5", zero_sequence=True):
    """Return 20 kV, 250 kVA, a busbar and a cable of two parts: buses 0 to 3, lines 0 and 1."""
    net = pp.create_empty_network()
    for kv in (20.0, 0.4, 0.4, 0.4):
        pp.create_bus(net, kv)
    pp.create_ext_grid(
        net, 0, s_sc_max_mva=250.0, s_sc_min_mva=150.0, rx_max=0.1, rx_min=0.1, name="feeding"
    )
    pp.create_transformer_from_parameters(
        net, 0, 1, sn_mva=0.25, vn_hv_kv=20.0, vn_lv_kv=0.4, vk_percent=4.0, vkr_percent=1.3,
        pfe_kw=0.5, i0_percent=0.2, shift_degree=150, vector_group=vector_group,
    )  # fmt: skip
    for start, length in zip((1, 2), lengths_km, strict=True):
        pp.create_line_from_parameters(
            net, start, start + 1, length_km=length, r_ohm_per_km=0.206, x_ohm_per_km=0.08,
            c_nf_per_km=830.0, max_i_ka=0.27, name=f"cable {start}",
        )  # fmt: skip
    net.line["std_type"] = "NAYY 4x150SE 0.6/1kV"
    net.line["endtemp_degree"] = 80.0
    if zero_sequence:
        net.trafo["vk0_percent"], net.trafo["vkr0_percent"] = 3.8, 1.3
        net.line["r0_ohm_per_km"], net.line["x0_ohm_per_km"] = 0.824, 0.29
    return net


@pytest.fixture(scope="session")
def feeder():
    return build_feeder


@pytest.fixture(scope="session")
def rural():
    return read_net("simbench:1-LV-rural1--0-sw")


@pytest.fixture(scope="session")
def cigre():
    return read_net("pandapower:create_cigre_network_lv")
