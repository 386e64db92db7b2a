"""Passwords: Argon2id (RFC 9106), a least length, and patience with those who guess.

Invariants
- An unknown name costs as long as a wrong password.
- After MOST failures of one name from one address, or MOST_OF_ADDRESS from one address whatever the name, within
  WITHIN_S nothing more is tried from there until the oldest is over.
- After MOST_OF_NAME failures of one name, from however many addresses, only those are heard from which its owner has
  come in: strangers together do not guess for ever, and do not lock the owner out.
- All of it is counted in memory that is bounded: a restart forgets it.
"""

import ipaddress
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import cached_property
from time import monotonic
from typing import Any, Final

LEAST: Final = 12
"""Least length of a password, in characters (NIST SP 800-63B asks for 8, OWASP for 12 without a second factor)."""
PASSES: Final = 3
LANES: Final = 4
"""With 64 MB the second choice that RFC 9106 recommends, for where 2 GB are too much."""
MOST_LENGTH: Final = 200
MOST: Final = 5
MOST_OF_ADDRESS: Final = 30
MOST_OF_NAME: Final = 100
WITHIN_S: Final = 15 * 60.0
REMEMBERED: Final = 10_000


class Passwords:
    """Hashes passwords with so much memory [MB]. Thread-safe."""

    def __init__(self, memory_mb: int) -> None:
        self._memory_kib: Final = memory_mb * 1024

    @cached_property
    def _hasher(self) -> Any:
        from pwdlib import PasswordHash
        from pwdlib.hashers.argon2 import Argon2Hasher

        return PasswordHash((Argon2Hasher(memory_cost=self._memory_kib, time_cost=PASSES, parallelism=LANES),))

    def warm(self) -> None:
        """Make beforehand what an unknown name is held against, else the first of them would take longer."""
        self._nobodys  # noqa: B018  # for its effect: it is kept

    @cached_property
    def _nobodys(self) -> str:
        return self.hashed("a password that nobody has")

    def hashed(self, password: str) -> str:
        """The Argon2id hash, with its salt and settings. Takes some 50 ms of two cores with 64 MB."""
        return str(self._hasher.hash(password))

    def right(self, password: str, kept: str | None) -> tuple[bool, str | None]:
        """Whether the password is the one of the hash, and a new hash where the kept one has other settings."""
        good, renewed = self._hasher.verify_and_update(password, kept or self._nobodys)
        return bool(good) and kept is not None, renewed


class Patience:
    """Counts failures by name and by address, in memory that is bounded. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[tuple[str, ...], deque[float]] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wait_s(self, name: str, address: str) -> float:
        """How long [s] to wait before trying again; 0 when it may be tried now."""
        both = (name.casefold(), _network(address))
        with self._lock:
            waits = [self._wait(("both", *both), MOST), self._wait(("address", both[1]), MOST_OF_ADDRESS)]
            if both not in self._known:
                waits.append(self._wait(("name", both[0]), MOST_OF_NAME))
            return max(waits)

    def _wait(self, key: tuple[str, ...], most: int) -> float:
        times = self._failures.get(key)
        if times is None:
            return 0.0
        while times and self._clock() - times[0] >= WITHIN_S:
            times.popleft()
        return WITHIN_S - (self._clock() - times[-most]) if len(times) >= most else 0.0

    def failed(self, name: str, address: str) -> None:
        both = (name.casefold(), _network(address))
        with self._lock:
            for key in (("both", *both), ("address", both[1]), ("name", both[0])):
                self._failures.setdefault(key, deque(maxlen=MOST_OF_NAME)).append(self._clock())
                self._failures.move_to_end(key)
            while len(self._failures) > REMEMBERED:
                self._failures.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """A right password forgives the name its failures from there, not the address, nor other addresses."""
        both = (name.casefold(), _network(address))
        with self._lock:
            self._failures.pop(("both", *both), None)
            self._known[both] = None
            self._known.move_to_end(both)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)


def _network(address: str) -> str:
    """What one person may have many of counts as one: of IPv6 the network of 2^64 addresses that a home is given."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4 or found.ipv4_mapped:
        return str(found)
    return str(ipaddress.ip_network((found, 64), strict=False))
