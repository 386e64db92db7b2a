"""InfluxDB over TLS: nothing is sent to a server that cannot show who it is."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import trustme

from pipeline.stores.influxdb_http import Connections, UnreachableError


class _Telling(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name it has in the library
        """Quiet."""


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def port(asked: list[str], tmp_path: Path) -> Iterator[int]:
    """Of a server whose certificate is for "localhost", by the authority in authority.pem."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    class Handler(_Telling):
        pass

    Handler.asked = asked
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def status(url: str) -> int:
    return Connections(url, 20.0, 20.0).send("GET", "/ping", {}).answer().status


def test_a_certificate_that_nobody_vouches_for_is_refused(port: int, asked: list[str]) -> None:
    """Without its authority among those of the machine, the server hears nothing: no path, no token, no line."""
    with pytest.raises(UnreachableError, match="certificate"):
        status(f"https://localhost:{port}")
    assert asked == []


def test_an_authority_named_in_the_environment_is_trusted_for_its_names_only(
    port: int, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE names an authority of the plant's own; the name in the address must be the certificate's."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    assert status(f"https://localhost:{port}") == 204
    with pytest.raises(UnreachableError, match="not valid for"):
        status(f"https://127.0.0.1:{port}")
    assert asked == ["/ping"]
