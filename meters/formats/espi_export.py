"""Interval readings as a Green Button (ESPI) feed that any reader of the kind takes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import NAMESPACE_URL, uuid5
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import xarray as xr

from grid import ids
from grid.interval import DAY_S
from meters.formats.espi import ATOM, BACKFILLED, DELTA, ESPI, REGISTERS
from meters.reading import CHANNELS, MISSING
from meters.vee.quality import Quality

_CODES: Final = {
    Quality.VALID: (0,),
    Quality.ESTIMATED_LINEAR: (9,),
    Quality.ESTIMATED_LIKE_DAY: (8,),
    Quality.SCALED: (11,),
    Quality.BACKFILLED: tuple(sorted(BACKFILLED)),
    Quality.EDITED: (7,),
    Quality.SUSPECT: (10,),
    Quality.MISSING: (16,),
    Quality.POWER_FAILURE: (0,),
    Quality.CLOCK_FORWARD: (0,),
    Quality.CLOCK_BACK: (0,),
    Quality.INVALID: (13,),
    Quality.ESTIMATED_LOAD_SHAPE: (8,),
    Quality.ESTIMATED_FEEDER: (8,),
}
_KIND_OF: Final = {register: key for key, register in REGISTERS.items()}
_BASE: Final = "espi/1_1/resource"


def write_espi(dataset: xr.Dataset, path: Path | str, *, updated_s: int) -> int:
    """Write interval readings as one feed; return how many readings it holds.

    The file appears whole or not at all.

    Parameters
    ----------
    dataset : Dataset, dims (usage_point, interval)
        CHANNELS int64 in Wh or varh, MISSING where unknown, and `quality`.
    path : Path or str
    updated_s : int
        The feed's time.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    count = 0
    with part.open("w", encoding="utf-8", newline="\n") as file:
        for text, readings in _feed(dataset, _stamp(updated_s)):
            file.write(text)
            count += readings
    part.replace(path)
    return count


def _stamp(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _feed(dataset: xr.Dataset, updated: str) -> Iterator[tuple[str, int]]:
    seconds = dataset["interval"].values.astype("datetime64[s]").astype(np.int64)
    step_s = int(seconds[1] - seconds[0]) if len(seconds) > 1 else 900
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<feed xmlns="{ATOM}" xmlns:espi="{ESPI}">\n'
        f"<id>urn:uuid:{uuid5(NAMESPACE_URL, _BASE + updated)}</id>\n"
        f"<title>Interval readings</title>\n<updated>{updated}</updated>\n"
        f'<link rel="self" href={quoteattr(_BASE)}/>\n'
    )
    yield head, 0
    dims = ("usage_point", "interval")
    quality = dataset["quality"].transpose(*dims).values
    for row, name in enumerate(dataset["usage_point"].values):
        point = ids.check(str(name), "usage point")
        own = f"{_BASE}/UsagePoint/{point}"
        content = "<espi:UsagePoint><espi:ServiceCategory><espi:kind>0</espi:kind>"
        content += "</espi:ServiceCategory></espi:UsagePoint>"
        links = [("self", own), ("up", f"{_BASE}/UsagePoint"), ("related", f"{own}/MeterReading")]
        yield _entry(point, links, content, updated), 0
        for number, register in enumerate(CHANNELS, 1):
            value = dataset[register].transpose(*dims).values[row]
            known = np.flatnonzero(value != MISSING)
            if known.size:
                yield _meter_reading(own, number, register, step_s, updated), 0
                yield from _blocks(
                    f"{own}/MeterReading/{number}",
                    seconds[known], value[known], quality[row][known], step_s, updated,
                )  # fmt: skip
    yield "</feed>\n", 0


def _entry(title: str, links: list[tuple[str, str]], content: str, updated: str) -> str:
    own = next(href for relation, href in links if relation == "self")
    shown = "".join(f"<link rel={quoteattr(rel)} href={quoteattr(href)}/>" for rel, href in links)
    return (
        f"<entry><id>urn:uuid:{uuid5(NAMESPACE_URL, own)}</id>{shown}"
        f"<title>{escape(title)}</title><content>{content}</content>"
        f"<published>{updated}</published><updated>{updated}</updated></entry>\n"
    )


def _meter_reading(own: str, number: int, register: str, step_s: int, updated: str) -> str:
    reading = f"{own}/MeterReading/{number}"
    kind = f"{_BASE}/ReadingType/{own.rpartition('/')[2]}.{number}"
    links = [
        ("self", reading),
        ("up", f"{own}/MeterReading"),
        ("related", f"{reading}/IntervalBlock"),
        ("related", kind),
    ]
    uom, flow = _KIND_OF[register]
    # In the order of the schema: a validating reader knows no other.
    facts = {
        "accumulationBehaviour": DELTA,
        "commodity": 1,
        "dataQualifier": 12,
        "defaultQuality": 0,
        "flowDirection": flow,
        "intervalLength": step_s,
        "kind": 12 if uom == 72 else 37,
        "phase": 769,
        "powerOfTenMultiplier": 0,
        "timeAttribute": 0,
        "uom": uom,
    }
    inner = "".join(f"<espi:{name}>{value}</espi:{name}>" for name, value in facts.items())
    return _entry(register, links, "<espi:MeterReading/>", updated) + _entry(
        register,
        [("self", kind), ("up", f"{_BASE}/ReadingType")],
        f"<espi:ReadingType>{inner}</espi:ReadingType>",
        updated,
    )


def _blocks(
    reading: str,
    seconds: np.ndarray,
    value: np.ndarray,
    quality: np.ndarray,
    step_s: int,
    updated: str,
) -> Iterator[tuple[str, int]]:
    days = seconds // DAY_S
    edges = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(days)]
    for low, high in itertools.pairwise(edges):
        first_s, end_s = int(seconds[low]), int(seconds[high - 1]) + step_s
        lines = [f"<espi:IntervalBlock>{_period('interval', first_s, end_s - first_s)}\n"]
        columns = (column[low:high].tolist() for column in (seconds, value, quality))
        for at_s, wh, how in zip(*columns, strict=True):
            told = "".join(
                f"<espi:ReadingQuality><espi:quality>{code}</espi:quality></espi:ReadingQuality>"
                for code in _CODES[Quality(how)]
            )
            period = _period("timePeriod", at_s, step_s)
            lines.append(
                f"<espi:IntervalReading>{told}{period}<espi:value>{wh}</espi:value>"
                "</espi:IntervalReading>\n"
            )
        lines.append("</espi:IntervalBlock>")
        up = f"{reading}/IntervalBlock"
        links = [("self", f"{up}/{int(days[low])}"), ("up", up)]
        yield _entry("intervals", links, "".join(lines), updated), high - low


def _period(name: str, start_s: int, duration_s: int) -> str:
    return (
        f"<espi:{name}><espi:duration>{duration_s}</espi:duration>"
        f"<espi:start>{start_s}</espi:start></espi:{name}>"
    )
