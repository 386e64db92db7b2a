"""The one retry loop: a collector whose source failed is run again, for ever, after a jittered back-off.

No collector, and no library under one, reconnects by itself: two loops on top of each other multiply their attempts
and hide from the health page what is wrong.
"""

import asyncio
import random as _random
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

from telemetry.errors import SourceError
from telemetry.health import Component, Condition
from telemetry.protocols import Collector, Sink

FIRST_S: Final = 0.2
"""Upper end of the first wait [s]; it doubles with every failure that follows."""

LONGEST_S: Final = 30.0
"""Upper end of the longest wait [s]: how late a source that came back may be noticed."""

STEADY_S: Final = 30.0
"""A source that worked for so long [s] before it failed is taken for healthy: the next wait is short again."""


async def keep_running(
    collector: Collector,
    sink: Sink,
    component: Component,
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    random: Callable[[], float] = _random.random,
    clock: Callable[[], float] = monotonic,
) -> None:
    """Run the collector until cancelled, or until its `run` returns because its source is exhausted.

    `component` is the one the collector calls `ok()` on once its source answers. Every wait is drawn from the upper
    half of its range by `random` [0…1), so that many collectors do not come back to one broker in step.
    Cancellation passes at once; what is not a SourceError is a bug and passes too.
    """
    longest = FIRST_S
    while True:
        started = clock()
        try:
            await collector.run(sink)
        except SourceError as error:
            # A run that never got its source to answer may have lasted long too: a connection attempt that timed out.
            if component.condition is Condition.OK and clock() - started >= STEADY_S:
                longest = FIRST_S
            component.failing(str(error))
            component.count("reconnects")
        else:
            return
        await sleep(longest * (0.5 + random() / 2))
        longest = min(LONGEST_S, 2 * longest)
