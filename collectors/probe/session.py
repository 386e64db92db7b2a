"""One measuring session, seen from its sender: which packets are under way, and what became of each.

Invariants: every packet made by `request` ends in exactly one Outcome, answered or lost, unless it was withdrawn;
an answer is believed only when it echoes a sequence number and a T1 that we sent and still wait for; memory is bounded
by rate × timeout and REMEMBERED. No sockets, and the clock is the caller's.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Final, NamedTuple

from collectors.probe.clocks import STEP_NS, Instant
from collectors.probe.stamp import ErrorEstimate, Reply, Request, decode_reply, encode_request, from_stamp, to_stamp
from telemetry.errors import DecodeError

REMEMBERED: Final = 8192
"""How many finished packets are kept to tell a duplicate or a late answer from a foreign packet."""

UNKNOWN_CLOCK: Final = ErrorEstimate.of(1.0, synchronised=False)
"""What a sender that knows nothing of its clock says of it: not synchronised, perhaps a second off."""

_WRAP: Final = 1 << 32


class Outcome(NamedTuple):
    """What became of one packet. `rtt_ns` [ns] is None when no answer came in time.

    `sequence` counts on where the 32 bits on the wire wrap. `sent_ns` is T1 on the wall clock and unique in a session.
    """

    sequence: int
    sent_ns: int
    finished_ns: int
    rtt_ns: int | None


@dataclass(slots=True)
class _UnderWay:
    sequence: int
    stamp: int
    sent: Instant


class Session:
    """The sender's side of a STAMP session. `timeout_ns` [ns]: later answers do not count (RFC 7680 Tmax).

    `counts` says what else arrived: "duplicate", "late", "altered", "foreign", "malformed", "odd_clock".
    """

    def __init__(
        self,
        timeout_ns: int,
        *,
        size: int = 0,
        ssid: int = 0,
        key: bytes | None = None,
        error: ErrorEstimate = UNKNOWN_CLOCK,
        first: int = 0,
    ) -> None:
        self._timeout_ns = timeout_ns
        self._size = size
        self._ssid = ssid
        self._key = key
        self._error = error
        self._next = first
        self._last_ns = 0
        self._under_way: OrderedDict[int, _UnderWay] = OrderedDict()
        self._finished: OrderedDict[int, tuple[int, bool]] = OrderedDict()
        self._outcomes: list[Outcome] = []
        self.counts: Counter[str] = Counter()

    def request(self, at: Instant) -> bytes:
        """The next packet, sent at `at`."""
        # A coarse clock may read the same twice; one that was set back by more is another story, and kept.
        real_ns = self._last_ns + 1 if 0 <= self._last_ns - at.real_ns < STEP_NS else at.real_ns
        self._last_ns = real_ns
        packet = Request(self._next % _WRAP, to_stamp(real_ns), self._error, self._ssid)
        self._under_way[packet.sequence] = _UnderWay(self._next, packet.stamp, Instant(real_ns, at.mono_ns))
        self._next += 1
        self.counts["sent"] += 1
        return encode_request(packet, self._size, self._key)

    def withdraw(self) -> None:
        """The packet last made never left this machine: nothing was measured."""
        self._under_way.popitem()
        self.counts["sent"] -= 1
        self.counts["not_sent"] += 1

    def left(self, sequence: int, kernel: Instant) -> None:
        """The kernel says when the packet with this number on the wire went out; ignored when that cannot be."""
        packet = self._under_way.get(sequence)
        if packet is not None and 0 <= kernel.mono_ns - packet.sent.mono_ns < self._timeout_ns:
            packet.sent = Instant(packet.sent.real_ns, kernel.mono_ns)

    def reply(self, data: bytes, arrived: Instant) -> str | None:
        """Account for a datagram that arrived at `arrived`; what is wrong with it, or None when it is an answer."""
        try:
            reply = decode_reply(data, self._key)
        except DecodeError as error:
            self.counts["malformed"] += 1
            return str(error)
        packet = self._under_way.get(reply.sender_sequence)
        if packet is None:
            return self._unexpected(reply)
        if reply.sender_stamp != packet.stamp:
            self.counts["altered"] += 1
            return "the answer does not echo the T1 that was sent: altered, replayed or forged"
        if reply.ssid not in (self._ssid, 0):
            self.counts["foreign"] += 1
            return f"the answer belongs to session {reply.ssid}, not {self._ssid}"
        if arrived.mono_ns - packet.sent.mono_ns > self._timeout_ns:
            self.expire(arrived)
            return self._unexpected(reply)
        self._finish(reply, packet, arrived)
        return None

    def _unexpected(self, reply: Reply) -> str | None:
        stamp, answered = self._finished.get(reply.sender_sequence, (None, False))
        if stamp is None:
            self.counts["foreign"] += 1
            return "the answer is to a packet that was not sent in this session"
        if stamp != reply.sender_stamp:
            self.counts["altered"] += 1
            return "the answer does not echo the T1 that was sent: altered, replayed or forged"
        self.counts["duplicate" if answered else "late"] += 1
        return None

    def _finish(self, reply: Reply, packet: _UnderWay, arrived: Instant) -> None:
        round_ns = max(0, arrived.mono_ns - packet.sent.mono_ns)
        ptp = reply.error.ptp
        held_ns = from_stamp(reply.sent, ptp=ptp) - from_stamp(reply.received, ptp=ptp) if reply.received else 0
        if not 0 <= held_ns <= round_ns:  # T3 before T2, or a clock stepped between them
            self.counts["odd_clock"] += 1
            held_ns = 0
        self.counts["answered"] += 1
        self._close(packet, Outcome(packet.sequence, packet.sent.real_ns, arrived.real_ns, round_ns - held_ns))

    def expire(self, at: Instant) -> None:
        """Give up what has been under way for longer than the timeout."""
        while self._under_way:
            packet = next(iter(self._under_way.values()))
            if at.mono_ns - packet.sent.mono_ns <= self._timeout_ns:
                return
            self.counts["lost"] += 1
            self._close(packet, Outcome(packet.sequence, packet.sent.real_ns, at.real_ns, None))

    def _close(self, packet: _UnderWay, outcome: Outcome) -> None:
        number = packet.sequence % _WRAP
        del self._under_way[number]
        self._finished[number] = (packet.stamp, outcome.rtt_ns is not None)
        if len(self._finished) > REMEMBERED:
            self._finished.popitem(last=False)
        self._outcomes.append(outcome)

    def outcomes(self) -> list[Outcome]:
        """What ended since the last call, in the order in which it ended."""
        found, self._outcomes = self._outcomes, []
        return found

    @property
    def under_way(self) -> int:
        """Packets that are neither answered nor given up."""
        return len(self._under_way)

    @property
    def held(self) -> int:
        """Packets of which `outcomes` has not told yet what became."""
        return len(self._under_way) + len(self._outcomes)
