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
from meters.dlms.static_answers import Answer, Known, StaticAnswers
from meters.dlms.xdlms import Attribute


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
        self._known: Known = {}
        self._ahead: dict[Attribute, Answer] = {}
        self._digest = hashlib.sha256()
        self._keep()

    def digest(self) -> bytes:
        """Return SHA-256 over every answer so far, in order."""
        return self._digest.digest()

    def know(self, device_name: bytes) -> None:
        """Use what the device of this name answered before."""
        self._known = self._cache.of(self._meter, device_name)

    def told(self, attribute: Attribute) -> bool:
        """Return whether a list has told an attribute."""
        return attribute in self._ahead

    async def dynamic(self, attribute: Attribute, invoke_id: int, wanted: bytes = b"") -> Answer:
        """Return an attribute, or a selection of it, asked for unless a list told it."""
        if not wanted and attribute in self._ahead:
            return self._ahead[attribute]
        event = await self._get(attribute, invoke_id, wanted)
        self._keep()
        return event

    async def unchanging(self, attribute: Attribute, invoke_id: int) -> Answer:
        """Return an attribute that does not change, asked for when it is not known."""
        if attribute in self._ahead:
            return self._ahead[attribute]
        if known := self._known.get((attribute,)):
            self._digest.update(known[1])
            return known[0][0]
        event = await self._get(attribute, invoke_id)
        raw = self._keep()
        if isinstance(event, ValueReceived):
            self._known[attribute,] = (event,), raw
        return event

    async def at_once(self, attributes: Sequence[Attribute], invoke_id: int) -> None:
        """Ask for attributes in one list, so that none of them is asked again.

        A meter that refuses a list, or answers it wrongly, is asked one by one from then on;
        what it refused with is not in the hash, which is that of asking it so from the start.
        """
        if self._meter in self._cache.one_by_one:
            return
        connection = self._session.connection
        wanted = [(attribute, b"") for attribute in attributes]
        try:
            event = await self._session.ask(connection.get_list(wanted, invoke_id))
        except (SilentError, SecurityError):
            raise
        except DlmsError:
            self._cache.one_by_one.add(self._meter)
            raise
        if isinstance(event, ValuesReceived):
            self._keep()
            self._ahead.update(zip(attributes, event.values, strict=True))
        else:
            self._cache.one_by_one.add(self._meter)

    async def unchanging_at_once(self, attributes: Sequence[Attribute], invoke_id: int) -> None:
        """Ask as :meth:`at_once` for what does not change, unless the same list is known."""
        asked = tuple(attributes)
        if known := self._known.get(asked):
            self._digest.update(known[1])
            self._ahead.update(zip(asked, known[0], strict=True))
            return
        await self.at_once(asked, invoke_id)
        answers = tuple(self._ahead[one] for one in asked if one in self._ahead)
        if len(answers) == len(asked) and all(isinstance(one, ValueReceived) for one in answers):
            self._known[asked] = answers, b"".join(self._session.connection.received)

    def _keep(self) -> bytes:
        """Take the last answer into the hash; return its bytes."""
        raw = b"".join(self._session.connection.received)
        self._digest.update(raw)
        return raw

    async def _get(self, attribute: Attribute, invoke_id: int, wanted: bytes = b"") -> Answer:
        connection = self._session.connection
        event = await self._session.ask(connection.get(attribute, wanted, invoke_id))
        assert isinstance(event, ValueReceived | AccessRefused)
        return event
