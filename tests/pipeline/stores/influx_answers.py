"""A strict HTTP server that answers writes as InfluxDB 2.x and 3.x document it (their servers are not packaged here).

It refuses lines whose measurement is listed in `refused`, in the way of its version: 2.x drops them and keeps the rest
(422), or takes nothing of a body that does not parse (400); 3.x takes nothing on this path and names the lines (400).
"""

import gzip
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, urlsplit

LINE = re.compile(r'(?P<series>[^ ]+) (?P<fields>(?:[^" ]|"(?:[^"\\]|\\.)*")+) (?P<time>-?\d+)')


@dataclass
class Answers:
    """What the server was sent and how it is to answer. `scripted` answers come first: (status, headers, body)."""

    version: str
    token: str = "secret"
    max_bytes: int = 10_000_000
    refused: set[str] = field(default_factory=set)
    scripted: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    asked: bytes | None = None
    """What every question is answered, where it is not that nothing is there."""
    metrics: Callable[[], bytes] | None = None
    """What /metrics says; None: it is closed."""
    stored: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """By bucket, series and time, the fields."""
    writes: int = 0
    faults: list[str] = field(default_factory=list)
    """What a request had that it must not have."""


class AnsweringServer:
    """Use as a context; `url` is where it listens."""

    def __init__(self, answers: Answers) -> None:
        class Handler(_Handler):
            pass

        Handler.answers = answers
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    answers: Answers
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name it has in the library
        """Quiet."""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/metrics" and self.answers.metrics is not None:
            self._answer(200, self.answers.metrics())
        else:
            self._answer(204 if path == "/ping" else 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path, asked = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        if self.headers["Authorization"] != f"Token {self.answers.token}":
            self._answer(401, {"code": "unauthorized", "message": "unauthorized access"})
        elif path == "/query" and self.answers.asked is not None:
            self._answer(200, self.answers.asked)
        elif path == "/query":
            statements = parse_qs(body.decode())["q"][0].split("; ")
            self._answer(200, {"results": [{"statement_id": number} for number in range(len(statements))]})
        elif path == "/api/v2/write":
            self._write(body, asked)
        else:
            self.answers.faults.append(f"POST {self.path}")
            self._answer(404)

    def _write(self, body: bytes, asked: dict[str, list[str]]) -> None:
        answers = self.answers
        answers.writes += 1
        if sorted(asked) != ["bucket", "org", "precision"] or asked["precision"] != ["ns"]:
            answers.faults.append(f"asked {asked}")
        if answers.scripted:
            status, headers, content = answers.scripted.pop(0)
            self._answer(status, content, headers)
            return
        if len(body) > answers.max_bytes:
            self._answer(
                413, {"code": "request too large", "message": "unable to read data: points batch is too large"}
            )
            return
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        lines = body.decode().splitlines()
        found = [LINE.fullmatch(line) for line in lines]
        if None in found:
            answers.faults.append(f"line {lines[found.index(None)]!r}")
            self._answer(400, {"code": "invalid", "message": "unable to parse"})
            return
        points = [(match["series"], match["time"], match["fields"]) for match in found if match]
        bad = [number for number, point in enumerate(points) if point[0].split(",")[0] in answers.refused]
        major = answers.version[0]
        if bad and major == "3":
            data = [
                {"original_line": lines[n], "line_number": n + 1, "error_message": f"invalid column in {points[n][0]}"}
                for n in bad
            ]
            self._answer(400, {"error": "parsing failed for write_lp endpoint", "data": data})
            return
        for number, (series, time, fields) in enumerate(points):
            if number not in bad:
                answers.stored[asked["bucket"][0], series, time] = fields
        if bad:
            message = f"failure writing points to database: partial write: field type conflict dropped={len(bad)}"
            self._answer(422, {"code": "unprocessable entity", "message": message})
        else:
            self._answer(204)

    def _answer(self, status: int, content: object = b"", headers: dict[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("X-Influxdb-Version", self.answers.version)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)
