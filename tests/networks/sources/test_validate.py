"""Each finding on a network appears when its fault is there, and not on a sound network."""

import copy
import re
import warnings

import pandapower.networks as pn
import pytest

from grid.errors import Severity
from networks.sources.exchange import from_net
from networks.sources.summary import summary
from networks.sources.tables import check_tables
from networks.sources.validate import listed, validate, validate_net

BUS = {"vn_kv": 0.4, "longitude": 49.85}
LINE = {
    "length_km": 0.2, "r_ohm_per_km": 0.207, "x_ohm_per_km": 0.08, "c_nf_per_km": 830.0,
    "r0_ohm_per_km": 0.8, "x0_ohm_per_km": 0.3, "c0_nf_per_km": 500.0, "max_i_ka": 0.27,
}  # fmt: skip
SOUND = {
    "bus": [
        {"index": 0, "vn_kv": 20.0, "longitude": 49.85, "latitude": 40.37},
        *({"index": at, "latitude": 40.37 + at / 1000, **BUS} for at in (1, 2, 3)),
    ],
    "line": [
        {"index": 0, "from_bus": 1, "to_bus": 2, **LINE},
        {"index": 1, "from_bus": 2, "to_bus": 3, **LINE},
    ],
    "trafo": [
        {
            "index": 0, "name": "T", "hv_bus": 0, "lv_bus": 1, "sn_mva": 0.25, "vn_hv_kv": 20.0,
            "vn_lv_kv": 0.4, "vk_percent": 6.0, "vkr_percent": 1.4, "pfe_kw": 1.0,
            "i0_percent": 0.3, "vk0_percent": 6.0, "vkr0_percent": 1.4, "mag0_percent": 100.0,
            "mag0_rx": 0.0, "si0_hv_partial": 0.9, "vector_group": "Dyn5", "tap_side": "hv",
            "tap_min": -2.0, "tap_max": 2.0, "tap_step_percent": 2.5,
        }
    ],
    "ext_grid": [{"index": 0, "bus": 0, "s_sc_max_mva": 500.0, "rx_max": 0.1}],
    "switch": [
        {"index": 0, "bus": 1, "element": 0, "et": "l"},
        {"index": 1, "bus": 2, "element": 1, "et": "l"},
    ],
    "load": [{"index": 0, "name": "H", "bus": 3, "p_mw": 0.02, "q_mvar": 0.005}],
}  # fmt: skip


def found(change):
    """Return code to findings after `change` was done to a sound network."""
    tables = copy.deepcopy(SOUND)
    change(tables)
    by_code = {}
    for finding in validate(check_tables(tables)):
        by_code.setdefault(finding.code.removeprefix("network."), []).append(finding)
    return by_code


def put(table, position=0, **values):
    return lambda tables: tables[table][position].update(values)


def add(table, **row):
    return lambda tables: tables.setdefault(table, []).append(row)


def test_a_sound_network_has_no_findings():
    assert found(lambda tables: None) == {}


