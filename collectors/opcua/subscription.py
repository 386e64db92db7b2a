"""One subscription: Publish requests in flight, messages sent again, a watchdog on the server's silence.

Invariants:
- a notification is acknowledged only when the caller asks for the next ones, that is, once it is durable;
- at most IN_FLIGHT answers wait in memory; while the caller is busy, the server's queues hold the rest;
- what the server revised is what counts, not what was asked for.
"""

import asyncio
from collections.abc import Container, Iterable, Mapping
from typing import Any, Final

from asyncua import ua
from asyncua.ua.status_codes import StatusCodes

from collectors.opcua.config import OpcUaConfig
from collectors.opcua.items import Items
from collectors.opcua.session import Session, counts
from collectors.opcua.wire import Publication, publication, republication
from telemetry.errors import DecodeError, SourceError

IN_FLIGHT: Final = 2
"""Publish requests kept at the server: the next notification comes while the last one is made durable."""

_SILENT_KEEPALIVES: Final = 3
_LARGEST: Final = 10_000
"""Most notifications asked for in one message; what a slow sink leaves in our memory is IN_FLIGHT such messages."""

_MOST_AGAIN: Final = 100
"""Most messages asked for again in one gap; what is beyond counts as missing, and is read from history."""


class Subscription:
    """Follows nodes of one session; made by `create`, ended by `close` and by the session's end."""

    def __init__(self, session: Session, config: OpcUaConfig, created: Any) -> None:
        self._session = session
        self._config = config
        self._id: int = created.SubscriptionId
        self.publishing_ms: Final = float(created.RevisedPublishingInterval) or config.publishing_ms
        self.silence_s: Final = max(
            0.5, _SILENT_KEEPALIVES * created.RevisedMaxKeepAliveCount * self.publishing_ms / 1000
        )
        """Without any answer for so long [s], the server or the path to it is gone."""
        self.lifetime_s: Final = created.RevisedLifetimeCount * self.publishing_ms / 1000
        """The server ends the subscription when it does not hear of us for so long [s]."""
        self.items: Final = Items(config, created.SubscriptionId, self.publishing_ms)
        self.missing = 0
        """Notification messages that never came, gaps in the sequence numbers; who has counted them sets it to 0."""
        self._answers: list[asyncio.Task[Publication | None]] = []
        self._in_flight = IN_FLIGHT
        self._expected = 1
        self._delivered: list[int] = []
        self._durable = 1
        """Number of the first message that may not be durable."""
        self._republished: list[Publication] = []
        self._ended = False
        self._told_of_transfer = True
        self.heard = False
        """Whether the server has published anything since it was created or taken over."""
        self.silent = False
        """Whether it was given up because the server, though connected, published nothing."""

    async def resume(self, session: Session) -> bool:
        """Go on in a new session with what the server kept of this subscription; False: it kept nothing.

        What it had sent and we did not make durable is asked for again; what it no longer has counts as missing.
        Raises SourceError when the connection breaks.
        """
        request = ua.TransferSubscriptionsRequest()
        request.Parameters.SubscriptionIds = [self._id]
        request.Parameters.SendInitialValues = False
        try:
            answer = await session.ask(request, ua.TransferSubscriptionsResponse)
        except SourceError as error:
            if isinstance(error.__cause__, ua.uaerrors.UaStatusCodeError):
                return False
            raise
        results = list(answer.Parameters.Results or ())
        if len(results) != 1 or not results[0].StatusCode.is_good():
            return False
        self._session, self._in_flight, self.heard, self.silent = session, IN_FLIGHT, False, False
        self._told_of_transfer = False
        self._expected = self._durable
        available = sorted(int(number) for number in results[0].AvailableSequenceNumbers or ())
        self._delivered = [number for number in available if number < self._durable]
        for number in available:
            if number >= self._durable:
                again = await self._again(number)
                if again is not None:
                    self._account(again)
                    self._republished.append(again)
        return True

    async def _again(self, number: int) -> Publication | None:
        """One Republish; None when the server no longer has the message."""
        request = ua.RepublishRequest()
        request.Parameters.SubscriptionId = self._id
        request.Parameters.RetransmitSequenceNumber = number
        try:
            again = republication(await self._session.request(request), self._id)
        except SourceError as error:
            if isinstance(error.__cause__, ua.uaerrors.UaStatusCodeError):
                return None  # gone, or a server that cannot
            raise
        except DecodeError as error:
            raise SourceError(f"{self._session.url}: {error}") from error
        # asyncua's server answers Good and an empty message for one that it no longer has
        return again if again.sequence == number and again.carries_data else None

    @classmethod
    async def create(cls, session: Session, config: OpcUaConfig) -> "Subscription":
        """A subscription without items. Raises SourceError."""
        request = ua.CreateSubscriptionRequest()
        asked = request.Parameters
        asked.RequestedPublishingInterval = config.publishing_ms
        asked.RequestedMaxKeepAliveCount = counts(config.publishing_ms, config.keepalive_ms)
        asked.RequestedLifetimeCount = max(
            counts(config.publishing_ms, config.lifetime_ms), 3 * asked.RequestedMaxKeepAliveCount
        )
        asked.MaxNotificationsPerPublish = _LARGEST
        answer = await session.ask(request, ua.CreateSubscriptionResponse)
        return cls(session, config, answer.Parameters)

    async def follow(self, nodes: Mapping[int, str], events: Container[int] = ()) -> dict[int, str]:
        """Make items for nodes ("ns=3;s=…") by client handle; returns why some were refused. Raises SourceError.

        Of the handles in `events` the events are followed, not the value.
        """
        return await self.items.create(self._session, nodes, events)

    async def leave(self, handles: Iterable[int]) -> None:
        """Have the server delete the items of these client handles, as far as there are any. Raises SourceError."""
        await self.items.delete(self._session, handles)

    async def follow_model_changes(self) -> bool:
        """As Items.follow_model_changes: what comes bears the handle MODEL_CHANGES."""
        return await self.items.follow_model_changes(self._session)

    async def next(self) -> list[Publication]:
        """Wait for notifications and return all that arrived, in order; acknowledges those returned before.

        Raises SourceError when the server is silent for `silence_s`, ended the subscription, or is gone: never
        before everything that it had sent was returned.
        """
        self._durable = self._expected
        if self._republished:
            found, self._republished = self._republished, []
            return found
        while True:
            self._top_up()
            done, _ = await asyncio.wait(self._answers, timeout=self.silence_s, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                self.silent = True
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
            if found:
                self.heard = True
                return await self._without_gaps(found)

    async def _without_gaps(self, found: list[Publication]) -> list[Publication]:
        """The messages, with those that did not come, as far as the server still has them, in their places."""
        whole = []
        for answer in found:
            # A keep-alive bears the number of the next message: what is missing before it shows even in a lull.
            for number in range(self._expected, min(answer.sequence, self._expected + _MOST_AGAIN)):
                if (again := await self._again(number)) is not None:
                    self._account(again)
                    whole.append(again)
            self._account(answer)
            whole.append(answer)
        return whole

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
        if answer.ended == StatusCodes.GoodSubscriptionTransferred and not self._told_of_transfer:
            # Meant for the session that lost it; node-opcua's server tells it to the one that took it over, to us.
            answer.ended, self._told_of_transfer = None, True
        self._ended = self._ended or answer.ended is not None
        self.missing += max(0, answer.sequence - self._expected)
        if answer.carries_data:
            self._delivered.append(answer.sequence)
            self._expected = answer.sequence + 1 if answer.sequence < 2**32 - 1 else 1
        else:
            self._expected = max(self._expected, answer.sequence)

    @property
    def standing(self) -> bool:
        """Whether the server may still have it: it did not say that it ended it."""
        return not self._ended

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
