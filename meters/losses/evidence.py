"""What speaks for and against a place, in numbers and words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grid.interval import label
from meters.losses.case import CaseKind, Evidence
from meters.losses.limits import Limits
from meters.losses.locate import Location, MeterEvent, Usual, longest_run
from meters.losses.record import FeederRecord


def place_evidence(
    where: Location, row: int, record: FeederRecord, limits: Limits
) -> tuple[list[Evidence], bool]:
    """Return what the voltages say of the likeliest place, and whether they agree with the loss."""
    placing = where.placing
    if row >= len(record.usage_point):
        words = "voltages: no usage point's neighbourhood drops as the lost power would drop it"
        return [Evidence("voltage", 0.0, 0.0, words)], False
    point = record.usage_point[row]
    better = placing.log_likelihood[row]
    share, sd = float(placing.share[row]), float(placing.share_sd[row])
    allowed, misfit = limits.share_sd * sd + 0.1, float(placing.misfit[row])
    told = [
        Evidence(
            "voltage",
            float(where.probability[row]),
            limits.located,
            f"voltages: {point} has probability {where.probability[row]:.3f}, limit "
            f"{limits.located:g}; log likelihood {better:.1f} above a loss at the busbar",
        ),
        Evidence(
            "share",
            share,
            allowed,
            f"the voltages see {share:.2f} ± {sd:.2f} of the lost power at {point}, "
            f"allowed 1 ± {allowed:.2f}",
        ),
        Evidence(
            "misfit",
            misfit,
            limits.misfit,
            f"one place at {point} leaves {misfit:.2f} times what noise leaves unexplained, limit "
            f"{limits.misfit:g}",
        ),
    ]
    return told, abs(share - 1.0) <= allowed and misfit <= limits.misfit


def own_evidence(
    usual: Usual,
    record: FeederRecord,
    where: Location,
    row: int,
    first: int,
    kind: CaseKind,
) -> tuple[CaseKind, list[Evidence]]:
    """Return what happened at a named usage point, and what its own readings say."""
    point = record.usage_point[row]
    told = []
    fell, fell_sd = float(where.fell_wh[row]) / 1000.0, float(where.fell_sd_wh[row]) / 1000.0
    told.append(
        Evidence(
            "fell",
            fell,
            fell_sd,
            f"{point} counts {fell:.2f} kWh a day less than its past and the season let expect, "
            f"usual scatter {fell_sd:.2f} kWh",
        )
    )
    slope = float(where.follows[row])
    if np.isfinite(slope):
        words = f"the lost power follows what {point} counts within metering noise, {slope:.3f} Wh "
        words += "for each net Wh"
        if slope > -1.0:
            words += f": its meter counts {100.0 / (1.0 + slope):.1f} % of what passes"
        told.append(Evidence("follows", slope, 0.0, words))
    if where.still[row]:
        before = int(usual.still_intervals[row])
        since = record.part(first, record.days)
        still = (since.import_wh[row] == 0) & (since.export_wh[row] == 0)
        run = int(longest_run(still[None])[0])
        words = f"{point} stood still for {run} intervals on end, {before} at most before"
        told.append(Evidence("still", float(run), 2.0 * before, words))
        return CaseKind.STOPPED, told
    if where.backwards[row]:
        words = f"{point} counts in the other direction, {100 * usual.export_share[row]:.0f} % of "
        words += "its energy was exported before"
        told.append(Evidence("backwards", float(usual.export_share[row]), 0.0, words))
        return CaseKind.REVERSED, told
    return kind, told


def event_evidence(record: FeederRecord, events: Sequence[MeterEvent], row: int) -> list[Evidence]:
    point = record.usage_point[row]
    return [
        Evidence("event", 1.0, 0.0, f"event of {label(event.at_s)}: {event.kind.value}")
        for event in events
        if event.usage_point == point
    ]
