"""The demo microgrid as a site file: a SimBench feeder made a community near Baku."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from grid import interval
from networks.sources.demo import DemoFacts, demo_site_facts

SOURCE = "simbench:1-LV-rural2--2-sw"
TIME_ZONE = "Asia/Baku"
DEFAULT_DAY = date(2026, 5, 29)
OUTAGE_START, OUTAGE_END = "19:00", "20:00"
_YEAR_DAYS = 366
_PROFILE_YEAR = 2016


def profile_offset_days(day: date) -> int:
    """Return the shift that maps `day` to the nearest day of 2016 with its weekday.

    The day of the profile year is ``(day.toordinal() + offset) % 366``.
    """
    natural = day.replace(year=_PROFILE_YEAR)
    shift = (day.weekday() - natural.weekday() + 3) % 7 - 3
    position = natural.timetuple().tm_yday - 1 + shift
    if not 0 <= position < _YEAR_DAYS:
        position += 7 if position < 0 else -7
    return (position - day.toordinal()) % _YEAR_DAYS


def _table(name: str, rows: Iterable[dict[str, object]]) -> str:
    lines: list[str] = []
    for row in rows:
        lines.append(f"[[{name}]]")
        for key, value in row.items():
            if isinstance(value, bool):
                text = str(value).lower()
            elif isinstance(value, str):
                text = f'"{value}"'
            else:
                text = str(value)
            lines.append(f"{key} = {text}")
        lines.append("")
    return "\n".join(lines)


_HEAD = """\
# The demo microgrid: SimBench's rural feeder {source}, placed near Baku.
# `khazri check SITE.toml` names what is wrong, with its line, and the keys that there are.
id = "demo-rural2"
name = "Nardaran demo community"
time_zone = "{time_zone}"
currency = "AZN"
interval_s = 900

[network]
source = "{source}"
source_voltage_pu = 1.015        # at the medium-voltage side; SimBench's 1.025 leaves no room
voltage_min_pu = 0.90
voltage_max_pu = 1.05            # binds at noon, when the sun feeds the far end
loading_max_percent = 100.0

[field]
kind = "simulated"               # on loopback, addresses in field.json; "real": each at its url
seed = {seed}
profile_offset_days = {offset}

[operation]
horizon_intervals = 96
history_days = 28
estimate_after_intervals = 2     # settle with an estimate when a reading is this late
final_after_intervals = 32

[market]
mechanism = "uniform_price"
# Peer-to-peer trading needs a regulatory sandbox; "azerbaijan" is the law as it stands.
profile = "azerbaijan_sandbox"
feed_in = "0.050"
shortfall = "0.160"
surplus = "0.040"
grid_fee = "0.012"
battery_use_fee = "0.010"
minimum_group = 5

# What the community pays at the feeder head by civil time: two rates, and an evening premium
# for what it sells.
[grid]
id = "GRID"
import_limit_kw = 60.0
export_limit_kw = 120.0
[[grid.price]]
from_time = "00:00"
buy = "0.055"
sell = "0.030"
[[grid.price]]
from_time = "08:00"
buy = "0.120"
sell = "0.030"
[[grid.price]]
from_time = "17:00"
buy = "0.120"
sell = "0.085"
[[grid.price]]
from_time = "22:00"
buy = "0.055"
sell = "0.030"

# Azerbaijan's residential blocks, VAT included.
[[tariff]]
id = "household"
name = "Residential, increasing blocks"
fixed_fee = "1.00"
vat_percent = 18
[[tariff.block]]
up_to_kwh = 200
price = "0.084"
[[tariff.block]]
up_to_kwh = 300
price = "0.100"
[[tariff.block]]
up_to_kwh = 0
price = "0.150"

[[tariff]]
id = "business"
name = "Non-residential"
fixed_fee = "1.00"
vat_percent = 18
[[tariff.block]]
up_to_kwh = 0
price = "0.130"

[[outage]]
start = "{outage_start}"
end = "{outage_end}"

[[party]]
id = "COMMUNITY"
name = "Nardaran energy community"
kind = "community"
"""


def demo_site(*, day: date = DEFAULT_DAY, seed: int = 1) -> str:
    """Return the demo's ``SITE.toml`` with the outage on `day`."""
    facts = demo_site_facts(SOURCE)
    midnight, _ = interval.day_bounds(day, TIME_ZONE)

    def at(clock: str) -> str:
        hours, minutes = clock.split(":")
        return interval.label(midnight + int(hours) * 3600 + int(minutes) * 60)

    head = _HEAD.format(
        source=SOURCE,
        time_zone=TIME_ZONE,
        seed=seed,
        offset=profile_offset_days(day),
        outage_start=at(OUTAGE_START),
        outage_end=at(OUTAGE_END),
    )
    return "\n".join([head, *_people(facts), *_assets(facts)])


