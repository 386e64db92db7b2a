"""What other tools recorded of a link, read packet by packet: ping, irtt, owping, tables of send and receive times.

To read another format: a module with `recognises(text)` and `read(text)`, and its name in READERS.
"""

from pathlib import Path
from typing import Final, Protocol

from pipeline.recordings import irtt, owping, ping, table
from pipeline.recordings.recording import Recording
from telemetry.errors import DecodeError


class Reader(Protocol):
    """A format: whether a text is of it, and the measurements in such a text (DecodeError when it is damaged)."""

    def recognises(self, text: str) -> bool: ...

    def read(self, text: str) -> list[Recording]: ...


READERS: Final[tuple[Reader, ...]] = (irtt, owping, ping, table)
LONGEST_BYTES: Final = 1 << 30


def read(path: Path) -> list[Recording]:
    """The measurements in a file, one per direction or session. Raises DecodeError that says what is wrong with it."""
    try:
        if path.stat().st_size > LONGEST_BYTES:
            raise DecodeError(f"{path} is larger than 1 GiB: cut it into pieces")
        text = path.read_bytes().decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise DecodeError(f"{path}: {error.strerror}") from error
    for reader in READERS:
        if reader.recognises(text):
            try:
                return reader.read(text)
            except DecodeError as error:
                raise DecodeError(f"{path}: {error}") from error
    raise DecodeError(
        f"{path}: neither ping text, irtt JSON, owping text, nor a table whose first line names its columns: "
        'send times ("sent", or "sent_ns", "…_us", "…_ms", "…_s") and receive times ("received …"), or "rtt_ms"'
    )
