"""The MQTT devices of a plant: their events as messages, disturbed by faults, and reasons that operators enter late.

Invariants. What leaves a device depends on its events and the scenario alone. A reason that is entered late keeps the
time of its stop; it is told before anything that happens after it was entered.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from simulators.disturbance import Disturbance, Register, ToMessages
from simulators.faults import MESSAGE_FAULTS, Done, Fault
from simulators.mqtt_plant import MqttPublisher
from simulators.payloads import Message, report_messages, value_messages
from simulators.sections import MqttMachine
from simulators.timeline import Event, Timeline

if TYPE_CHECKING:
    from simulators import SimulatedAsset

_FAR_NS: Final = 1 << 62

Send = Callable[[list[Event], int], Awaitable[None]]
"""Sends the events of an asset, and what else is due before that instant [ns]."""


class MqttDevices:
    """`done` is told what the faults did. `seed`, `born_ns` [ns]: of the scenario."""

    def __init__(self, publisher: MqttPublisher, seed: int, born_ns: int, faults: Sequence[Fault], done: Done) -> None:
        self._publisher: Final = publisher
        self._seed, self._born_ns = seed, born_ns
        self._faults: Final = faults
        self._done: Final = done
        self._disturbed: dict[str, Disturbance] = {}
        self._to_enter: list[tuple[int, Message]] = []
        """Reasons that an operator has not entered yet, and when he does [ns]."""

    @property
    def disturbed(self) -> bool:
        """Whether any device may have something to say though nothing happened to it."""
        return bool(self._disturbed)

    def open(self, asset: "SimulatedAsset", life: Callable[[], Iterator[Event]], turn: int) -> Send:
        """Have a device; returns what publishes its events, and all that is due before an instant [ns]. `life`: its
        events from its birth; `turn`: where its counters roll over, if they do."""
        to_messages = report_messages if asset.kind == "printer" else value_messages
        mine = {
            number: one
            for number, one in enumerate(self._faults)
            if one.kind in MESSAGE_FAULTS and one.concerns(asset.path, asset.kind)
        }
        if mine:
            self._disturbed[asset.path] = Disturbance(
                asset.path,
                mine,
                self._born_ns,
                self._seed,
                to_messages,
                self._done,
                self._register(mine.values(), life, turn),
            )
        late_ns = round(asset.reasons_late_s * 10**9) if isinstance(asset, MqttMachine) else 0
        return partial(self._publish, asset.path, to_messages, late_ns)

    async def leftovers(self) -> None:
        """What the broker still retains: it has that before anybody listens."""
        for disturbed in self._disturbed.values():
            for message in disturbed.leftovers():
                await self._publisher.publish(message, retain=True)

    async def rest(self, *, entered: bool) -> None:
        """What was held back; if `entered`, what operators have not entered, too."""
        for disturbed in self._disturbed.values():
            for message in disturbed.rest():
                await self._publisher.publish(message)
        if entered:
            await self._enter(_FAR_NS)

    def _register(self, faults: Iterable[Fault], life: Callable[[], Iterator[Event]], turn: int) -> Register | None:
        """The counters of a machine of which the scenario wants to see them roll over."""
        starts = [fault.window_ns(self._born_ns)[0] for fault in faults if fault.kind == "counter-rollover"]
        return Register.rolling(Timeline(life()).until(min(starts)), turn) if starts else None

    async def _publish(
        self, path: str, to_messages: ToMessages, late_ns: int, events: list[Event], until_ns: int
    ) -> None:
        disturbed = self._disturbed.get(path)
        for message in disturbed.messages(events, until_ns) if disturbed else to_messages(path, events):
            entered_ns = message.events[-1][0] + late_ns if message.events else 0
            if late_ns and message.topic.endswith("/reason") and entered_ns >= until_ns:
                self._to_enter.append((entered_ns, message))
            else:
                await self._publisher.publish(message)
        await self._enter(until_ns)

    async def _enter(self, until_ns: int) -> None:
        """Publish the reasons that operators enter before an instant [ns]."""
        due = [message for at_ns, message in self._to_enter if at_ns < until_ns]
        self._to_enter = [entry for entry in self._to_enter if entry[0] >= until_ns]
        for message in due:
            await self._publisher.publish(message)
