"""Who works for a fleet's commands, and how far they are."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import UsageError, whole

if TYPE_CHECKING:
    from grid.fleet.spread import Kept, Progress

_EVERY_S = 2.0


def ways(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare who works: a scheduler's workers, some of this machine, or this process."""
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="of dask; workers of this machine by default"
    )
    parser.add_argument(
        "--workers", type=whole(1, 256), metavar="N", help="of this machine; one a core by default"
    )
    parser.add_argument("--serial", action="store_true", help=f"{verb} in this process alone")


def must_exclude(options: argparse.Namespace) -> None:
    """Refuse two ways at once."""
    if sum((options.serial, options.scheduler is not None, options.workers is not None)) > 1:
        raise UsageError("--serial, --scheduler and --workers exclude each other")


def say(text: str) -> None:
    """Tell of progress on the error output."""
    print(f"khazri: {text}", file=sys.stderr, flush=True)


@contextmanager
def workers(options: argparse.Namespace) -> Iterator[Any]:
    """Yield the client of whoever solves, None for this process."""
    if options.serial:
        yield None
        return
    from grid.fleet import cluster

    if options.scheduler is not None:
        with cluster.at(options.scheduler) as client:
            yield client
        return
    count = options.workers or len(os.sched_getaffinity(0))
    say(f"starting {count} workers")
    with cluster.local(count) as client:
        yield client


class Watch:
    """Tells of progress on the error output, at most every two seconds."""

    def __init__(self, kept: Kept[Any], name: str) -> None:
        self._name = name
        self._before = kept.count - len(kept.pending)
        self._began_ns = time.perf_counter_ns()
        self._first_ns: int | None = None
        self._first = self._before
        self._last_ns = self._told_ns = self._began_ns
        self._done = self._before
        self._workers = 0
        self._lost = 0
        if self._before:
            say(f"{self._before:,} of {kept.count:,} {name} are there already")

    def told(self, progress: Progress) -> None:
        """Tell of progress."""
        now = time.perf_counter_ns()
        if progress.done > self._done:
            self._done, self._last_ns = progress.done, now
            if self._first_ns is None:
                self._first_ns, self._first = now, progress.done
        self._workers = max(self._workers, progress.workers)
        if progress.lost:
            self._lost += progress.lost
            say(f"{progress.lost} workers are gone; others do their work")
        if (now - self._told_ns) * 1e-9 < _EVERY_S and progress.done < progress.count:
            return
        self._told_ns = now
        rate = self._rate()
        left = f", {(progress.count - progress.done) / rate:,.0f} s left" if rate else ""
        speed = f", {rate:.2f} a second" if rate else ""
        say(
            f"{progress.done:,} of {progress.count:,} {self._name}{speed}{left}; "
            f"{progress.workers} workers"
            + (f", {progress.refused} unsolved" if progress.refused else "")
            + ("; waiting for one" if not progress.workers else "")
        )

    def _rate(self) -> float:
        """Return pieces a second, without the start of the workers once they have started."""
        if self._first_ns is not None and self._done > self._first:
            return (self._done - self._first) / ((self._last_ns - self._first_ns) * 1e-9)
        return 0.0

    def facts(self, rate: str) -> dict[str, Any]:
        """Return what was done and how fast; `rate` names pieces a second."""
        return {
            "solved_now": self._done - self._before,
            "seconds": (self._last_ns - self._began_ns) * 1e-9,
            rate: self._rate(),
            "workers": self._workers,
            "workers_lost": self._lost,
        }
