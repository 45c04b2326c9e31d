"""Targets of dispatch: problem files and weather files."""

from __future__ import annotations

import numpy as np

from dispatch import pglib, problem_file
from dispatch.forecast.weather import QUANTITIES, parse_weather
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
    b'start = "2026-10-21T17:00Z"\ninterval_s = 900\ndemand_kw = [2.5]\nbuy_price = [-0.1]\n'
    b'[grid]\nimport_limit_kw = 9.0\nexport_limit_kw = 0.0\n[[battery]]\nid = "b"\n'
    b'power_kw = 5.0\nenergy_kwh = 10.0\nwear = "0.01"\n'
)


def _plan(octets: bytes) -> None:
    problem_file.parse(octets.decode("utf-8", "replace"))


_WEATHER = (
    b"issued_at,time,ghi_w_per_m2,dni_w_per_m2,temperature_celsius,wind_10m_m_per_s\n"
    b"2026-06-01T00:00Z,2026-06-01T10:00Z,700,,21.5,4\n"
    b"2026-06-01T06:00Z,2026-06-01T14:00+04:00,710.5,650,-2e1,0\n"
    b"2026-06-01T06:00Z,2026-06-01T11:00Z,800,1,,4\n"
)


def _weather(octets: bytes) -> None:
    found = parse_weather(octets)
    begins = found["interval"].values.astype(np.int64)
    if (np.diff(begins) < 0).any() or (begins % found["length_s"].values).any():
        raise AssertionError(octets)
    for name, (_, low, high) in QUANTITIES.items():
        values = found[name].values
        if not (np.isnan(values) | ((values >= low) & (values <= high))).all():
            raise AssertionError(octets)


TARGETS = {
    "pglib-uc": Target(_problem, (_PROBLEM,), 1024),
    "weather-file": Target(_weather, (_WEATHER,), 1024, quick=False),
    "plan-file": Target(_plan, (_PLAN,), 1024, quick=False),
}
