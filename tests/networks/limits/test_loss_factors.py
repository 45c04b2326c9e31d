"""Loss factors are the slopes of the losses: of pandapower's, of the flow's, and by hand."""

import numpy as np
import pytest

from networks.flow.judge import judge
from networks.flow.solve import CHUNK
from networks.flow.year import year_inputs
from networks.limits.loss_factors import loss_factors, year_loss_factors
from networks.sources.demo import load_year
from networks.sources.source import load
from networks.sources.tables import write_tables


def _moved(inputs, column, position, change):
    """Return inputs with `change` more injected at a bus: active (0) or reactive (2)."""
    moved = [values.copy() for values in inputs]
    moved[column + (change > 0)][:, position] += abs(change)
    return moved


def _runpp_losses(model, inputs, step):
    net = judge(model).run([values[step] for values in inputs])
    return 1e3 * float(net.res_line["pl_mw"].sum() + net.res_trafo["pl_mw"].sum())


def test_they_are_the_slopes_of_the_losses_of_runpp(rural, random_inputs, solve):
    inputs = random_inputs(rural, 2)
    factors = loss_factors(rural, solve(rural, inputs))
    for name, column in (("p_loss_factor", 0), ("q_loss_factor", 2)):
        for position in (1, 5, len(rural.bus) - 1):
            high, low = (
                _runpp_losses(rural, _moved(inputs, column, position, change), 1)
                for change in (0.5, -0.5)
            )
            given = float(factors[name][1, position])
            assert given == pytest.approx(high - low, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize(
    ("name", "most_kw", "forming"),
    [
        ("rural", 4.0, "lv"),
        ("cigre", 300.0, None),
        ("open_ended", 60.0, None),
        ("two_sources", 300.0, None),
        ("two_sources", 200.0, 7),
    ],
)
def test_they_are_the_slopes_of_the_flow(name, most_kw, forming, request, random_inputs, solve):
    """With ties, half-open cables, two sources of different voltage and in an outage."""
    model = request.getfixturevalue(name)
    forming = model.lv_bus if forming == "lv" else forming
    available = [True, forming is None]
    inputs = random_inputs(model, 2, kw=most_kw)
    factors = loss_factors(model, solve(model, inputs, available, forming))
    alive = np.flatnonzero(model.node >= 0)
    for position in alive[:: max(1, len(alive) // 6)]:
        for factor, column in (("p_loss_factor", 0), ("q_loss_factor", 2)):
            high, low = (
                solve(model, _moved(inputs, column, position, change), available, forming)
                for change in (most_kw * 0.02, -most_kw * 0.02)
            )
            slope = (high["losses_kw"] - low["losses_kw"]).to_numpy() / (most_kw * 0.04)
            assert factors[factor][:, position].to_numpy() == pytest.approx(
                slope, rel=1e-4, abs=1e-8
            )
    held = np.isin(model.node, model.held_node)
    assert (factors["p_loss_factor"].to_numpy()[0, held] == 0.0).all()


@pytest.fixture(scope="module")
def two_buses(tmp_path_factory):
    """One line of 0.4 + j0.1 ohm at 0.4 kV without charging."""
    path = tmp_path_factory.mktemp("line") / "line.toml"
    line = {"r_ohm_per_km": 0.4, "x_ohm_per_km": 0.1, "c_nf_per_km": 0.0, "length_km": 1.0}
    tables = {
        "bus": [{"index": n, "vn_kv": 0.4} for n in range(2)],
        "ext_grid": [{"index": 0, "bus": 0}],
        "line": [line | {"index": 0, "from_bus": 0, "to_bus": 1, "max_i_ka": 0.2}],
    }
    write_tables(tables, path)
    return load(f"file:{path}", source_voltage_pu=1.0)


@pytest.mark.parametrize(("p_kw", "q_kvar"), [(20.0, 5.0), (-30.0, 8.0), (45.0, -10.0)])
def test_on_one_line_they_are_the_derivative_of_the_closed_form(two_buses, solve, p_kw, q_kvar):
    """With u the square of the voltage and p + jq what is drawn, L = r (p^2 + q^2) / u."""
    inputs = [np.zeros((1, 2)) for _ in range(4)]
    inputs[0][0, 1], inputs[1][0, 1] = max(p_kw, 0.0), max(-p_kw, 0.0)
    inputs[2][0, 1], inputs[3][0, 1] = max(q_kvar, 0.0), max(-q_kvar, 0.0)
    state = solve(two_buses, inputs)
    factors = loss_factors(two_buses, state)
    base_kw, r, x = 160.0, 0.4, 0.1  # of 0.4 kV and 1 ohm
    p, q = p_kw / base_kw, q_kvar / base_kw
    b, c = 2.0 * (r * p + x * q) - 1.0, (r * r + x * x) * (p * p + q * q)
    u = (-b + np.sqrt(b * b - 4.0 * c)) / 2.0
    losses = r * (p * p + q * q) / u
    assert float(state["losses_kw"][0]) == pytest.approx(losses * base_kw, rel=1e-9)
    for name, db, dc, ds in (
        ("p_loss_factor", 2.0 * r, 2.0 * (r * r + x * x) * p, 2.0 * p),
        ("q_loss_factor", 2.0 * x, 2.0 * (r * r + x * x) * q, 2.0 * q),
    ):
        du = -(db * u + dc) / (2.0 * u + b)
        drawn = r * ds / u - losses / u * du
        assert float(factors[name][0, 1]) == pytest.approx(-drawn, rel=1e-8)
        assert float(factors[name][0, 0]) == 0.0


def test_a_load_far_out_costs_and_a_plant_beside_it_saves(rural, random_inputs, solve):
    """The sign: more injected where much is drawn lowers the losses."""
    inputs = [values.copy() for values in random_inputs(rural, 1)]
    inputs[1][:] = inputs[3][:] = 0.0
    factors = loss_factors(rural, solve(rural, inputs))["p_loss_factor"].to_numpy()[0]
    far = rural.vn_kv < 1
    assert (factors[far] < -1e-3).all()
    inputs[0], inputs[1] = inputs[1], inputs[0]
    again = loss_factors(rural, solve(rural, inputs))["p_loss_factor"].to_numpy()[0]
    assert (again[far & (rural.bus != rural.lv_bus)] > 0.0).all()


def test_scaled_factors_recover_the_losses(rural, two_buses, random_inputs, solve):
    inputs = list(random_inputs(rural, 6))
    state = solve(rural, inputs, [True, True, False, True, True, True], rural.lv_bus)
    scaled = loss_factors(rural, state, scaled=True)
    powers = {"p_loss_factor": inputs[1] - inputs[0], "q_loss_factor": inputs[3] - inputs[2]}
    total = sum(np.nansum(scaled[name].to_numpy() * kw, axis=1) for name, kw in powers.items())
    known = ~np.isnan(scaled["scale"].to_numpy())
    assert known.sum() >= 4
    assert total[known] == pytest.approx(state["losses_kw"].to_numpy()[known], rel=1e-9)
    # Where all losses go with the square of a small current, the scale is a half.
    small = [np.zeros((1, 2)) for _ in range(4)]
    small[0][0, 1] = 0.01
    half = loss_factors(two_buses, solve(two_buses, small), scaled=True)
    assert float(half["scale"][0]) == pytest.approx(0.5, abs=1e-4)


def test_what_is_dead_has_no_factor(rural, random_inputs, solve):
    inputs = random_inputs(rural, 2)
    factors = loss_factors(rural, solve(rural, inputs, [True, False]), scaled=True)
    assert factors["p_loss_factor"][1].isnull().all()
    assert np.isnan(factors["scale"].to_numpy()[1])
    assert factors["p_loss_factor"][0].notnull().all()
    out = rural.switched(out=[("line", int(rural.line.index[-1]))])
    partly = loss_factors(out, solve(out, inputs))
    assert (np.isnan(partly["q_loss_factor"].to_numpy()[0]) == (out.node < 0)).all()
    assert (out.node < 0).any()


def test_without_any_power_the_scale_is_missing_rather_than_endless(two_buses, solve):
    nothing = [np.zeros((1, 2)) for _ in range(4)]
    factors = loss_factors(two_buses, solve(two_buses, nothing), scaled=True)
    assert np.isnan(factors["scale"].to_numpy()).all()
    assert factors["p_loss_factor"].isnull().all()


def test_a_year_comes_in_chunks_that_are_its_parts(rural, solve):
    inputs = year_inputs(rural, load_year(rural.source)).isel(interval=slice(0, CHUNK + 50))
    parts = list(year_loss_factors(rural, inputs))
    assert [part for part, _ in parts] == [slice(0, CHUNK), slice(CHUNK, CHUNK + 50)]
    names = ("absorbed_kw", "injected_kw", "absorbed_kvar", "injected_kvar")
    step = [inputs[name].to_numpy()[[CHUNK + 7]] for name in names]
    alone = loss_factors(rural, solve(rural, step))["p_loss_factor"].to_numpy()[0]
    assert parts[1][1]["p_loss_factor"].to_numpy()[7] == pytest.approx(alone, abs=1e-9)
    assert parts[0][1]["p_loss_factor"].dims == ("interval", "bus")
    assert parts[0][1]["p_loss_factor"].attrs["units"] == "kW/kW"
