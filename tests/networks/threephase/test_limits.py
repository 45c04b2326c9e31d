import numpy as np

from networks.threephase.flow import nominal_flow
from networks.threephase.limits import findings
from networks.threephase.source import load


def test_broken_limits_name_the_phase_and_count_intervals():
    model = load("pandapower:ieee_european_lv_asymmetric", source_voltage_pu=1.05)
    state = nominal_flow(model)
    assert findings(state, model) == []
    tight = findings(state, model, voltage_pu=(0.9965, 1.1), unbalance_percent=0.72)
    assert [one.subject for one in tight if one.code == "network.voltage_low"] == [
        "bus 899 '899' phase b"
    ]
    low = next(one for one in tight if one.code == "network.voltage_low")
    assert low.message.endswith("0.9962 pu is below 0.9965 pu (1 of 1 intervals)")
    over = {one.subject for one in tight if one.code == "network.unbalance"}
    limit = state["unbalance_percent"][0] > 0.72
    assert over == {f"bus {bus} '{bus}'" for bus in model.bus[limit.to_numpy()]}
    loaded = findings(state, model, loading_percent=28.0)
    neutral = {one.subject for one in loaded if one.code == "network.neutral_loading"}
    rated = model.line.rated_from_ka * 1e3
    above = np.flatnonzero(100 * state["line_neutral_a"][0] / rated > 28.0)
    assert len(neutral) == len(above) > 0
    assert all(one.endswith(" neutral") for one in neutral)
