"""When to ping the broker, and when to believe that nobody is at the other end. Pure: the caller has the clock.

Not paho's own: while we make the broker wait we do not read, so its ping answer stays in the socket, and paho would
take the connection for dead.
"""

from typing import Final


class Keepalive:
    """All times [s] are of one monotonic clock. `interval` [s] is what was agreed with the broker; 0: no pings."""

    def __init__(self, interval: float, now: float) -> None:
        self._interval: Final = interval
        self._heard = now
        self._pinged = now

    @property
    def tick(self) -> float:
        """How often [s] to ask `due` and `lost`."""
        return max(self._interval / 4, 0.05)

    def heard(self, now: float) -> None:
        """Bytes came, or we are not listening: silence counts from now on."""
        self._heard = now

    def due(self, now: float) -> bool:
        """Whether to send a ping now. A sent ping is remembered."""
        if self._interval and now - self._pinged >= self._interval / 2:
            self._pinged = now
            return True
        return False

    def lost(self, now: float) -> bool:
        """Whether the silence lasted 1.5 intervals, in which three pings stayed without an answer."""
        return bool(self._interval) and now - self._heard >= 1.5 * self._interval
