"""Targets of dispatch: problem files."""

from __future__ import annotations

from dispatch import pglib, plan_file
from tests.fuzz.target import Target

_PROBLEM = (
    b'{"time_periods":1,"demand":[60.0],"reserves":[5],"thermal_generators":{"g":{"must_run":0,'
    b'"power_output_minimum":10,"power_output_maximum":100,"ramp_up_limit":90,"ramp_down_limit":'
    b'90,"ramp_startup_limit":100,"ramp_shutdown_limit":100,"time_up_minimum":1,'
    b'"time_down_minimum":2,"power_output_t0":0,"unit_on_t0":0,"time_up_t0":0,"time_down_t0":9,'
    b'"startup":[{"lag":1,"cost":5},{"lag":4,"cost":9}],"piecewise_production":[{"mw":10,"cost":'
    b'100},{"mw":100,"cost":1e3}]}},"renewable_generators":{"w":{"power_output_minimum":[0],'
    b'"power_output_maximum":[7.5]}}}'
)


def _problem(octets: bytes) -> None:
    found = pglib.parse(octets)
    if not all(0.0 <= mw <= 1e7 for mw in (*found.demand_mw, *found.reserve_mw)):
        raise AssertionError(octets)


_PLAN = (
    b'{"format":"khazri-plan-1","start_s":0,"interval_s":3600,"battery":[{"id":"b","usage_point":'
    b'"u","power_kw":5,"energy_kwh":10,"wear":0.01}],"solar":[],"wind":[],"genset":[],"shedding":'
    b'[],"grid":{"id":"g","import_limit_kw":9,"export_limit_kw":0,"price":[{"from_time":"00:00",'
    b'"buy":0.1,"sell":0}]},"demand_kw":[2.5],"solar_available_kw":[],"wind_available_kw":[],'
    b'"sheddable_kw":[],"buy_price":[-0.1],"sell_price":[0],"end_value_per_kwh":0,'
    b'"grid_available":[true],"battery_energy_kwh":[9],"genset_on":[],'
    b'"genset_intervals_in_state":[],"reserve_kw":[0],"cuts":[{"step":0,"name":"c",'
    b'"coefficient":{"b":1},"limit_kw":4}]}'
)

TARGETS = {
    "pglib-uc": Target(_problem, (_PROBLEM,), 1024),
    "plan-file": Target(plan_file.parse, (_PLAN,), 1024, quick=False),
}
