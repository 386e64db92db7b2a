"""What becomes of a packet, and in which direction the lost ones were lost.

A stateful reflector numbers its answers: the difference between our number and its own grows by one with every packet
that did not reach it. Invariants: packets are taken in the order of sending, each once; of a run of losses between two
answers, exactly as many are said to be lost on the way up as the difference grew; which of a mixed run they were nobody
knows, and the first are named. A difference that cannot be (a restarted reflector, doubled packets) names none.
"""

from collections import Counter
from typing import Final, Literal, NamedTuple

WRAP: Final = 1 << 32
_MOST: Final = 8192


class Outcome(NamedTuple):
    """What became of one packet. `rtt_ns` [ns] is None when no answer came in time.

    `sequence` counts on where the 32 bits on the wire wrap. `sent_ns` is T1 on the wall clock and unique in a session.
    `up_ns` and `down_ns` [ns] are None unless both clocks are good enough. `lost_way`: where a lost packet was lost, ""
    while that is not known; an Outcome told again with it replaces the one before.
    """

    sequence: int
    sent_ns: int
    finished_ns: int
    rtt_ns: int | None
    up_ns: int | None = None
    down_ns: int | None = None
    lost_way: Literal["", "up", "down"] = ""


class LossDirections:
    """Tells the direction of losses from the numbers of answers, as soon as a packet behind them was answered."""

    def __init__(self, first: int, stateful: bool | None) -> None:
        self._next = first
        self._stateful = stateful
        self._ended: dict[int, tuple[Outcome, int | None]] = {}
        self._lost: list[Outcome] = []
        self._difference: int | None = None
        self._reflector_sequence = -1
        self.counts: Counter[str] = Counter()

    def ended(self, outcome: Outcome, reflector_sequence: int | None) -> list[Outcome]:
        """Take note of one packet, and of how many the reflector had before it (None: it was lost, or nobody says); the
        losses whose direction that tells, told again with it."""
        self._ended[outcome.sequence] = (outcome, reflector_sequence)
        told: list[Outcome] = []
        while (entry := self._ended.pop(self._next, None)) is not None:
            self._next += 1
            outcome, number = entry
            if outcome.rtt_ns is not None and number is not None:
                told += self._answered(outcome, number)
            elif outcome.rtt_ns is None and len(self._lost) < _MOST:
                self._lost.append(outcome)
            else:  # nobody says, or too long an outage to remember: directions are not known
                self._difference = None
                self._lost = []
        return told

    def _answered(self, outcome: Outcome, number: int) -> list[Outcome]:
        difference = (outcome.sequence - number + WRAP // 2) % WRAP - WRAP // 2
        if self._stateful is None and difference != 0:
            self._stateful = True
        grown = None if self._difference is None else difference - self._difference
        lost, self._lost = self._lost, []
        if grown is not None and grown > len(lost) and number < self._reflector_sequence:
            self.counts["reflector_restarts"] += 1
        self._difference, self._reflector_sequence = difference, number
        if not self._stateful or grown is None or not 0 <= grown <= len(lost):
            return []
        self.counts["lost_up"] += grown
        self.counts["lost_down"] += len(lost) - grown
        return [each._replace(lost_way="up" if n < grown else "down") for n, each in enumerate(lost)]
