"""What carries APDUs below an association: the TCP wrapper or HDLC, without a socket.

A link takes APDUs and gives bytes to send, takes bytes and gives APDUs, and may
have bytes to send of its own: an HDLC acknowledgement, the next segment.
"""

from __future__ import annotations

from typing import Protocol


class Link(Protocol):
    """Either side's end of one link."""

    @property
    def retry_s(self) -> float | None:
        """Seconds without an answer after which :meth:`retry` may help; ``None`` never."""
        ...

    @property
    def client(self) -> int:
        """The client's address, as far as it is known."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether the link has something to close."""
        ...

    @property
    def is_closing(self) -> bool:
        """Whether the link waits to hear that it is closed."""
        ...

    def send(self, *apdus: bytes) -> bytes:
        """Take APDUs that follow each other; return the bytes that may go out now.

        Raises
        ------
        LocalProtocolError
            When the link cannot carry it.
        """
        ...

    def receive(self, received: bytes) -> None:
        """Keep bytes for :meth:`take`."""
        ...

    def take(self) -> bytes | None:
        """Return the next whole APDU, or ``None`` when more bytes are needed.

        Raises
        ------
        DlmsError
            When the bytes are not of this link.
        """
        ...

    def more(self) -> None:
        """Let the peer go on: the APDU taken last is not all that it has to say."""
        ...

    def pending(self) -> bytes:
        """Return, once, what the link has to send by itself after :meth:`take`."""
        ...

    def retry(self) -> bytes:
        """Return what to send when nothing came for :attr:`retry_s`."""
        ...

    def close(self) -> bytes:
        """Return the bytes that close the link; empty when there is nothing to close."""
        ...