def _people(facts: DemoFacts) -> list[str]:
    parties: list[dict[str, object]] = []
    points: list[dict[str, object]] = []
    meters: list[dict[str, object]] = []
    for number, point in enumerate(facts.usage_point, start=1):
        name = f"{'Business' if point.kind == 'business' else 'Household'} {number}"
        parties.append({"id": f"P-{number:03d}", "name": name, "kind": point.kind})
        points.append(
            {
                "id": f"UP-{number:03d}",
                "bus": point.bus,
                "party": f"P-{number:03d}",
                "kind": point.kind,
                "tariff": point.kind,
                "connection_kw": max(point.connection_kw, _behind_kw(facts, point.bus)),
                "critical": point.kind == "household" and not point.charge_point,
            }
        )
    points += [
        {
            "id": f"UP-{name}",
            "bus": facts.lv_bus,
            "party": "COMMUNITY",
            "kind": "community",
            "tariff": "business",
            "connection_kw": 120.0,
            "critical": True,
        }
        for name in ("BAT", "WIND", "GEN")
    ]
    for number, row in enumerate(points):
        dlms = number % 2 == 1
        meters.append(
            {
                "id": f"M-{str(row['id'])[3:]}",
                "protocol": "dlms" if dlms else "modbus",
                "profile": "cosem" if dlms else "sdm630",
                "usage_point": row["id"],
                "auth": "lls" if number % 4 == 3 else "none",
            }
        )
    meters.append(
        {
            "id": "M-HEAD",
            "protocol": "dlms",
            "profile": "cosem",
            "role": "feeder_head",
            "auth": "lls",
        }
    )
    return [_table("party", parties), _table("usage_point", points), _table("meter", meters)]


def _behind_kw(facts: DemoFacts, bus: int) -> float:
    """Return what the plants and batteries of a bus may feed in together, with a margin."""
    total = sum(one.power_kw for one in facts.solar if one.bus == bus)
    total += sum(one.power_kw for one in facts.battery if one.bus == bus)
    return float(round(total * 1.2 + 1))


def _assets(facts: DemoFacts) -> list[str]:
    at_bus = {point.bus: f"UP-{n:03d}" for n, point in enumerate(facts.usage_point, start=1)}
    batteries: list[dict[str, object]] = [
        {
            "id": "BAT-COMMUNITY",
            "usage_point": "UP-BAT",
            "power_kw": 60.0,
            "energy_kwh": 160.0,
            "min_energy_kwh": 16.0,
            "initial_energy_kwh": 60.0,
            "wear": "0.006",
            "forming": True,
        }
    ]
    batteries += [
        {
            "id": f"BAT-{number:02d}",
            "usage_point": at_bus[one.bus],
            "power_kw": round(one.power_kw, 3),
            "energy_kwh": round(one.energy_kwh, 3),
            "charge_efficiency": one.efficiency,
            "discharge_efficiency": one.efficiency,
            "initial_energy_kwh": round(one.energy_kwh * 0.3, 3),
            "wear": "0.006",
        }
        for number, one in enumerate(facts.battery, start=1)
    ]
    solar = [
        {"id": f"PV-{n:02d}", "usage_point": at_bus[one.bus], "power_kw": one.power_kw}
        for n, one in enumerate(facts.solar, start=1)
    ]
    wind = [{"id": "WIND-1", "usage_point": "UP-WIND", "power_kw": 10.0, "profile": "WP4"}]
    genset = [
        {
            "id": "GEN-1",
            "usage_point": "UP-GEN",
            "power_kw": 50.0,
            "min_power_kw": 12.0,
            "fuel": "0.260",
            "no_load_per_hour": "1.50",
            "start": "1.00",
            "min_up_intervals": 2,
            "min_down_intervals": 4,
            "island_required": True,
        }
    ]
    flexible = [
        f'"UP-{number:03d}"'
        for number, point in enumerate(facts.usage_point, start=1)
        if point.kind == "business" or point.charge_point
    ]
    shedding = (
        f'[[shedding]]\nid = "SHED-1"\nusage_points = [{", ".join(flexible)}]\npenalty = "2.000"\n'
    )
    tables = {"battery": batteries, "solar": solar, "wind": wind, "genset": genset}
    return [*(_table(name, rows) for name, rows in tables.items()), shedding]
