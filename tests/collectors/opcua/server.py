"""A real OPC UA server (asyncua's) in a process of its own, told over a pipe what to do.

`serve(spec, pipe)` sends "ready" when it listens and "done" after each command, and ends after None. Commands:
{"write": [[node, value, ms, status], …]}, {"add": [node, …]}, {"announce": event type}, {"pace": {"nodes": […],
"count": n, "per_s": n, "start_ms": t}}. A node is [uri, name]; ms is the source time since the epoch, None for none;
status a StatusCode.
asyncua drops from a full queue without the overflow bit that OPC 10000-4, 7.39 asks for, and keeps a variable's first
type for ever; this server does neither. Nor does it hand over subscriptions to another session, unless told
{"hands_over": true}: asyncua's does, and then publishes to the session that is gone.
{"history": true} keeps every value in memory, {"history": FILE} on disk too, as a historian that outlives the server.
{"most_operations": n} refuses requests of more than n items, and does not announce it.
"""

import asyncio
import functools
import json
import logging
import socket
import time
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from asyncua import Server, ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.cert_gen import setup_self_signed_certificate
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.address_space import AddressSpace, NodeManagementService
from asyncua.server.history import HistoryDict
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession
from asyncua.server.internal_subscription import InternalSubscription
from asyncua.server.subscription_service import SubscriptionService
from cryptography.x509.oid import ExtendedKeyUsageOID

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DATA_VALUE = 0x400


@functools.cache
def standard_nodes() -> AddressSpace:
    """Namespace 0. Making it takes seconds: done once, in the process that every server is forked from."""
    from asyncua.server.standard_address_space import standard_address_space

    space = AddressSpace()
    standard_address_space.fill_address_space(NodeManagementService(space))
    return space


async def _load_standard(self: InternalServer, _: object = None) -> None:
    self.aspace._nodes = standard_nodes()._nodes


async def _enqueue(self: InternalSubscription, mid: int, event: Any, size: int, queue: dict[int, list[Any]]) -> None:
    waiting = queue.setdefault(mid, [])
    if size and len(waiting) >= size:
        del waiting[0]
        first = waiting.pop(0) if waiting else event
        status = ua.StatusCode(first.Value.StatusCode.value | DATA_VALUE | 0x80)
        value = ua.DataValue(first.Value.Value, status, first.Value.SourceTimestamp, first.Value.ServerTimestamp)
        marked = ua.MonitoredItemNotification(ClientHandle=first.ClientHandle, Value=value)
        if first is event:
            waiting.append(marked)
            return
        waiting.insert(0, marked)
    waiting.append(event)


async def _no_transfer(_: SubscriptionService, params: Any, *__: Any) -> list[ua.TransferResult]:
    refused = ua.StatusCode(ua.UInt32(ua.StatusCodes.BadSubscriptionIdInvalid))
    return [ua.TransferResult(StatusCode=refused) for _ in params.SubscriptionIds]


def _limit(most: int) -> None:
    def limited(serve: Any, items: str) -> Any:
        async def refuse_too_many(self: Any, params: Any, *rest: Any) -> Any:
            if len(getattr(params, items)) > most:
                raise ServiceError(ua.StatusCodes.BadTooManyOperations)
            return await serve(self, params, *rest)

        return refuse_too_many

    for name, items in (
        ("read", "NodesToRead"),
        ("browse", "NodesToBrowse"),
        ("history_read", "NodesToRead"),
        ("create_monitored_items", "ItemsToCreate"),
    ):
        setattr(InternalSession, name, limited(getattr(InternalSession, name), items))


def data_value(value: Any, ms: int | None, status: int = 0) -> ua.DataValue:
    if isinstance(value, dict):  # {"UInt16": 3} names the type
        ((name, value),) = value.items()
        variant = ua.Variant(value, ua.VariantType[name])
    else:
        variant = ua.Variant(value)
    source = None if ms is None else EPOCH + timedelta(milliseconds=ms)
    return ua.DataValue(variant, ua.StatusCode(status), source, datetime.now(UTC))


class _OneUser:
    def get_user(self, _server: Any, username: str | None = None, password: str | None = None, **_: Any) -> User | None:
        return User(UserRole.User) if (username, password) == ("km0", "measure") else None


