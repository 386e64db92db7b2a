"""One session with one server: channel, user, namespaces, limits. It never reconnects by itself.

Invariants:
- everything the server or the network does wrong leaves here as a SourceError;
- the library's own supervisor, publish loop and subscription queue are not used: they retry, swallow and drop;
- leaving the session takes at most CLOSING_S, whatever the server does.
"""

import asyncio
import contextlib
import math
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from time import time
from typing import Any, Final, Literal, TypeVar

from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.utils import Buffer
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.ua_binary import struct_from_binary
from asyncua.ua.uaerrors import UaError, UaStatusCodeError

from collectors.opcua.config import OpcUaConfig
from collectors.opcua.own_certificate import OwnCertificate, application_uri
from collectors.opcua.security import load_user, secure, showing
from telemetry.errors import SourceError

CLOSING_S: Final = 0.4
"""How long [s] a server may take to let us go; a collector must end within a second."""

T = TypeVar("T")
R = TypeVar("R")

_SESSION_TIMEOUT_MS: Final = 60_000
"""A session that died without a word is forgotten by the server after this time [ms]: no storm of dead sessions."""

Operation = Literal["read", "browse", "monitor", "history"]

_BATCHES: Final[dict[Operation, int]] = {"read": 100, "browse": 100, "monitor": 1000, "history": 100}
"""Most items in one request when the server names no smaller limit: few enough for small controllers."""

_LIMITS: Final[dict[Operation, int]] = {
    "read": ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
    "browse": ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse,
    "monitor": ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
    "history": ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadData,
}
"""Where a server says how many items of each kind one request may hold."""


@contextlib.contextmanager
def speaking_with(url: str) -> Iterator[None]:
    """Turns what the network, the server or the decoding of its answers raises into a SourceError."""
    try:
        yield
    except SourceError:
        raise
    except TimeoutError as error:
        raise SourceError(f"{url} does not answer") from error
    except ConnectionRefusedError as error:
        raise SourceError(f"nothing listens at {url}") from error
    except UaStatusCodeError as error:
        raise SourceError(f"{url}: {ua.StatusCode(error.code).name}: {ua.StatusCode(error.code).doc}") from error
    except (OSError, UaError, struct.error, ValueError, TypeError, LookupError) as error:
        raise SourceError(f"{url}: {str(error) or type(error).__name__}") from error


class Session:
    """An open session; made by `connect`."""

    def __init__(self, client: Client, url: str) -> None:
        self.url: Final = url
        self.transferable = False
        """Lost, it is not closed: its subscriptions wait at the server for the session that comes after it."""
        self._client = client
        self.clock_ahead_ns = 0
        """The server's clock less ours [ns] when the session began, to half a round trip; 0 where it does not say."""
        self.uris: list[str] = []
        """What `namespaces` found last."""
        self._batches = dict(_BATCHES)

    async def request(self, request: Any, *, patient: bool = False) -> bytes:
        """Send a request, return its answer's bytes; `patient` waits for ever, as for Publish. Raises SourceError."""
        with speaking_with(self.url):
            return bytes(await self._send(request, patient=patient))

    async def ask(self, request: Any, response: type) -> Any:
        """Send a request and return its answer, decoded by the library. Raises SourceError."""
        with speaking_with(self.url):
            return struct_from_binary(response, await self._send(request))

    async def _send(self, request: Any, *, patient: bool = False) -> Buffer:
        protocol = self._client.uaclient.protocol
        if protocol is None:
            raise ConnectionError("the connection is closed")
        return await protocol.send_request(request, 0 if patient else None)

    async def namespaces(self) -> list[str]:
        """The server's namespace array: a URI's place in it is its index, in this session."""
        with speaking_with(self.url):
            found: object = await self._client.get_namespace_array()
        if not isinstance(found, list):
            raise SourceError(f"{self.url} has no namespace array")
        self.uris = [str(uri) for uri in found]
        return self.uris

    async def get_to_know(self) -> None:
        """Take up the server's clock, and its OperationLimits where it names any. Raises SourceError."""
        request = ua.ReadRequest()
        request.Parameters.NodesToRead = [
            ua.ReadValueId(NodeId=ua.NodeId(ua.Int32(number)), AttributeId=AttributeIds.Value)
            for number in (ObjectIds.Server_ServerStatus_CurrentTime, *_LIMITS.values())
        ]
        try:
            answer = await self.ask(request, ua.ReadResponse)
        except SourceError as error:
            if isinstance(error.__cause__, ua.uaerrors.BadTooManyOperations):
                self._batches["read"] = 1  # not even these five: what else it limits, its refusals will tell
                return
            raise
        if len(answer.Results or ()) != 1 + len(_LIMITS):
            raise SourceError(f"{self.url} answers {len(answer.Results or ())} values for {1 + len(_LIMITS)} nodes")
        clock, *limits = [value.Value.Value if value.Value is not None else None for value in answer.Results]
        if isinstance(clock, datetime):
            self.clock_ahead_ns = round((clock.replace(tzinfo=UTC).timestamp() - time()) * 1e9)
        for operation, number in zip(_LIMITS, limits, strict=True):
            if isinstance(number, int) and 0 < number < self._batches[operation]:
                self._batches[operation] = number

    def batch(self, operation: Operation) -> int:
        """Most items that one request of this kind may hold, as far as it is known."""
        return self._batches[operation]

    async def batched(
        self, operation: Operation, items: Sequence[T], ask: Callable[[Sequence[T]], Awaitable[Sequence[R]]]
    ) -> list[R]:
        """The answers to `items`, asked for in requests that the server takes; halved where it still says too many.

        A limit that is found out so holds for the rest of the session. Raises SourceError.
        """
        found: list[R] = []
        while len(found) < len(items):
            some = items[len(found) : len(found) + self._batches[operation]]
            try:
                answers = await ask(some)
            except SourceError as error:
                if not isinstance(error.__cause__, ua.uaerrors.BadTooManyOperations) or len(some) == 1:
                    raise
                self._batches[operation] = len(some) // 2
                continue
            if len(answers) != len(some):
                raise SourceError(f"{self.url} answers {len(answers)} results for {len(some)} items")
            found += answers
        return found


