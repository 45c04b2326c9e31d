"""Every field of a plan's input and of every asset's facts refuses what it cannot be, by its name.

The cases are made from the fields of the dataclasses: a new field without a check fails here, and
so does one of a type that no case is known for.
"""

from dataclasses import fields, is_dataclass, replace

import numpy as np

from dispatch.check import check_input
from dispatch.plan import KINDS, LinearCut, PlanInput
from grid.errors import BadInputError
from grid.site import Battery, Genset, GridConnection, GridPrice, Price, Shedding, Solar, Wind
from grid.site_devices import Charger, ColdStart, Flexible, FuelSegment, Heat
from grid.site_facts import Amount

N = 4

WORDS = {
    "id", "usage_point", "usage_points", "url", "profile", "name", "from_time", "to_time",
    "usual_departure", "indoor", "outdoor", "turbine", "genset",
}  # fmt: skip
"""Fields of facts that are no numbers: names, and where a device answers."""

SIGNED = {
    "buy_price", "sell_price", "end_value_per_kwh", "flexible_need_kw", "flexible_low_kwh",
    "flexible_high_kwh", "flexible_energy_kwh", "limit_kw", "coefficient", "buy", "sell",
    "low_celsius", "high_celsius", "outdoor_celsius",
}  # fmt: skip
"""What may be below 0; each number that is not here may not."""

OPTIONAL = {
    "end_energy_min_kwh", "energy_target_kwh", "genset_output_kw", "genset_fuel_kwh",
    "co2_cap_kg", "critical_kw", "taper_energy_kwh", "taper_power_kw", "fade_energy_kwh",
    "fade_power_kw", "ramp_up_kw_per_hour", "ramp_down_kw_per_hour", "start_kw", "stop_kw",
    "import_limit_kw", "export_limit_kw", "limit_margin_kw", "safe_kw", "daily_kwh",
    "capacity_kwh_per_k", "loss_kw_per_k", "low_celsius", "high_celsius", "tilt_degree",
    "azimuth_degree", "peak_kw", "hub_height_m",
}  # fmt: skip
"""What need not be given; taper and fade go together and are wrong alone."""

FACTS = {
    "battery": Battery(
        "bat", "u", 10.0, 20.0, min_energy_kwh=2.0, initial_energy_kwh=5.0, wear=Price(1000),
        forming=True, standing_loss_percent_per_day=1.0, taper_energy_kwh=18.0,
        taper_power_kw=4.0, fade_energy_kwh=4.0, fade_power_kw=5.0,
    ),
    "solar": Solar(
        "pv", "u", 8.0, operating=Price(100), tilt_degree=30.0, azimuth_degree=180.0, peak_kw=9.0
    ),
    "wind": Wind("wind", "u", 6.0, operating=Price(100), hub_height_m=30.0),
    "genset": Genset(
        "gen", "u", 20.0, 5.0, Price(300_000), Amount(10**8), Amount(10**8),
        min_up_intervals=2, min_down_intervals=2, stop=Amount(10**7),
        fuel_segment=(FuelSegment(12.0, Price(350_000)),),
        cold_start=(ColdStart(3, Amount(2 * 10**8)),), ramp_up_kw_per_hour=40.0,
        ramp_down_kw_per_hour=40.0, start_kw=10.0, stop_kw=10.0, co2_g_per_kwh=700.0,
    ),
    "shedding": Shedding("shed", ("u",), Price(2_000_000)),
    "charger": Charger(
        "ev", "u", 11.0, 60.0, Price(5_000_000), discharge_kw=5.0, wear=Price(10),
        safe_kw=1.4,
    ),
    "flexible": Flexible(
        "pump", "u", 4.0, Price(10**6), 3.0, 1.0, safe_kw=2.0, capacity_kwh_per_k=5.0,
        loss_kw_per_k=0.2, low_celsius=20.0, high_celsius=22.0, indoor="T-1",
    ),
    "heat": Heat("tank", "gen", 1.2, 40.0, 20.0, Price(80_000), Price(10**6), 1.0),
    "grid": GridConnection(
        "grid", 50.0, 20.0, (GridPrice("00:00", Price(84), Price(50)),), Amount(10**9), 400.0
    ),
}  # fmt: skip


