"""An InfluxDB server over HTTP: which version it is, and how each is written to and asked.

Invariants:
- Nothing is asked before the first call: a server that is down at the start is a StoreError then, not a failed start.
- An answer is whole or an error: the server's own limit of rows (1.x, `max-row-limit`) cuts none.
- After its disk was full, nothing is sent between its first start and its second (see influxdb_torn_log).
"""

import gzip
import json
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import monotonic, time, time_ns
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from urllib3 import make_headers

from pipeline.stores.influxdb_answers import DiskFullError, raise_for_query, raise_for_write, trouble
from pipeline.stores.influxdb_config import InfluxDbConfig
from pipeline.stores.influxdb_http import Answer, Connections, Underway, UnreachableError
from pipeline.stores.influxdb_rows import MESSAGE_PACK, Times, Values, columns
from pipeline.stores.influxdb_torn_log import NO_LOG, PATHS, Start, TornLog, told
from telemetry.errors import StoreError
from telemetry.samples import SECOND_NS

_JSON: Final = "application/json"
_WHOLE: Final = {"chunked": "true", "chunk_size": str(10**9)}
"""One piece per series: what 1.x and 2.x send in pieces has no limit of rows, and no piece of 1.x lies about itself."""


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """Of the server."""

    major: int
    minor: int


