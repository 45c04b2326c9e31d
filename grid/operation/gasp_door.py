"""Hears the last gasps of meters in a thread beside the cycles, and keeps them for the next one.

A meter tells its name and not who it is by any key: whoever reaches the port could say the
same. So a last gasp is believed only of a meter that has no keys and does not answer
(:mod:`grid.operation.outage_sightings`), and moves the start of its interruption at most to
its last answer. What is protected is refused: which keys a system title has is not known.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Final

from meters.dlms.errors import DlmsError
from meters.dlms.last_gasp import LastGasp, last_gasp
from meters.dlms.listener import Pushed, PushListener

logger = logging.getLogger("khazri.operation")

MOST: Final = 100_000
"""Last gasps that wait for a cycle; what comes beyond is lost."""

_STARTS_S: Final = 10.0


class GaspDoor:
    """A port for data-notifications.

    Parameters
    ----------
    host : str
    port : int
        0 lets the system choose.

    Attributes
    ----------
    port : int

    Raises
    ------
    OSError
        When the port is taken.
    """

    def __init__(self, host: str, port: int) -> None:
        self._waiting: list[LastGasp] = []
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._ears = PushListener(self._take, self._refuse, is_open=True)
        self._thread = threading.Thread(target=self._loop.run_forever, name="gasps", daemon=True)
        self._thread.start()
        try:
            begun = asyncio.run_coroutine_threadsafe(self._ears.start(host, port), self._loop)
            self.port = begun.result(_STARTS_S)
        except OSError:
            self._end()
            raise

    def _take(self, pushed: Pushed) -> None:
        found = last_gasp(pushed.notification)
        if found is None:
            return
        with self._lock:
            if len(self._waiting) < MOST:
                self._waiting.append(found)

    def _refuse(self, error: DlmsError) -> None:
        logger.warning("stage=gasps state=refused reason=%s", error)

    def waiting(self) -> list[LastGasp]:
        """Return what was heard and not forgotten yet."""
        with self._lock:
            return list(self._waiting)

    def forget(self, count: int) -> None:
        """Forget the first ones, which are stored."""
        with self._lock:
            del self._waiting[:count]

    def close(self) -> None:
        """Stop listening."""
        asyncio.run_coroutine_threadsafe(self._ears.stop(), self._loop).result(_STARTS_S)
        self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STARTS_S)
        self._loop.close()
