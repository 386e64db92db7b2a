"""The faults that befall a plant's process, its broker and the connections to it: made by whoever owns these.

Invariants. A fault is noted as made when it was. A process that was stopped goes on, a broker that was stopped is
started again, whatever happens in between.
"""

import os
import signal
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from simulators.broker import Broker
from simulators.faults import Done, Fault
from telemetry.errors import ConfigError

FROZEN_S: Final = 5.0
AWAY_S: Final = 1.0


class Outages:
    """Of one plant: its faults, its process, and its broker if that is ours. `done`: which were made."""

    def __init__(self, faults: Sequence[Fault], pid: int, broker: Broker | None) -> None:
        self._faults: Final = faults
        self._pid: Final = pid
        self._broker: Final = broker
        self.done: Final = Done()

    def make(self, number: int) -> None:
        """Make one, by its number: this takes seconds. Of `half-open` it knows nothing: that takes a proxy."""
        kind = self._faults[number].kind
        if kind == "broker-restart" and self._broker is not None:
            self._broker.stop()
            try:
                time.sleep(AWAY_S)
            finally:
                self._broker.start()
            self.done.note(number)
        elif kind == "frozen":
            os.kill(self._pid, signal.SIGSTOP)
            try:
                time.sleep(FROZEN_S)
            finally:
                os.kill(self._pid, signal.SIGCONT)
            self.done.note(number)

    def with_those_of(self, disturbances: Path) -> tuple[int, ...]:
        """How often each fault was made, in their order: by us, or by the plant, as it has noted in that file."""
        made = Done.read(disturbances).made | self.done.made
        return tuple(made.get(number, 0) for number in range(len(self._faults)))


def possible_here(faults: Iterable[Fault], *, own_broker: bool) -> None:
    """Raises ConfigError for a fault that cannot be made where clients come straight to a plant and its broker."""
    for fault in faults:
        if fault.kind == "half-open":
            raise ConfigError(
                "fault 'half-open' is made by `km0 verify` alone: here nobody stands between the plant and its clients "
                "who could fall silent. Take it out of `faults`"
            )
        if fault.kind == "broker-restart" and not own_broker:
            raise ConfigError(
                "fault 'broker-restart': that broker is not ours to stop. Take it out of `faults`, or leave --broker "
                "out, and one is started"
            )
