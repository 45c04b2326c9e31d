"""A template unrolled and patched is the model that Pyomo compiles whole."""

from dataclasses import replace

import numpy as np
import pyomo.environ as pyo
import pytest

from dispatch import highs, template
from dispatch.model import stated
from dispatch.plan import LinearCut
from dispatch.statement import statement


def canonical(lp, columns, rows):
    """Return bounds, costs and rows of a problem by the names of its columns and rows."""
    start, index, value = lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_
    by_row = [{} for _ in rows]
    outer = len(rows) if lp.a_matrix_.format_.name == "kRowwise" else len(columns)
    for i in range(outer):
        for k in range(start[i], start[i + 1]):
            r, c = (i, index[k]) if outer == len(rows) else (index[k], i)
            by_row[r][columns[c]] = value[k]
    return (
        lp.offset_,
        {
            name: (lp.col_lower_[i], lp.col_upper_[i], lp.col_cost_[i])
            for i, name in enumerate(columns)
        },
        {
            name: (lp.row_lower_[i], lp.row_upper_[i], tuple(sorted(by_row[i].items())))
            for i, name in enumerate(rows)
        },
    )


def by_pyomo(problem):
    model = stated(problem)
    known = highs.compiled(model)
    names = {id(v): v.name for v in model.component_data_objects(pyo.Var)}
    rows = {id(c): c.name for c in model.component_data_objects(pyo.Constraint)}
    columns = [names[key] for key, _ in sorted(known.column.items(), key=lambda one: one[1])]
    lines = [rows[key] for key, _ in sorted(known.row.items(), key=lambda one: one[1])]
    return canonical(known.lp, columns, lines)


def by_template(problem):
    known = template.patched(problem)
    extra = {c.name: [] for c in problem.extras.columns} | {r.name: [] for r in problem.extras.rows}
    for one in (*problem.extras.columns, *problem.extras.rows):
        extra[one.name].append(one.index)

    def named(places):
        found = []
        for name, place in sorted(places.items(), key=lambda one: one[1].first):
            if name in extra:
                steps = extra[name]
            elif place.row is None:
                steps = [(t,) for t in range(place.steps)]
            else:
                steps = [(asset, t) for asset in place.row for t in range(place.steps)]
            found += [f"{name}[{','.join(map(str, index))}]" for index in steps]
        return found

    return canonical(known.lp, named(known.column), named(known.row))


def same(one, other):
    assert one[0] == pytest.approx(other[0], rel=1e-12, abs=1e-9)
    # a variable that stands in no row is no column for Pyomo
    assert set(other[1]) <= set(one[1])
    for name, numbers in other[1].items():
        assert one[1][name] == pytest.approx(numbers, rel=1e-12, abs=1e-12), name
    assert set(one[2]) == set(other[2])
    for name, (low, high, terms) in other[2].items():
        assert one[2][name][:2] == pytest.approx((low, high), rel=1e-12, abs=1e-9), name
        assert [n for n, _ in one[2][name][2]] == [n for n, _ in terms], name
        found, wanted = ([c for _, c in known] for known in (one[2][name][2], terms))
        assert found == pytest.approx(wanted, rel=1e-12), name


@pytest.mark.parametrize("elastic", [False, True])
@pytest.mark.parametrize("outage", [range(0), range(40, 52), range(96)])
def test_unrolled_it_is_the_whole_model(demo_day, outage, elastic):
    template.forget()
    day = demo_day(outage, 2, end_energy_min_kwh=np.ones(9))
    pairs = frozenset({("bat-c", 0), ("bat-c", 7), ("grid-1", 3)})
    problem = statement(day, pairs, elastic=elastic)
    same(by_template(problem), by_pyomo(problem))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 9, 30])
def test_a_horizon_shorter_than_the_memory_is_the_whole_model(community, make, n):
    day = community(
        n,
        hours=0.25,
        genset=(make.genset(min_up_intervals=6, min_down_intervals=3), make.genset("gen-2")),
        battery=(make.battery(), make.battery("bat-2", power=3.0)),
        genset_on=[True, False],
        genset_intervals_in_state=[2, 1],
    )
    problem = statement(day)
    same(by_template(problem), by_pyomo(problem))


def test_a_template_serves_other_numbers(demo_day):
    """What differs from roll to roll is bounds, costs and right-hand sides alone."""
    template.forget()
    draw = np.random.default_rng(7)
    first = demo_day(range(40, 60), 3)
    template.patched(statement(first))
    known = list(template._kept)
    other = replace(
        demo_day(range(10, 30), 0, seed=1),
        buy_price=draw.uniform(-0.1, 0.5, 96),
        battery_energy_kwh=np.array([b.energy_kwh * draw.random() for b in first.battery]),
        genset_on=~first.genset_on,
        genset_intervals_in_state=np.array([1]),
        reserve_kw=draw.uniform(0.0, 9.0, 96),
        cuts=(LinearCut(5, "vm_pu bus 3 <= 1.05", {"bat-c": 2e-4, "grid-1": 1e-4}, 9e-4),),
    )
    problem = statement(other)
    found = by_template(problem)
    assert list(template._kept) == known
    same(found, by_pyomo(problem))


def test_rows_that_look_back_too_far_are_refused(community, make, monkeypatch):
    day = community(20, genset=(make.genset(min_up_intervals=6),))
    monkeypatch.setattr("dispatch.template.memory", lambda given: 3)
    template.forget()
    with pytest.raises(AssertionError, match="looks back further"):
        template.patched(statement(day))