def whole():
    """Return an input in which every field is given."""
    kinds = {kind: (FACTS[kind],) for kind in KINDS}
    row = np.full((1, N), 1.0)
    return PlanInput(
        start_s=1_792_540_800, interval_s=900, **kinds, grid=FACTS["grid"],
        demand_kw=np.full(N, 10.0), solar_available_kw=row, wind_available_kw=row,
        sheddable_kw=row, buy_price=np.full(N, 0.1), sell_price=np.full(N, 0.05),
        end_value_per_kwh=0.05, grid_available=np.array([True, True, False, True]),
        battery_energy_kwh=np.array([8.0]), genset_on=np.array([True]),
        genset_intervals_in_state=np.array([5]), reserve_kw=np.full(N, 1.0),
        cuts=(LinearCut(1, "vm_pu bus 5 <= 1.05", {"pv": 1.0}, 5.0),),
        end_energy_min_kwh=np.array([4.0]), energy_target_kwh=row, genset_output_kw=np.array([8.0]),
        genset_fuel_kwh=np.array([100.0]), peak_kw=5.0, co2_price_per_kg=0.1, co2_cap_kg=1000.0,
        critical_kw=np.full(N, 1.0), survive_steps=2, ev_connected=np.full((1, N), True),
        ev_arrival_kwh=np.zeros((1, N)), ev_target_kwh=row, ev_energy_kwh=np.array([10.0]),
        flexible_need_kw=row, flexible_low_kwh=np.zeros((1, N)), flexible_high_kwh=5 * row,
        flexible_energy_kwh=np.array([2.0]), heat_need_kw=row, heat_energy_kwh=np.array([5.0]),
        import_limit_kw=np.full(N, 20.0), export_limit_kw=np.full(N, 10.0),
        limit_margin_kw=np.full(N, 1.0), limit_penalty_per_kwh=10.0,
    )  # fmt: skip


def numbers(name):
    """Return what no number of that name can be."""
    return [np.nan, np.inf, -np.inf, 1e30, -1e30, *([] if name in SIGNED else [-1.0])]


def bad_values(name, value):
    """Return wrong values of a field that holds `value`.

    Raises
    ------
    AssertionError
        When no case is known for its type.
    """
    missing = [] if name in OPTIONAL else [None]
    if value is None and name in OPTIONAL:
        return [*numbers(name), 10**30, "cheap"]
    if isinstance(value, (bool, np.bool_)):
        return [*missing, np.nan, 1e30, -1.0, "yes"]
    if isinstance(value, (int, float)):
        return [*missing, *numbers(name), 10**30, "cheap"]
    if isinstance(value, np.ndarray):
        shapes = [np.zeros((*value.shape, 2)), np.zeros(0), np.zeros((2, 3)), np.array(1.0)]
        if value.dtype == np.bool_:
            return [*missing, value.astype(float), np.full(value.shape, np.nan), *shapes]
        wrong = []
        for one in numbers(name):
            array = value.astype(float)
            array.flat[-1] = one
            wrong.append(array)
        text = value.astype(object)
        text.flat[-1] = "cheap"
        return [*missing, *wrong, text, *shapes]
    raise AssertionError(f"no case is known for {name}: {value!r}")


def told(value):
    text = repr(value).replace("\n", " ")
    return text if len(text) < 40 else text[:40] + "..."


def field_cases():
    """Yield (name, bad value) of every field of the input but the facts of assets."""
    given = whole()
    for field in fields(PlanInput):
        value = getattr(given, field.name)
        if field.name in (*KINDS, "grid"):
            yield field.name, None
            yield field.name, (7,)
            yield field.name, "cheap"
        elif field.name == "cuts":
            yield field.name, None
            yield field.name, (7,)
        else:
            for bad in bad_values(field.name, value):
                yield field.name, bad


def fact_cases():
    """Yield (kind, path of names, bad value) of every number of every asset's facts."""
    for kind, fact in FACTS.items():
        for field in fields(fact):
            value = getattr(fact, field.name)
            if field.name in WORDS:
                continue
            if isinstance(value, tuple) and value and is_dataclass(value[0]):
                for part in fields(value[0]):
                    if part.name not in WORDS:
                        inner = getattr(value[0], part.name)
                        for bad in bad_values(part.name, inner):
                            yield kind, (field.name, part.name), bad
                continue
            for bad in bad_values(field.name, value):
                yield kind, (field.name,), bad


def cut_cases():
    cut = whole().cuts[0]
    for field in fields(LinearCut):
        value = getattr(cut, field.name)
        if field.name in WORDS:
            continue
        if field.name == "coefficient":
            for bad in bad_values("coefficient", 1.0):
                yield field.name, {"pv": bad}
            yield field.name, {"pv": 0.0}
            yield field.name, {}
            yield field.name, {"nobody": 1.0}
        else:
            for bad in bad_values(field.name, value):
                yield field.name, bad


def test_the_whole_input_is_sound():
    check_input(whole())


def test_each_field_refuses_what_it_cannot_be_by_its_name():
    wrong = [
        f"{name} = {told(bad)}: {found}"
        for name, bad in field_cases()
        if (found := refusal(lambda n=name, b=bad: replace(whole(), **{n: b}), name))
    ]
    assert not wrong, "\n".join(wrong)


