"""The collector of network links: a sender in its own process, its outcomes put as samples.

Invariants: one `rtt` or one `rtt_lost` for every packet sent, at the instant it was sent, but for those under way when
the sender ended; nothing is dropped: while the sink is slower than the probe for longer than a minute, sending pauses,
and the pause is a gap, not a loss. A sender that crashed is a SourceError: the retry loop starts another.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from collectors.probe.address import Resolve, Target, resolve
from collectors.probe.config import ProbeConfig
from collectors.probe.frames import Setup
from collectors.probe.outcome import Outcome
from collectors.probe.process import SenderProcess
from collectors.probe.timekeeping import AGE_S, read_state
from telemetry.errors import SourceError
from telemetry.health import Component
from telemetry.protocols import Sink
from telemetry.samples import Quality, Sample

_ANSWERS: Final = {"duplicates": "duplicate", "reordered": "reordered"}
"""Metrics of answers, and what the session counts them as."""

RESOLVE_S: Final = 30.0
"""How often [s] the host is asked for its address again."""

_BACKLOG_S: Final = 60.0
_LAST_PUT_S: Final = 0.5
_TOLD_S: Final = 15.0
"""How often [s] what is no packet's own is told: more than once a minute, so that no minute is without."""
_STRANGERS: Final = 16
_LAST_FRAME_S: Final = 0.4
_COUNTS: Final = (
    "sent",
    "answered",
    "lost",
    "late",
    "duplicate",
    "reordered",
    "foreign",
    "altered",
    "malformed",
    "odd_clock",
    "not_sent",
    "skipped",
    "paused",
    "clock_steps",
    "lost_up",
    "lost_down",
    "reflector_restarts",
    "remarked_up",
    "remarked_down",
)


class Probe:
    """Measures the round trip to a reflector for ever. Losing every packet is a measurement, not a failure."""

    def __init__(
        self,
        config: ProbeConfig,
        component: Component,
        key: bytes | None = None,
        *,
        silence_s: float = 5.0,
        backlog: int | None = None,
        resolve: Resolve = resolve,
        resolve_every_s: float = RESOLVE_S,
    ) -> None:
        """`silence_s` [s] without an answer are a failure to show; with `backlog` packets not yet durable it pauses."""
        self.name: Final = config.name
        self._config = config
        self._component = component
        self._key = key
        self._silence_s = silence_s
        self._backlog = backlog or max(1000, int(_BACKLOG_S * 1000 / config.interval_ms))
        self._resolve = resolve
        self._resolve_every_s = resolve_every_s

    async def run(self, sink: Sink) -> None:
        """Probe until cancelled. Raises SourceError: the host has no address, there is no socket to send from, or the
        sender's process ended."""
        while True:  # once more whenever the host has moved to another address
            target = self._chosen(await self._resolve(self._config.host, self._config.port))
            run = _Run(self._config, self._component, self._silence_s)
            watching = asyncio.create_task(self._watch(target, run), name=f"{self.name} address")
            try:
                await run.run(sink, self._setup(target))
            finally:
                watching.cancel()

    def _chosen(self, targets: list[Target]) -> Target:
        """The preferred address that packets can be sent to from `bind`."""
        bind = self._config.bind
        fitting = [one for one in targets if bind is None or (":" in bind) == (":" in one.address[0])]
        if not fitting:
            raise SourceError(f"{self._config.host} has no address that {bind} (`bind`) can send to: IPv4 or IPv6?")
        return fitting[0]

    def _setup(self, target: Target) -> Setup:
        config = self._config
        return Setup(
            family=target.family,
            target=target.address,
            bind=config.bind or target.any,
            interval_ns=int(config.interval_ms * 1e6),
            timeout_ns=int(config.timeout_ms * 1e6),
            size=config.size,
            dscp=config.dscp,
            ssid=config.ssid,
            key=self._key,
            stateful={"unknown": None, "stateful": True, "stateless": False}[config.reflector],
            one_way_error_ns=int(config.one_way_error_ms * 1e6),
            cpu=config.cpu,
            priority=config.priority,
            backlog=self._backlog,
            extensions=config.extensions,
        )

    async def _watch(self, target: Target, run: "_Run") -> None:
        """End the run when the host is no longer at the address that is measured."""
        while True:
            await asyncio.sleep(self._resolve_every_s)
            with contextlib.suppress(SourceError):  # nobody can say: the address was right, and stays
                if target not in await self._resolve(self._config.host, self._config.port):
                    self._component.count("address_changes")
                    run.end()
                    return


