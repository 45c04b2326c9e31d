import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from networks.sources.layout import tree_layout


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_graph_is_drawn_in_the_unit_square_with_no_two_points_at_one_place(data):
    count = data.draw(st.integers(1, 60))
    point = st.integers(0, count - 1)
    edges = data.draw(st.lists(st.tuples(point, point), max_size=120))
    x, y = tree_layout(count, edges, data.draw(point))
    assert np.isfinite(x).all()
    assert np.isfinite(y).all()
    assert min(x.min(), y.min()) >= 0
    assert max(x.max(), y.max()) <= 1
    assert len(set(zip(x.tolist(), y.tolist(), strict=True))) == count


def test_a_ring_is_cut_where_its_ways_meet():
    # 0-1-2-3-4-0: two ways down of length 1 and 2, so that three rows are drawn.
    _, y = tree_layout(5, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)], 0)
    assert y.tolist() == [0.0, 0.5, 1.0, 1.0, 0.5]


def test_a_second_island_is_a_tree_of_its_own_beside_the_first():
    x, y = tree_layout(7, [(0, 1), (0, 2), (4, 5), (5, 6)], 0)
    assert y[[0, 1, 2]].tolist() == [0.0, 1 / 3, 1 / 3]
    assert y[[4, 5, 6]].tolist() == [0.0, 1 / 3, 2 / 3]
    assert x[[4, 5, 6]].min() > x[[0, 1, 2]].max()
    assert y[3] == 1.0


def test_ten_thousand_points_in_one_row_need_no_deep_stack():
    count = 10_000
    _, y = tree_layout(count, [(at, at + 1) for at in range(count - 1)], 0)
    assert np.allclose(y, np.arange(count) / (count - 1))
