"""What was proposed of the files looked at last: looking at a million rows takes half a second, and its page, each
preview and each answer to its form ask again.

Invariants
- A file on the shelf never changes, so that a proposal holds until the file is taken away.
- At most KEPT are held, and none whose first rows are longer than LONGEST: memory is bounded whatever the files hold.
- What was refused is looked at again.
"""

import threading
from pathlib import Path
from typing import Final

from pipeline.files.propose import Proposal, propose

KEPT: Final = 64
LONGEST: Final = 200_000
"""Signs of the first rows together."""


class Proposals:
    """Call from threads."""

    def __init__(self, largest: int) -> None:
        """`largest`: of a file [bytes]."""
        self._largest = largest
        self._lock = threading.Lock()
        self._held: dict[tuple[Path, str], Proposal] = {}

    def of(self, path: Path, timezone: str) -> Proposal:
        """Raises DecodeError as `propose` does."""
        with self._lock:
            found = self._held.pop((path, timezone), None)
            if found is not None:  # the last to go now
                self._held[path, timezone] = found
                return found
        found = propose(path, timezone=timezone, largest=self._largest)
        if sum(len(cell) for row in found.rows for cell in row) <= LONGEST and path.exists():
            with self._lock:
                self._held[path, timezone] = found
                while len(self._held) > KEPT:
                    del self._held[next(iter(self._held))]
        return found

    def forget(self, path: Path) -> None:
        """The file was taken away."""
        with self._lock:
            for key in [key for key in self._held if key[0] == path]:
                del self._held[key]
