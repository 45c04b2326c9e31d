"""Interval readings as CSV: one line per usage point and interval.

::

    usage_point,interval_start,import_wh,export_wh,import_varh,export_varh,quality
    UP-01,2026-05-01T00:00Z,120,0,14,0,1

An empty energy is missing. `quality` is the number of a
:class:`meters.vee.Quality`. Lines end with LF or CRLF; nothing is quoted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from grid import ids
from grid.errors import BadInputError, Finding, Severity
from grid.interval import label, parse
from meters.reading import CHANNELS, MISSING
from meters.vee.quality import Quality

Ints = npt.NDArray[np.int64]

HEADER: Final = ("usage_point", "interval_start", *CHANNELS, "quality")
MAX_CELLS: Final = 100_000_000
_ENERGY: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
_BAD: Final = np.iinfo(np.int64).min
_MOST: Final = np.iinfo(np.int64).max


def write_history(dataset: xr.Dataset, path: Path | str) -> None:
    """Write interval readings, by usage point and then by interval.

    The file appears whole or not at all.

    Parameters
    ----------
    dataset : Dataset, dims (usage_point, interval)
        CHANNELS int64 in Wh or varh, MISSING where unknown; `quality` uint16.
    path : Path or str
        A local file.
    """
    path = Path(path)
    points = [ids.check(str(point), "usage point") for point in dataset["usage_point"].values]
    seconds = dataset["interval"].values.astype("datetime64[s]").astype(np.int64)
    labels = [label(int(at_s)) for at_s in seconds]
    columns = [
        dataset[name].transpose("usage_point", "interval").values for name in (*CHANNELS, "quality")
    ]
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="ascii", newline="\n") as file:
        file.write(",".join(HEADER) + "\n")
        for row, point in enumerate(points):
            texts = [
                ["" if value < 0 else str(value) for value in column[row].tolist()]
                for column in columns
            ]
            lines = map(",".join, zip([point] * len(labels), labels, *texts, strict=True))
            file.write("".join(line + "\n" for line in lines))
    part.replace(path)


def read_history(
    path: Path | str,
    *,
    interval_s: int = 900,
    accept_partial: bool = False,
    within_s: tuple[int, int] | None = None,
    most_wh: Mapping[str, int] | None = None,
) -> tuple[xr.Dataset, list[Finding]]:
    """Read interval readings; what a line does not tell is MISSING.

    Parameters
    ----------
    path : Path or str
        A local file.
    interval_s : int
        Each start must be a multiple of it.
    accept_partial : bool
        Keep the good lines beside refused ones; otherwise one refused line
        leaves the result without usage points and intervals.
    within_s : (int, int), optional
        Each interval starts at or after the first and before the second.
    most_wh : mapping of str to int, optional
        The usage points that may be, with the most Wh or varh of an interval.

    Returns
    -------
    dataset : Dataset, dims (usage_point, interval)
        Sorted usage points, contiguous intervals; CHANNELS int64, `quality` uint16.
    refused : list of Finding
        One per refused line, ``history.refused``, in order of the lines.

    Raises
    ------
    BadInputError
        When there is no such file, it has another header, or the good lines
        span more than :data:`MAX_CELLS` readings.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}") from error
    lines = content.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").split("\n")
    if tuple(lines[0].split(",")) != HEADER:
        raise BadInputError(f"{path} line 1: header must be {','.join(HEADER)}")
    number = np.array([at for at, line in enumerate(lines) if at and line], dtype=np.int64)
    cells = [lines[at].split(",") for at in number.tolist()]
    refused: dict[int, str] = {}
    for at, row in enumerate(cells):
        if len(row) != len(HEADER):
            refused[at] = f"has {len(row)} fields instead of {len(HEADER)}"
            cells[at] = [""] * len(HEADER)
    columns: list[tuple[str, ...]] = list(zip(*cells, strict=True)) or [()] * len(HEADER)
    points, at_s, values = _columns(columns, interval_s, within_s, refused)
    if most_wh is not None:
        _refuse_excess(points, values, most_wh, refused)
    _refuse_duplicates(points, at_s, number, refused)
    findings = _findings(path, number, columns, refused)
    keep = np.ones(len(cells), dtype=np.bool_)
    keep[list(refused)] = False
    if refused and not accept_partial:
        keep[:] = False
    return _grid(path, points[keep], at_s[keep], values[:, keep], interval_s), findings


