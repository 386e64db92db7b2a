"""An InfluxDB server over HTTP: which version it is, how each is written to and asked, and what its answers mean.

Invariants:
- Nothing is asked before the first call: a server that is down at the start is a StoreError then, not a failed start.
- An answer that does not plainly refuse lines is a StoreError: keeping and trying again loses nothing.
"""

import gzip
import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from time import time, time_ns
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
import urllib3

from pipeline.stores.influxdb_config import InfluxDbConfig
from pipeline.stores.influxdb_rows import MESSAGE_PACK, Times, Values, columns
from telemetry.errors import StoreError
from telemetry.samples import SECOND_NS

LONGEST_WAIT_S: Final = 600.0
"""More than this is never waited, whatever Retry-After says [s]."""

_JSON: Final = "application/json"
_UNREADABLE_WAIT_S: Final = 10.0
_LIMIT: Final = re.compile(r"limit exceeded|max-values-per-tag|max-series-per-database|cache-max-memory-size")
_ABOUT_LINES: Final = re.compile(
    r"unable to parse|partial write|dropped=|conflict|retention|line protocol|invalid (field|tag|column)|parse error"
    r"|outside (the )?range|out of range|too (long|large)|max key length",
    re.IGNORECASE,
)
_DROPPED: Final = re.compile(r"dropped=(\d+)")


class TooLargeError(Exception):
    """The body is larger than the server takes (413). Handled by whoever sent it: two halves."""


