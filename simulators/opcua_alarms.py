"""Alarms of machines behind an OPC UA server: events, and whether any client has acknowledged them.

Invariant: an alarm is `unheard` from before it is raised until a client acknowledges a message that carries it. A
server that ends, a subscription that is given up and a queue that overflows leave it so; no event is kept for later.
"""

from collections.abc import Callable, Iterable
from typing import Any

from asyncua import ua
from asyncua.server.event_generator import EventGenerator
from asyncua.server.server import Server

from simulators.opcua_history import source_time
from simulators.timeline import Value

Alarm = tuple[str, str, int]
"""The identity of an alarm: (asset, "alarm", source time [ns])."""


class Alarms:
    """The alarms of one plant, through all the lives of its server."""

    def __init__(self) -> None:
        self.unheard: set[Alarm] = set()
        self._generators: dict[str, EventGenerator] = {}
        self._service: Any = None
        self._under_way: dict[int, tuple[ua.EventFieldList, Alarm]] = {}

    def begin(self, server: Server) -> None:
        """A server has been made whose clients are to be listened to; those of the one before are gone."""
        self._generators.clear()
        self._under_way.clear()
        self._service = server.iserver.subscription_service
        self._service.publish = self._noting(self._service.publish)

    def add(self, asset: str, generator: EventGenerator) -> None:
        self._generators[asset] = generator

    def __contains__(self, asset: str) -> bool:
        return asset in self._generators

    async def say(self, asset: str, time_ns: int, severity: Value | None, cause: str) -> None:
        """An event of the machine, whose message is the cause of the stop."""
        alarm = (asset, "alarm", time_ns)
        self.unheard.add(alarm)
        generator = self._generators[asset]
        generator.event.Severity = severity
        await generator.trigger(time_attr=source_time(time_ns), message=cause)
        # asyncua has no public view of what waits for its clients; these are its own tables, read only.
        for subscription in self._service.subscriptions.values():
            for waiting in subscription._triggered_events.values():
                self._under_way.setdefault(id(waiting[-1]), (waiting[-1], alarm))

    def _noting(self, publish: Callable[..., Any]) -> Callable[..., Any]:
        """The server's Publish service, which hears of acknowledgements before it forgets what they are of."""

        def acknowledged(acks: Iterable[ua.SubscriptionAcknowledgement]) -> Any:
            acks = list(acks)
            for ack in acks:
                subscription = self._service.subscriptions.get(ack.SubscriptionId)
                sent = subscription and subscription._not_acknowledged_results.get(ack.SequenceNumber)
                for told in sent.NotificationMessage.NotificationData if sent else ():
                    for event in told.Events if isinstance(told, ua.EventNotificationList) else ():
                        _, alarm = self._under_way.pop(id(event), (None, None))
                        if alarm is not None:
                            self.unheard.discard(alarm)
            return publish(acks)

        return acknowledged
