"""What is read at three in the morning: the same facts in few lines, the worst first."""

from __future__ import annotations

from collections.abc import Sequence

from networks.operating.contingency import Outage
from networks.operating.state import Extreme, Supply
from networks.operating.steps import BlackStart, Step
from networks.operating.strain import Broken
from networks.operating.switching import Comparison

SHOWN = 5


def comparison(made: Comparison) -> str:
    """Return a comparison in a few lines."""
    before, after = made.before, made.after
    lines = [f"HEED      {one.message}" for one in made.warnings]
    for word, some in (
        ("LOST", made.lost),
        ("REGAINED", made.regained),
        ("BRIEFLY", made.interrupted),
    ):
        if some:
            lines.append(f"{word:<9} {supply(some)}")
    if made.plants_lost_kw > 0.0:
        lines.append(f"PLANTS    {made.plants_lost_kw:.1f} kW off")
    if not made.lost and not made.regained:
        lines.append("supply    nobody loses or regains it")
    lines.append(f"{'':<9} {'before':<11} {'after':<11}")
    for word, was, now, unit in (
        ("lowest", before.lowest, after.lowest, "pu"),
        ("highest", before.highest, after.highest, "pu"),
        ("loading", before.loaded, after.loaded, "%"),
    ):
        lines.append(f"{word:<9} {_value(was, unit)} {_value(now, unit)} {_where(was, now)}")
    for word, was_kw, now_kw in (
        ("losses", before.losses_kw, after.losses_kw),
        ("unserved", before.unserved_kw, after.unserved_kw),
    ):
        lines.append(f"{word:<9} {f'{was_kw:.1f} kW':<11} {now_kw:.1f} kW")
    if after.meshes.count != before.meshes.count:
        looped = [f"line {index}" for index in made.looped_line]
        looped += [f"trafo {index}" for index in made.looped_trafo]
        count = f"{before.meshes.count:<11} {after.meshes.count:<11}"
        lines.append(f"loops     {count} {few(looped)}".rstrip())
    known = {(one.kind, one.subject) for one in before.broken}
    still = {(one.kind, one.subject) for one in after.broken}
    dead = after.dead
    lines += _limits(
        "BROKEN", [one for one in after.broken if (one.kind, one.subject) not in known]
    )
    lines += _limits(
        "cured",
        [
            one
            for one in before.broken
            if (one.kind, one.subject) not in still and one.subject not in dead
        ],
    )
    lines += _limits("still", [one for one in after.broken if (one.kind, one.subject) in known])
    return "\n".join(lines)


def supply(some: Sequence[Supply]) -> str:
    """Return who is without supply: ``12.3 kW at 4 buses: bus 5 'x' 7.1 kW (E-17), ...``."""
    named = [
        f"{one.name} {one.kw:.1f} kW" + (f" ({few(one.customers)})" if one.customers else "")
        for one in some
    ]
    count = f"{len(some)} bus" + ("es" if len(some) > 1 else "")
    return f"{sum(one.kw for one in some):.1f} kW at {count}: {few(named)}"


def few(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _value(one: Extreme | None, unit: str) -> str:
    digits = 4 if unit == "pu" else 1
    return f"{'dead' if one is None else f'{one.value:.{digits}f} {unit}':<11}"


def _where(was: Extreme | None, now: Extreme | None) -> str:
    places = [one.subject for one in (was, now) if one is not None]
    return ", then ".join(dict.fromkeys(places))


def _limits(word: str, some: Sequence[Broken]) -> list[str]:
    return [f"{word:<9} {few([str(one) for one in some])}"] if some else []


def outage(one: Outage) -> str:
    """Return an outage in a line or two."""
    lines = [f"{one.name} out: {supply(one.unserved) if one.unserved else 'nobody is dark'}"]
    if not one.solved:
        lines.append("  NO SOLUTION: the voltage collapses")
    if one.broken:
        lines.append(f"  breaks {few([str(limit) for limit in one.broken])}")
    if one.backfeed is not None:
        left = one.backfeed.unserved_kw
        rest = f", {left:.1f} kW stay dark" if left > 0.0 else ", nobody stays dark"
        lines.append(f"  close {one.backfeed.name}: {one.backfeed.restored_kw:.1f} kW back{rest}")
    if one.refused is not None:
        why = "the voltage would collapse"
        if one.refused.solved:
            why = few([str(limit) for limit in one.refused.broken])
        lines.append(f"  do not close {one.refused.name}: {why}")
    return "\n".join(lines)


def restart(made: BlackStart) -> str:
    """Return a black start, one line a step."""
    lines = [_step(one) for one in made.steps]
    if made.stopped:
        lines.append(f"STOPPED   {made.stopped}")
    lasts = "" if made.hours == float("inf") else f", for {made.hours:.1f} h without plants"
    lines.append(f"served    {made.served_kw:.1f} kW{lasts}")
    if made.unserved:
        lines.append(f"DARK      {supply(made.unserved)}")
    if made.plants_off:
        lines.append(f"plants    {len(made.plants_off)} stay off")
    return "\n".join(lines)


def _step(one: Step) -> str:
    clock = f"{int(one.at_s) // 3600}:{int(one.at_s) % 3600 // 60:02d}"
    line = f"{one.number:>3} {clock:>5}  {one.action:<8} {one.subject}"
    if one.action == "open":
        return line
    block = f", block {one.block_kw:.1f} kW" if one.block_kw else ""
    side = f"gives {one.given_kw:.1f} kW" if not one.taken_kw else f"takes {one.taken_kw:.1f} kW"
    low = "" if one.lowest is None else f", lowest {one.lowest.value:.4f} pu"
    return f"{line}{block}; source {side}{low}, {one.energy_kwh:.1f} kWh left"
