"""The collector of network links: a sender in its own thread, its outcomes put as samples.

Invariants: one `rtt` or one `rtt_lost` for every packet sent, at the instant it was sent; nothing is dropped: while the
sink is slower than the probe for longer than a minute, sending pauses, and the pause is a gap, not a loss.
"""

import asyncio
import contextlib
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from collectors.probe.config import ProbeConfig
from collectors.probe.outcome import Outcome
from collectors.probe.sender import Sender
from collectors.probe.session import Session
from collectors.probe.timekeeping import AGE_S, read_state
from collectors.probe.wire import Address, Datagram, Wire
from telemetry.errors import SourceError
from telemetry.health import Component
from telemetry.protocols import Sink
from telemetry.samples import Quality, Sample

_ANSWERS: Final = {"duplicates": "duplicate", "reordered": "reordered"}
"""Metrics of answers, and what the session counts them as."""

_BACKLOG_S: Final = 60.0
_LAST_PUT_S: Final = 0.5
_TOLD_S: Final = 15.0
"""How often [s] what is no packet's own is told: more than once a minute, so that no minute is without."""
_STRANGERS: Final = 16
_STRANGER_BYTES: Final = 1500
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
    ) -> None:
        """`silence_s` [s] without an answer are a failure to show; with `backlog` packets not yet durable it pauses."""
        self.name: Final = config.name
        self._config = config
        self._component = component
        self._key = key
        self._silence_s = silence_s
        self._backlog = backlog or max(1000, int(_BACKLOG_S * 1000 / config.interval_ms))

    async def run(self, sink: Sink) -> None:
        """Probe until cancelled. Raises SourceError: the host has no address, or there is no socket to send from."""
        family, target = await _resolve(self._config.host, self._config.port)
        try:
            local = (self._config.bind or ("::" if family == socket.AF_INET6 else "0.0.0.0"), 0)  # noqa: S104 — where answers may come from is where packets are sent from
            wire = Wire(local, family, dscp=self._config.dscp, transmit=True)
        except OSError as error:
            raise SourceError(f"no UDP socket on {self._config.bind or 'any address'}: {error.strerror}") from error
        session = Session(
            int(self._config.timeout_ms * 1e6),
            size=self._config.size,
            ssid=self._config.ssid,
            key=self._key,
            one_way_error_ns=int(self._config.one_way_error_ms * 1e6),
            stateful={"unknown": None, "stateful": True, "stateless": False}[self._config.reflector],
        )
        run = _Run(self._config, self._component, session, wire, target, self._silence_s, self._backlog)
        await run.run(sink)


class _Run:
    """One run of a probe: the thread, what it hands over, and the task that puts it."""

    def __init__(
        self,
        config: ProbeConfig,
        component: Component,
        session: Session,
        wire: Wire,
        target: Address,
        silence_s: float,
        backlog: int,
    ) -> None:
        self._config = config
        self._component = component
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._handed_over = asyncio.Event()
        self._outcomes: deque[Outcome] = deque()
        self._strangers: deque[tuple[Datagram, str]] = deque(maxlen=_STRANGERS)
        self._reason = ""
        self._told_s = -_TOLD_S
        self._told = dict.fromkeys(_ANSWERS, 0)
        self._refusal = ""
        self._ending = False
        self._counted = dict.fromkeys(_COUNTS, 0)
        self._answered_s = time.monotonic()
        self._silence_s, self._backlog = silence_s, backlog
        self._sender = Sender(
            session,
            wire,
            target,
            int(config.interval_ms * 1e6),
            take=self._take,
            room=self._room,
            stranger=lambda datagram, reason: self._strangers.append((datagram, reason)),
            unreachable=self._unreachable,
        )

    async def run(self, sink: Sink) -> None:
        # Not asyncio.to_thread: a few probes would fill the pool that the spool's writes need.
        executor = ThreadPoolExecutor(1, f"{self._config.name} sender")
        thread = self._loop.run_in_executor(executor, self._measure)
        thread.add_done_callback(lambda _: self._handed_over.set())
        keeping = asyncio.create_task(self._keep_time(), name=f"{self._config.name} clock")
        try:
            while not thread.done():
                await self._handed_over.wait()
                self._handed_over.clear()
                await self._put(sink)
            await thread  # it ends by itself only by an error, which passes on from here
        except asyncio.CancelledError:
            self._sender.stop()
            await asyncio.wait([thread])
            self._ending = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_PUT_S):
                    await self._put(sink)
            raise
        finally:
            keeping.cancel()
            self._sender.stop()
            executor.shutdown()  # waits for the thread, which was woken to end
            self._sender.close()

    def _measure(self) -> None:
        self._sender.place(self._config.cpu, self._config.priority)
        self._sender.run()

    async def _keep_time(self) -> None:
        while True:
            self._session.keep_time(await asyncio.to_thread(read_state))
            await asyncio.sleep(AGE_S)

    def _take(self, outcomes: Sequence[Outcome]) -> None:
        self._outcomes.extend(outcomes)
        self._loop.call_soon_threadsafe(self._handed_over.set)

    def _room(self) -> bool:
        return self._session.held + len(self._outcomes) < self._backlog

    def _unreachable(self, reason: str) -> None:
        self._reason = reason

    async def _put(self, sink: Sink) -> None:
        batch = list(self._outcomes)
        if batch or self._ending:
            others = self._others(batch)
            await sink.put([sample for outcome in batch for sample in self._samples(outcome)] + others)
            self._note(others)
            for _ in batch:  # only now: what is not durable still counts against the backlog
                self._outcomes.popleft()
        with contextlib.suppress(IndexError):
            datagram, reason = self._strangers.popleft()
            self._strangers.clear()  # one of each half second is enough to see who it is; all are counted
            await sink.set_aside(self._config.name, reason, datagram.data[:_STRANGER_BYTES])
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
        error_ns, refusal = self._session.clock_error_ns, self._session.one_way_refusal
        if time.monotonic() - self._told_s < _TOLD_S and refusal == self._refusal and not self._ending:
            return []
        # the first of the batch: a put that was cancelled comes again with more behind it, and must not count twice
        at_ns, asset = batch[0].finished_ns if batch else time.time_ns(), self._config.asset
        found = [
            Sample(at_ns, asset, metric, float(self._session.counts[count] - self._told[metric]), received_ns=at_ns)
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
            now = self._session.counts[name]
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


async def _resolve(host: str, port: int) -> tuple[int, Address]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise SourceError(f"{host} has no address: {error.strerror}") from error
    family, _, _, _, address = found[0]
    assert family in (socket.AF_INET, socket.AF_INET6)
    return family, address  # type: ignore[return-value]  # typeshed: any address family
