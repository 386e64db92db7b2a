"""One measuring session, seen from its sender: which packets are under way, and what became of each.

Invariants: every packet made by `request` ends in exactly one Outcome, answered or lost, unless it was withdrawn;
an answer is believed only when it echoes a sequence number and a T1 that we sent and still wait for; memory is bounded
by rate × timeout and REMEMBERED. No sockets, and the clock is the caller's.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Final

from collectors.probe.asked import Asked, Extension
from collectors.probe.clocks import STEP_NS, Instant
from collectors.probe.outcome import WRAP, LossDirections, Outcome
from collectors.probe.stamp import (
    AUTHENTICATED_BYTES,
    OPEN_BYTES,
    Reply,
    Request,
    decode_reply,
    encode_request,
    from_stamp,
    to_stamp,
)
from collectors.probe.timekeeping import UNKNOWN, ClockState
from telemetry.errors import DecodeError

REMEMBERED: Final = 8192
"""How many finished packets are kept to tell a duplicate or a late answer from a foreign packet."""


@dataclass(slots=True)
class _UnderWay:
    sequence: int
    stamp: int
    sent: Instant
    in_host_ns: int = 0
    """From T1 to the interface [ns], when the kernel says."""

    @property
    def left_ns(self) -> int:
        """On the monotonic clock [ns]."""
        return self.sent.mono_ns + self.in_host_ns


class Session:
    """The sender's side of a STAMP session. `timeout_ns` [ns]: later answers do not count (RFC 7680 Tmax).

    `one_way_error_ns` [ns]: one-way delays are given only when both clocks together are no worse. `stateful`: the
    reflector is known to number its answers itself, which tells the direction of losses; unknown (None), it is believed
    once its numbers differ from ours. `counts` says what else happened: "duplicate", "late", "reordered", "altered",
    "foreign", "malformed", "odd_clock", "lost_up", "lost_down", "reflector_restarts"; "remarked_up", "remarked_down":
    the DSCP was another when our packet arrived, or the reflector did not answer with ours. `extensions`: see Asked.
    """

    def __init__(
        self,
        timeout_ns: int,
        *,
        size: int = 0,
        ssid: int = 0,
        key: bytes | None = None,
        first: int = 0,
        one_way_error_ns: int = 1_000_000,
        stateful: bool | None = None,
        extensions: tuple[Extension, ...] = (),
        dscp: int = 0,
    ) -> None:
        self._timeout_ns = timeout_ns
        self._size = size
        self._ssid = ssid
        self._key = key
        self._base = OPEN_BYTES if key is None else AUTHENTICATED_BYTES
        self._asked = Asked(extensions, dscp, key)
        self._one_way_error_ns = one_way_error_ns
        self._next = first
        self._newest = first - 1
        self._last_ns = 0
        self._under_way: OrderedDict[int, _UnderWay] = OrderedDict()
        self._finished: OrderedDict[int, tuple[int, bool]] = OrderedDict()
        self._outcomes: list[Outcome] = []
        # with Direct Measurement even a stateless reflector counts, and it is its count that is looked at
        self._directions = LossDirections(first, True if "direct-measurement" in extensions else stateful)
        self._counting = "direct-measurement" in extensions
        self._clock = UNKNOWN
        self._estimate = UNKNOWN.estimate
        self.counts: Counter[str] = self._directions.counts
        self.clock_error_ns: int | None = None
        """How far both clocks together may be off [ns], by the last answer; None before one."""
        self.one_way_refusal = ""
        """Why the last answer gave no one-way delays; "" when it did."""

    def keep_time(self, clock: ClockState) -> None:
        """Take note of how well our own clock is kept; from any thread."""
        self._clock, self._estimate = clock, clock.estimate

    def request(self, at: Instant) -> bytes:
        """The next packet, sent at `at`."""
        # A coarse clock may read the same twice; one that was set back by more is another story, and kept.
        real_ns = self._last_ns + 1 if 0 <= self._last_ns - at.real_ns < STEP_NS else at.real_ns
        self._last_ns = real_ns
        packet = Request(self._next % WRAP, to_stamp(real_ns), self._estimate, self._ssid)
        self._under_way[packet.sequence] = _UnderWay(self._next, packet.stamp, Instant(real_ns, at.mono_ns))
        self._next += 1
        self.counts["sent"] += 1
        base = encode_request(packet, key=self._key)
        return base + self._asked.encode(base, self.counts["sent"], self._size)

    def withdraw(self) -> None:
        """The packet last made never left this machine: nothing was measured."""
        self._under_way.popitem()
        self._next -= 1
        self.counts["sent"] -= 1
        self.counts["not_sent"] += 1

    def left(self, sequence: int, kernel: Instant) -> None:
        """The kernel says when the packet with this number on the wire went out; ignored when that cannot be."""
        packet = self._under_way.get(sequence)
        if packet is not None and 0 <= kernel.mono_ns - packet.sent.mono_ns < self._timeout_ns:
            packet.in_host_ns = kernel.mono_ns - packet.sent.mono_ns

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
        if arrived.mono_ns - packet.left_ns > self._timeout_ns:
            self.expire(arrived)
            return self._unexpected(reply)
        self._finish(reply, packet, arrived, self._number(data, reply))
        return None

    def _number(self, data: bytes, reply: Reply) -> int | None:
        """How many packets the reflector says it had before this one: by its own number, or by the extension asked for;
        None when the answer does not tell. Takes note of a DSCP that was changed on the way."""
        told = self._asked.read(data, self._base)
        self.counts["remarked_up"] += told.dscp_up is not None and told.dscp_up != self._asked.dscp
        self.counts["remarked_down"] += told.dscp_kept is False
        if not self._counting:
            return reply.sequence
        return None if told.received is None else (told.received - 1) % WRAP

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

    def _finish(self, reply: Reply, packet: _UnderWay, arrived: Instant, number: int | None) -> None:
        round_ns = max(0, arrived.mono_ns - packet.left_ns)
        ptp = reply.error.ptp
        held_ns = from_stamp(reply.sent, ptp=ptp) - from_stamp(reply.received, ptp=ptp) if reply.received else 0
        if not 0 <= held_ns <= round_ns:  # T3 before T2, or a clock stepped between them
            self.counts["odd_clock"] += 1
            held_ns = 0
        self.counts["answered"] += 1
        self.counts["reordered"] += packet.sequence < self._newest
        self._newest = max(self._newest, packet.sequence)
        up_ns, down_ns = self._one_way(reply, packet, arrived) or (None, None)
        outcome = Outcome(packet.sequence, packet.sent.real_ns, arrived.real_ns, round_ns - held_ns, up_ns, down_ns)
        self._close(packet, outcome, number)

    def _one_way(self, reply: Reply, packet: _UnderWay, arrived: Instant) -> tuple[int, int] | None:
        """The delay of each way [ns], or None and the reason in `one_way_refusal`."""
        self.clock_error_ns = error_ns = int((self._clock.error_s + reply.error.seconds) * 1e9)
        up_ns = from_stamp(reply.received) - packet.sent.real_ns - packet.in_host_ns
        down_ns = arrived.real_ns - from_stamp(reply.sent)
        allowed_ms = self._one_way_error_ns / 1e6
        if not self._clock.synchronised:
            refusal = f"our clock is not synchronised, says {self._clock.keeper}"
        elif not reply.error.synchronised:
            refusal = "the reflector says that its clock is not synchronised"
        elif reply.error.ptp:
            refusal = "the reflector's times are PTP's, and it does not say whether in UTC or TAI"
        elif error_ns > self._one_way_error_ns:
            refusal = f"the clocks may be {error_ns / 1e6:.3g} ms apart, and {allowed_ms:g} are allowed"
        elif arrived.stepped_since(packet.sent):
            refusal = "our clock was set while the packet was under way"
        elif min(up_ns, down_ns) < -error_ns:
            early_ms = -min(up_ns, down_ns) / 1e6
            refusal = f"a packet would have arrived {early_ms:.3g} ms before it was sent: a clock is worse than it says"
        else:
            self.one_way_refusal = ""
            return up_ns, down_ns
        self.one_way_refusal = refusal
        return None

    def expire(self, at: Instant) -> None:
        """Give up what has been under way for longer than the timeout."""
        while self._under_way:
            packet = next(iter(self._under_way.values()))
            if at.mono_ns - packet.left_ns <= self._timeout_ns:
                return
            self.counts["lost"] += 1
            self._close(packet, Outcome(packet.sequence, packet.sent.real_ns, at.real_ns, None), None)

    def _close(self, packet: _UnderWay, outcome: Outcome, reflector_sequence: int | None) -> None:
        number = packet.sequence % WRAP
        del self._under_way[number]
        self._finished[number] = (packet.stamp, outcome.rtt_ns is not None)
        if len(self._finished) > REMEMBERED:
            self._finished.popitem(last=False)
        self._outcomes.append(outcome)
        self._outcomes += self._directions.ended(outcome, reflector_sequence)

    def outcomes(self) -> list[Outcome]:
        """What ended since the last call, and what became known of earlier losses; each packet once."""
        found, self._outcomes = self._outcomes, []
        return list({outcome.sequence: outcome for outcome in found}.values())

    @property
    def under_way(self) -> int:
        """Packets that are neither answered nor given up."""
        return len(self._under_way)

    @property
    def held(self) -> int:
        """Packets of which `outcomes` has not told yet what became."""
        return len(self._under_way) + len(self._outcomes)
