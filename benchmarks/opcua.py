"""OPC UA notifications: what one value costs us beside the library's own decoder.

Measured on bytes made once, PublishResponses of 1,000 Doubles with both times: the library's whole response into its
objects, ours into readings, ours into samples.
"""

import time
from datetime import UTC
from typing import Final

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary

from benchmarks import Row
from benchmarks.measure import in_turn
from collectors.opcua.config import OpcUaNode
from collectors.opcua.values import NodeValues
from collectors.opcua.wire import publication
from telemetry.plant import Asset, Plant
from telemetry.validity import Gate

VALUES: Final = 1_000
_PLANT: Final = Plant(assets=(Asset(path="plant/cell", name="cell"),))


def _response() -> bytes:
    at = ua.DateTime(2026, 1, 1, tzinfo=UTC)
    items = [
        ua.MonitoredItemNotification(
            ua.UInt32(handle), ua.DataValue(ua.Variant(float(handle), ua.VariantType.Double), ua.StatusCode(), at, at)
        )
        for handle in range(VALUES)
    ]
    response = ua.PublishResponse()
    response.Parameters.SubscriptionId = ua.UInt32(1)
    response.Parameters.NotificationMessage.SequenceNumber = ua.UInt32(1)
    response.Parameters.NotificationMessage.NotificationData = [ua.DataChangeNotification(MonitoredItems=items)]
    return bytes(struct_to_binary(response))


def run() -> list[Row]:
    """The library and ours in turns."""
    body, rounds = _response(), 20
    gate = Gate(_PLANT)
    values = NodeValues(OpcUaNode(node="i=1", asset="plant/cell", metric="power"), gate)
    now = time.time_ns()

    def library() -> float:
        for _ in range(rounds):
            struct_from_binary(ua.PublishResponse, Buffer(body))
        return rounds * VALUES

    def readings() -> float:
        for _ in range(rounds):
            publication(body)
        return rounds * VALUES

    def samples() -> float:
        for _ in range(rounds):
            for _, reading in publication(body).readings:
                values.samples(reading, now)
        return rounds * VALUES

    contestants = {"library: decode": library, "ours: decode": readings, "ours: decode and sample": samples}
    return in_turn(contestants, "values")
