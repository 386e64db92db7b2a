"""Sends at an even pace, receives, and hands over what became of each packet: the loop that measures and does no more.

Invariants: packets are due at `start + k × interval` on the monotonic clock, whatever a step of the wall clock does.
After a late wake-up, slots of the last MADE_UP_NS are made up for, no closer than half an interval, so that a thousand
packets a second remain a thousand; older ones are skipped and counted, for a burst would measure itself. Everything
received is read before anything is given up, so a stalled process loses no answer that the kernel already has.
"""

import contextlib
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable
from typing import Final

from collectors.probe import clocks
from collectors.probe.clocks import Clock, Instant
from collectors.probe.outcome import Outcome
from collectors.probe.session import Session
from collectors.probe.wire import Address, Datagram, Sent, Wire, refused_by_network, wait
from telemetry.errors import SourceError

HAND_OVER_NS: Final = 500_000_000
"""How often [ns] outcomes are handed over: one durable write per half second, not one per packet."""

MADE_UP_NS: Final = 20_000_000
"""A slot missed by more than this [ns] is skipped. The slots of intervals longer than this are never made up for."""

_QUEUED_NS: Final = 1_000_000_000
_SEQUENCE: Final = struct.Struct(">I")


class Sender:
    """Runs one session over one wire. `take` receives outcomes; while `room` returns False, nothing is sent.

    `stranger` is called with a datagram that is no answer of ours and the reason; `unreachable` with the system's words
    when the network says that packets do not get there. All four are called in the sender's thread.
    """

    def __init__(
        self,
        session: Session,
        wire: Wire,
        target: Address,
        interval_ns: int,
        *,
        take: Callable[[list[Outcome]], None],
        room: Callable[[], bool] = lambda: True,
        stranger: Callable[[Datagram, str], None],
        unreachable: Callable[[str], None],
        clock: Clock = clocks.now,
    ) -> None:
        self._session = session
        self._wire = wire
        self._target = target
        self._interval_ns = interval_ns
        self._take = take
        self._room = room
        self._stranger = stranger
        self._unreachable = unreachable
        self._clock = clock
        self._stopping = threading.Event()
        self._wake, self._woken = socket.socketpair()
        self._read = clock()
        self._size = 0

    def stop(self) -> None:
        """Make `run` return within a moment; from any thread, any number of times."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._wake.send(b"\0")

    def close(self) -> None:
        """After `run` has returned."""
        self._wake.close()
        self._woken.close()
        self._wire.close()

    def place(self, cpu: int | None, priority: int) -> None:
        """Bind the calling thread to a processor and give it a real-time priority [1…99; 0: none], where the system
        knows such things. Raises SourceError when it does not allow them."""
        if sys.platform != "linux":
            return
        try:
            if cpu is not None:
                os.sched_setaffinity(0, {cpu})
            if priority:
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
        except OSError as error:
            raise SourceError(
                f"processor {cpu} or priority {priority} is not to be had ({error.strerror}): leave them out, or give "
                "the process CAP_SYS_NICE and a processor of this machine"
            ) from error

    def run(self, packets: int | None = None) -> None:
        """Until `stop`, or until `packets` were sent and each has its outcome; then hand over what is left."""
        now = self._clock()
        due_ns = soonest_ns = now.mono_ns
        hand_over_ns = now.mono_ns + HAND_OVER_NS
        remaining = packets
        while not self._stopping.is_set():
            now = self._clock()
            if remaining == 0:
                if not self._session.under_way:
                    break
                due_ns = now.mono_ns + self._interval_ns
            elif now.mono_ns >= max(due_ns, soonest_ns):
                if self._room():
                    self._send(now)
                    remaining = None if remaining is None else remaining - 1
                else:
                    self._session.counts["paused"] += 1
                due_ns, soonest_ns = self._next_slot(due_ns, now.mono_ns)
            self._receive()
            self._session.expire(self._clock())
            if now.mono_ns >= hand_over_ns:
                self._take(self._session.outcomes())
                hand_over_ns = now.mono_ns + HAND_OVER_NS
            next_ns = min(max(due_ns, soonest_ns), hand_over_ns) - self._clock().mono_ns
            wait([self._wire.fileno(), self._woken.fileno()], next_ns / 1e9)
        self._take(self._session.outcomes())

    def _next_slot(self, due_ns: int, now_ns: int) -> tuple[int, int]:
        """When the next packet is due [ns], and the soonest it may leave [ns] when it was due long ago."""
        interval_ns = self._interval_ns
        missed = (now_ns - due_ns) // interval_ns
        skipped = max(0, missed - MADE_UP_NS // interval_ns)
        self._session.counts["skipped"] += skipped
        return due_ns + (skipped + 1) * interval_ns, now_ns + interval_ns // 2

    def _send(self, now: Instant) -> None:
        packet = self._session.request(now)
        self._size = len(packet)
        failure = self._wire.send(packet, self._target)
        if failure is None:
            return
        if refused_by_network(failure):
            self._unreachable(failure.strerror or str(failure))
        else:
            self._session.withdraw()

    def _receive(self) -> None:
        while (datagram := self._wire.receive()) is not None:
            arrived = self._moment(datagram.kernel_ns)
            if datagram.address[:2] != self._target[:2]:
                self._session.counts["foreign"] += 1
                self._stranger(datagram, f"an answer from {datagram.address[0]}:{datagram.address[1]}, not the target")
                continue
            reason = self._session.reply(datagram.data, arrived)
            if reason is not None:
                self._stranger(datagram, reason)
        for report in self._wire.reports():
            if isinstance(report, Sent):
                (sequence,) = _SEQUENCE.unpack_from(report.data, max(0, len(report.data) - self._size))
                self._session.left(sequence, self._moment(report.kernel_ns))
            else:
                self._unreachable(report.reason)

    def _moment(self, kernel_ns: int) -> Instant:
        """When the kernel had what was just read. Where the wall clock was set since the last reading, its stamp cannot
        be carried over to the monotonic clock, and the moment of reading stands in for it."""
        read, before = self._clock(), self._read
        stepped = read.stepped_since(before)
        self._session.counts["clock_steps"] += stepped
        self._read = read
        if stepped or not 0 < kernel_ns <= read.real_ns:
            return read
        moment = read.at(kernel_ns)
        # What came before the last reading was read then, but for what waited behind it.
        return moment if moment.mono_ns > before.mono_ns - _QUEUED_NS else read
