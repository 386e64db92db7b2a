"""HTTP to one server in two halves: a request is sent, and its answer is read when the caller wants it.

So the server works on one body while the next is made, without a thread (which would wait for the interpreter's lock
at each step of sending, for as long as the making takes).

Invariants:
- A connection has one request at a time, and is used again only when the answer to it was read whole.
- One that the server closed meanwhile is opened anew before anything is sent. What fails after that is an error:
  nobody knows what the server made of it.
"""

import errno
import http.client
import threading
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

Answer = urllib3.BaseHTTPResponse

_FAULTS: Final = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)
_CLOSED_EARLY: Final = (errno.EPIPE, errno.ECONNRESET)


class UnreachableError(Exception):
    """No answer. Handled by InfluxServer: a StoreError."""


class Underway:
    """A request that was sent."""

    def __init__(self, connections: "Connections", connection: HTTPConnection) -> None:
        self._connections, self._connection = connections, connection

    def answer(self) -> Answer:
        """Wait for it and read it whole; once. Raises UnreachableError."""
        try:
            answer = self._connection.getresponse()
        except _FAULTS as error:
            self._connection.close()
            self._connections.close()
            raise UnreachableError(_plain(error)) from error
        self._connections.put_back(self._connection)
        return answer


class Connections:
    """To the server of a URL, as many as are used at once. Thread-safe."""

    def __init__(self, url: str, connect_s: float, answer_s: float) -> None:
        """The longest waits for a connection and for each piece of an answer [s]."""
        parts = urlsplit(url)
        assert parts.hostname is not None  # the section of the plant file sees to it
        self._host: Final = parts.hostname
        self._port: Final = parts.port
        self._kind: Final = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._path: Final = parts.path
        self._connect_s: Final = connect_s
        self._answer_s: Final = answer_s
        self._idle: list[HTTPConnection] = []
        self._lock = threading.Lock()

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None) -> Underway:
        """Raises UnreachableError."""
        connection = self._take()
        try:
            if not connection.is_connected:
                if not connection.is_closed:
                    self.close()  # the server closed it, and so will it the others
                connection.close()
                connection.timeout = self._connect_s
                connection.connect()
                connection.timeout = self._answer_s
            try:
                connection.request(method, self._path + target, body, headers)
            except OSError as error:
                if error.errno not in _CLOSED_EARLY:  # it may have answered (413) before it had read everything
                    raise
        except _FAULTS as error:
            connection.close()
            raise UnreachableError(_plain(error)) from error
        return Underway(self, connection)

    def put_back(self, connection: HTTPConnection) -> None:
        with self._lock:
            self._idle.append(connection)

    def close(self) -> None:
        """Close those that nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> HTTPConnection:
        with self._lock:
            return self._idle.pop() if self._idle else self._kind(self._host, self._port)


def _plain(error: Exception) -> str:
    return str(error).rpartition(": ")[2] or type(error).__name__
