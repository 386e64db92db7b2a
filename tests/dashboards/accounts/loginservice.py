"""Login services for tests: a certified one (npm's oidc-provider), and one that says whatever a test wants."""

import json
import re
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx2
from httpx2 import Client, Response

from tests.dashboards.accounts.companies import ORIGIN
from tests.support import free_port, npm_installed, require_program, wait_for_port

PEER = Path(__file__).parents[2] / "foreign" / "oidc"
SECRET = "a secret: 100% + more"


@contextmanager
def certified() -> Iterator[int]:
    """The port of a running oidc-provider that knows the app as "km0"."""
    npm_installed(PEER)
    port = free_port()
    command = [require_program("node", "nodejs"), "provider.mjs", str(port), f"{ORIGIN}/login/oidc/done"]
    with subprocess.Popen(command, cwd=PEER, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for_port(port, 60)
            yield port
        finally:
            process.terminate()


def at_the_service(browser: httpx2.Client, address: str, person: str) -> str:
    """Log in there as somebody and consent; the address that the service sends the browser back to."""
    answer = browser.get(address)
    for _ in range(20):
        if answer.is_redirect:
            address = urljoin(address, answer.headers["location"])
            if address.startswith(ORIGIN):
                return address
            answer = browser.get(address)
            continue
        form = re.search(r'<form[^>]*action="([^"]+)"', answer.text)
        prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
        assert form is not None, answer.text[:2000]
        assert prompt is not None, answer.text[:2000]
        address = urljoin(address, form[1])
        answer = browser.post(address, data={"prompt": prompt[1], "login": person, "password": "x"})
    raise AssertionError("the service leads nowhere")


def walk(browser: Client, person: str, begin: str = "/login/oidc") -> Response:
    """From a page of ours to the service, in as somebody there, and back: what our app answers."""
    out = browser.get(begin)
    assert out.status_code == 303, out.text
    with httpx2.Client(timeout=30) as elsewhere:
        return browser.get(at_the_service(elsewhere, out.headers["location"], person))


@dataclass
class Hostile:
    """A login service that answers what it is told to, by path: a status and a body."""

    port: int
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def say(self, path: str, found: Any, status: int = 200) -> None:
        self.answers[path] = status, found if isinstance(found, bytes) else json.dumps(found).encode()


@contextmanager
def hostile() -> Iterator[Hostile]:
    """With the discovery document of an honest one, to begin with."""
    service = Hostile(0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = service.answers.get(self.path, (404, b"{}"))
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815  # the server's own names

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service.port = server.server_address[1]
        service.say(
            "/.well-known/openid-configuration",
            {"issuer": service.issuer} | {
                name: f"{service.issuer}/{name}"
                for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")
            },
        )  # fmt: skip
        serving = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        serving.start()
        try:
            yield service
        finally:
            server.shutdown()
            serving.join()


@contextmanager
def dripping(head: bytes, asked: list[str]) -> Iterator[int]:
    """The port of a service that begins each answer so, and then sends a byte now and then as long as it is listened
    to; who asks is added to `asked`."""
    over = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            asked.append(str(self.client_address))
            try:
                self.request.sendall(head)
                while not over.wait(0.05):
                    self.request.sendall(b" ")
            except OSError:
                return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        serving.start()
        try:
            yield server.server_address[1]
        finally:
            over.set()
            server.shutdown()
            serving.join()
