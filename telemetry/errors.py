"""The five errors of the house, each handled in one place. Anything else is a bug and ends the process."""

from collections.abc import Mapping
from typing import Final


class KM0Error(Exception):
    """Common parent, so that a caller can tell our errors from bugs. Never raised itself."""


class ConfigError(KM0Error):
    """The configuration is wrong: stop, and say where. Handled by the command line (message, exit code 2)."""


class SourceError(KM0Error):
    """A machine, broker or path failed. Handled by the one retry loop: jittered back-off, again, for ever."""


class DecodeError(KM0Error):
    """This message will never decode. Handled by the collector: set aside with its reason, count, go on."""


class StoreError(KM0Error):
    """The store takes nothing now. Handled by the drain: back-off; the samples stay in the spool.

    `retry_after_s` [s] is the wait the store asked for, if it did.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RejectedError(KM0Error):
    """The store will never take these samples; the others of the same write are stored.

    `reasons` maps the index of each refused sample, in the sequence given to `write`, to the store's own words.
    Handled by the drain: dead-letter those, go on.
    """

    def __init__(self, reasons: Mapping[int, str]) -> None:
        self.reasons: Final = dict(reasons)
        first = next(iter(self.reasons.values()), "no reason given")
        super().__init__(f"{len(self.reasons)} samples refused by the store: {first}")
