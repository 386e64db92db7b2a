"""HTTP in two halves: what is sent twice, and on which connection; what is refused."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.stores.influxdb_http import Connections, UnreachableError
from tests.support import free_port


class Handler(BaseHTTPRequestHandler):
    """Says what it was sent, and on which connection; closes each after the request whose path is /last."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        said = body + b" from %d" % self.client_address[1]
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
        self.close_connection = self.path == "/last"  # without a word of it, as a server does that ends

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name it has in the library
        """Quiet."""


@pytest.fixture
def connections() -> Iterator[Connections]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    made = Connections(f"http://127.0.0.1:{server.server_port}", 20.0, 20.0)
    yield made
    made.close()
    server.shutdown()
    server.server_close()


def said(connections: Connections, path: str, body: bytes) -> tuple[str, str]:
    words, _, port = connections.send("POST", path, {}, body).answer().data.decode().partition(" from ")
    return words, port


def test_answers_come_to_whoever_asked_though_others_ask_meanwhile(connections: Connections) -> None:
    """Three requests under way, answered in another order; their connections are used again."""
    under_way = [connections.send("POST", "/", {}, b"%d" % n) for n in range(3)]
    answers = [under_way[n].answer().data.decode().partition(" from ") for n in (2, 0, 1)]
    assert [words for words, _, _ in answers] == ["2", "0", "1"]
    ports = {port for _, _, port in answers}
    assert len(ports) == 3
    assert said(connections, "/", b"again")[1] in ports


def test_connections_that_the_server_closed_are_opened_anew(connections: Connections) -> None:
    """However many it closed: nothing is lost by it, and nothing sent twice."""
    under_way = [connections.send("POST", "/last", {}, b"%d" % n) for n in range(3)]
    closed = {one.answer().data.decode().partition(" from ")[2] for one in under_way}
    deadline = time.monotonic() + 30
    while any(one.is_connected for one in connections._idle):  # until the closing of each has arrived here
        assert time.monotonic() < deadline
        time.sleep(0.001)
    words, port = said(connections, "/", b"after")
    assert words == "after"
    assert port not in closed
    assert said(connections, "/", b"more") == ("more", port)


def test_a_server_that_is_not_there_is_said() -> None:
    """Nothing listens: an error, each time."""
    nobody = Connections(f"http://127.0.0.1:{free_port()}", 20.0, 20.0)
    for _ in range(2):
        with pytest.raises(UnreachableError, match="refused"):
            nobody.send("GET", "/ping", {})
