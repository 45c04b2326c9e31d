"""The TCP wrapper (IEC 62056-47): version, two wrapper ports, a length, an APDU."""

from __future__ import annotations

import struct

from meters.dlms.errors import DlmsError, LocalProtocolError

VERSION = 1
MAX_APDU = 0xFFFF
_HEADER = struct.Struct(">HHHH")


def frame(source: int, destination: int, apdu: bytes) -> bytes:
    """Return an APDU in its wrapper."""
    if not 0 < len(apdu) <= MAX_APDU:
        raise LocalProtocolError(f"an APDU of {len(apdu)} bytes does not fit the wrapper")
    return _HEADER.pack(VERSION, source, destination, len(apdu)) + apdu


class FrameBuffer:
    """Bytes received, cut into APDUs; holds one frame and what follows it."""

    __slots__ = ("_bytes",)

    def __init__(self) -> None:
        self._bytes = bytearray()

    def __len__(self) -> int:
        return len(self._bytes)

    def feed(self, received: bytes) -> None:
        """Keep `received` for :meth:`take`."""
        self._bytes += received

    def take(self) -> tuple[int, int, bytes] | None:
        """Return source, destination and APDU of the next whole frame, else ``None``.

        Raises
        ------
        DlmsError
            When the bytes do not begin with a wrapper.
        """
        held = self._bytes
        if len(held) < 8:
            # A wrong version shows in two bytes; waiting for more would only time out.
            if (held and held[0] != 0) or (len(held) > 1 and held[1] != VERSION):
                raise DlmsError("the answer does not begin with a DLMS wrapper of version 1")
            return None
        version, source, destination, length = _HEADER.unpack_from(held)
        if version != VERSION:
            raise DlmsError("the answer does not begin with a DLMS wrapper of version 1")
        if length == 0:
            raise DlmsError("a DLMS wrapper holds no APDU")
        if len(held) < 8 + length:
            return None
        apdu = bytes(held[8 : 8 + length])
        del held[: 8 + length]
        return source, destination, apdu


class WrapperLink:
    """A client's link over TCP.

    Parameters
    ----------
    client_port, server_port : int
        Wrapper ports: the client's address and the logical device.
    """

    retry_s: float | None = None
    is_open = is_closing = False

    def __init__(self, client_port: int, server_port: int) -> None:
        self.client = client_port
        self._server = server_port
        self._buffer = FrameBuffer()
        self.receive = self._buffer.feed

    def send(self, *apdus: bytes) -> bytes:
        """Return each APDU in its wrapper."""
        return b"".join([frame(self.client, self._server, apdu) for apdu in apdus])

    def take(self) -> bytes | None:
        """Return the next APDU that is for this client."""
        whole = self._buffer.take()
        if whole is None:
            return None
        source, destination, apdu = whole
        if destination != self.client or source != self._server:
            raise DlmsError("the answer is for another client or from another logical device")
        return apdu

    def more(self) -> None:
        """Do nothing: over TCP the peer may always go on."""

    def pending(self) -> bytes:
        """Return nothing: TCP acknowledges by itself."""
        return b""

    retry = close = pending


class WrapperServerLink(WrapperLink):
    """A meter's link over TCP: answers whoever asked last."""

    def __init__(self) -> None:
        super().__init__(0, 0)

    def send(self, *apdus: bytes) -> bytes:
        """Return each APDU in its wrapper."""
        return b"".join([frame(self._server, self.client, apdu) for apdu in apdus])

    def take(self) -> bytes | None:
        """Return the next APDU, and keep who sent it."""
        whole = self._buffer.take()
        if whole is None:
            return None
        self.client, self._server, apdu = whole
        return apdu
