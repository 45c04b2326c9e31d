"""Ageing beside the standard's example, an ODE solver and closed forms."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from grid.errors import BadInputError
from networks.faults.ageing import (
    DISTRIBUTION_ONAN,
    MEDIUM_ONAN,
    ThermalModel,
    ageing_rate,
    steady_hot_spot,
    transformer_ageing,
)
from networks.faults.cables import PVC, XLPE, arrhenius_rate, cable_ageing

# Input of the worked example of IEC 60076-7:2005, annex C: every three minutes.
EXAMPLE = ThermalModel(45.0, 35.0, 8.0, 0.8, 1.3, 0.5, 2.0, 2.0, 150 * 60.0, 7 * 60.0)
EXAMPLE_PU = [
    0.81, 0.87, 0.88, 0.86, 0.90, 0.92, 0.95, 0.96, 0.97, 1.00, 1.70, 1.70, 1.73, 1.72, 1.69,
    1.68, 1.71, 1.69, 1.67, 1.68, 1.63, 1.59, 1.53, 1.49, 1.41, 1.38, 1.32, 1.28, 1.21, 1.19,
    0.87, 0.88, 0.87, 0.86, 0.85, 0.87, 0.83, 0.86, 0.85, 0.82, 0.86,
]  # fmt: skip
EXAMPLE_CELSIUS = [
    30.3, 29.9, 29.8, 29.5, 29.6, 29.5, 29.5, 28.9, 29.0, 28.6, 28.0, 28.7, 27.8, 28.1, 27.9,
    27.1, 26.9, 26.7, 27.2, 26.7, 26.9, 26.5, 26.2, 26.3, 25.4, 25.6, 25.3, 24.8, 24.5, 24.3,
    24.1, 24.3, 24.1, 23.4, 23.6, 23.8, 23.1, 23.3, 23.1, 22.3, 22.2,
]  # fmt: skip


def _column(values):
    return np.array(values, dtype=float)[:, None]


def _difference_equations(pu, ambient, model, step_min):
    """Return oil and hot spot by the standard's own difference equations (8.2.3)."""
    tau_o, tau_w = model.oil_constant_s / 60, model.winding_constant_s / 60
    r, x, y = model.loss_ratio, model.oil_exponent, model.winding_exponent
    oil = ((1 + pu[0] ** 2 * r) / (1 + r)) ** x * model.oil_rise_k + ambient[0]
    rise = model.k21 * pu[0] ** y * model.hot_spot_gradient_k
    lag = (model.k21 - 1) * pu[0] ** y * model.hot_spot_gradient_k
    oils, spots = [oil], [oil + rise - lag]
    for k, a in zip(pu[1:], ambient[1:], strict=True):
        aim = ((1 + k**2 * r) / (1 + r)) ** x * model.oil_rise_k
        oil += step_min / (model.k11 * tau_o) * (aim - (oil - a))
        gradient = model.hot_spot_gradient_k * k**y
        rise += step_min / (model.k22 * tau_w) * (model.k21 * gradient - rise)
        lag += step_min * model.k22 / tau_o * ((model.k21 - 1) * gradient - lag)
        oils.append(oil)
        spots.append(oil + rise - lag)
    return np.array(oils), np.array(spots)


def test_the_standard_s_example_starts_at_63_9_degrees_and_follows_its_difference_equations():
    dataset, _ = transformer_ageing(
        _column(EXAMPLE_PU), EXAMPLE_CELSIUS, 180.0, model=EXAMPLE, upgraded_paper=True
    )
    oil, spot = _difference_equations(EXAMPLE_PU, EXAMPLE_CELSIUS, EXAMPLE, 3.0)
    ours_oil = dataset["top_oil_celsius"].to_numpy()[:, 0]
    ours_spot = dataset["hot_spot_celsius"].to_numpy()[:, 0]
    assert ours_oil[0] == pytest.approx(63.9, abs=0.05)
    assert np.abs(ours_oil - oil).max() < 0.5
    # The steps of three minutes are near their limit of half a winding time constant.
    assert np.abs(ours_spot - spot).max() < 5.0
    fine_pu, fine_celsius = np.repeat(EXAMPLE_PU, 60), np.repeat(EXAMPLE_CELSIUS, 60)
    oil, spot = _difference_equations(fine_pu, fine_celsius, EXAMPLE, 0.05)
    assert np.abs(ours_oil - oil[59::60]).max() < 0.02
    assert np.abs(ours_spot - spot[59::60]).max() < 0.1