@dataclass
class RefusedError(Exception):
    """The server refuses lines of this body for ever (400, 422). Handled by whoever sent it, who finds out which.

    `lines` has the reasons by line number, counted from 0, where the server tells them; `dropped` is how many lines
    it says it left out, None where it does not say.
    """

    reason: str
    lines: Mapping[int, str] = field(default_factory=dict)
    dropped: int | None = None


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
        self._pool: Final = urllib3.PoolManager(
            maxsize=8, retries=False, timeout=urllib3.Timeout(connect=min(5.0, config.timeout_s), read=config.timeout_s)
        )
        self._lock = threading.Lock()
        self._version: Version | None = None
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
        version = self.version
        database, _, policy = bucket.partition("/")
        if version < Version(1, 8):
            path, fields = "/write", {"db": database, "precision": "ns"} | ({"rp": policy} if policy else {})
        else:
            path, fields = "/api/v2/write", {"org": self._config.org, "bucket": bucket, "precision": "ns"}
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if self._config.gzip:
            body, headers["Content-Encoding"] = gzip.compress(body, 1), "gzip"
        answer = self._request("POST", path, fields, headers, body)
        if answer.status != 204:
            _raise(answer.status, answer.headers, answer.data, bucket)

    def ask(self, bucket: str, statements: Sequence[str]) -> list[list[dict[str, Any]]]:
        """Of each InfluxQL statement its series, as InfluxDB gives them in JSON: tags, columns, values. StoreError."""
        answer = self._query(bucket, "; ".join(statements)).data
        found: list[list[dict[str, Any]]] = [[] for _ in statements]
        try:
            for result in json.loads(answer)["results"]:
                if "error" in result:
                    raise _trouble(str(result["error"]), bucket)
                found[result.get("statement_id", 0)] += result.get("series", [])
        except (ValueError, LookupError, TypeError) as error:
            raise StoreError(f"InfluxDB at {self._config.url} answers what is no InfluxQL result: {error}") from error
        return found

    def ask_numbers(self, bucket: str, statement: str) -> tuple[Times, Values]:
        """Times [ns] and values of one numeric field of one series. Raises StoreError."""
        # 3.x has no MessagePack
        answer = self._query(bucket, statement, MESSAGE_PACK if self.version.major < 3 else _JSON)
        try:
            times, values, trouble = columns(answer.data, answer.headers.get("Content-Type", ""))
        except (msgspec.DecodeError, ValueError) as error:
            raise StoreError(f"InfluxDB at {self._config.url} answers what are no numbers: {error}") from error
        if trouble:
            raise _trouble(trouble, bucket)
        return times, values

    def execute(self, statement: str, bucket: str = "") -> None:
        """An InfluxQL statement that changes something (1.x). Raises StoreError."""
        for result in json.loads(self._query(bucket, statement).data).get("results", ()):
            if "error" in result:
                raise StoreError(f"InfluxDB: {result['error']}")

    def close(self) -> None:
        self._pool.clear()

    # --- inside ---

    def _query(self, bucket: str, statement: str, accepted: str = _JSON) -> urllib3.BaseHTTPResponse:
        database, _, policy = bucket.partition("/")
        fields = {"db": database, "epoch": "ns"} | ({"rp": policy} if policy else {})
        body = urlencode({"q": statement})
        headers = {"Accept": accepted, "Content-Type": "application/x-www-form-urlencoded"}
        answer = self._request("POST", "/query", fields, headers, body.encode())
        if answer.status != 200:
            _raise_query(answer.status, answer.headers, answer.data, bucket)
        return answer

    def _request(
        self, method: str, path: str, fields: dict[str, str], headers: dict[str, str], body: bytes | None
    ) -> urllib3.BaseHTTPResponse:
        url = f"{self._config.url}{path}?{urlencode(fields)}"
        headers |= self._authorization()
        try:
            answer = self._pool.request(method, url, body=body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            with self._lock:
                self._version = None
            raise StoreError(f"InfluxDB at {self._config.url} cannot be reached: {_plain(error)}") from error
        self._note_time(answer.headers.get("Date"))
        return answer

    def _authorization(self) -> dict[str, str]:
        if not self._token:
            return {}
        if self.version.major == 1:
            return dict(urllib3.make_headers(basic_auth=self._token))
        return {"Authorization": f"Token {self._token}"}

    def _ask_version(self) -> Version:
        url = f"{self._config.url}/ping"
        try:
            answer = self._pool.request(
                "GET", url, headers={"Authorization": f"Token {self._token}"} if self._token else {}
            )
        except urllib3.exceptions.HTTPError as error:
            raise StoreError(f"InfluxDB at {self._config.url} cannot be reached: {_plain(error)}") from error
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


def _raise(status: int, headers: Mapping[str, str], body: bytes, bucket: str) -> None:
    message = _message(body)
    if status == 413:
        raise TooLargeError(message)
    if status in (400, 422) and not _LIMIT.search(message):
        lines = _lines(body)
        dropped = _DROPPED.search(message)
        if lines or _ABOUT_LINES.search(message):
            raise RefusedError(message, lines, int(dropped[1]) if dropped else None)
    _raise_query(status, headers, body, bucket)


def _raise_query(status: int, headers: Mapping[str, str], body: bytes, bucket: str) -> None:
    message = _message(body) or "no reason given"
    if status in (401, 403):
        raise StoreError(
            f"InfluxDB refuses our token for {bucket!r} ({status}: {message}): give [store] token one that may; "
            "`km0 init influxdb` makes them"
        )
    if status == 404:
        raise _trouble(message, bucket)
    if status in (429, 502, 503, 504):
        raise StoreError(f"InfluxDB is busy ({status}: {message})", retry_after_s=_retry_after(headers))
    if _LIMIT.search(message):
        raise StoreError(f"InfluxDB is full: {message}: raise that limit in its configuration")
    raise StoreError(f"InfluxDB answers {status}: {message}")


def _trouble(message: str, bucket: str) -> StoreError:
    if "not found" in message:
        return StoreError(
            f"InfluxDB has no {bucket!r} that our token may see ({message}): `km0 init influxdb` makes it"
        )
    return StoreError(f"InfluxDB: {message}")


def _message(body: bytes) -> str:
    """The error in words: {"error": …} of 1.x and 3.x, {"code": …, "message": …} of 2.x, or the body as it is."""
    text = body.decode(errors="replace").strip()
    try:
        # what was asked in MessagePack is refused in it; no JSON begins with this byte
        told = msgspec.msgpack.decode(body) if body[:1] == b"\x81" else json.loads(text)
    except ValueError:
        return text[:1000]
    if isinstance(told, dict):
        return str(told.get("message") or told.get("error") or text)
    return text[:1000]


def _lines(body: bytes) -> dict[int, str]:
    """Reasons by line number from 0, of the JSON that 3.x answers: {"data": [{"line_number": 1, …}]}."""
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    data = told.get("data") if isinstance(told, dict) else None
    entries = data if isinstance(data, list) else [data]
    return {
        entry["line_number"] - 1: str(entry.get("error_message") or told.get("error"))
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("line_number"), int)
    }


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """What Retry-After asks for [s]: seconds or a date; None without one."""
    told = headers.get("Retry-After")
    if told is None:
        return None
    try:
        wait_s = float(told)
    except ValueError:
        try:
            wait_s = parsedate_to_datetime(told).timestamp() - time()
        except (TypeError, ValueError):
            wait_s = _UNREADABLE_WAIT_S
    return min(max(wait_s, 0.0), LONGEST_WAIT_S) if wait_s == wait_s else _UNREADABLE_WAIT_S  # NaN


def _plain(error: Exception) -> str:
    return str(error).rpartition(": ")[2] or type(error).__name__
