"""What goes wrong on a DLMS association.

::

    PeerError
    └── DlmsError                the meter sent what the standard does not allow
        ├── AccessError          the meter answered, and refused
        ├── SecurityError        what came is not protected as was agreed
        │   ├── ReplayError      what came was sent before
        │   └── CounterError     our own invocation counter cannot be kept
        └── SilentError          the meter did not answer
    LocalProtocolError           we asked the codec for what is not allowed: our own bug

Messages hold no port, path or latency, so that they may be hashed.
"""

from __future__ import annotations

from typing import ClassVar

from grid.errors import PeerError


class DlmsError(PeerError):
    """The peer's bytes are not DLMS/COSEM, or not an answer to what was asked.

    Attributes
    ----------
    code : str
        Code of the :class:`grid.errors.Finding` that tells of this failure.
    """

    code: ClassVar[str] = "meter.malformed"


class AccessError(DlmsError):
    """The meter refused an association, an object or a service."""

    code: ClassVar[str] = "meter.access"


class SecurityError(DlmsError):
    """A tag, a proof, a key or the strength of the protection is not what was agreed."""

    code: ClassVar[str] = "meter.security"


class ReplayError(SecurityError):
    """An invocation counter did not rise: the bytes may be old ones, sent again."""

    code: ClassVar[str] = "meter.replay"


class CounterError(SecurityError):
    """Our invocation counter is used up, damaged or cannot be written: nothing more is sent."""

    code: ClassVar[str] = "meter.counter"


class SilentError(DlmsError):
    """The meter did not answer, or left in the middle of an answer."""

    code: ClassVar[str] = "meter.silent"


class LocalProtocolError(Exception):
    """The codec was asked to send what its state or the standard forbids."""
