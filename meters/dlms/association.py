"""An open association: typed questions to the objects that a meter has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from meters import obis
from meters.dlms import cosem, key_transfer, profile_generic
from meters.dlms import data as axdr
from meters.dlms.civil_time import Instant, decode_date_time, encode_date_time
from meters.dlms.errors import AccessError
from meters.dlms.events import (
    AccessRefused,
    Acted,
    Associated,
    ListWritten,
    ValueReceived,
    ValuesReceived,
)
from meters.dlms.initiate import Conformance
from meters.dlms.key_transfer import KeyId
from meters.dlms.profile import Profile
from meters.dlms.profile_generic import EventRow
from meters.dlms.selection import encode_range
from meters.dlms.session import Session
from meters.dlms.writing import Method
from meters.dlms.xdlms import Attribute

_OFF, _ON = 1, 2
_INT8_ZERO = b"\x0f\x00"


class Association:
    """What can be asked of a meter that let us in.

    Every question raises :class:`AccessError` when the meter refuses it and another
    :class:`DlmsError` when its answer is malformed.
    """

    def __init__(self, session: Session, profile: Profile, agreed: Associated) -> None:
        self._session = session
        self._profile = profile
        self.conformance = agreed.conformance

    async def get(self, attribute: Attribute, selection: bytes = b"") -> axdr.Value:
        """Return the value of an attribute, or the part of it that `selection` names."""
        event = await self._session.ask(self._session.connection.get(attribute, selection))
        return _value(event, attribute)

    async def get_all(self, attributes: Sequence[Attribute]) -> tuple[axdr.Value, ...]:
        """Return several values, in as few questions as the meter allows."""
        if not self.conformance & Conformance.MULTIPLE_REFERENCES:
            return tuple([await self.get(attribute) for attribute in attributes])
        values: list[axdr.Value] = []
        most = self._session.connection.most_references
        for at in range(0, len(attributes), most):
            part = attributes[at : at + most]
            wanted = [(attribute, b"") for attribute in part]
            event = await self._session.ask(self._session.connection.get_list(wanted))
            if not isinstance(event, ValuesReceived):
                raise _refused(event, part[0])
            values += map(_value, event.values, part)
        return tuple(values)

    async def set(self, attribute: Attribute, value: bytes) -> None:
        """Write an encoded value."""
        event = await self._session.ask(self._session.connection.set(attribute, value))
        if isinstance(event, AccessRefused):
            raise _refused(event, attribute)

    async def set_all(self, items: Sequence[tuple[Attribute, bytes]]) -> list[AccessError | None]:
        """Write several encoded values, in as few questions as the meter allows.

        Returns
        -------
        list of AccessError or None
            For each attribute, in order, why the meter refused it, ``None`` when it did not.
        """
        results: list[AccessError | None] = []
        connection = self._session.connection
        allows = self.conformance & Conformance.MULTIPLE_REFERENCES
        most = connection.most_references if allows else 1
        for at in range(0, len(items), most):
            part = items[at : at + most]
            question = connection.set_list(part) if allows else connection.set(*part[0])
            event = await self._session.ask(question)
            each = event.results if isinstance(event, ListWritten) else [event] * len(part)
            results += [
                _refused(one, attribute) if isinstance(one, AccessRefused) else None
                for one, (attribute, _) in zip(each, part, strict=True)
            ]
        return results

    async def act(self, method: Method, parameter: bytes = b"") -> axdr.Value:
        """Call a method; return what it returns."""
        event = await self._session.ask(self._session.connection.action(method, parameter))
        if not isinstance(event, Acted):
            raise _refused(event, method)
        return event.value

    async def object_list(self) -> tuple[cosem.ObjectEntry, ...]:
        """Return the objects that this association shows."""
        value = await self.get(Attribute(cosem.ASSOCIATION, obis.ASSOCIATION, 2))
        return cosem.parse_object_list(value)

    async def clock(self) -> Instant:
        """Return the meter's time."""
        return decode_date_time(await self.get(self._profile.clock), self._profile.zone)

    async def set_clock(self, at_s: int) -> None:
        """Set the meter's time to `at_s`, seconds UTC, in the deviation that it keeps."""
        before = await self.clock()
        octets = encode_date_time(at_s, before.deviation_minutes, self._profile.zone)
        await self.set(self._profile.clock, axdr.encode(axdr.Tag.OCTET_STRING, octets))

    async def disconnect_state(self) -> cosem.DisconnectState:
        """Return whether the output is on, and what is allowed next."""
        wanted = [Attribute(cosem.DISCONNECT_CONTROL, self._profile.disconnect, i) for i in (2, 3)]
        output, state = await self.get_all(wanted)
        return cosem.parse_disconnect(output, state)

    async def disconnect(self) -> None:
        """Switch the output off."""
        await self.act(self._control(_OFF), _INT8_ZERO)

    async def reconnect(self) -> None:
        """Switch the output on, or allow a person at the meter to do so."""
        await self.act(self._control(_ON), _INT8_ZERO)

    async def transfer_keys(self, master: bytes, keys: Mapping[KeyId, bytes]) -> None:
        """Give the meter new keys, wrapped by its master key.

        It answers under the keys of this association; what holds from the next one on is
        known only by opening it.
        """
        method = Method(cosem.SECURITY_SETUP, self._profile.security_setup, key_transfer.TRANSFER)
        await self.act(method, key_transfer.encode_transfer(master, keys))

    def _control(self, index: int) -> Method:
        return Method(cosem.DISCONNECT_CONTROL, self._profile.disconnect, index)

    async def demand(self, code: bytes) -> cosem.Demand:
        """Return the DemandRegister of a logical name."""
        wanted = [Attribute(cosem.DEMAND_REGISTER, code, index) for index in (2, 3, 4, 6, 8, 9)]
        return cosem.parse_demand(await self.get_all(wanted), self._profile.zone)

    async def extended(self, code: bytes) -> cosem.Extended:
        """Return the ExtendedRegister of a logical name."""
        wanted = [Attribute(cosem.EXTENDED_REGISTER, code, index) for index in (2, 3, 5)]
        return cosem.parse_extended(await self.get_all(wanted), self._profile.zone)

    async def events(self, since_s: int, until_s: int) -> list[EventRow]:
        """Return the entries of the event log within ``[since_s, until_s]``."""
        profile = self._profile
        log = profile.event_log
        columns = profile_generic.parse_capture_objects(
            await self.get(Attribute(cosem.PROFILE_GENERIC, log, 3))
        )
        deviation = (await self.clock()).deviation_minutes
        since, until = (encode_date_time(at, deviation, profile.zone) for at in (since_s, until_s))
        value = await self.get(
            Attribute(cosem.PROFILE_GENERIC, log, 2),
            encode_range(since, until, profile.clock.obis),
        )
        code = Attribute(cosem.DATA, profile.event_code, 2)
        rows = profile_generic.parse_events(
            value, columns, clock=profile.clock, code=code, zone=profile.zone
        )
        return [row for row in rows if since_s <= row.at_s <= until_s]


def _value(event: object, attribute: Attribute) -> axdr.Value:
    if not isinstance(event, ValueReceived):
        raise _refused(event, attribute)
    return event.value


def _refused(event: object, what: Attribute | Method) -> AccessError:
    reason = event.reason if isinstance(event, AccessRefused) else "another answer came"
    return AccessError(f"{obis.label(what.obis)} {what.index} refused: {reason}")
