"""The monitored items of one subscription: what the server is asked for of each node, and what it granted.

Invariants:
- a node that the server refuses concerns no other node;
- a handle has one item at most: the former is deleted before another is made for it;
- what the server revised is what counts, not what was asked for.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, Final

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

from collectors.opcua.config import OpcUaConfig
from collectors.opcua.events import event_filter, model_change_filters
from collectors.opcua.session import Session, counts
from telemetry.errors import SourceError

_NO_FILTER: Final = (
    StatusCodes.BadMonitoredItemFilterUnsupported,
    StatusCodes.BadFilterNotAllowed,
    StatusCodes.BadDeadbandFilterInvalid,
    StatusCodes.BadMonitoredItemFilterInvalid,
)

MODEL_CHANGES: Final = 2**31 - 1
"""The client handle of the item that tells of model changes; those of nodes count from 0. Not 2**32 - 1: node-opcua's
server answers to that with handle 0, which is a node's."""


class Items:
    """The items of the subscription numbered `subscription`."""

    def __init__(self, config: OpcUaConfig, subscription: int, publishing_ms: float) -> None:
        self._config: Final = config
        self._id: Final = subscription
        self._publishing_ms: Final = publishing_ms
        self.short_queues: Final[dict[int, int]] = {}
        """Handles whose queue was granted smaller than two publishing intervals need, and that size."""
        self.sampling_ms = 0.0
        """The longest interval [ms] that the server granted: of what a node took within it only the last is told."""
        self.without_deadband: Final[set[int]] = set()
        """Handles of which the server does not apply the deadband that it was asked for: it sends every change."""
        self._unfiltered: Final[set[int]] = set()
        self._ids: Final[dict[int, int]] = {}
        """The server's numbers of the items, by handle."""
        self._leaving: Final[set[int]] = set()
        """Handles whose item is being deleted: where no answer came, it may be there or not."""
        self._events: Container[int] = ()
        self._session: Session

    async def create(self, session: Session, nodes: Mapping[int, str], events: Container[int]) -> dict[int, str]:
        """As Subscription.follow."""
        self._session = session
        self._events = events
        await self.delete(session, nodes)
        refused: dict[int, str] = {}
        tell_conditions = False
        for handle, result in await self._create_items(nodes, list(nodes)):
            if not result.StatusCode.is_good():
                refused[handle] = result.StatusCode.name
                continue
            if handle in events:
                tell_conditions = True
                continue
            sampling_ms = result.RevisedSamplingInterval
            self.sampling_ms = max(self.sampling_ms, sampling_ms)
            enough = 2 * counts(sampling_ms, self._publishing_ms) if sampling_ms > 0 else 2
            if result.RevisedQueueSize < enough:
                self.short_queues[handle] = result.RevisedQueueSize
            else:
                self.short_queues.pop(handle, None)
        if tell_conditions:
            await self._refresh_conditions()
        return refused

    def __contains__(self, handle: int) -> bool:
        return handle in self._ids and handle not in self._leaving

    async def delete(self, session: Session, handles: Iterable[int]) -> None:
        """As Subscription.leave."""

        async def ask(some: Sequence[int]) -> Sequence[Any]:
            request = ua.DeleteMonitoredItemsRequest()
            request.Parameters.SubscriptionId = ua.UInt32(self._id)
            request.Parameters.MonitoredItemIds = [ua.UInt32(self._ids[handle]) for handle in some]
            return (await session.ask(request, ua.DeleteMonitoredItemsResponse)).Results or ()

        former = [handle for handle in handles if handle in self._ids]
        self._leaving.update(former)
        try:
            await session.batched("monitor", former, ask)
        except SourceError as error:
            # What it will not delete, or does not have, is not worth the nodes that are there.
            if not isinstance(error.__cause__, ua.uaerrors.UaStatusCodeError):
                raise
        for handle in former:
            del self._ids[handle]
            self._leaving.discard(handle)
            self.short_queues.pop(handle, None)

    async def follow_model_changes(self, session: Session) -> bool:
        """Have the server say when its nodes come and go; False: it does not. Raises SourceError."""
        for wanted in model_change_filters():
            item = ua.MonitoredItemCreateRequest()
            item.ItemToMonitor.NodeId = ua.NodeId(ua.Int32(ObjectIds.Server))
            item.ItemToMonitor.AttributeId = AttributeIds.EventNotifier
            item.MonitoringMode = ua.MonitoringMode.Reporting
            asked = item.RequestedParameters
            asked.ClientHandle = MODEL_CHANGES
            asked.SamplingInterval = 0.0
            asked.QueueSize = 10
            asked.Filter = wanted
            request = ua.CreateMonitoredItemsRequest()
            request.Parameters.SubscriptionId = self._id
            request.Parameters.ItemsToCreate = [item]
            try:
                results = (await session.ask(request, ua.CreateMonitoredItemsResponse)).Results or ()
            except SourceError as error:
                if not isinstance(error.__cause__, ua.uaerrors.UaStatusCodeError):
                    raise
                continue
            if results and results[0].StatusCode.is_good():
                return True
        return False

    async def _refresh_conditions(self) -> None:
        """Have the server tell the alarms that are on, whenever they began (ConditionRefresh, OPC 10000-9, 5.5.7)."""
        call = ua.CallMethodRequest()
        call.ObjectId = ua.NodeId(ua.Int32(ObjectIds.ConditionType))
        call.MethodId = ua.NodeId(ua.Int32(ObjectIds.ConditionType_ConditionRefresh))
        call.InputArguments = [ua.Variant(ua.UInt32(self._id), ua.VariantType.UInt32)]
        request = ua.CallRequest()
        request.Parameters.MethodsToCall = [call]
        try:
            await self._session.ask(request, ua.CallResponse)
        except SourceError as error:
            # Many servers know events and no conditions: those say so, and events come all the same.
            if not isinstance(error.__cause__, ua.uaerrors.UaStatusCodeError):
                raise

    async def _create_items(self, nodes: Mapping[int, str], handles: list[int]) -> list[tuple[int, Any]]:
        async def ask(some: Sequence[int]) -> Sequence[Any]:
            request = ua.CreateMonitoredItemsRequest()
            request.Parameters.SubscriptionId = self._id
            request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
            request.Parameters.ItemsToCreate = [self._item(handle, nodes[handle]) for handle in some]
            made = (await self._session.ask(request, ua.CreateMonitoredItemsResponse)).Results or ()
            self._ids.update((h, r.MonitoredItemId) for h, r in zip(some, made, strict=False) if r.StatusCode.is_good())
            return made

        results = await self._session.batched("monitor", handles, ask)
        found = dict(zip(handles, results, strict=True))
        plainer = [
            handle
            for handle, result in found.items()
            if result.StatusCode.value in _NO_FILTER and self._plainer(handle)
        ]
        if plainer:
            found.update(await self._create_items(nodes, plainer))
        return list(found.items())

    def _plainer(self, handle: int) -> bool:
        """Ask for less of the server: first no deadband, then no filter at all. False: there is none left to drop."""
        if handle in self._unfiltered or handle in self._events:
            return False
        if self._deadband(handle) is not None:
            self.without_deadband.add(handle)
        else:
            self._unfiltered.add(handle)
        return True

    def _item(self, handle: int, node: str) -> Any:
        config = self._config
        item = ua.MonitoredItemCreateRequest()
        item.ItemToMonitor.NodeId = ua.NodeId.from_string(node)
        item.ItemToMonitor.AttributeId = AttributeIds.Value
        item.MonitoringMode = ua.MonitoringMode.Reporting
        asked = item.RequestedParameters
        asked.ClientHandle = handle
        asked.SamplingInterval = config.sampling_ms
        asked.QueueSize = max(config.queue_size, 4 * counts(max(config.sampling_ms, 1.0), self._publishing_ms))
        asked.DiscardOldest = config.discard == "oldest"
        if handle in self._events:
            item.ItemToMonitor.AttributeId = AttributeIds.EventNotifier
            asked.SamplingInterval = 0.0
            asked.Filter = event_filter(self._session.uris)
        elif handle not in self._unfiltered:
            asked.Filter = self._filter(handle)
        return item

    def _filter(self, handle: int) -> Any:
        """What is left out at the server; None: nothing but repetitions of a value."""
        kind, band = self._deadband(handle) or (ua.DeadbandType.None_, 0.0)
        if not band and self._config.report == "value":
            return None
        # With a deadband the trigger on time means no more than the one on value (OPC 10000-4, DataChangeFilter).
        every = self._config.report == "time" and not band
        trigger = ua.DataChangeTrigger.StatusValueTimestamp if every else ua.DataChangeTrigger.StatusValue
        return ua.DataChangeFilter(Trigger=trigger, DeadbandType=ua.UInt32(kind), DeadbandValue=ua.Double(band))

    def _deadband(self, handle: int) -> tuple[ua.DeadbandType, float] | None:
        """The deadband of a node, as far as the plant file names one and the server takes it."""
        nodes = self._config.nodes
        if handle >= len(nodes) or handle in self.without_deadband:
            return None
        if nodes[handle].deadband:
            return ua.DeadbandType.Absolute, nodes[handle].deadband
        if nodes[handle].deadband_percent:
            return ua.DeadbandType.Percent, nodes[handle].deadband_percent
        return None
