"""How a meter refuses a whole request: exception-response and confirmed service error."""

from __future__ import annotations

from dataclasses import dataclass

from meters.dlms.errors import DlmsError

CONFIRMED_SERVICE_ERROR, EXCEPTION_RESPONSE = 0x0E, 0xD8


@dataclass(frozen=True, slots=True)
class Refusal:
    """An exception-response or a confirmed service error.

    `counter` is the invocation counter that the meter would take, when it says one.
    """

    text: str
    counter: int | None = None


def refusal(apdu: bytes) -> Refusal | None:
    """Return the refusal that an APDU is, if it is one.

    Raises
    ------
    DlmsError
        When it is a malformed one, or empty.
    """
    if not apdu:
        raise DlmsError("a response is cut short")
    if apdu[0] == EXCEPTION_RESPONSE:
        return _exception(apdu)
    if apdu[0] != CONFIRMED_SERVICE_ERROR:
        return None
    if len(apdu) != 4:
        raise DlmsError("a confirmed service error is cut short")
    return Refusal(f"confirmed service error {apdu[1]}.{apdu[2]}.{apdu[3]}")


def encode_exception(state: int, error: int, counter: int | None = None) -> bytes:
    """Return an exception-response, with the counter that would be taken."""
    octets = bytes((EXCEPTION_RESPONSE, state, error))
    return octets if counter is None else octets + counter.to_bytes(4, "big")


def _exception(apdu: bytes) -> Refusal:
    # Service error 6 carries the invocation counter of a ciphered association.
    if len(apdu) != 3 and not (len(apdu) == 7 and apdu[2] == 6):
        raise DlmsError("an exception-response is cut short")
    states = {1: "service not allowed", 2: "service unknown"}
    errors = {1: "operation not possible", 2: "service not supported", 3: "other reason"}
    errors |= {4: "PDU too long", 5: "deciphering error", 6: "invocation counter error"}
    state = states.get(apdu[1], f"state {apdu[1]}")
    counter = int.from_bytes(apdu[3:], "big") if len(apdu) == 7 else None
    return Refusal(f"exception: {state}, {errors.get(apdu[2], f'error {apdu[2]}')}", counter)
