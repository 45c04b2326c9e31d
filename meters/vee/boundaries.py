"""The instants of registers, each of them once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.errors import BadInputError, Finding, Severity
from grid.interval import label
from meters.reading import CHANNELS, MISSING


def _seconds(values: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    if values.dtype.kind == "M":
        return values.astype("datetime64[s]").astype(np.int64)
    if values.dtype.kind in "iu":
        return values.astype(np.int64)
    raise BadInputError(f"boundary: instants are {values.dtype}, must be datetime64 or seconds")


def instants(registers: xr.Dataset) -> tuple[npt.NDArray[np.int64], int]:
    """Return the boundaries in seconds and their distance.

    Raises
    ------
    BadInputError
        When they are not evenly spaced and rising, or a meter stands twice.
    """
    meters = registers["meter"].values
    if np.unique(meters).size != meters.size:
        raise BadInputError("registers: a meter stands there twice")
    at_s = _seconds(registers["boundary"].values)
    steps = np.unique(np.diff(at_s))
    if steps.size > 1 or (steps.size and steps[0] <= 0):
        raise BadInputError(f"registers: boundaries are {steps.tolist()} s apart, must be even")
    return at_s, int(steps[0]) if steps.size else 0


Clashes = dict[str, npt.NDArray[np.bool_]]


def merged(registers: xr.Dataset) -> tuple[xr.Dataset, list[Finding], Clashes]:
    """Return registers with each boundary once, in order.

    Reads of the same instant that agree are one; where they differ, none of
    them counts, and the mask (meter, boundary) of the channel tells where.
    """
    for needed in ("meter", "boundary"):
        if needed not in registers.coords:
            raise BadInputError(f"registers: no coordinate {needed!r}")
    at_s = _seconds(registers["boundary"].values)
    if at_s.size < 2 or (np.diff(at_s) > 0).all():
        return registers, [], {}
    order = np.argsort(at_s, kind="stable")
    unique, first = np.unique(at_s[order], return_index=True)
    # Taken by number, so that it is a copy, which is changed below.
    single = registers.isel(boundary=order[first])
    findings: list[Finding] = []
    shape = (registers.sizes["meter"], unique.size)
    clashes = {channel: np.zeros(shape, dtype=np.bool_) for channel in CHANNELS}
    for slot in np.flatnonzero(np.diff(first, append=at_s.size) > 1).tolist():
        run = slice(first[slot], first[slot] + _run(first, slot, at_s))
        reads = registers.isel(boundary=order[run])
        findings += _merge_one(single, reads, slot, int(unique[slot]), clashes)
    return single, findings, clashes


def _run(first: npt.NDArray[np.intp], slot: int, at_s: npt.NDArray[np.int64]) -> int:
    end = first[slot + 1] if slot + 1 < first.size else at_s.size
    return int(end - first[slot])


def _merge_one(
    single: xr.Dataset, reads: xr.Dataset, slot: int, at_s: int, clashes: Clashes
) -> list[Finding]:
    findings = []
    meters = reads["meter"].values
    for channel in CHANNELS:
        values = reads[channel].transpose("meter", "boundary").values
        high = values.max(axis=1)
        low = np.where(values < 0, high[:, None], values).min(axis=1)
        clash = low != high
        clashes[channel][:, slot] = clash
        single[channel].transpose("meter", "boundary").values[:, slot] = np.where(
            clash, MISSING, high
        )
        for index in np.flatnonzero(clash):
            meter = str(meters[index])
            message = (
                f"{meter} {label(at_s)} {channel} was read as {low[index]} and {high[index]} "
                "for the same instant: neither counts"
            )
            findings.append(Finding("vee.duplicate", meter, label(at_s), Severity.WARNING, message))
    if "from_profile" in reads:
        profile = reads["from_profile"].transpose("meter", "boundary").values.all(axis=1)
        single["from_profile"].transpose("meter", "boundary").values[:, slot] = profile
    return findings
