"""A watchdog over the stages of a cycle: a control room that hangs ends, and says where.

What devices hold runs out meanwhile, so they are safe without it; whoever supervises the process
starts it again, and the cycle goes on where it was committed last.
"""

from __future__ import annotations

import faulthandler
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from grid.errors import BadInputError


@contextmanager
def watched(limit_s: int) -> Iterator[None]:
    """End this process with status 1 when what is done here takes longer than `limit_s`.

    The traceback of every thread is on standard error then. It is a thread of its own in C: an
    endless loop in compiled code cannot hold it up.

    Parameters
    ----------
    limit_s : int
        0 for never.

    Raises
    ------
    BadInputError
        When this process has no standard error.
    """
    if not limit_s:
        yield
        return
    if sys.__stderr__ is None:
        raise BadInputError("watchdog: there is no standard error to write to")
    faulthandler.dump_traceback_later(limit_s, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
