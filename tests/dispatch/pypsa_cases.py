"""Small planning cases as plain data, from which PyPSA's networks and our problems are both built.

A case has steps of one hour and one unit of power, kW or MW, throughout. Its parts:

``demand``
    Of each hour.
``units``
    Generators that are on or off. `power`, `least` load, `cost` per energy, `no_load` per hour on,
    `start` and `stop` cost, minimum `up` and `down` time in hours, `before`: hours on before the
    first hour, or hours off as a negative number; `ramp_up`, `ramp_down`, `ramp_start` and
    `ramp_stop` per hour in power, the last two bounding the first and last hour on, and
    `output_before`; `emission` in kg per energy; `available`: its share of `power` by hour.
``plants``
    Generators that give up to `power` times `available`, or less; `cost`, `emission`; with a
    `ramp_up` and `ramp_down` where what they gave before the first hour is free.
``stores``
    `power`, `energy`, efficiencies of `charge` and `discharge`, `loss` per hour of what is stored,
    `initial` energy, `cyclic` when it ends as it began, `cost` per energy discharged.
``grid``
    `import` and `export` limits, `buy` and `sell` price of each hour, `emission` of what is bought.
``shed``
    `power` that may be withheld, at `cost`.
``emission_price``, ``emission_cap``
    Currency per kg, and kg over all hours.
``optimum``
    Where it is published.
"""

from __future__ import annotations

from typing import Any

Case = dict[str, Any]

SUN = [0, 0, 0, 0, 0, 0.02, 0.1, 0.25, 0.45, 0.63, 0.76, 0.83]
SUN = [*SUN, *SUN[::-1]]
WIND = [0.3, 0.35, 0.5, 0.62, 0.7, 0.66, 0.4, 0.2, 0.1, 0.05, 0.12, 0.2]
WIND = [*WIND, 0.25, 0.3, 0.42, 0.55, 0.5, 0.4, 0.3, 0.22, 0.35, 0.6, 0.72, 0.5]
HOUSES = [31, 28, 26, 25, 26, 30, 44, 58, 52, 47, 45, 46, 50, 48, 44, 43, 49, 62, 78, 84, 80, 68]
HOUSES = [*HOUSES, 51, 38]
DAY = [0.14] * 7 + [0.22] * 10 + [0.36] * 4 + [0.22] * 3


def unit(power: float, **facts: Any) -> Case:
    """Return a unit of `power` that was on for an hour, as PyPSA takes it to be."""
    return {"power": power, "least": 0.0, "cost": 0.0, "before": 1, **facts}


COAL, GAS = {"power": 10_000.0, "cost": 20.0}, {"cost": 70.0}

TUTORIAL: dict[str, Case] = {
    "minimum part load": {
        "demand": [4000, 6000, 5000, 800],
        "units": {
            "coal": unit(**COAL, least=3000),
            "gas": unit(1000, **GAS, least=100),
        },
        "optimum": 356_000.0,
    },
    "minimum up time": {
        "demand": [4000, 800, 5000, 3000],
        "units": {
            "coal": unit(**COAL, least=3000),
            "gas": unit(1000, **GAS, least=100, no_load=50, up=3, before=-1),
        },
        "optimum": 306_150.0,
    },
    "minimum down time": {
        "demand": [3000, 800, 3000, 8000],
        "units": {
            "coal": unit(**COAL, least=3000, down=2, before=-1),
            "gas": unit(4000, **GAS, least=400),
        },
        "optimum": 486_000.0,
    },
    "start and shut-down cost": {
        "demand": [3000, 800, 3000, 8000],
        "units": {
            "coal": unit(**COAL, least=3000, down=2, start=5000, before=-1),
            "gas": unit(4000, **GAS, least=400, stop=25),
        },
        "optimum": 491_025.0,
    },
    "ramp": {
        "demand": [4000, 7000, 7000, 7000, 7000, 3000],
        "plants": {
            "coal": {"power": 10_000.0, "cost": 20.0, "ramp_up": 1000, "ramp_down": 2000},
            "gas": {"power": 4000.0, "cost": 70.0},
        },
        "optimum": 950_000.0,
    },
}

DIESEL = unit(60, least=18, cost=0.31, no_load=2.0, start=9.0, up=2, down=2, before=-6)
SMALL = unit(30, least=6, cost=0.42, no_load=0.6, start=2.5, up=1, down=1, before=3)
BATTERY = {"power": 25, "energy": 60, "charge": 0.94, "discharge": 0.92, "initial": 20}
ROOFS = {"power": 70, "available": SUN}
TURBINE = {"power": 30, "available": WIND}
FEEDER = {"import": 100, "export": 40, "buy": DAY, "sell": [0.05] * 24}
LOST = {"power": 100, "cost": 4.0}

