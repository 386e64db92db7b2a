"""What other tools recorded of a link, read packet by packet: ping, irtt, owping, tables of send and receive times.

To read another format: a module with `recognises(text)` and `read(text)`, and its name in READERS.
"""

from pathlib import Path
from typing import Final, Protocol

from pipeline.files.guard import RefusedFileError
from pipeline.recordings import irtt, owping, ping, table
from pipeline.recordings.recording import Recording
from pipeline.said import Said


class Reader(Protocol):
    """A format: whether a text is of it, and the measurements in such a text (DecodeError when it is damaged)."""

    def recognises(self, text: str) -> bool: ...

    def read(self, text: str) -> list[Recording]: ...


READERS: Final[tuple[Reader, ...]] = (irtt, owping, ping, table)
LONGEST_BYTES: Final = 1 << 30


def read(path: Path, largest: int = LONGEST_BYTES) -> list[Recording]:
    """The measurements in a file of at most `largest` bytes, one per direction or session. Raises RecordingError that
    says what is wrong with it."""
    try:
        if path.stat().st_size > largest:
            size = f"{largest / 1e6:,.0f}".replace(",", " ")
            raise RecordingError(path, Said(
                f"it is larger than {size} MB: cut it into pieces", f"il dépasse {size} Mo : coupez-le en morceaux"
            ))  # fmt: skip
        text = path.read_bytes().decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise RecordingError(path, Said(str(error.strerror), f"il ne peut pas être lu : {error.strerror}")) from error
    for reader in READERS:
        if reader.recognises(text):
            try:
                return reader.read(text)
            except RefusedFileError as error:
                raise RecordingError(path, error.said) from error
    raise RecordingError(path, _NONE)


class RecordingError(RefusedFileError):
    """What is wrong with a recording: the error names the file, `said` only what is wrong with it."""

    def __init__(self, path: Path, said: Said) -> None:
        super().__init__(said)
        self.args = (f"{path}: {said.en}",)


_NONE: Final = Said(
    "neither ping text, irtt JSON, owping text, nor a table whose first line names its columns: "
    'send times ("sent", or "sent_ns", "…_us", "…_ms", "…_s") and receive times ("received …"), or "rtt_ms"',
    "ce n'est ni le texte de ping, ni le JSON d'irtt, ni le texte d'owping, ni un tableau dont la première ligne nomme "
    "les colonnes : heures d'envoi (« sent », ou « sent_ns », « …_us », « …_ms », « …_s ») et de réception "
    "(« received … »), ou « rtt_ms »",
)
