"""The HTTP face of a witness (C2SP tlog-witness), for anybody who can reach it.

Whoever posts is unknown: a request has a few seconds, a body has a limit, and so has the
number of connections at a time.
"""

from __future__ import annotations

import io
import logging
import re
import socket
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from grid.operation.witness import Witness
from trading.ledger.witness import REQUEST_BYTES_MAX, RefusedError

REQUEST_S = 10.0
"""Longest that one request may take to arrive, and a connection may idle before it."""

CONNECTIONS_MAX = 64
_CHECKPOINT = re.compile(r"/([0-9a-f]{64})/checkpoint", re.ASCII)
_LENGTH = re.compile(r"[0-9]{1,8}", re.ASCII)
logger = logging.getLogger("khazri.witness")


class _Stream(io.RawIOBase):
    """What arrives at a socket until a deadline, however slowly it comes."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.until = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left_s = self.until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the request took too long")
        self._connection.settimeout(left_s)
        return self._connection.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "khazri-witness", ""
    server: WitnessServer

    def setup(self) -> None:
        super().setup()
        self._arriving = _Stream(self.connection)
        self.rfile = io.BufferedReader(self._arriving)

    def handle_one_request(self) -> None:
        self._arriving.until = time.monotonic() + REQUEST_S
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def do_POST(self) -> None:
        """Answer add-checkpoint."""
        length = self.headers.get("Content-Length", "")
        if not _LENGTH.fullmatch(length) or "Transfer-Encoding" in self.headers:
            return self._refuse(HTTPStatus.LENGTH_REQUIRED, "a request says its Content-Length")
        if int(length) > REQUEST_BYTES_MAX:
            why = f"{int(length)} bytes are more than {REQUEST_BYTES_MAX}"
            return self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, why)
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            return self._refuse(HTTPStatus.BAD_REQUEST, "the request is cut off")
        if self.path != "/add-checkpoint":
            return self._refuse(HTTPStatus.NOT_FOUND, "checkpoints are posted to /add-checkpoint")
        try:
            line = self.server.witness.add_checkpoint(body)
        except RefusedError as error:
            if error.size is not None:
                return self._tell(error.status, f"{error.size}\n", "text/x.tlog.size")
            return self._refuse(error.status, str(error))
        return self._tell(HTTPStatus.OK, line, "text/plain; charset=utf-8")

    def do_GET(self) -> None:
        """Answer with the newest checkpoint of a log, for who compares witnesses."""
        match = _CHECKPOINT.fullmatch(self.path)
        signed = self.server.witness.newest(match[1]) if match else None
        if signed is None:
            return self._refuse(HTTPStatus.NOT_FOUND, "no checkpoint was cosigned there")
        return self._tell(HTTPStatus.OK, signed, "text/plain; charset=utf-8")

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        # What follows on the connection may be the rest of what was refused.
        self.close_connection = True
        logger.info("from=%s status=%d %s", self.client_address[0], status, ascii(why)[1:-1])
        self._tell(status, f"{why}\n", "text/plain; charset=utf-8")

    def _tell(self, status: HTTPStatus, text: str, kind: str) -> None:
        body = text.encode("utf-8", "backslashreplace")
        self.connection.settimeout(REQUEST_S)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing: what matters is logged where it is decided."""


class WitnessServer(ThreadingHTTPServer):
    """Serves one witness.

    Parameters
    ----------
    address : (str, int)
        Host and port to listen at; port 0 for any free one.
    """

    daemon_threads = True
    request_queue_size = CONNECTIONS_MAX

    def __init__(self, address: tuple[str, int], witness: Witness) -> None:
        self.witness = witness
        self._places = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection while there is a place, and close it otherwise."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer a connection in its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep one connection's failure from the others, and tell of it."""
        logger.exception("from=%s a request failed", client_address[0])