class InfluxServer:
    """Speaks HTTP. Thread-safe: each call takes a connection from the pool."""

    def __init__(self, config: InfluxDbConfig) -> None:
        self._config: Final = config
        self._token: Final = "" if config.token is None else config.token.read()
        self._http: Final = Connections(config.url, min(5.0, config.timeout_s), config.timeout_s)
        self._lock = threading.Lock()
        self._version: Version | None = None
        self._torn: Final = TornLog(self._started)
        self._ahead_ns = 0  # how far the server's clock is ahead of ours

    @property
    def version(self) -> Version:
        """Asked for once, and again after the server could not be reached: it may have been replaced. StoreError."""
        with self._lock:
            if self._version is None:
                self._version = self._ask_version()
            return self._version

    def now_ns(self) -> int:
        """The time by the server's clock [ns], to about a second: hosts without NTP agree on it at least."""
        return time_ns() + self._ahead_ns

    def write(self, bucket: str, body: bytes) -> None:
        """Store lines. Raises RefusedError, TooLargeError, StoreError."""
        write = self.writing(bucket, body)
        write.send()
        write.answer()

    def writing(self, bucket: str, body: bytes) -> "Write":
        """Lines ready to be sent."""
        return Write(self, bucket, gzip.compress(body, 1) if self._config.gzip else body)

    def send_lines(self, bucket: str, body: bytes) -> Underway:
        """For Write. Raises StoreError."""
        self._torn.spare(bucket)
        database, _, policy = bucket.partition("/")
        if self.version < Version(1, 8):
            path, fields = "/write", {"db": database, "precision": "ns"} | ({"rp": policy} if policy else {})
        else:
            path, fields = "/api/v2/write", {"org": self._config.org, "bucket": bucket, "precision": "ns"}
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if self._config.gzip:
            headers["Content-Encoding"] = "gzip"
        return self._send("POST", path, fields, headers, body)

    def note_stored(self, bucket: str) -> None:
        """For Write: lines were. Raises StoreError when they will be lost all the same."""
        self._torn.stored(bucket)

    def note_full(self, bucket: str) -> None:
        """For Write: lines were not, for the disk is full. Raises StoreError when the server does not tell more."""
        self._torn.full(bucket)

    def ask(self, bucket: str, statements: Sequence[str]) -> list[list[dict[str, Any]]]:
        """Of each InfluxQL statement its series, as InfluxDB gives them in JSON: tags, columns, values. StoreError."""
        answer = self._query(bucket, "; ".join(statements))
        found: dict[int, list[dict[str, Any]]] = {}
        try:
            for result in _results(answer.data):
                if "error" in result:
                    raise trouble(str(result["error"]), bucket)
                found.setdefault(result.get("statement_id", 0), []).extend(result.get("series", []))
            if missing := set(range(len(statements))) - found.keys():
                raise ValueError(f"{len(missing)} of {len(statements)} questions have no result")
            return [found[number] for number in range(len(statements))]
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise StoreError(f"InfluxDB at {self._config.url} answers what is no InfluxQL result: {error}") from error

    def ask_numbers(self, bucket: str, statement: str) -> tuple[Times, Values]:
        """Times [ns] and values of one numeric field of one series. Raises StoreError."""
        # 3.x has no MessagePack
        answer = self._query(bucket, statement, MESSAGE_PACK if self.version.major < 3 else _JSON)
        try:
            times, values, told = columns(answer.data, answer.headers.get("Content-Type", ""))
        except (msgspec.DecodeError, ValueError) as error:
            raise StoreError(f"InfluxDB at {self._config.url} answers what are no numbers: {error}") from error
        if told:
            raise trouble(told, bucket)
        return times, values

    def execute(self, statement: str, bucket: str = "") -> None:
        """An InfluxQL statement that changes something (1.x). Raises StoreError."""
        self.ask(bucket, [statement])

    def close(self) -> None:
        self._http.close()

    # --- inside ---

    def _query(self, bucket: str, statement: str, accepted: str = _JSON) -> Answer:
        database, _, policy = bucket.partition("/")
        fields = {"db": database, "epoch": "ns"} | ({"rp": policy} if policy else {})
        if self.version.major < 3:
            fields |= _WHOLE
        headers = {"Accept": accepted, "Content-Type": "application/x-www-form-urlencoded"}
        underway = self._send("POST", "/query", fields, headers, urlencode({"q": statement}).encode())
        answer = self.answer(underway)
        if answer.status != 200:
            raise_for_query(answer.status, answer.headers, answer.data, bucket)
        return answer

    def _send(
        self, method: str, path: str, fields: dict[str, str], headers: dict[str, str], body: bytes | None
    ) -> Underway:
        headers |= self._authorization()
        try:
            return self._http.send(method, f"{path}?{urlencode(fields)}", headers, body)
        except UnreachableError as error:
            raise self._unreachable(error) from error

    def answer(self, underway: Underway) -> Answer:
        """Raises StoreError."""
        try:
            answer = underway.answer()
        except UnreachableError as error:
            raise self._unreachable(error) from error
        self._note_time(answer.headers.get("Date"))
        return answer

    def _started(self) -> Start:
        major, asked_s = self.version.major, monotonic()
        if major not in PATHS:
            return NO_LOG
        answer = self.answer(self._send("GET", PATHS[major], {}, {}, None))
        return told(major, answer.status, answer.data, asked_s, monotonic())

    def _unreachable(self, error: UnreachableError) -> StoreError:
        with self._lock:
            self._version = None
        return StoreError(f"InfluxDB at {self._config.url} cannot be reached: {error}")

    def _authorization(self) -> dict[str, str]:
        if not self._token:
            return {}
        if self.version.major == 1:
            return dict(make_headers(basic_auth=self._token))
        return {"Authorization": f"Token {self._token}"}

    def _ask_version(self) -> Version:
        headers = {"Authorization": f"Token {self._token}"} if self._token else {}
        try:
            answer = self._http.send("GET", "/ping", headers).answer()
        except UnreachableError as error:
            raise StoreError(f"InfluxDB at {self._config.url} cannot be reached: {error}") from error
        told = answer.headers.get("X-Influxdb-Version", "")
        found = re.search(r"(\d+)\.(\d+)", told)
        if found is None:
            raise StoreError(
                f"{self._config.url} answers /ping with {answer.status} and no InfluxDB version: is it an InfluxDB?"
            )
        self._note_time(answer.headers.get("Date"))
        return Version(int(found[1]), int(found[2]))

    def _note_time(self, date: str | None) -> None:
        try:
            ahead_s = parsedate_to_datetime(date).timestamp() - time() if date else 0.0
        except (TypeError, ValueError):
            return
        self._ahead_ns = 0 if abs(ahead_s) < 2 else round(ahead_s) * SECOND_NS


class Write:
    """Lines for the server: sent, then answered, once each, and in between the caller may do something else."""

    def __init__(self, server: InfluxServer, bucket: str, body: bytes) -> None:
        self._server, self._bucket, self._body = server, bucket, body
        self._underway: Underway | None = None

    def send(self) -> None:
        """Raises StoreError."""
        self._underway = self._server.send_lines(self._bucket, self._body)
        self._body = b""

    def answer(self) -> None:
        """Return once they are stored. Raises RefusedError, TooLargeError, StoreError."""
        assert self._underway is not None
        answer = self._server.answer(self._underway)
        try:
            if answer.status != 204:
                raise_for_write(answer.status, answer.headers, answer.data, self._bucket)
        except DiskFullError:
            self._server.note_full(self._bucket)
            raise
        self._server.note_stored(self._bucket)


def _results(body: bytes) -> Iterator[dict[str, Any]]:
    """Of an answer in JSON, which is a document a line."""
    for line in body.splitlines():
        told = json.loads(line)
        if "error" in told:
            raise StoreError(f"InfluxDB: {told['error']}")
        yield from told["results"]
