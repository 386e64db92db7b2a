"""Where values may be missing: by node, from when on.

Invariant: a hole stays open until history filled it or the server said that it has none; what opens it again while it
is being read, or a second break, never shortens it.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from collectors.opcua.history import Hole


class Holes:
    """The holes by handle. They outlive sessions."""

    def __init__(self) -> None:
        self._open: Final[dict[int, int]] = {}
        self._being_read: Final[dict[int, int]] = {}
        self.opened: Final = asyncio.Event()

    def open(self, handle: int, since_ns: int) -> None:
        """Values may be missing from `since_ns` [ns] on, or from earlier where that was known."""
        self._open[handle] = min(since_ns, self._open.get(handle, since_ns))
        self.opened.set()

    def __contains__(self, handle: int) -> bool:
        return handle in self._open or handle in self._being_read

    def starts(self) -> dict[int, int]:
        """By handle, from when on [ns] values may be missing."""
        found = dict(self._being_read)
        for handle, start_ns in self._open.items():
            found[handle] = min(start_ns, found.get(handle, start_ns))
        return found

    def begin(self, nodes: Mapping[int, str]) -> list[Hole]:
        """The holes of these nodes ("ns=3;s=…"), taken up to be read: each ends in `close`, or in `put_back`."""
        for handle in [handle for handle in self._open if handle in nodes]:
            self._being_read[handle] = self._open.pop(handle)
        return [Hole(handle, nodes[handle], start_ns) for handle, start_ns in self._being_read.items()]

    def close(self, handle: int) -> None:
        """It was read to its end, or never will be. One that opened meanwhile stays open."""
        self._being_read.pop(handle, None)

    def put_back(self) -> None:
        """What was taken up and not closed is to be read again."""
        for handle, start_ns in self._being_read.items():
            self._open[handle] = min(start_ns, self._open.get(handle, start_ns))
        self._being_read.clear()