def _columns(
    columns: list[tuple[str, ...]],
    interval_s: int,
    within_s: tuple[int, int] | None,
    refused: dict[int, str],
) -> tuple[npt.NDArray[np.object_], Ints, Ints]:
    """Return usage points, starts in seconds and values (channel and quality, line)."""

    def point(text: str) -> int:
        ids.check(text, "usage point")
        return 0

    def start(text: str) -> int:
        at_s = parse(text)
        if at_s % interval_s:
            raise BadInputError(f"does not start on a multiple of {interval_s} s")
        if within_s and not within_s[0] <= at_s < within_s[1]:
            first, end = label(within_s[0]), label(within_s[1])
            raise BadInputError(f"must be from {first} to before {end}")
        return at_s

    def energy(text: str) -> int:
        if text == "":
            return MISSING
        if not _ENERGY.fullmatch(text):
            raise BadInputError("must be a whole number from 0 to 15 digits, or empty")
        return int(text)

    def quality(text: str) -> int:
        if not _ENERGY.fullmatch(text) or int(text) not in set(Quality):
            raise BadInputError(f"must be a number from 0 to {max(Quality)}")
        return int(text)

    _parsed(columns[0], "usage_point", point, refused)
    at_s = _parsed(columns[1], "interval_start", start, refused)
    values = [
        _parsed(column, name, energy, refused)
        for name, column in zip(CHANNELS, columns[2:6], strict=True)
    ]
    values.append(_parsed(columns[6], "quality", quality, refused))
    return np.array(columns[0], dtype=object), at_s, np.stack(values)


def _parsed(
    column: tuple[str, ...], name: str, read: Callable[[str], int], refused: dict[int, str]
) -> Ints:
    """Return `column` read as integers, each distinct text once."""
    codes, distinct = pd.factorize(np.array(column, dtype=object))
    known = np.empty(len(distinct) + 1, dtype=np.int64)
    reasons: dict[int, str] = {}
    for index, text in enumerate(distinct):
        try:
            known[index] = read(text)
        except BadInputError as error:
            known[index] = _BAD
            reasons[index] = f"{name} {text[:40]!r}: {error}"
    result = known[codes]
    if reasons:
        for at in np.flatnonzero(result == _BAD).tolist():
            refused.setdefault(at, reasons[int(codes[at])])
    return result


def _refuse_excess(
    points: npt.NDArray[np.object_],
    values: Ints,
    most_wh: Mapping[str, int],
    refused: dict[int, str],
) -> None:
    codes, names = pd.factorize(points)
    strange = np.array([name not in most_wh for name in names], bool)[codes]
    for at in np.flatnonzero(strange).tolist():
        refused.setdefault(at, f"usage_point {points[at]!r} is not of the site")
    most = np.array([most_wh.get(name, _MOST) for name in names], np.int64)[codes]
    for channel, row in zip(CHANNELS, values, strict=False):
        unit = channel.rsplit("_", 1)[1].replace("wh", "Wh")
        for at in np.flatnonzero(row > most).tolist():
            told = f"{channel} {row[at]} {unit} must be at most {most[at]} {unit}"
            refused.setdefault(at, f"{told}, what {points[at]} carries in an interval")


def _refuse_duplicates(
    points: npt.NDArray[np.object_], at_s: Ints, number: Ints, refused: dict[int, str]
) -> None:
    good = np.ones(points.size, dtype=np.bool_)
    good[list(refused)] = False
    index = np.flatnonzero(good)
    codes, _ = pd.factorize(points[index])
    order = np.lexsort((index, at_s[index], codes))
    same = (np.diff(codes[order]) == 0) & (np.diff(at_s[index][order]) == 0)
    first = 0
    for at in np.flatnonzero(same).tolist():
        # In a run of equal keys the first line stands for all.
        if at == 0 or not same[at - 1]:
            first = int(number[index[order[at]]]) + 1
        refused[int(index[order[at + 1]])] = f"the same usage point and interval as line {first}"


def _findings(
    path: Path, number: Ints, columns: list[tuple[str, ...]], refused: dict[int, str]
) -> list[Finding]:
    findings = []
    for at in sorted(refused):
        message = f"{path.name} line {int(number[at]) + 1}: {refused[at]}"
        findings.append(
            Finding("history.refused", columns[0][at][:64], "", Severity.WARNING, message)
        )
    return findings


def _grid(
    path: Path, points: npt.NDArray[np.object_], at_s: Ints, values: Ints, interval_s: int
) -> xr.Dataset:
    """Return lines as arrays over usage points and contiguous intervals."""
    row, names = pd.factorize(points, sort=True)
    first = int(at_s.min()) if at_s.size else 0
    count = (int(at_s.max()) - first) // interval_s + 1 if at_s.size else 0
    if count * len(names) > MAX_CELLS:
        raise BadInputError(
            f"{path}: {len(names)} usage points over {count} intervals are more than "
            f"{MAX_CELLS} readings"
        )
    filled = np.full((len(CHANNELS), len(names), count), MISSING, dtype=np.int64)
    quality = np.full((len(names), count), Quality.MISSING, dtype=np.uint16)
    column = (at_s - first) // interval_s
    filled[:, row, column] = values[:-1]
    quality[row, column] = values[-1]
    dims = ("usage_point", "interval")
    starts = (first + interval_s * np.arange(count, dtype=np.int64)).astype("datetime64[s]")
    variables = {
        name: (dims, filled[index], {"units": name.rsplit("_", 1)[1], "missing": MISSING})
        for index, name in enumerate(CHANNELS)
    }
    return xr.Dataset(
        {**variables, "quality": (dims, quality, {"scheme": "meters.vee.Quality"})},
        coords={"usage_point": np.array(names, dtype=str), "interval": starts},
    )