class _Run:
    """One run of a probe: the process, what it tells, and the task that puts it."""

    def __init__(self, config: ProbeConfig, component: Component, silence_s: float) -> None:
        self._config = config
        self._component = component
        self._handed_over = asyncio.Event()
        self._outcomes: deque[Outcome] = deque()
        self._strangers: deque[tuple[bytes, str]] = deque(maxlen=_STRANGERS)
        self._reason = ""
        self._counts: dict[str, int] = {}
        self._clock_error_ns: int | None = None
        self._one_way_refusal = ""
        self._told_s = -_TOLD_S
        self._told = dict.fromkeys(_ANSWERS, 0)
        self._refusal = ""
        self._ending = False
        self._counted = dict.fromkeys(_COUNTS, 0)
        self._answered_s = time.monotonic()
        self._silence_s = silence_s
        self._sender: SenderProcess | None = None

    def end(self) -> None:
        """Have it end by itself, with everything put that was measured."""
        if self._sender is not None:
            self._sender.stop()

    async def run(self, sink: Sink, setup: Setup) -> None:
        """Until cancelled or ended. Raises SourceError as SenderProcess does."""
        async with SenderProcess(setup) as sender:
            self._sender = sender
            reading = asyncio.create_task(self._read(sender), name=f"{self._config.name} sender")
            reading.add_done_callback(lambda _: self._handed_over.set())
            keeping = asyncio.create_task(self._keep_time(sender), name=f"{self._config.name} clock")
            try:
                while not reading.done():
                    await self._handed_over.wait()
                    self._handed_over.clear()
                    await self._put(sink)
                self._ending = True
                await self._put(sink)
                await reading  # why it ended, unless it was told to
            except asyncio.CancelledError:
                sender.stop()
                await asyncio.wait([reading], timeout=_LAST_FRAME_S)
                self._ending = True
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LAST_PUT_S):
                        await self._put(sink)
                raise
            finally:
                keeping.cancel()
                reading.cancel()
                await asyncio.wait([reading])  # else two would read one pipe

    async def _read(self, sender: SenderProcess) -> None:
        while (told := await sender.told()) is not None:
            self._outcomes += told.outcomes
            self._strangers += told.strangers
            self._counts = told.counts
            self._clock_error_ns, self._one_way_refusal = told.clock_error_ns, told.one_way_refusal
            self._reason = told.unreachable or self._reason
            self._handed_over.set()

    async def _keep_time(self, sender: SenderProcess) -> None:
        while True:
            sender.keep_time(await asyncio.to_thread(read_state))
            await asyncio.sleep(AGE_S)

    async def _put(self, sink: Sink) -> None:
        batch = list(self._outcomes)
        if batch or self._ending:
            others = self._others(batch)
            await sink.put([sample for outcome in batch for sample in self._samples(outcome)] + others)
            self._note(others)
            for _ in batch:
                self._outcomes.popleft()
            if self._sender is not None:  # only now: what is not durable still counts against the backlog
                self._sender.durable(len(batch))
        with contextlib.suppress(IndexError):
            data, reason = self._strangers.popleft()
            self._strangers.clear()  # one of each half second is enough to see who it is; all are counted
            await sink.set_aside(self._config.name, reason, data)
        self._report(batch)

    def _samples(self, outcome: Outcome) -> Iterator[Sample]:
        asset = self._config.asset
        sent_ns, received_ns = outcome.sent_ns, outcome.finished_ns
        if outcome.rtt_ns is None:
            yield Sample(sent_ns, asset, "rtt_lost", 1.0, text=outcome.lost_way, received_ns=received_ns)
            return
        yield Sample(sent_ns, asset, "rtt", outcome.rtt_ns / 1e6, received_ns=received_ns)
        if outcome.up_ns is not None and outcome.down_ns is not None:
            yield Sample(sent_ns, asset, "delay_up", outcome.up_ns / 1e6, received_ns=received_ns)
            yield Sample(sent_ns, asset, "delay_down", outcome.down_ns / 1e6, received_ns=received_ns)

    def _others(self, batch: Sequence[Outcome]) -> list[Sample]:
        """How far both clocks may be off (uncertain, with the reason, while it is too far), and how many answers came
        again or out of order since this was last told; every now and then, and when the reason changes."""
        error_ns, refusal = self._clock_error_ns, self._one_way_refusal
        if time.monotonic() - self._told_s < _TOLD_S and refusal == self._refusal and not self._ending:
            return []
        # the first of the batch: a put that was cancelled comes again with more behind it, and must not count twice
        at_ns, asset = batch[0].finished_ns if batch else time.time_ns(), self._config.asset
        found = [
            Sample(at_ns, asset, metric, float(self._counts.get(count, 0) - self._told[metric]), received_ns=at_ns)
            for metric, count in _ANSWERS.items()
        ]
        if error_ns is not None:
            quality = Quality.UNCERTAIN if refusal else Quality.GOOD
            found.append(Sample(at_ns, asset, "clock_error", min(error_ns / 1e6, 1e9), refusal, quality, at_ns))
        return found

    def _note(self, others: Sequence[Sample]) -> None:
        """These are durable: count on from there."""
        for sample in others:
            self._told_s = time.monotonic()
            if sample.metric in self._told:
                self._told[sample.metric] += int(sample.value)
            else:
                self._refusal = sample.text

    def _report(self, batch: Sequence[Outcome]) -> None:
        for name in _COUNTS:
            now = self._counts.get(name, 0)
            if now > self._counted[name]:
                self._component.count(name, now - self._counted[name])
                self._counted[name] = now
        self._component.gauge("backlog_packets", len(self._outcomes))
        if any(outcome.rtt_ns is not None for outcome in batch):
            self._answered_s = time.monotonic()
            self._reason = ""
            self._component.ok(f"measuring {self._config.host}:{self._config.port}")
        elif (silence := time.monotonic() - self._answered_s) > self._silence_s + self._config.timeout_ms / 1000:
            because = f" ({self._reason})" if self._reason else ""
            where = f"{self._config.host}:{self._config.port}"
            self._component.failing(
                f"no answer from {where} for {silence:.0f} s{because}: is a reflector running there?"
            )
