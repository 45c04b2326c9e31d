"""The site of the village: eight households, a battery, a charger, plants and a genset."""

from __future__ import annotations

from grid import interval, site_file

NOW = interval.parse("2026-05-27T14:00+04:00")
N = 8

TOML = """
id = "village"
name = "Sarı Qaya"
time_zone = "Asia/Baku"
currency = "AZN"
interval_s = 900
[network]
source = "simbench:1-LV-rural1--0-sw"
[field]
kind = "simulated"
[operation]
[market]
mechanism = "uniform_price"
profile = "sandbox"
feed_in = "0.05"
shortfall = "0.15"
surplus = "0.04"
grid_fee = "0.01"
battery_use_fee = "0.02"
[grid]
id = "GRID"
import_limit_kw = 100
export_limit_kw = 100
[[grid.price]]
from_time = "00:00"
buy = "0.08"
sell = "0.04"
[[grid.price]]
from_time = "17:00"
buy = "0.16"
sell = "0.06"
[[tariff]]
id = "home"
name = "Home"
fixed_fee = "1.00"
[[tariff.block]]
up_to_kwh = 200
price = "0.084"
[[tariff.block]]
up_to_kwh = 0
price = "0.10"
[[party]]
id = "community"
name = "Community"
kind = "community"
[[meter]]
id = "M-HEAD"
protocol = "modbus"
profile = "sdm630"
role = "feeder_head"
[[battery]]
id = "BAT-1"
usage_point = "UP-1"
power_kw = 30
energy_kwh = 120
forming = true
[[charger]]
id = "EV-1"
usage_point = "UP-2"
power_kw = 11
energy_kwh = 60
missed = "2.0"
[[solar]]
id = "PV-1"
usage_point = "UP-2"
power_kw = 40
[[wind]]
id = "WIND-1"
usage_point = "UP-3"
power_kw = 20
[[genset]]
id = "DG-1"
usage_point = "UP-1"
power_kw = 25
min_power_kw = 5
fuel = "0.35"
no_load_per_hour = "1.2"
start = "3.0"
""" + "".join(
    f"""
[[party]]
id = "P-{n}"
name = "Household {n}"
kind = "household"
[[usage_point]]
id = "UP-{n}"
bus = {n}
party = "P-{n}"
kind = "household"
tariff = "home"
connection_kw = 50
[[meter]]
id = "M-{n}"
protocol = "dlms"
profile = "standard"
usage_point = "UP-{n}"
"""
    for n in range(1, N + 1)
)
SITE = site_file.parse(TOML)
