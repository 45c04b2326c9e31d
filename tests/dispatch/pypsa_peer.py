"""Runs in the peer's own process: cases on standard input, PyPSA's optima on standard output."""

from __future__ import annotations

import json
import logging
import math
import sys
import warnings

warnings.simplefilter("ignore")
import pypsa  # noqa: E402 - it warns while it is imported

GAP = 1e-9


def network(case):
    """Return the case as a network of one bus."""
    hours = len(case["demand"])
    net = pypsa.Network(snapshots=range(hours))
    net.add("Bus", "bus")
    net.add("Load", "demand", bus="bus", p_set=case["demand"])
    price = case.get("emission_price", 0.0)

    def generator(name, power, facts, **more):
        emission = facts.get("emission", 0.0)
        net.add("Carrier", name, co2_emissions=emission)
        cost = facts.get("cost", 0.0) + price * emission
        given = {"carrier": name, "p_nom": power, "marginal_cost": cost, **more}
        net.add("Generator", name, bus="bus", **given)

    for name, facts in case.get("units", {}).items():
        generator(name, facts["power"], facts, **committed(facts))
    for name, facts in case.get("plants", {}).items():
        generator(name, facts["power"], facts, p_max_pu=facts.get("available", 1.0), **ramps(facts))
    if "shed" in case:
        generator("shed", case["shed"]["power"], case["shed"])
    for name, facts in case.get("stores", {}).items():
        store(net, name, facts, hours)
    if "grid" in case:
        feeder(generator, case["grid"], hours, price)
    if "emission_cap" in case:
        net.add(
            "GlobalConstraint",
            "emissions",
            type="primary_energy",
            carrier_attribute="co2_emissions",
            sense="<=",
            constant=case["emission_cap"],
        )
    return net


def ramps(facts):
    """Return the ramps a case has, per unit of power."""
    names = {
        "ramp_up": "up",
        "ramp_down": "down",
        "ramp_start": "start_up",
        "ramp_stop": "shut_down",
    }
    return {
        f"ramp_limit_{theirs}": facts[ours] / facts["power"]
        for ours, theirs in names.items()
        if ours in facts
    }


def committed(facts):
    """Return what PyPSA calls the facts of a unit that is on or off."""
    given = {
        "committable": True,
        "p_min_pu": facts["least"] / facts["power"],
        "p_max_pu": facts.get("available", 1.0),
        "stand_by_cost": facts.get("no_load", 0.0),
        "start_up_cost": facts.get("start", 0.0),
        "shut_down_cost": facts.get("stop", 0.0),
        "min_up_time": facts.get("up", 0),
        "min_down_time": facts.get("down", 0),
        "up_time_before": max(0, facts["before"]),
        "down_time_before": max(0, -facts["before"]),
        **ramps(facts),
    }
    if "output_before" in facts:
        given["p_init"] = facts["output_before"]
    return given


def store(net, name, facts, hours):
    """Add a store as a storage unit; a cyclic one ends with what it began with."""
    end = [math.nan] * (hours - 1) + [float(facts["initial"]) if facts.get("cyclic") else math.nan]
    net.add(
        "StorageUnit",
        name,
        bus="bus",
        p_nom=facts["power"],
        max_hours=facts["energy"] / facts["power"],
        efficiency_store=facts["charge"],
        efficiency_dispatch=facts["discharge"],
        standing_loss=facts.get("loss", 0.0),
        state_of_charge_initial=facts["initial"],
        state_of_charge_set=end,
        marginal_cost=facts.get("cost", 0.0),
    )


def feeder(generator, grid, hours, price):
    """Add import and export as two generators, the second of which absorbs."""
    there = [float(t not in grid.get("away", [])) for t in range(hours)]
    emission = grid.get("emission", 0.0)
    buy = [cost + price * emission for cost in grid["buy"]]
    generator("import", grid["import"], {"emission": emission}, p_max_pu=there, marginal_cost=buy)
    taken = [-share for share in there]
    sold = {"p_min_pu": taken, "p_max_pu": 0.0, "marginal_cost": grid["sell"]}
    generator("export", grid["export"], {}, **sold)


def main():
    """Answer each case with its optimum."""
    logging.disable(logging.WARNING)
    found = {}
    for name, case in json.load(sys.stdin).items():
        net = network(case)
        status, condition = net.optimize(
            solver_name="highs",
            io_api="direct",
            include_objective_constant=False,
            solver_options={"output_flag": False, "threads": 1, "mip_rel_gap": GAP},
        )
        assert status == "ok", (name, condition)
        found[name] = net.objective
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