@contextlib.asynccontextmanager
async def connect(config: OpcUaConfig, password: str | None) -> AsyncIterator[Session]:
    """An open session with the server, closed on leaving. Raises SourceError."""
    client = Client(config.url, timeout=config.timeout_ms / 1000)
    client.application_uri = application_uri()
    client.product_uri = "urn:km0-telemetry"
    client.name = client.description = f"km0-telemetry {config.name}"
    client.session_timeout = _SESSION_TIMEOUT_MS
    if config.user is not None:
        client.set_user(config.user)
        client.set_password(password or "")
    renewal: asyncio.Task[None] | None = None
    own: OwnCertificate | None = None
    try:
        with speaking_with(config.url):
            if config.security != "None":
                own = await secure(client, config)
            if config.user_certificate is not None:
                await load_user(client, config)
            await client.connect_socket()
            await client.send_hello()
            with showing(own, config.url):
                await client.open_secure_channel()
                await client.create_session()
            await client.activate_session(config.user, password, client.user_certificate)
        renewal = asyncio.create_task(_renew(client), name=f"{config.name}: secure channel renewal")
        session = Session(client, config.url)
        await session.get_to_know()
        try:
            yield session
        except SourceError:
            if session.transferable:
                _cut(client)
            raise
    finally:
        if renewal is not None:
            renewal.cancel()
        await _close(client)


async def _renew(client: Client) -> None:
    """Renews the channel's keys at three quarters of their life. A failure breaks the channel, which is noticed."""
    while True:
        await asyncio.sleep(client.secure_channel_timeout * 0.75 / 1000)
        try:
            await client.open_secure_channel(renew=True)
        except (OSError, TimeoutError, UaError):
            _cut(client)
            return
        client.uaclient.revolve_security_token()


async def _close(client: Client) -> None:
    protocol = client.uaclient.protocol
    # Before there is a session nobody waits for our farewell, and the library cannot say it.
    if protocol is not None and not protocol.is_closed and client.uaclient.has_session:
        with contextlib.suppress(OSError, TimeoutError, UaError):
            async with asyncio.timeout(CLOSING_S):
                await client.close_session()
                await client.close_secure_channel()
    _cut(client)
    client.disconnect_socket()


def _cut(client: Client) -> None:
    """Drop the connection without waiting for what is still to be sent: a frozen peer would never take it."""
    protocol = client.uaclient.protocol
    if protocol is not None and protocol.transport is not None:
        protocol.transport.abort()


def counts(interval_ms: float, total_ms: float) -> int:
    """How many intervals [ms] make up a time [ms], rounded up, at least one."""
    return max(1, math.ceil(total_ms / interval_ms))
