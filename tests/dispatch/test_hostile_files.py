"""Problem files and site files refuse what a number cannot be, by its key: every key there is."""

import re
import typing
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from dispatch.plan import KINDS, PlanInput
from dispatch.problem_file import parse as parse_problem
from grid.errors import BadInputError
from grid.operation.demo_site import demo_site
from grid.site import Battery, Genset, GridConnection, Shedding, Solar, Wind
from grid.site_devices import Charger, Flexible, Heat
from grid.site_facts import Amount, Price
from grid.site_file import parse as parse_site

PROBLEM = (
    (Path(__file__).parents[2] / "docs" / "examples" / "evening.toml").read_text()
    + """
[[wind]]
id = "WIND-1"
power_kw = 5.0

[[shedding]]
id = "SHED-1"
penalty = "2.00"

[[flexible]]
id = "HEAT-1"
power_kw = 3.0
missed = "1.00"

[[heat]]
id = "TANK-1"
genset = "GEN-1"
heat_per_kwh = 1.2
energy_kwh = 40.0
boiler_kw = 20.0
boiler = "0.08"
missed = "1.00"
"""
)
PROBLEM = PROBLEM.replace(
    "peak_kw = 18.0",
    """peak_kw = 18.0
flexible_need_kw = [[1.0, 1.0, 1.0, 1.0]]
flexible_low_kwh = [[0.0, 0.0, 0.0, 0.0]]
flexible_high_kwh = [[5.0, 5.0, 5.0, 5.0]]
flexible_energy_kwh = [2.0]
heat_need_kw = [[1.0, 1.0, 1.0, 1.0]]
heat_energy_kwh = [5.0]""",
)

SITE = (
    demo_site()
    + """
[[shedding]]
id = "SHED-X"
usage_points = ["UP-001"]
penalty = "2.00"
"""
)

TYPES = {
    "battery": Battery, "solar": Solar, "wind": Wind, "genset": Genset, "shedding": Shedding,
    "charger": Charger, "flexible": Flexible, "heat": Heat, "grid": GridConnection,
}  # fmt: skip
NO_NUMBERS = {
    "id", "usage_point", "usage_points", "url", "profile", "price", "from_time", "to_time",
    "usual_departure", "indoor", "outdoor", "turbine", "genset",
}  # fmt: skip
NESTED = {"fuel_segment", "cold_start"}
SIGNED = {
    "buy_price", "sell_price", "end_value_per_kwh", "flexible_need_kw", "flexible_low_kwh",
    "flexible_high_kwh", "flexible_energy_kwh", "low_celsius", "high_celsius", "outdoor_celsius",
}  # fmt: skip


def bad_texts(kind, key):
    """Return TOML values that a key of a type cannot have."""
    if kind in (Price, Amount):
        return ['"nan"', '"inf"', '"1e30"', '"-1"', '"999999999999"', "5.0", "nan"]
    if kind is bool:
        return ["nan", "1", '"yes"', "[true]"]
    wrong = ["nan", "inf", "-inf", "1e30", '"cheap"', "[1.0]", "true"]
    return wrong if key in SIGNED else [*wrong, "-1.0" if kind is not int else "-1"]


def with_key(text, table, key, value):
    """Return a file whose first table of a kind has a key of another value."""
    head = re.search(rf"^\[+{table}\]+\n", text, re.M)
    assert head, table
    rest = text[head.end() :]
    end = re.search(r"^\[", rest, re.M)
    body = rest[: end.start()] if end else rest
    gone = re.sub(rf"^{key} = .*\n", "", body, flags=re.M)
    return text[: head.end()] + f"{key} = {value}\n" + gone + (rest[end.start() :] if end else "")


def fact_keys(tables):
    """Yield (table, key, type) of every number of facts."""
    for table in tables:
        hints = typing.get_type_hints(TYPES[table])
        for field in fields(TYPES[table]):
            if field.name in NO_NUMBERS | NESTED:
                continue
            kind = hints[field.name]
            options = [one for one in typing.get_args(kind) if one is not type(None)]
            yield table, field.name, options[0] if options else kind


