"""A path to a server that reads what is said on it without security, and can lose messages.

A lost message is one that the server sent and that never comes: in its place stands the keep-alive which the server
would have sent after it. Over TCP this happens inside servers and gateways, not on the wire.
"""

import asyncio
import contextlib
import struct
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import nodeid_from_binary, nodeid_to_binary, struct_from_binary, struct_to_binary

from tests.collectors.opcua.peer import Wire

HISTORY_READ, CREATE_ITEMS, PUBLISH, PUBLISHED, REPUBLISH, REPUBLISHED = 664, 751, 826, 829, 832, 835
"""Encodings of requests and answers in namespace 0 (OPC 10000-6, annex)."""

_UNKNOWN = 1
"""No encoding of any request."""

_BEFORE_BODY = 24
"""Bytes of a message chunk before its content: type and size, channel, token, sequence number, request."""


@dataclass
class Tap(Wire):
    """`said` counts messages by encoding; `acknowledged` are the sequence numbers that the client acknowledged."""

    said: Counter[int] = field(default_factory=Counter)
    acknowledged: list[int] = field(default_factory=list)
    delivered: list[int] = field(default_factory=list)
    """Sequence numbers of the messages with data that came through."""
    lose: int = 0
    """How many messages with data are still to be lost."""
    forget: bool = False
    """The server does not have lost messages any more: it answers BadMessageNotAvailable."""
    refuse: Counter[int] = field(default_factory=Counter)
    """How many requests of an encoding still come to the server as one that it does not know, and refuses."""

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(8)
                chunk = head + await reader.readexactly(struct.unpack_from("<I", head, 4)[0] - 8)
                if head[:4] == b"MSGF" and len(chunk) > _BEFORE_BODY:
                    chunk = self._seen(chunk)
                if not self.swallow:
                    writer.write(chunk)
                    await writer.drain()
        writer.close()

    def _seen(self, chunk: bytes) -> bytes:
        body = chunk[_BEFORE_BODY:]
        kind = nodeid_from_binary(Buffer(body)).Identifier
        self.said[kind] += 1
        if self.refuse[kind] > 0:
            self.refuse[kind] -= 1
            return _with_body(chunk, bytes(nodeid_to_binary(ua.FourByteNodeId(ua.UInt16(_UNKNOWN)))) + body[4:])
        if kind == PUBLISH:
            request = struct_from_binary(ua.PublishRequest, Buffer(body))
            self.acknowledged += [one.SequenceNumber for one in request.Parameters.SubscriptionAcknowledgements]
        elif kind == PUBLISHED:
            answer = struct_from_binary(ua.PublishResponse, Buffer(body))
            message = answer.Parameters.NotificationMessage
            if message.NotificationData:
                if not self.lose:
                    self.delivered.append(message.SequenceNumber)
                    return chunk
                self.lose -= 1
                message.SequenceNumber = ua.UInt32(message.SequenceNumber + 1)
                message.NotificationData = []
                return _with_body(chunk, bytes(struct_to_binary(answer)))
        elif kind == REPUBLISHED and self.forget:
            fault = ua.ServiceFault()
            fault.ResponseHeader = struct_from_binary(ua.RepublishResponse, Buffer(body)).ResponseHeader
            fault.ResponseHeader.ServiceResult = ua.StatusCode(ua.UInt32(ua.StatusCodes.BadMessageNotAvailable))
            return _with_body(chunk, bytes(struct_to_binary(fault)))
        return chunk


def _with_body(chunk: bytes, body: bytes) -> bytes:
    return chunk[:4] + struct.pack("<I", _BEFORE_BODY + len(body)) + chunk[8:_BEFORE_BODY] + body


@contextlib.asynccontextmanager
async def tapped(port: int) -> AsyncIterator[Tap]:
    """A tap on the way to a port, that ends with the test."""
    path = Tap(port)
    await path.mend()
    try:
        yield path
    finally:
        await path.cut()