def test_each_fact_of_an_asset_refuses_what_it_cannot_be_by_its_name():
    wrong = []
    for kind, path, bad in fact_cases():
        fact = FACTS[kind]

        def made(kind=kind, fact=fact, path=path, bad=bad):
            inner = bad
            if len(path) > 1:
                parts = getattr(fact, path[0])
                inner = (replace(parts[0], **{path[1]: bad}), *parts[1:])
            changed = replace(fact, **{path[0]: inner})
            return replace(whole(), **{kind: changed if kind == "grid" else (changed,)})

        if found := refusal(made, path[-1]):
            wrong.append(f"{kind}.{'.'.join(path)} = {told(bad)}: {found}")
    assert not wrong, "\n".join(wrong)


def test_each_part_of_a_cut_refuses_what_it_cannot_be():
    wrong = []
    for name, bad in cut_cases():
        cut = replace(whole().cuts[0], **{name: bad})
        if found := refusal(lambda c=cut: replace(whole(), cuts=(c,)), "vm_pu bus 5"):
            wrong.append(f"{name} = {told(bad)}: {found}")
    assert not wrong, "\n".join(wrong)


def changed(kind, **facts):
    """Return the whole input with other facts of its asset of a kind."""
    return replace(whole(), **{kind: (replace(FACTS[kind], **facts),)})


CONTRADICTIONS = {
    "battery_energy_kwh": [
        lambda: replace(whole(), battery_energy_kwh=np.array([1.0])),
        lambda: replace(whole(), battery_energy_kwh=np.array([21.0])),
    ],
    "end_energy_min_kwh": [lambda: replace(whole(), end_energy_min_kwh=np.array([21.0]))],
    "energy_target_kwh": [lambda: replace(whole(), energy_target_kwh=np.full((1, N), 21.0))],
    "min_energy_kwh": [lambda: changed("battery", min_energy_kwh=21.0)],
    "initial_energy_kwh": [lambda: changed("battery", initial_energy_kwh=21.0)],
    "taper_energy_kwh": [
        lambda: changed("battery", taper_energy_kwh=21.0),
        lambda: changed("battery", taper_energy_kwh=20.0),
        lambda: changed("battery", taper_energy_kwh=None),
    ],
    "taper_power_kw": [lambda: changed("battery", taper_power_kw=11.0)],
    "fade_energy_kwh": [
        lambda: changed("battery", fade_energy_kwh=1.0),
        lambda: changed("battery", fade_energy_kwh=2.0),
    ],
    "min_power_kw": [lambda: changed("genset", min_power_kw=21.0)],
    "start_kw": [
        lambda: changed("genset", start_kw=4.0),
        lambda: changed("genset", start_kw=21.0),
    ],
    "stop_kw": [lambda: changed("genset", stop_kw=4.0)],
    "from_kw": [lambda: changed("genset", fuel_segment=(FuelSegment(21.0, Price(400_000)),))],
    "after_intervals": [lambda: changed("genset", cold_start=(ColdStart(1, Amount(10**9)),))],
    "genset_output_kw": [
        lambda: replace(whole(), genset_output_kw=np.array([21.0])),
        lambda: replace(whole(), genset_on=np.array([False])),
    ],
    "ev_target_kwh": [
        lambda: replace(whole(), ev_target_kwh=np.full((1, N), 61.0)),
        lambda: replace(whole(), ev_connected=np.full((1, N), False)),
    ],
    "ev_arrival_kwh": [lambda: replace(whole(), ev_arrival_kwh=np.full((1, N), 1.0))],
    "ev_energy_kwh": [lambda: replace(whole(), ev_energy_kwh=np.array([61.0]))],
    "heat_energy_kwh": [lambda: replace(whole(), heat_energy_kwh=np.array([41.0]))],
    "high_celsius": [lambda: changed("flexible", high_celsius=19.0)],
    "flexible_low_kwh": [lambda: replace(whole(), flexible_low_kwh=np.full((1, N), 6.0))],
    "critical_kw": [
        lambda: replace(whole(), critical_kw=np.full(N, 11.0)),
        lambda: changed("battery", forming=False),
    ],
    "twice": [
        lambda: replace(
            whole(), solar=2 * (FACTS["solar"],), solar_available_kw=np.full((2, N), 1.0)
        ),
        lambda: changed("wind", id="pv"),
    ],
    "demand_kw": [lambda: replace(whole(), demand_kw=np.zeros(0))],
}
"""By the name that the refusal says: limits of which one excludes the other, no steps at all."""


def test_limits_that_exclude_each_other_and_an_empty_horizon_are_named():
    wrong = [
        f"{name}[{number}]: {found}"
        for name, makers in CONTRADICTIONS.items()
        for number, made in enumerate(makers)
        if (found := refusal(made, name))
    ]
    assert not wrong, "\n".join(wrong)


def refusal(made, name):
    """Return what is wrong with the refusal of an input; nothing when it is refused by name."""
    try:
        check_input(made())
    except BadInputError as error:
        return "" if name in str(error) else f"refused without its name: {error}"
    except Exception as error:
        return f"raises {type(error).__name__}: {error}"
    return "is taken"