def refused(parse, text, key):
    """Return what is wrong with the refusal of a file; nothing when it names the key."""
    try:
        parse(text)
    except BadInputError as error:
        return "" if key in str(error) else f"refused without its key: {error}"
    return "is taken"


@pytest.mark.parametrize("table", TYPES)
def test_each_key_of_an_asset_in_a_problem_file_refuses_what_it_cannot_be(table):
    parse_problem(PROBLEM)
    wrong = [
        f"{key} = {value}: {found}"
        for _, key, kind in fact_keys([table])
        for value in bad_texts(kind, key)
        if (found := refused(parse_problem, with_key(PROBLEM, table, key, value), key))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("table", ["battery", "solar", "wind", "genset", "shedding", "grid"])
def test_each_key_of_an_asset_in_a_site_file_refuses_what_it_cannot_be(table):
    """With the line that it stands in."""
    small = smaller(SITE)
    wrong = []
    for _, key, kind in fact_keys([table]):
        for value in bad_texts(kind, key):
            text = with_key(small, table, key, value)
            line = text[: text.index(f"{key} = {value}\n")].count("\n") + 1
            where = f":{line}: "
            if found := refused(parse_site, text, key) or refused(parse_site, text, where):
                wrong.append(f"{key} = {value}: {found}")
    assert not wrong, "\n".join(wrong)


def smaller(text):
    """Return a site file without its people and meters, whose absence is told of beside."""
    blocks = re.split(r"^(?=\[)", text, flags=re.M)
    gone = ("[[usage_point", "[[meter", "[[party")
    return "".join(one for one in blocks if not one.startswith(gone))


def series_keys():
    """Yield (key, sound TOML value, number of axes) of every series, state and number."""
    for field in fields(PlanInput):
        if field.name in (*KINDS, "grid", "cuts", "start_s"):
            continue
        scalar = field.default is not MISSING and isinstance(field.default, (int, float))
        yield field.name, scalar or field.type in ("int", "float", "float | None")


def test_each_series_and_number_of_a_problem_file_refuses_what_it_cannot_be():
    wrong = []
    for key, scalar in series_keys():
        text = re.sub(rf"^{key} = .*\n", "", PROBLEM, flags=re.M)
        texts = ["nan", "inf", "-inf", "1e30", '"cheap"'] + ([] if key in SIGNED else ["-1.0"])
        rows = [", ".join([bad] * count) for bad in texts for count in (1, 4)]
        values = (
            texts if scalar else [*texts, *(f"[{r}]" for r in rows), *(f"[[{r}]]" for r in rows)]
        )
        wrong += [
            f"{key} = {value}: {found}"
            for value in values
            if (found := refused(parse_problem, f"{key} = {value}\n" + text, key))
        ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("demand_kw = [20.0, 24.0, 30.0, 26.0]", "demand_kw = []", "demand_kw"),
        ("min_power_kw = 5.0", "min_power_kw = 16.0", "min_power_kw"),
        ("initial_energy_kwh = 12.0", "initial_energy_kwh = 21.0", "initial_energy_kwh"),
        ("energy_kwh = 20.0", "energy_kwh = 20.0\nmin_energy_kwh = 21.0", "min_energy_kwh"),
        ("energy_kwh = 20.0", "energy_kwh = 20.0\nmin_energy_kwh = 13.0", "battery_energy_kwh"),
        ("[[0.0, 0.0, 30.0, 0.0]]", "[[0.0, 0.0, 61.0, 0.0]]", "ev_target_kwh"),
        ("ev_energy_kwh = [18.0]", "ev_energy_kwh = [61.0]", "ev_energy_kwh"),
        ("[[0.0, 0.0, 0.0, 0.0]]\nflexible_high", "[[6.0, 0.0, 0.0, 0.0]]\nflexible_high",
         "flexible_low_kwh"),
    ],
)  # fmt: skip
def test_limits_that_contradict_each_other_are_named(old, new, key):
    assert old in PROBLEM
    with pytest.raises(BadInputError, match=key):
        parse_problem(PROBLEM.replace(old, new, 1))