MICROGRIDS: dict[str, Case] = {
    "two gensets through a day": {
        "demand": HOUSES,
        "units": {"big": DIESEL, "small": SMALL},
        "shed": LOST,
    },
    "gensets with ramps at start and stop": {
        "demand": [20, 22, 50, 74, 80, 66, 40, 24, 20, 45, 70, 30],
        "units": {
            "big": unit(
                60,
                least=18,
                cost=0.31,
                no_load=2.0,
                start=6.0,
                before=5,
                output_before=20,
                ramp_up=14,
                ramp_down=17,
                ramp_start=26,
                ramp_stop=22,
            ),
            "small": unit(30, least=6, cost=0.42, start=1.5, before=-2, ramp_start=20),
        },
    },
    "minimum times left over from before": {
        "demand": [40, 30, 30, 55, 40, 24, 12, 12],
        "units": {
            "big": unit(60, least=18, cost=0.2, start=9, up=6, down=4, before=-2),
            "small": unit(30, least=6, cost=0.5, start=2, up=5, down=2, before=2),
        },
        "shed": LOST,
    },
    "sun curtailed beside a genset's minimum load": {
        "demand": HOUSES,
        "units": {"big": unit(60, least=25, cost=0.31, no_load=2, start=20, up=8, before=9)},
        "plants": {"sun": ROOFS},
        "shed": LOST,
    },
    "battery, sun and two-way tariff": {
        "demand": HOUSES,
        "plants": {"sun": ROOFS},
        "stores": {"battery": {**BATTERY, "cost": 0.01, "cyclic": True}},
        "grid": FEEDER,
    },
    "battery that leaks and need not be filled again": {
        "demand": HOUSES,
        "stores": {"battery": {**BATTERY, "loss": 0.01, "initial": 55}},
        "grid": FEEDER,
    },
    "island with wind, battery and gensets": {
        "demand": HOUSES,
        "units": {"big": DIESEL, "small": SMALL},
        "plants": {"wind": TURBINE, "sun": ROOFS},
        "stores": {"battery": {**BATTERY, "cyclic": True}},
        "shed": LOST,
    },
    "a price on emissions turns the order": {
        "demand": HOUSES,
        "units": {
            "big": {**DIESEL, "emission": 0.9},
            "small": {**SMALL, "cost": 0.40, "emission": 0.45},
        },
        "grid": {**FEEDER, "import": 20, "emission": 0.3},
        "emission_price": 0.25,
        "shed": LOST,
    },
    "a cap on emissions is filled by storage and shedding": {
        "demand": HOUSES,
        "units": {"big": {**DIESEL, "emission": 0.8}, "small": {**SMALL, "emission": 0.7}},
        "plants": {"sun": ROOFS},
        "stores": {"battery": {**BATTERY, "cyclic": True}},
        "emission_cap": 430.0,
        "shed": {"power": 100, "cost": 1.5},
    },
    "export limited, the rest curtailed": {
        "demand": [20] * 24,
        "plants": {"sun": {**ROOFS, "power": 140}, "wind": TURBINE},
        "stores": {"battery": {**BATTERY, "initial": 0}},
        "grid": {**FEEDER, "export": 15},
    },
    "outage of the feeder": {
        "demand": HOUSES,
        "units": {"big": DIESEL},
        "stores": {"battery": BATTERY},
        "grid": {**FEEDER, "away": [17, 18, 19]},
        "shed": LOST,
    },
    "everything": {
        "demand": [1.6 * load for load in HOUSES],
        "units": {
            "big": {
                **DIESEL,
                "stop": 3.0,
                "emission": 0.8,
                "ramp_up": 25,
                "ramp_down": 25,
                "ramp_start": 30,
                "ramp_stop": 30,
            },
            "small": {**SMALL, "stop": 1.0, "emission": 0.7},
        },
        "plants": {"sun": ROOFS, "wind": {**TURBINE, "cost": 0.002}},
        "stores": {
            "battery": {**BATTERY, "cyclic": True, "cost": 0.015},
            "old": {
                "power": 8,
                "energy": 30,
                "charge": 0.85,
                "discharge": 0.85,
                "loss": 0.005,
                "initial": 12,
                "cost": 0.03,
            },
        },
        "grid": {**FEEDER, "import": 45, "export": 10, "emission": 0.5},
        "emission_price": 0.05,
        "shed": LOST,
    },
}

CASES: dict[str, Case] = {**TUTORIAL, **MICROGRIDS}


def to_pglib(case: Case) -> Case | None:
    """Return a case as a unit-commitment problem; None when that format cannot say it.

    It has neither stores nor caps nor costs of stopping, and no prices that change by the hour.
    """
    if case.keys() - {"demand", "units", "plants", "shed", "emission_price", "optimum"}:
        return None
    units = case.get("units", {})
    if not units or any(facts.get("stop") for facts in units.values()):
        return None
    if any(plant.get("cost") for plant in case.get("plants", {}).values()):
        return None
    n, price = len(case["demand"]), case.get("emission_price", 0.0)
    thermal = {name: _unit(facts, price) for name, facts in units.items()}
    if "shed" in case:
        thermal["shed"] = _unit(unit(**case["shed"]), price)
    return {
        "time_periods": n,
        "demand": [float(load) for load in case["demand"]],
        "reserves": [0.0] * n,
        "thermal_generators": thermal,
        "renewable_generators": {
            name: {
                "power_output_minimum": [0.0] * n,
                "power_output_maximum": [plant["power"] * share for share in plant["available"]],
            }
            for name, plant in case.get("plants", {}).items()
        },
    }


def _unit(facts: Case, price: float) -> Case:
    on, hours = facts["before"] > 0, abs(facts["before"])
    least, power = float(facts["least"]), float(facts["power"])
    cost = facts["cost"] + price * facts.get("emission", 0.0)
    down = facts.get("down", 1)
    return {
        "must_run": 0,
        "power_output_minimum": least,
        "power_output_maximum": power,
        "ramp_up_limit": facts.get("ramp_up", power),
        "ramp_down_limit": facts.get("ramp_down", power),
        "ramp_startup_limit": facts.get("ramp_start", power),
        "ramp_shutdown_limit": facts.get("ramp_stop", power),
        "time_up_minimum": facts.get("up", 1),
        "time_down_minimum": down,
        "power_output_t0": float(facts.get("output_before", least)) if on else 0.0,
        "unit_on_t0": int(on),
        "time_up_t0": hours if on else 0,
        "time_down_t0": 0 if on else hours,
        "startup": [{"lag": down, "cost": float(facts.get("start", 0.0))}],
        "piecewise_production": [
            {"mw": mw, "cost": facts.get("no_load", 0.0) + cost * mw} for mw in (least, power)
        ],
    }
