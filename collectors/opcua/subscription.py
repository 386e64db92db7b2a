"""One subscription: items made in batches, Publish requests in flight, a watchdog on the server's silence.

Invariants:
- a notification is acknowledged only when the caller asks for the next ones, that is, once it is durable;
- at most IN_FLIGHT answers wait in memory; while the caller is busy, the server's queues hold the rest;
- a node that the server refuses concerns no other node;
- what the server revised is what counts, not what was asked for.
"""

import asyncio
from collections.abc import Container, Mapping
from typing import Any, Final

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes

from collectors.opcua.config import OpcUaConfig
from collectors.opcua.events import event_filter
from collectors.opcua.session import Session, counts
from collectors.opcua.wire import Publication, publication
from telemetry.errors import DecodeError, SourceError

IN_FLIGHT: Final = 2
"""Publish requests kept at the server: the next notification comes while the last one is made durable."""

_SILENT_KEEPALIVES: Final = 3
_LARGEST: Final = 10_000
"""Most notifications asked for in one message; what a slow sink leaves in our memory is IN_FLIGHT such messages."""

_NO_FILTER: Final = (StatusCodes.BadMonitoredItemFilterUnsupported, StatusCodes.BadFilterNotAllowed)


class Subscription:
    """Follows nodes of one session; made by `create`, ended by `close` and by the session's end."""

    def __init__(self, session: Session, config: OpcUaConfig, created: Any, batch: int) -> None:
        self._session = session
        self._config = config
        self._batch = batch
        self._id: int = created.SubscriptionId
        self.publishing_ms: Final = float(created.RevisedPublishingInterval) or config.publishing_ms
        self.silence_s: Final = max(
            0.5, _SILENT_KEEPALIVES * created.RevisedMaxKeepAliveCount * self.publishing_ms / 1000
        )
        """Without any answer for so long [s], the server or the path to it is gone."""
        self.lifetime_s: Final = created.RevisedLifetimeCount * self.publishing_ms / 1000
        """The server ends the subscription when it does not hear of us for so long [s]."""
        self.short_queues: Final[dict[int, int]] = {}
        """Handles whose queue was granted smaller than two publishing intervals need, and that size."""
        self.missing = 0
        """Notification messages that never came: gaps in the sequence numbers."""
        self._unfiltered: set[int] = set()
        self._events: Container[int] = ()
        self._answers: list[asyncio.Task[Publication | None]] = []
        self._in_flight = IN_FLIGHT
        self._expected = 1
        self._delivered: list[int] = []

    @classmethod
    async def create(cls, session: Session, config: OpcUaConfig) -> "Subscription":
        """A subscription without items. Raises SourceError."""
        limits = await session.limits()
        request = ua.CreateSubscriptionRequest()
        asked = request.Parameters
        asked.RequestedPublishingInterval = config.publishing_ms
        asked.RequestedMaxKeepAliveCount = counts(config.publishing_ms, config.keepalive_ms)
        asked.RequestedLifetimeCount = max(
            counts(config.publishing_ms, config.lifetime_ms), 3 * asked.RequestedMaxKeepAliveCount
        )
        asked.MaxNotificationsPerPublish = _LARGEST
        answer = await session.ask(request, ua.CreateSubscriptionResponse)
        return cls(session, config, answer.Parameters, limits.monitored_items)

    async def follow(self, nodes: Mapping[int, str], events: Container[int] = ()) -> dict[int, str]:
        """Make items for nodes ("ns=3;s=…") by client handle; returns why some were refused. Raises SourceError.

        Of the handles in `events` the events are followed, not the value.
        """
        self._events = events
        refused: dict[int, str] = {}
        handles = list(nodes)
        for start in range(0, len(handles), self._batch):
            for handle, result in await self._create_items(nodes, handles[start : start + self._batch]):
                if not result.StatusCode.is_good():
                    refused[handle] = result.StatusCode.name
                    continue
                if handle in events:
                    continue
                sampling_ms = result.RevisedSamplingInterval
                enough = 2 * counts(sampling_ms, self.publishing_ms) if sampling_ms > 0 else 2
                if result.RevisedQueueSize < enough:
                    self.short_queues[handle] = result.RevisedQueueSize
                else:
                    self.short_queues.pop(handle, None)
        return refused

    async def _create_items(self, nodes: Mapping[int, str], handles: list[int]) -> list[tuple[int, Any]]:
        request = ua.CreateMonitoredItemsRequest()
        request.Parameters.SubscriptionId = self._id
        request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
        request.Parameters.ItemsToCreate = [self._item(handle, nodes[handle]) for handle in handles]
        try:
            answer = await self._session.ask(request, ua.CreateMonitoredItemsResponse)
        except SourceError as error:
            if not isinstance(error.__cause__, ua.uaerrors.BadTooManyOperations) or len(handles) == 1:
                raise
            middle = len(handles) // 2
            self._batch = middle
            return await self._create_items(nodes, handles[:middle]) + await self._create_items(nodes, handles[middle:])
        if len(answer.Results) != len(handles):
            raise SourceError(f"{self._session.url} answers {len(answer.Results)} results for {len(handles)} items")
        found = list(zip(handles, answer.Results, strict=True))
        plain = [
            handle
            for handle, result in found
            if result.StatusCode.value in _NO_FILTER and handle not in self._unfiltered
        ]
        if plain:
            self._unfiltered.update(plain)
            found = [pair for pair in found if pair[0] not in plain] + await self._create_items(nodes, plain)
        return found

    def _item(self, handle: int, node: str) -> Any:
        config = self._config
        item = ua.MonitoredItemCreateRequest()
        item.ItemToMonitor.NodeId = ua.NodeId.from_string(node)
        item.ItemToMonitor.AttributeId = AttributeIds.Value
        item.MonitoringMode = ua.MonitoringMode.Reporting
        asked = item.RequestedParameters
        asked.ClientHandle = handle
        asked.SamplingInterval = config.sampling_ms
        asked.QueueSize = max(config.queue_size, 4 * counts(max(config.sampling_ms, 1.0), self.publishing_ms))
        asked.DiscardOldest = config.discard == "oldest"
        if handle in self._events:
            item.ItemToMonitor.AttributeId = AttributeIds.EventNotifier
            asked.SamplingInterval = 0.0
            asked.Filter = event_filter()
        elif config.report == "time" and handle not in self._unfiltered:
            asked.Filter = ua.DataChangeFilter(Trigger=ua.DataChangeTrigger.StatusValueTimestamp)
        return item

    async def next(self) -> list[Publication]:
        """Wait for notifications and return all that arrived, in order; acknowledges those returned before.

        Raises SourceError when the server is silent for `silence_s`, ended the subscription, or is gone: never
        before everything that it had sent was returned.
        """
        while True:
            self._top_up()
            done, _ = await asyncio.wait(self._answers, timeout=self.silence_s, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                raise SourceError(f"{self._session.url} is silent: no keep-alive for {self.silence_s:g} s")
            arrived = [task.result() for task in self._answers if task.done() and task.exception() is None]
            failed = [task for task in self._answers if task.done() and task.exception() is not None]
            self._answers = [task for task in self._answers if not task.done()]
            found = sorted((answer for answer in arrived if answer is not None), key=lambda one: one.sequence)
            if failed:
                # Raised by the next call, once what came with it is durable.
                self._answers += failed
                if not found:
                    self._answers[-1].result()
            for answer in found:
                self._account(answer)
            if found:
                return found

    def _top_up(self) -> None:
        acknowledged, self._delivered = self._delivered, []
        for _ in range(self._in_flight - len(self._answers)):
            self._answers.append(asyncio.create_task(self._publish(acknowledged), name="OPC UA publish"))
            acknowledged = []
        self._delivered += acknowledged

    async def _publish(self, acknowledged: list[int]) -> Publication | None:
        """One Publish; None when the server says that it holds too many of them."""
        request = ua.PublishRequest()
        request.Parameters.SubscriptionAcknowledgements = [
            ua.SubscriptionAcknowledgement(self._id, sequence) for sequence in acknowledged
        ]
        try:
            return publication(await self._session.request(request, patient=True))
        except SourceError as error:
            if isinstance(error.__cause__, ua.uaerrors.BadTooManyPublishRequests) and self._in_flight > 1:
                self._in_flight -= 1
                return None
            raise
        except DecodeError as error:
            raise SourceError(f"{self._session.url}: {error}") from error

    def _account(self, answer: Publication) -> None:
        if answer.carries_data:
            self._delivered.append(answer.sequence)
            self.missing += max(0, answer.sequence - self._expected)
            self._expected = answer.sequence + 1 if answer.sequence < 2**32 - 1 else 1

    async def touch(self) -> None:
        """Tell the server that we still want the subscription, while no Publish does. Raises SourceError."""
        request = ua.SetPublishingModeRequest()
        request.Parameters.PublishingEnabled = True
        request.Parameters.SubscriptionIds = [self._id]
        await self._session.ask(request, ua.SetPublishingModeResponse)

    def close(self) -> None:
        """Give up the Publish requests in flight; the session's end deletes the subscription."""
        for task in self._answers:
            task.cancel()
        self._answers = []