class Plant:
    """The server and its variables, by namespace URI and name."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._spec = spec
        self._server = Server()
        self._ids: dict[tuple[str, str], ua.NodeId] = {}
        self._history = HistoryDict()
        self._file = Path(spec["history"]) if isinstance(spec.get("history"), str) else None

    async def open(self) -> Server:
        spec, server = self._spec, self._server
        await server.init()
        server.iserver.history_manager.set_storage(self._history)
        server.set_endpoint(f"opc.tcp://127.0.0.1:{spec['port']}/")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        if "certificate" in spec:
            await self._secure(spec["certificate"], spec["key"])
        if "max_queue" in spec:
            server.iserver.max_monitored_item_queue_size = spec["max_queue"]
        for uri in spec["uris"]:
            await server.register_namespace(uri)
            await self.add([(uri, name) for name in spec["nodes"].get(uri, ())])
        return server

    async def _secure(self, certificate: str, key: str) -> None:
        """The three policies in use, with a user "km0" whose password is "measure"; the certificate is made here."""
        server = self._server
        await server.set_application_uri("urn:km0:test-server")
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        if not Path(certificate).exists():  # noqa: ASYNC240 - before the server serves anybody
            await setup_self_signed_certificate(
                Path(key), Path(certificate), "urn:km0:test-server", socket.gethostname(), uses, {}
            )
        await server.load_certificate(certificate)
        await server.load_private_key(key)
        policies = ua.SecurityPolicyType
        server.set_security_policy(
            [
                policies.Basic256Sha256_SignAndEncrypt,
                policies.Basic256Sha256_Sign,
                policies.Aes128Sha256RsaOaep_SignAndEncrypt,
                policies.Aes256Sha256RsaPss_SignAndEncrypt,
            ]
        )
        server.set_identity_tokens([ua.UserNameIdentityToken])
        server.iserver.user_manager = _OneUser()

    async def add(self, nodes: list[tuple[str, str]]) -> None:
        for uri, name in nodes:
            nodeid = ua.NodeId(name, await self._server.get_namespace_index(uri))
            await self._server.nodes.objects.add_variable(nodeid, name, 0.0)
            self._ids[uri, name] = nodeid
            if self._spec.get("history"):
                await self._history.new_historized_node(nodeid, None)
                await self._recall(uri, name, nodeid)
            await self.write([((uri, name), 0.0, self._spec["start_ms"], self._spec.get("start_status", 0))])

    async def _recall(self, uri: str, name: str, nodeid: ua.NodeId) -> None:
        """What a former server wrote to disk of this node."""
        for line in self._file.read_text().splitlines() if self._file is not None and self._file.exists() else ():
            (theirs, called), value, ms, *status = json.loads(line)
            if (theirs, called) == (uri, name):
                await self._history.save_node_value(nodeid, data_value(value, ms, *status))

    async def announce(self, event_type: int) -> None:
        """Raise an event of a standard type at the Server object."""
        generator = await self._server.get_event_generator(ua.NodeId(event_type))
        await generator.trigger(message="announced")

    async def write(self, rows: list[Any]) -> None:
        if self._file is not None:
            with self._file.open("a") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)
        for (uri, name), value, ms, *status in rows:
            await self._set(self._ids[uri, name], data_value(value, ms, *status))

    async def _set(self, nodeid: ua.NodeId, value: ua.DataValue) -> None:
        if self._spec.get("history"):  # every value, where asyncua's own history keeps changes of value alone
            await self._history.save_node_value(nodeid, value)
        await self._server.write_attribute_value(nodeid, value)

    async def pace(self, nodes: list[Any], count: int, per_s: float, start_ms: int) -> None:
        """Value n at start_ms + n, node after node in turn, `per_s` values a second, in steps of 10 ms."""
        keys = [self._ids[uri, name] for uri, name in nodes]
        began, done = time.monotonic(), 0
        while done < count:
            # Not more than 100 at a time: while values are written, asyncua's server serves nobody.
            due = min(count, done + 100, int((time.monotonic() - began) * per_s) + 1)
            for number in range(done, due):
                await self._set(keys[number % len(keys)], data_value(float(number), start_ms + number))
            done = max(due, done)
            await asyncio.sleep(0.01 if done - (time.monotonic() - began) * per_s > -1 else 0)


async def _main(spec: dict[str, Any], pipe: Connection) -> None:
    plant = Plant(spec)
    async with await plant.open():
        pipe.send("ready")
        while command := await asyncio.to_thread(pipe.recv):
            for verb, argument in command.items():
                if verb == "pace":
                    await plant.pace(**argument)
                else:
                    await {"write": plant.write, "add": plant.add, "announce": plant.announce}[verb](argument)
            pipe.send("done")


def serve(spec: dict[str, Any], pipe: Connection) -> None:
    """Run a server until told None, or killed."""
    logging.disable()
    InternalServer.load_standard_address_space = _load_standard
    InternalSubscription._enqueue_event = _enqueue
    if not spec.get("hands_over"):
        SubscriptionService.transfer_subscriptions = _no_transfer
    if "most_operations" in spec:
        _limit(spec["most_operations"])
    AddressSpace._is_expected_variant_type = lambda *_: True
    asyncio.run(_main(spec, pipe))
