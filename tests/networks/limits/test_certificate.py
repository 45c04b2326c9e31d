"""Certificates of random plans, judged by the verifier, by pandapower and by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grid.errors import BadInputError, SolverError
from grid.site import Network
from networks import verify_certificate
from networks.flow.judge import judge
from networks.limits import certificate as certificates
from networks.limits.certificate import Claim, certificate, claim, complete, decode, encode
from networks.limits.existence import existence, reduced
from networks.limits.existence import solve as solve_reduced
from networks.sources.source import load

WIDE = Network(source="x", voltage_min_pu=0.5, voltage_max_pu=1.5, loading_max_percent=300.0)
WIDER = SimpleNamespace(voltage_min_pu=0.3, voltage_max_pu=1.5, loading_max_percent=900.0)


def _verified(document, **wanted):
    """Return what the verifier reports of a document; it raises where it does not hold."""
    return verify_certificate.verify(encode(document), wanted)[2]


def _voltage(document, step):
    state = document["states"][step]
    parts = (np.array(state[name], float) for name in ("v_real_pu", "v_imag_pu"))
    return next(parts) + 1j * next(parts)


PLANS = {
    "rural": (3.0, None),
    "rural in an outage": (3.0, "lv"),
    "cigre": (300.0, None),
    "cigre meshed": (300.0, None),
    "mv": (60.0, None),
    "open_ended": (60.0, None),
    "two_sources": (300.0, None),
    "two_sources in an outage": (200.0, 7),
}


def _model(request, name):
    model = request.getfixturevalue(name.split()[0])
    if name.endswith("meshed"):
        switch = model.equipment.switch
        return model.switched(closed=switch.index[~model.switching.closed].tolist())
    return model


@pytest.mark.parametrize("name", PLANS)
def test_the_certificate_of_a_random_plan_verifies(name, request, random_inputs, solve):
    """Whatever the network, its switching and its sources, with the hashes known outside."""
    model = _model(request, name)
    most_kw, forming = PLANS[name]
    forming = model.lv_bus if forming == "lv" else forming

    @settings(
        max_examples=12, derandomize=True, suppress_health_check=list(HealthCheck), database=None
    )
    @given(st.integers(0, 2**32 - 1), st.floats(0.0, 1.0))
    def verifies(seed, share):
        inputs = random_inputs(model, 3, kw=most_kw * share, seed=seed)
        available = [True, False, True] if forming is not None else None
        state = solve(model, inputs, available, forming)
        document = certificate(model, state, WIDE)
        topology = [model.topology_hash.hex()]
        if forming is not None:
            topology.append(model.islanded(forming).topology_hash.hex())
        known = document["hashes"]
        assert known["topology"] == topology
        report = _verified(
            document,
            topology=topology,
            injections=[known["injections"]],
            claim=[known["claim"]],
            certificate=[known["certificate"]],
        )
        assert report.residual_w < 0.01
        assert report.unproved == 0
        assert 0.5 < report.margin <= 1.0

    verifies()


def test_its_voltages_are_those_of_runpp_at_whole_watts(rural, random_inputs, solve):
    state = solve(rural, random_inputs(rural, 2))
    document = certificate(rural, state, WIDE)
    one = document["intervals"][1]
    p_kw, q_kvar = (np.array(one[name]) / 1e3 for name in ("p_w", "q_var"))
    powers = (np.maximum(sign * part, 0.0) for part in (p_kw, q_kvar) for sign in (-1.0, 1.0))
    net = judge(rural).run(list(powers))
    ours = _voltage(document, 1)[rural.node]
    assert np.abs(np.abs(ours) - net.res_bus["vm_pu"]).max() < 1e-9
    assert np.abs(np.degrees(np.angle(ours)) - net.res_bus["va_degree"]).max() < 1e-7


def test_a_document_is_canonical_and_comes_back(rural, random_inputs, solve, tmp_path):
    document = certificate(rural, solve(rural, random_inputs(rural, 2)), WIDE)
    assert encode(document) == rfc8785.dumps(document)
    certificates.write(document, tmp_path / "one.json")
    assert certificates.read(tmp_path / "one.json") == document
    (tmp_path / "two.json").write_text('{"format": "something"}')
    with pytest.raises(BadInputError, match="is no 'khazri network certificate 1'"):
        certificates.read(tmp_path / "two.json")
    (tmp_path / "three.json").write_text("{")
    with pytest.raises(BadInputError, match="is no JSON"):
        certificates.read(tmp_path / "three.json")


def test_a_claim_that_was_kept_makes_the_same_certificate(rural, random_inputs, solve):
    state = solve(rural, random_inputs(rural, 4), [True, False, True, True], rural.lv_bus)
    claimed = claim(rural, state, WIDE)
    assert complete(decode(claimed.encode())) == certificate(rural, state, WIDE)


def test_a_claim_does_not_depend_on_the_last_bits_of_voltages(rural, random_inputs, solve):
    state = solve(rural, random_inputs(rural, 2))
    moved = state.assign(vm_pu=state["vm_pu"] * (1.0 + 1e-15))
    assert claim(rural, moved, WIDE).sha256 == claim(rural, state, WIDE).sha256


def test_dead_intervals_and_what_is_not_served_are_told(rural, random_inputs, solve):
    inputs = random_inputs(rural, 3)
    document = certificate(rural, solve(rural, inputs, [True, False, True]), WIDE)
    assert document["states"][1] is None
    assert document["intervals"][1]["network"] is None
    report = _verified(document)
    net_w = np.rint(1e3 * (inputs[0] - inputs[1])[1])
    assert report.unserved_w == np.maximum(net_w, 0.0).sum()
    assert report.dead == len(rural.bus)
    with pytest.raises(BadInputError, match="every bus is dead"):
        certificate(rural, solve(rural, inputs, [False] * 3), WIDE)


def test_the_power_flow_of_another_network_is_refused(rural, mv, random_inputs, solve):
    state = solve(rural, random_inputs(rural, 1))
    with pytest.raises(BadInputError, match=mv.topology_hash.hex()):
        certificate(mv, state, WIDE)


def test_what_the_verifier_would_not_take_is_not_written(
    rural, random_inputs, solve, tmp_path, monkeypatch
):
    state = solve(rural, random_inputs(rural, 1))
    document = certificate(rural, state, WIDE)
    monkeypatch.setattr(certificates, "_BYTES_MAX", 100)
    with pytest.raises(BadInputError, match="100 at most"):
        certificates.write(document, tmp_path / "one.json")
    monkeypatch.setattr(certificates, "_NODES_MAX", 14)
    with pytest.raises(BadInputError, match="15 nodes, a certificate has 14 at most"):
        claim(rural, state, WIDE)


def _broken(model, state, network):
    with pytest.raises(verify_certificate.NotVerified) as refused:
        _verified(certificate(model, state, network))
    return refused.value.reasons


def test_an_infeasible_plan_is_refused_with_limit_interval_and_element(rural, random_inputs, solve):
    inputs = [values.copy() for values in random_inputs(rural, 3, kw=1.0)]
    inputs[1][1] += 25.0 * (rural.vn_kv < 1)
    state = solve(rural, inputs)
    worst = int(np.nanargmax(state["vm_pu"][1]))
    bus, value = int(rural.bus[worst]), float(state["vm_pu"][1, worst])
    high = _broken(rural, state, Network("x", voltage_max_pu=1.05, loading_max_percent=300.0))
    assert all("voltage_max_pu 1.05" in reason for reason in high)
    (told,) = [reason for reason in high if f" bus {bus}:" in reason]
    assert told.startswith("2016-05-15T12:15:00Z bus ")
    assert float(told.split(": ")[1].split()[0]) == pytest.approx(value, abs=5e-6)
    loaded = float(state["trafo_loading_percent"].max())
    over = _broken(rural, state, Network("x", voltage_max_pu=1.5, loading_max_percent=loaded - 1))
    assert any("trafo 0" in reason and "loading_max_percent" in reason for reason in over)
    low = _broken(
        rural,
        solve(rural, random_inputs(rural, 1, kw=60.0)[:1] + tuple(np.zeros((3, 1, 15)))),
        Network("x", voltage_min_pu=0.95, loading_max_percent=300.0),
    )
    assert any("voltage_min_pu 0.95" in reason for reason in low)


def test_binding_limits_are_listed_with_their_values(rural, random_inputs, solve):
    state = solve(rural, random_inputs(rural, 3))
    top = state["vm_pu"].max("bus").to_numpy()
    step = int(top.argmax())
    worst = int(np.nanargmax(state["vm_pu"][step]))
    network = Network("x", voltage_max_pu=round(float(top.max()) + 1e-4, 6))
    document = certificate(rural, state, network)
    listed = document["states"][step]["binding"]
    told = {(one["limit"], one["element"]): one for one in listed}
    one = told["voltage_max_pu", f"bus {rural.bus[worst]}"]
    assert float(one["value"]) == pytest.approx(float(top.max()), abs=2e-6)
    assert float(one["bound"]) == network.voltage_max_pu
    assert _verified(document).bound == sum(len(s["binding"]) for s in document["states"]) > 0


def _line(power, impedance=0.02 + 0.05j):
    """Return (network, high voltages, low voltages) of one line from a source of 1 pu."""
    import scipy.sparse as sp

    y = 1.0 / impedance
    net = reduced(
        sp.csr_array(np.array([[y, -y], [-y, y]])), np.array([0]), np.ones(1, dtype=complex)
    )
    # |v|^2 = u solves u^2 + (2 (r p + x q) - 1) u + |z s|^2 = 0 for what is drawn, p + jq.
    drawn = -power
    pull = impedance * np.conj(drawn)
    b = 2.0 * pull.real - 1.0
    found = []
    for sign in (1.0, -1.0):
        u = (-b + sign * np.sqrt(b * b - 4.0 * abs(pull) ** 2)) / 2.0
        found.append(np.array([[1.0], [np.conj(u + pull)]]))
    return net, found[0], found[1]


@pytest.mark.parametrize("power", [-0.5 - 0.2j, -2.0 - 1.0j, -4.1 - 2.0j, 3.0 + 0.5j])
def test_on_one_line_the_margin_is_that_of_the_closed_form_and_tells_the_solutions_apart(power):
    net, high, low = _line(power)
    injected = np.array([[0.0], [power]])
    for voltage in (high, low):
        mismatch = voltage * (net.ybus @ voltage).conj() - injected
        assert abs(mismatch[1, 0]) < 1e-12
    margin, alone = existence(net, high, injected)
    expected = 1.0 - abs(0.02 + 0.05j) * abs(power) / abs(high[1, 0]) ** 2
    assert margin[0] == pytest.approx(expected, abs=1e-12)
    # The other solution is beyond the radius, and the radius is no timid one.
    gap = abs(high[1, 0] - low[1, 0])
    assert 0.2 * gap < alone[0] < gap
    assert existence(net, low, injected)[0][0] < 0.0
    assert existence(net, low, injected)[1][0] == 0.0
    found, residual = solve_reduced(net, injected)
    assert abs(found[1, 0] - high[1, 0]) < 1e-12
    assert residual[0] < 1e-13


def test_no_solution_is_found_where_there_is_none():
    net, _, _ = _line(-2.0 - 1.0j)
    _, residual = solve_reduced(net, np.array([[0.0], [-9.0 - 4.0j]]))
    assert not residual[0] < 1e-3


@pytest.fixture(scope="module")
def long_feeder():
    return load("pandapower:case33bw")


def _loaded(model, factor):
    equipment = model.equipment
    names = ("absorbed_kw", "injected_kw", "absorbed_kvar", "injected_kvar")
    return [factor * getattr(equipment, f"nominal_{name}")[None] for name in names]


def test_the_margin_falls_to_nothing_where_the_voltage_collapses(long_feeder, solve):
    """Baran and Wu's feeder has a solution up to some 3.62 times its load."""
    margins = []
    for factor in (1.0, 2.0, 3.0, 3.5, 3.61):
        state = solve(long_feeder, _loaded(long_feeder, factor))
        report = _verified(certificate(long_feeder, state, WIDER))
        margins.append(report.margin)
        assert report.unproved == 0
        assert report.vm_low == pytest.approx(float(state["vm_pu"].min()), abs=1e-6)
    assert margins == sorted(margins, reverse=True)
    assert margins[0] > 0.9
    assert 0.0 < margins[-1] < 0.1
    (one,) = (claimed := claim(long_feeder, state, WIDER)).content["intervals"]
    heavier = {**claimed.content, "intervals": [{**one, "p_w": [2 * w for w in one["p_w"]]}]}
    beyond = Claim(heavier, claimed.topology)
    with pytest.raises(SolverError, match=r"2016-05-15T12:00:00Z: no power flow solution"):
        complete(beyond)


def test_where_the_condition_is_not_met_the_certificate_says_residual_only(long_feeder, solve):
    """Great powers of opposite sign side by side: a sound state that the condition misses."""
    inputs = [np.zeros((2, 33)) for _ in range(4)]
    inputs[0][1, 1::2] = inputs[1][1, 2::2] = 2000.0
    document = certificate(long_feeder, solve(long_feeder, inputs), WIDER)
    assert float(document["states"][1]["margin"]) < 0.0
    assert document["states"][1]["unique_within_pu"] == "0"
    told, found, report = verify_certificate.verify(encode(document))
    assert report.unproved == 1
    text = verify_certificate.summary(told, found, report, {})
    assert "residual only in 1 of 2 intervals" in text
