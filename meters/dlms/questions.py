"""The questions of one reading: asked one by one, in lists, or not again.

On a network of the field each question costs a round trip, so a meter that takes lists is
asked for all that does not change at once, and for all that it counts at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from meters.dlms.errors import DlmsError, SecurityError, SilentError
from meters.dlms.events import AccessRefused, ValueReceived, ValuesReceived
from meters.dlms.session import Session
from meters.dlms.xdlms import Attribute

Answer = ValueReceived | AccessRefused


class StaticAnswers:
    """What meters answered to questions whose answer does not change.

    Units, scalers and the columns of the load profile need not be asked again
    while the meter says the same logical device name; another name, or a meter
    that has none, forgets them. Whoever changes a meter's configuration calls
    :meth:`forget`.
    """

    def __init__(self) -> None:
        self._of: dict[str, tuple[bytes, dict[Attribute, tuple[Answer, bytes]]]] = {}
        self.one_by_one: set[str] = set()
        """Meters that refused a list, or answered one wrongly."""

    def of(self, meter: str, device_name: bytes) -> dict[Attribute, tuple[Answer, bytes]]:
        """Return the answers of `meter`, to be added to."""
        known = self._of.get(meter)
        if known is None or known[0] != device_name:
            known = self._of[meter] = device_name, {}
        return known[1]

    def forget(self, meter: str) -> None:
        """Ask everything again at the next reading."""
        self._of.pop(meter, None)
        self.one_by_one.discard(meter)


class Questions:
    """What is asked over a session, and the hash of all that was answered.

    Parameters
    ----------
    session : Session
        Associated.
    meter : str
    cache : StaticAnswers
        Changes neither the answers nor the hash.
    """

    def __init__(self, session: Session, meter: str, cache: StaticAnswers) -> None:
        self._session = session
        self._meter = meter
        self._cache = cache
        self._static: dict[Attribute, tuple[Answer, bytes]] = {}
        self._ahead: dict[Attribute, Answer] = {}
        self._digest = hashlib.sha256()
        self.keep()

    def digest(self) -> bytes:
        """Return SHA-256 over every answer so far, in order."""
        return self._digest.digest()

    def keep(self) -> bytes:
        """Take the last answer into the hash; return its bytes."""
        raw = b"".join(self._session.connection.received)
        self._digest.update(raw)
        return raw

    def know(self, device_name: bytes) -> None:
        """Use what the device of this name answered before."""
        self._static = self._cache.of(self._meter, device_name)

    async def dynamic(self, attribute: Attribute, invoke_id: int, wanted: bytes = b"") -> Answer:
        """Ask for an attribute, or for a selection of it."""
        if not wanted and attribute in self._ahead:
            return self._ahead[attribute]
        event = await self._get(attribute, invoke_id, wanted)
        self.keep()
        return event

    async def unchanging(self, attribute: Attribute, invoke_id: int) -> Answer:
        """Return an attribute that does not change, asked for when it is not known."""
        if attribute in self._ahead:
            return self._ahead[attribute]
        if known := self._static.get(attribute):
            self._digest.update(known[1])
            return known[0]
        event = await self._get(attribute, invoke_id)
        raw = self.keep()
        if isinstance(event, ValueReceived):
            self._static[attribute] = event, raw
        return event

    async def at_once(
        self, unchanging: Sequence[Attribute], changing: Sequence[Attribute], ids: tuple[int, int]
    ) -> None:
        """Ask for both in a list each, so that none of them is asked again.

        A meter that refuses a list, or answers it wrongly, is asked one by one from then on;
        what it refused with is not in the hash, which is that of asking it so from the start.

        Parameters
        ----------
        ids : (int, int)
            The invoke ids of the two lists.
        """
        if self._meter in self._cache.one_by_one:
            return
        known = [self._static[one] for one in unchanging if one in self._static]
        if len(known) == len(unchanging):
            for one, (answer, raw) in zip(unchanging, known, strict=True):
                self._digest.update(raw)
                self._ahead[one] = answer
        elif raw := await self._list(unchanging, ids[0]):
            self._learn(unchanging, raw)
        else:
            return
        await self._list(changing, ids[1])

    def _learn(self, unchanging: Sequence[Attribute], raw: bytes) -> None:
        if all(isinstance(self._ahead[one], ValueReceived) for one in unchanging):
            for one in unchanging:
                # The bytes of the whole list stand with its first: the hash is that of asking.
                self._static[one] = self._ahead[one], raw
                raw = b""

    async def _list(self, attributes: Sequence[Attribute], invoke_id: int) -> bytes:
        """Ask a list; return the bytes of its answer, none when the meter refused it."""
        connection = self._session.connection
        wanted = [(attribute, b"") for attribute in attributes]
        try:
            event = await self._session.ask(connection.get_list(wanted, invoke_id))
        except (SilentError, SecurityError):
            raise
        except DlmsError:
            self._cache.one_by_one.add(self._meter)
            raise
        if not isinstance(event, ValuesReceived):
            self._cache.one_by_one.add(self._meter)
            return b""
        self._ahead.update(zip(attributes, event.values, strict=True))
        return self.keep()

    async def _get(self, attribute: Attribute, invoke_id: int, wanted: bytes = b"") -> Answer:
        connection = self._session.connection
        event = await self._session.ask(connection.get(attribute, wanted, invoke_id))
        assert isinstance(event, ValueReceived | AccessRefused)
        return event