CASES = {
    "an open switch": (put("switch", 1, closed=False), "island", "bus 3", "alarm"),
    "a line out": (put("line", 1, in_service=False), "island", "bus 3: 1 buses", "alarm"),
    "a bus alone": (
        add("bus", index=9, vn_kv=0.4, longitude=49.8, latitude=40.3),
        "island",
        "bus 9",
        "warning",
    ),
    "no source": (put("ext_grid", in_service=False), "island", "bus 0-3: 4 buses", "alarm"),
    "a source at a dead bus": (
        put("bus", in_service=False),
        "slack_disconnected",
        "out of service",
        "alarm",
    ),
    "a source alone": (
        put("trafo", in_service=False),
        "slack_disconnected",
        "joined to nothing",
        "alarm",
    ),
    "two sources": (
        add("ext_grid", index=1, bus=3, vm_pu=1.02),
        "sources_differ",
        "1.02 pu at 0",
        "warning",
    ),
    "two angles": (
        add("ext_grid", index=1, bus=0, va_degree=5),
        "sources_differ",
        "at 5°",
        "warning",
    ),
    "a slack generator": (
        add("gen", index=0, bus=3, p_mw=0.0, vm_pu=1.05, slack=True),
        "sources_differ",
        "gen 0",
        "warning",
    ),
    "a line between levels": (
        put("line", 1, to_bus=0),
        "voltage_mismatch",
        "joins bus 2 of 0.4 kV to bus 0 of 20",
        "alarm",
    ),
    "a switch between levels": (
        add("switch", index=5, bus=0, element=1, et="b"),
        "voltage_mismatch",
        "switch 5",
        "alarm",
    ),
    "a transformer the wrong way": (
        put("trafo", vn_hv_kv=0.4, vn_lv_kv=20.0),
        "voltage_mismatch",
        "its hv side of 0.4 kV",
        "alarm",
    ),
    "a transformer of another level": (
        put("trafo", vn_hv_kv=10.0),
        "voltage_mismatch",
        "of 10 kV is at bus 0 of 20",
        "alarm",
    ),
    "a line twice": (
        add("line", index=7, from_bus=2, to_bus=1, **LINE),
        "line_duplicate",
        "line 7: equals line 0",
        "warning",
    ),
    "a switch to nothing": (
        lambda t: (
            add("bus", index=8, **BUS, latitude=40.37)(t),
            add("switch", index=6, bus=3, element=8, et="b")(t),
        ),
        "switch_dangling",
        "nothing else is at its bus 8",
        "info",
    ),
    "a switch of a dead line": (
        put("line", 1, in_service=False),
        "switch_dangling",
        "line 1 is out of service",
        "info",
    ),
    "a switch to itself": (
        add("switch", index=6, bus=3, element=3, et="b"),
        "switch_dangling",
        "joins bus 3 to itself",
        "info",
    ),
    "no places": (
        lambda t: [row.pop("latitude") for row in t["bus"]],
        "coordinates_missing",
        "4 of 4 buses",
        "info",
    ),
    "a place missing": (
        lambda t: t["bus"][2].pop("latitude"),
        "coordinates_missing",
        "1 of 4 buses .* bus 2",
        "info",
    ),
    "a place at 0, 0": (
        put("bus", 3, longitude=0.0, latitude=0.0),
        "coordinates_implausible",
        "bus 3 is at 0, 0",
        "warning",
    ),
    "longitude and latitude swapped": (
        put("bus", 3, longitude=-49.8),
        "coordinates_implausible",
        "100° apart",
        "warning",
    ),
    "no impedance": (
        put("line", r_ohm_per_km=0.0, x_ohm_per_km=0.0),
        "line_zero_impedance",
        "has no impedance",
        "alarm",
    ),
    "nearly no impedance": (
        put("line", length_km=1e-9),
        "line_zero_impedance",
        "closed switch",
        "warning",
    ),
    "amperes for kiloamperes": (
        put("line", max_i_ka=270.0),
        "line_rating",
        "max_i_ka is 270, low voltage",
        "warning",
    ),
    "a rating of nothing": (
        put("line", max_i_ka=0.001),
        "line_rating",
        "max_i_ka is 0.001",
        "warning",
    ),
    "metres for kilometres": (
        put("line", length_km=200.0),
        "line_length",
        "200 km long",
        "warning",
    ),
    "ohm slipped": (put("line", x_ohm_per_km=0.0008), "line_rx", "R/X is 259", "warning"),
    "no resistance": (put("line", r_ohm_per_km=0.0), "line_rx", "R/X is 0", "warning"),
    "less to earth": (
        put("line", r0_ohm_per_km=0.1),
        "r0_below_r1",
        "r0 of 0.1 ohm/km is below r1 of 0.207",
        "warning",
    ),
    "no zero sequence": (
        lambda t: t["line"][1].pop("x0_ohm_per_km"),
        "zero_sequence_missing",
        "line: 1 of 2 lack x0_ohm_per_km",
        "info",
    ),
    "no vector group": (
        lambda t: t["trafo"][0].pop("vector_group"),
        "zero_sequence_missing",
        "trafo: 1 of 1 lack vector_group",
        "info",
    ),
    "no short-circuit power": (
        lambda t: t["ext_grid"][0].pop("rx_max"),
        "short_circuit_missing",
        "lacks rx_max",
        "info",
    ),
    "kilovolt-amperes": (put("trafo", sn_mva=250.0), "trafo_rating", "sn_mva is 250", "warning"),
    "vk of a fraction": (
        put("trafo", vk_percent=0.06, vkr_percent=0.014),
        "trafo_impedance",
        "vk is 0.06 %",
        "warning",
    ),
    "vkr above vk": (
        put("trafo", vkr_percent=7.0),
        "trafo_impedance",
        "vkr of 7 % is above vk of 6 %",
        "alarm",
    ),
    "a tap beyond its end": (
        put("trafo", tap_pos=3.0),
        "tap_out_of_range",
        "tap_pos 3 is outside -2 to 2",
        "warning",
    ),
    "a tap of no type": (
        put("trafo", tap_changer_type="", tap_pos=1.0),
        "tap_inert",
        "has no tap_changer_type",
        "warning",
    ),
    "a tap of no type at neutral": (
        put("trafo", tap_changer_type=""),
        "tap_inert",
        "does not act",
        "info",
    ),
    "a tap without a step": (
        put("trafo", tap_step_percent=0.0),
        "tap_inert",
        "has no step",
        "info",
    ),
    "kilowatts": (
        put("load", p_mw=20.0, q_mvar=0.0),
        "load_above_rating",
        "load 0 'H': takes 20 MVA",
        "warning",
    ),
    "a village too large": (
        put("load", p_mw=1.0),
        "load_above_trafo",
        "4.0 times the 0.25 MVA",
        "warning",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_fault_is_found_by_name(case):
    change, code, message, severity = CASES[case]
    findings = found(change).get(code, [])
    fitting = [f for f in findings if re.search(message, f.message)]
    assert fitting, [f.message for f in findings]
    assert fitting[0].severity is Severity(severity)
    assert fitting[0].code == f"network.{code}"


def test_each_code_of_the_catalogue_has_a_case():
    from networks.sources import validate as module

    listed_codes = {
        line.split("``")[1].removeprefix("network.")
        for line in module.__doc__.splitlines()
        if line.startswith("``network.")
    }
    assert listed_codes - {"refused"} == {code for _, code, _, _ in CASES.values()}


def test_loads_of_one_phase_make_missing_zero_sequence_a_warning():
    def change(tables):
        tables["line"][0].pop("r0_ohm_per_km")
        add("asymmetric_load", index=0, bus=3, p_a_mw=0.01)(tables)

    assert found(change)["zero_sequence_missing"][0].severity is Severity.WARNING


def test_each_island_is_one_finding_that_lists_its_buses():
    def change(tables):
        tables["switch"][1]["closed"] = False
        for at in (11, 12, 14):
            add("bus", index=at, latitude=40.37, **BUS)(tables)
        add("line", index=9, from_bus=11, to_bus=12, **LINE)(tables)

    messages = [finding.message for finding in found(change)["island"]]
    assert messages == [
        "no source reaches bus 11-12: 2 buses with nothing that takes or gives power",
        "no source reaches bus 14: 1 buses with nothing that takes or gives power",
        "no source reaches bus 3: 1 buses with 1 loads and plants",
    ]


def test_many_buses_are_listed_in_runs_and_not_all():
    assert listed([1, 2, 3, 7, 9, 10]) == "bus 1-3, 7, 9-10"
    assert listed(list(range(0, 100, 2))).endswith("38 and 30 more runs")


@pytest.mark.parametrize(
    ("build", "codes"),
    [
        (pn.create_cigre_network_lv, set()),
        (lambda: pn.create_cigre_network_mv(with_der="all"), set()),
        (pn.mv_oberrhein, set()),
        (pn.lv_schutterwald, set()),
        (lambda: pn.ieee_european_lv_asymmetric("on_peak_566"), {"network.r0_below_r1"}),
        (pn.case33bw, {"network.line_rating"}),
    ],
)
def test_published_networks_have_the_faults_they_are_known_for_and_no_others(build, codes):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        findings = validate_net(build())
    assert {f.code for f in findings if f.severity is not Severity.INFO} == codes


def test_a_net_that_no_file_can_hold_is_one_finding(rural_net):
    net = rural_net()
    net.line.loc[net.line.index[0], "length_km"] = 0.0
    (finding,) = validate_net(net)
    assert (finding.code, finding.severity) == ("network.refused", Severity.ALARM)
    assert "length_km is 0.0" in finding.message


def test_a_summary_counts_what_is_there():
    facts = summary(check_tables(SOUND))
    assert facts["elements"] == {
        "bus": 4, "line": 2, "trafo": 1, "ext_grid": 1, "switch": 2, "load": 1,
    }  # fmt: skip
    assert facts["voltage_levels_kv"] == [20.0, 0.4]
    assert facts["line_length_km"] == pytest.approx(0.4)
    assert facts["line_rating_ka"] == [0.27, 0.27]
    assert facts["trafo_rated_mva"] == [0.25]
    assert facts["load_mw"] == 0.02
    assert facts["coordinates"] == "longitude and latitude"


def test_the_coordinates_of_european_lv_are_a_plane():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = pn.ieee_european_lv_asymmetric("on_peak_566")
    facts = summary(from_net(net))
    assert facts["coordinates"] == "plane"
    total_mw = float(net.asymmetric_load.filter(like="p_").sum().sum())
    assert facts["load_mw"] == pytest.approx(total_mw)