@pytest.mark.parametrize("model", [DISTRIBUTION_ONAN, MEDIUM_ONAN])
def test_hot_spot_and_loss_of_life_agree_with_an_independent_integration(model):
    load = np.random.default_rng(3).random((24, 2)) * 1.4
    ambient = 15.0 + 10.0 * np.sin(np.arange(24) / 4.0)
    dataset, _ = transformer_ageing(load, ambient, 900.0, model=model)
    for trafo in range(2):
        pu = load[:, trafo]

        def slope(t, state, pu=pu):
            step = min(int(t // 900.0), 23)
            k, a = pu[step], ambient[step]
            oil, rise, lag, _ = state
            aim = (
                a
                + model.oil_rise_k
                * ((1 + model.loss_ratio * k**2) / (1 + model.loss_ratio)) ** model.oil_exponent
            )
            gradient = model.hot_spot_gradient_k * k**model.winding_exponent
            return [
                (aim - oil) / (model.k11 * model.oil_constant_s),
                (model.k21 * gradient - rise) / (model.k22 * model.winding_constant_s),
                ((model.k21 - 1) * gradient - lag) * model.k22 / model.oil_constant_s,
                2 ** ((oil + rise - lag - 98) / 6) / 3600,
            ]

        first = steady_hot_spot(pu[0], ambient[0], model)
        gradient = model.hot_spot_gradient_k * pu[0] ** model.winding_exponent
        state = [first - gradient, model.k21 * gradient, (model.k21 - 1) * gradient, 0.0]
        for step in range(24):
            span = (step * 900.0, (step + 1) * 900.0 - 1e-9)
            solved = solve_ivp(slope, span, state, rtol=1e-10, atol=1e-12)
            state = solved.y[:, -1]
            ours = dataset["hot_spot_celsius"].to_numpy()[step, trafo]
            assert ours == pytest.approx(state[0] + state[1] - state[2], abs=1e-6)
        assert float(dataset["loss_of_life_total_h"][trafo]) == pytest.approx(state[3], rel=1e-6)


def test_rated_load_at_20_degrees_costs_an_hour_an_hour_and_6_k_more_twice_as_much():
    load = np.ones((96, 2))
    ambient = np.array([[20.0, 26.0]] * 96)
    dataset, findings = transformer_ageing(load, ambient, 900.0)
    assert steady_hot_spot(1.0, 20.0, DISTRIBUTION_ONAN) == pytest.approx(98.0)
    assert dataset["loss_of_life_total_h"].to_numpy() == pytest.approx([24.0, 48.0])
    assert not findings
    assert ageing_rate(np.array([110.0]), upgraded_paper=True)[0] == pytest.approx(1.0)
    assert ageing_rate(np.array([80.0, 140.0])) == pytest.approx([0.125, 128.0])


def test_oil_that_starts_cold_warms_with_its_time_constant():
    dataset, _ = transformer_ageing(
        np.ones((12, 1)), np.full(12, 20.0), 900.0, initial_oil_celsius=[20.0]
    )
    # Three hours are one time constant.
    assert float(dataset["top_oil_celsius"][-1, 0]) == pytest.approx(75 - 55 / np.e, abs=1e-9)


def test_an_overloaded_transformer_is_told_of_with_its_hot_spot():
    load = np.array([[0.5, 1.5]] * 96)
    dataset, findings = transformer_ageing(load, np.full(96, 30.0), 900.0)
    assert [finding.subject for finding in findings] == ["trafo 1"]
    assert float(dataset["hot_spot_highest_celsius"][-1, 1]) == pytest.approx(
        steady_hot_spot(1.5, 30.0, DISTRIBUTION_ONAN)
    )
    assert f"{steady_hot_spot(1.5, 30.0, DISTRIBUTION_ONAN):.1f} °C" in findings[0].message


def test_a_missing_load_is_refused_with_its_place():
    load = np.ones((4, 2))
    load[2, 1] = np.nan
    with pytest.raises(BadInputError, match="trafo 1 interval 2: loading is nan"):
        transformer_ageing(load, np.full(4, 20.0), 900.0)
    with pytest.raises(BadInputError, match="line 1 interval 2"):
        cable_ageing(load, np.full(4, 20.0), 900.0, insulation=PVC, time_constant_s=3600.0)
    with pytest.raises(BadInputError, match="ambient"):
        transformer_ageing(np.ones((4, 2)), np.full(3, 20.0), 900.0)


def test_a_year_of_a_hundred_transformers_in_one_call_is_the_same_as_each_alone():
    load = np.random.default_rng(5).random((35_040, 100)) * 1.2
    ambient = 12.0 + 12.0 * np.sin(np.arange(35_040) * 2 * np.pi / 35_040)
    dataset, _ = transformer_ageing(load, ambient, 900.0)
    alone, _ = transformer_ageing(load[:, 42:43], ambient, 900.0)
    total = dataset["loss_of_life_total_h"].to_numpy()
    assert total[42] == pytest.approx(float(alone["loss_of_life_total_h"][0]), rel=1e-12)
    assert len(set(total.tolist())) == 100


@pytest.mark.parametrize("insulation", [PVC, XLPE])
def test_a_cable_at_its_rating_settles_at_its_limit_and_ages_an_hour_an_hour(insulation):
    options = {"insulation": insulation, "time_constant_s": 7200.0}
    dataset, findings = cable_ageing(np.ones((48, 1)), np.full(48, 20.0), 900.0, **options)
    assert dataset["conductor_celsius"].to_numpy() == pytest.approx(insulation.limit_celsius)
    assert float(dataset["loss_of_life_total_h"][0]) == pytest.approx(12.0)
    assert float(dataset["overload_h"][0]) == 0.0
    assert not findings


def test_a_cable_s_temperature_and_ageing_agree_with_an_independent_integration():
    load = np.concatenate([np.full(20, 0.4), np.full(8, 1.3), np.full(20, 0.7)])
    ambient = np.linspace(12.0, 18.0, len(load))
    dataset, findings = cable_ageing(
        load[:, None], ambient, 900.0, insulation=XLPE, time_constant_s=3600.0
    )

    def settled(k, a):
        # Solve theta = a + 70 k² (1 + α(theta - 20)) / (1 + α 70) by iteration, not by formula.
        theta = a
        for _ in range(500):
            theta = a + 70 * k**2 * (1 + 0.00403 * (theta - 20)) / (1 + 0.00403 * 70)
        return theta

    state = [settled(load[0], ambient[0]), 0.0]
    assert float(arrhenius_rate(np.array([90.0]), XLPE)[0]) == pytest.approx(1.0)
    for step, (k, a) in enumerate(zip(load, ambient, strict=True)):

        def slope(_, y, k=k, a=a):
            resistance = (1 + 0.00403 * (y[0] - 20)) / (1 + 0.00403 * 70)
            rate = np.exp(12430.0 * (1 / 363.15 - 1 / (y[0] + 273.15)))
            return [(a + 70 * k**2 * resistance - y[0]) / 3600.0, rate / 3600.0]

        state = solve_ivp(slope, (0, 900.0), state, rtol=1e-10, atol=1e-12).y[:, -1]
        ours = float(dataset["conductor_celsius"][step, 0])
        assert ours == pytest.approx(state[0], abs=1e-6)
    assert float(dataset["loss_of_life_total_h"][0]) == pytest.approx(state[1], rel=1e-6)
    assert float(dataset["overload_h"][0]) == 2.0
    over = (dataset["conductor_celsius"].to_numpy()[:, 0] > 90).sum() * 0.25
    assert float(dataset["over_temperature_h"][0]) == over > 0
    assert [finding.subject for finding in findings] == ["line 0"]


def test_pvc_loses_half_its_life_between_70_and_80_degrees():
    assert arrhenius_rate(np.array([80.0]), PVC)[0] == pytest.approx(2.0)
    assert pytest.approx(1.071, abs=1e-3) == XLPE.activation_ev
