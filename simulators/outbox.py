"""What a Sparkplug edge node has to say and what became of it: waiting, sent, proved to have arrived.

Invariants. Data are sent with QoS 0, which nobody acknowledges: an event is accepted when the broker has acknowledged a
message that was sent after it. What was sent in the last seconds before a connection was lost waits again, as
historical, in its order and before all else.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from simulators.timeline import Event

_MOST: Final = 100
"""Values in one message."""

_AGAIN_S: Final = 20.0
"""A host that is lost without a word is missed after its keep-alive [s]; what was sent since is sent again."""


@dataclass(slots=True)
class Told:
    """An event on its way."""

    asset: str
    event: Event
    historical: bool = False
    accepted: bool = False
    sent_s: float = 0.0


class Outbox:
    """`accepted` is told of each event once, when it is known to have arrived."""

    def __init__(self, accepted: Callable[[str, Iterable[Event]], None]) -> None:
        self._accepted: Final = accepted
        self._waiting: deque[Told] = deque()
        self._sent: deque[Told] = deque()
        self._proofs: dict[int, list[Told]] = {}

    @property
    def empty(self) -> bool:
        """Whether all that was to be said is known to have arrived."""
        return not (self._waiting or self._proofs)

    @property
    def unproved(self) -> list[Told]:
        """What was sent and is not known to have arrived."""
        return [told for told in self._sent if not told.accepted]

    def add(self, told: Told) -> None:
        self._waiting.append(told)

    def batches(self) -> Iterator[list[Told]]:
        """What waits, in order, message by message: of one device each. It waits no more."""
        batch: list[Told] = []
        while self._waiting:
            told = self._waiting.popleft()
            if batch and (batch[0].asset != told.asset or len(batch) >= _MOST):
                yield batch
                batch = []
            batch.append(told)
        if batch:
            yield batch

    def sent(self, told: Told) -> None:
        """It has left."""
        told.sent_s = time.monotonic()
        self._sent.append(told)

    def prove(self, number: int) -> None:
        """A message of this number, sent now, will prove that all has arrived that was sent before it."""
        self._proofs[number] = self.unproved

    def proved(self, number: int) -> None:
        """The broker has that message."""
        for told in self._proofs.pop(number, ()):
            if not told.accepted:
                told.accepted = True
                self._accepted(told.asset, (told.event,))
        since = time.monotonic() - _AGAIN_S
        while self._sent and self._sent[0].accepted and self._sent[0].sent_s < since:
            self._sent.popleft()

    def lost(self) -> None:
        """The connection is gone: what nobody has confirmed waits again, as history."""
        since = time.monotonic() - _AGAIN_S
        self._waiting.extendleft(told for told in reversed(self._sent) if told.sent_s >= since or not told.accepted)
        self._sent.clear()
        self._proofs.clear()
        self.late()

    def late(self) -> None:
        """What waits is history by the time it is said."""
        for told in self._waiting:
            told.historical = True
