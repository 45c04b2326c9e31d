"""Labels of a one-line diagram: first what matters, then what fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from networks.drawing.base import Base
from networks.drawing.facts import BusNote, HeadFlow, Shown, most_loaded
from networks.drawing.places import Places
from networks.drawing.sheet import Label, Sheet, Spot
from networks.drawing.spots import amount, around, bar_spots, on_wire, short_name, signed
from networks.drawing.state import SIGNS
from networks.drawing.svg import Point, short
from networks.drawing.words import Words

_BAR_LETTERS = 26


def labels(
    sheet: Sheet,
    shown: Shown,
    here: Places,
    notes: Mapping[int, BusNote],
    base: Base,
    head: HeadFlow | None,
    words: Words,
) -> list[Label]:
    """Return the labels that found a place; the more one matters the earlier it is placed."""
    spots = base.spots
    wanted = (
        *source_labels(sheet, base, head, shown, words),
        *_bars(sheet, shown, here, words),
        *_devices(sheet, shown, here, notes),
        *_judged_buses(sheet, shown, here, words),
        *_judged_branches(sheet, shown, spots),
        *_dead(sheet, shown, here, words),
        *_transformers(sheet, shown, spots, words),
        *_feeders(sheet, here, words),
        *_switched(sheet, shown, base, words),
        *_names(sheet, shown, here, notes),
        *_near(sheet, shown, here, spots),
        *_rest(sheet, shown, here, spots),
    )
    return [one for one in wanted if one is not None]


def source_labels(
    sheet: Sheet, base: Base, head: HeadFlow | None, shown: Shown, words: Words
) -> Iterator[Label | None]:
    """Name the sources, and at the first one what it gives or takes."""
    for number, (_, spots) in enumerate(base.sources):
        what = words.forming if shown.scheme.forming else words.public_grid
        leader = (spots[0].x - 13, spots[0].y - 4) if len(spots) > 1 else None
        first = sheet.label(what, spots, size_px=13.0, over_lines=True, leader=leader)
        yield first
        if number or head is None or first is None:
            continue
        spot = first.spot
        if not head.available:
            text = f"✕ {words.without_voltage}"
        elif head.export_kw > head.import_kw:
            text = f"{words.takes} {amount(head.export_kw)} kW"
        else:
            text = f"{words.gives} {amount(head.import_kw)} kW"
        yield sheet.label(
            text, [Spot(spot.x, spot.y + dy, spot.anchor) for dy in (53.0, 14.0, -15.0)],
            size_px=12.0, kind="soft",
            over_lines=True,
        )  # fmt: skip


def _judged_buses(sheet: Sheet, shown: Shown, here: Places, words: Words) -> Iterator[Label | None]:
    """Name the extremes, then every voltage beyond a limit, the farthest first."""
    vm = shown.values.vm_pu
    found = shown.values.extremes(frozenset(shown.scheme.head))
    beyond = [n for n, one in enumerate(shown.bus_state) if one in ("low", "high")]
    order = [*found, *sorted(beyond, key=lambda n: -abs((vm[n] or 1.0) - 1.0))]
    for n in dict.fromkeys(order):
        if here.bar[n] is None:
            text, kind = voltage(shown, n, found, words)
            yield sheet.label(
                text, around((here.x[n], here.y[n])), size_px=12.0 if n in found else 11.0,
                kind=kind, over_lines=True,
            )  # fmt: skip


def voltage(shown: Shown, n: int, extremes: Mapping[int, str], words: Words) -> tuple[str, str]:
    """Return how a voltage is told, and in which kind of text."""
    state = shown.bus_state[n]
    text, kind = shown.voltage_text(n), "soft"
    if n in extremes:
        word = words.lowest if extremes[n] == "lowest" else words.highest
        text, kind = f"{word} {shown.values.vm_pu[n]:.4f} pu", "strong"
    if state in ("low", "high"):
        kind = state
    return f"{SIGNS[state]} {text}" if state in SIGNS else text, kind


def _bars(sheet: Sheet, shown: Shown, here: Places, words: Words) -> Iterator[Label | None]:
    """Name busbars, with what voltage they have."""
    extremes = shown.values.extremes(frozenset(shown.scheme.head))
    for n, end in enumerate(here.bar):
        if end is None:
            continue
        name = short(shown.scheme.bus_name[n] or f"bus {shown.scheme.bus[n]}", _BAR_LETTERS)
        first = sheet.label(name, bar_spots(here.x[n], end), kind="name", over_lines=True)
        yield first
        if first is None or shown.values.vm_pu[n] is None or not shown.alive[n]:
            continue
        text, kind = voltage(shown, n, extremes, words)
        spot = first.spot
        below = [Spot(spot.x, spot.y + dy, spot.anchor) for dy in (13.0, -13.0)]
        yield sheet.label(text, below, kind=kind, over_lines=True)


def _judged_branches(
    sheet: Sheet, shown: Shown, spots: Mapping[int, Point]
) -> Iterator[Label | None]:
    loads = {n: shown.loading(one) for n, one in enumerate(shown.scheme.branches)}
    over = [n for n, state in enumerate(shown.branch_state) if state == "over"]
    over.sort(key=lambda n: -(loads[n] or 0.0))
    most = most_loaded(shown)
    for n in dict.fromkeys([*over, *([] if most is None else [most])]):
        if shown.scheme.branches[n].kind == "trafo":
            continue
        is_over = shown.branch_state[n] == "over"
        yield sheet.label(
            f"{'▲ ' if is_over else ''}{loads[n]:.0f} %", on_wire(spots[n]),
            kind="over" if is_over else "strong", over_lines=True,
        )  # fmt: skip


def _dead(sheet: Sheet, shown: Shown, here: Places, words: Words) -> Iterator[Label | None]:
    rank = {bus: n for n, bus in enumerate(here.tree.order)}
    for group in shown.dead_groups():
        first = min(group, key=lambda n: rank[n])
        kw = [shown.values.absorbed_kw[n] for n in group]
        text = f"✕ {words.without_voltage}"
        if len(group) > 1:
            text += f": {len(group)} {words.buses}"
        if all(one is not None for one in kw):
            text += f", {amount(sum(one or 0.0 for one in kw))} kW"
        x, y, end = here.x[first], here.y[first], here.bar[first]
        places = [Spot(x - 8, y - 15, "start"), Spot(x - 8, y + 22, "start"),
                  Spot(x + 8, y - 15, "end"), Spot(x - 8, y - 29, "start")]  # fmt: skip
        yield sheet.label(
            text, places if end is None else bar_spots(x, end), size_px=12.0,
            kind="strong", over_lines=True,
        )  # fmt: skip


def _transformers(
    sheet: Sheet, shown: Shown, spots: Mapping[int, Point], words: Words
) -> Iterator[Label | None]:
    for n, one in enumerate(shown.scheme.branches):
        if one.kind != "trafo":
            continue
        x, y = spots[n]
        load, state = shown.loading(one), shown.branch_state[n]
        above = [Spot(x, y - 17), Spot(x + 20, y - 8, "start")]
        if load is not None:
            yield sheet.label(
                f"{'▲ ' if state == 'over' else ''}{load:.0f} %", above, size_px=12.0,
                kind="over" if state == "over" else "", over_lines=True,
            )  # fmt: skip
        if one.tap is not None:
            yield sheet.label(
                f"{words.tap} {signed(one.tap[0])}",
                [Spot(x, y + 24), Spot(x + 20, y + 14, "start")], kind="soft", over_lines=True,
            )  # fmt: skip


def _feeders(sheet: Sheet, here: Places, words: Words) -> Iterator[Label | None]:
    for one in here.feeders:
        x, y = here.x[one.bar] + 9, here.y[one.first]
        yield sheet.label(
            f"{words.feeder} {one.number}", [Spot(x, y - 7, "start"), Spot(x, y + 15, "start")],
            kind="soft", over_lines=True,
        )  # fmt: skip


def _switched(sheet: Sheet, shown: Shown, base: Base, words: Words) -> Iterator[Label | None]:
    for x, y in base.opens:
        yield sheet.label(
            words.open, [Spot(x, y + 17), Spot(x, y - 13), Spot(x + 12, y + 4, "start")],
            kind="strong", over_lines=True,
        )  # fmt: skip
    for n, state in enumerate(shown.branch_state):
        if state == "out":
            x, y = base.spots[n]
            yield sheet.label(
                words.out, [Spot(x, y + 18), Spot(x, y - 10), Spot(x + 9, y + 4, "start")],
                kind="strong", over_lines=True,
            )  # fmt: skip


def _names(
    sheet: Sheet, shown: Shown, here: Places, notes: Mapping[int, BusNote]
) -> Iterator[Label | None]:
    for n, end in enumerate(here.bar):
        x, y = here.x[n], here.y[n]
        note = notes.get(shown.scheme.bus[n])
        if end is None:
            name = short_name(shown, n)
            yield sheet.label(name, around((x, y), above=False)[:8], kind="soft")
        if note is None:
            continue
        if note.estimated:
            yield sheet.label(
                "≈", [Spot(x + 17, y - 8, "start"), Spot(x + 17, y + 18, "start")], size_px=14.0,
                kind="flag", over_lines=True,
            )  # fmt: skip


def _devices(
    sheet: Sheet, shown: Shown, here: Places, notes: Mapping[int, BusNote]
) -> Iterator[Label | None]:
    """Name the devices behind each bus."""
    for n, index in enumerate(shown.scheme.bus):
        if index in notes:
            yield from _tags(sheet, notes[index].tags, (here.x[n], here.y[n]), here.bar[n])


def _tags(
    sheet: Sheet, tags: tuple[str, ...], at: Point, bar: tuple[float, float] | None
) -> Iterator[Label | None]:
    """Name devices side by side, or one above the other where buses are close."""
    if not tags:
        return
    x, y = at
    if bar is not None:
        places = [Spot(x - 9, bar[0] + 20 + 13 * k, "end") for k in range(6)]
        yield sheet.label(" ".join(tags), places, over_lines=True)
        return
    beside = sheet.label(" ".join(tags), around(at)[:3], counts=False)
    if beside is not None:
        yield beside
        return
    for number, tag in enumerate(tags):
        places = [Spot(x, y - 13 - 12 * k) for k in range(number, number + 3)]
        places += [Spot(x + 12, y - 12, "start"), Spot(x, y + 33)]
        yield sheet.label(tag, places, over_lines=True)


def _near(
    sheet: Sheet, shown: Shown, here: Places, spots: Mapping[int, Point]
) -> Iterator[Label | None]:
    for n, state in enumerate(shown.bus_state):
        if state in ("near-low", "near-high") and here.bar[n] is None:
            yield sheet.label(
                f"{SIGNS[state]} {shown.voltage_text(n)}", around((here.x[n], here.y[n]))[:8],
                counts=False,
            )  # fmt: skip
    for n, state in enumerate(shown.branch_state):
        one = shown.scheme.branches[n]
        if state == "near" and one.kind == "line":
            yield sheet.label(f"{shown.loading(one):.0f} %", on_wire(spots[n])[:4], counts=False)


def _rest(
    sheet: Sheet, shown: Shown, here: Places, spots: Mapping[int, Point]
) -> Iterator[Label | None]:
    """Name the voltage at each end and the loading at each beginning of a feeder."""
    for one in here.feeders:
        n = here.tree.up[one.first]
        load = shown.loading(shown.scheme.branches[n])
        if shown.branch_state[n] == "normal" and load is not None:
            yield sheet.label(f"{load:.0f} %", on_wire(spots[n])[:2], kind="soft", counts=False)
    told = shown.values.extremes(frozenset(shown.scheme.head))
    for n, vm in enumerate(shown.values.vm_pu):
        if n in told:
            continue
        if not here.tree.children[n] and vm is not None and shown.bus_state[n] == "normal":
            places = around((here.x[n], here.y[n]))
            yield sheet.label(f"{vm:.3f}", places[:3] + places[6:8], kind="soft", counts=False)
