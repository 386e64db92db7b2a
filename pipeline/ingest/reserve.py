"""Room on the disk that is kept to be given up: on a full disk even what frees room needs some to be written."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

BYTES: Final = 8_000_000
"""SQLite's log is written back at 4 MB: with as much again, what removes batches can be committed and written back."""


class Reserve:
    """A file of `size` [bytes] that means nothing. Synchronous; no method raises."""

    def __init__(self, path: Path, size: int = BYTES) -> None:
        self._path: Final = path
        self._size: Final = size

    def hold(self) -> None:
        """Take the room, unless it is held. On a disk without that much, nothing is taken."""
        with suppress(OSError):
            if self._path.exists() and self._path.stat().st_size == self._size:
                return
            try:
                with self._path.open("wb") as file:
                    if hasattr(os, "posix_fallocate"):
                        os.posix_fallocate(file.fileno(), 0, self._size)
                    else:
                        file.write(bytes(self._size))
            except OSError:
                self.release()

    def release(self) -> None:
        """Give the room up."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
