"""A stage that never ends, ends the process and says where it hung; one in time does not."""

from __future__ import annotations

import subprocess
import sys
import time

PROGRAM = """
import sys, time
from grid.operation import cycle
from grid.operation.watchdog import watched

class Room:
    watchdog_s = int(sys.argv[1])
    class link:
        advance = staticmethod(lambda to_s: to_s)
    class store:
        @staticmethod
        def read():
            from contextlib import nullcontext
            return nullcontext()
        write = read
    site = None
    @staticmethod
    def log(*_, **__): pass

def hung(room, at_s):
    while time.monotonic() < began + float(sys.argv[2]):
        pass

began = time.monotonic()
cycle.STAGES.clear()
cycle.STAGES["plan"] = hung
cycle.control.done = lambda tx, at_s: set()
cycle.witnessing.admit = lambda room, at_s: None
cycle.terms_entries.tell_again = lambda tx, site, at_s: None
cycle.run(Room, 0)
print("passed")
"""


def _run(limit_s: int, work_s: float) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", PROGRAM, str(limit_s), str(work_s)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60)


def test_a_stage_that_hangs_ends_the_process_and_says_where() -> None:
    began = time.monotonic()
    done = _run(1, 50)
    assert done.returncode == 1
    assert "Timeout" in done.stderr
    assert "in hung" in done.stderr
    assert time.monotonic() - began < 40


def test_a_stage_in_time_is_left_alone() -> None:
    for limit_s in (0, 30):
        done = _run(limit_s, 0.1)
        assert (done.returncode, done.stdout.strip()) == (0, "passed"), done.stderr
