"""Files come in: streamed to disk as they arrive, never held, refused as soon as they are too large."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from dashboards.web.accounts.identity import Identity
from dashboards.web.config import WebConfig
from dashboards.web.diagnoses.shelf import Diagnosis, Shelf
from dashboards.web.problems import ProblemError
from pipeline.diagnosis.diagnosis import link_of
from pipeline.files import guard
from pipeline.said import Said
from telemetry.errors import DecodeError

Settled = TypeVar("Settled")
LARGEST_LINK: Final = 100_000_000
"""Largest network measurement [bytes]: a day of ping, ten times a second, is 70 MB, and read with 0.5 GB of memory."""


def refused(error: DecodeError) -> ProblemError:
    """What is wrong with a file."""
    said = guard.why(error)
    english, french = (f"{one[:1].upper()}{one[1:]}." for one in (said.en, said.fr))
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "file-refused", Said(english, french))


def too_large(config: WebConfig) -> ProblemError:
    return ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "file-too-large",
        Said(
            f"The file is larger than {config.max_upload_mb} MB: export a shorter period, or raise max_upload_mb in "
            "[web].",
            f"Le fichier dépasse {config.max_upload_mb} Mo : exportez une période plus courte.",
        ),
    )


def take(shelf: Shelf, config: WebConfig, number: str, size: int) -> None:
    """Room for so many bytes more of what comes. Raises ProblemError where its organisation has none left."""
    if not shelf.take(number, size, config.keep_mb * 1_000_000):
        raise ProblemError(
            HTTPStatus.INSUFFICIENT_STORAGE,
            "no-room",
            Said(
                f"Your diagnoses fill their {config.keep_mb} MB: delete old ones, or raise `keep_mb` of [web].",
                f"Vos diagnostics remplissent leurs {config.keep_mb} Mo : supprimez-en d'anciens.",
            ),
        )


async def bring(
    shelf: Shelf, config: WebConfig, who: Identity, name: str, body: AsyncIterator[bytes], said_bytes: int | None,
) -> Diagnosis:  # fmt: skip
    """The diagnosis of a file that came whole and may be opened. Raises ProblemError; then nothing is left of it."""
    most = config.max_upload_mb * 1_000_000

    def checked(number: str, file: Path, size: int) -> Diagnosis:
        guard.checked(file, largest=most)
        return shelf.add(number, who.name, name, size)

    async def settle(number: str, file: Path, size: int) -> Diagnosis:
        return await asyncio.to_thread(checked, number, file, size)

    return await _come(shelf, config, who, name, body, said_bytes, settle)


async def bring_link(
    shelf: Shelf, config: WebConfig, who: Identity, name: str, body: AsyncIterator[bytes], said_bytes: int | None,
    diagnosis: Diagnosis, use_case: str, turn: asyncio.Lock,
) -> bool:  # fmt: skip
    """A network measurement beside the file of a diagnosis: one that can be read, which takes memory, so each in its
    `turn`. False while the diagnosis runs. Raises ProblemError; then nothing is left of it."""

    def joined(number: str, file: Path) -> bool:
        guard.checked(file, largest=LARGEST_LINK)
        link_of(file, use_case or None, largest=LARGEST_LINK)
        if shelf.join(number, diagnosis, name, use_case):
            return True
        shelf.clear(number)
        return False

    async def settle(number: str, file: Path, _: int) -> bool:
        async with turn:
            return await asyncio.to_thread(joined, number, file)

    return await _come(shelf, config, who, name, body, said_bytes, settle)


async def _come(
    shelf: Shelf, config: WebConfig, who: Identity, name: str, body: AsyncIterator[bytes], said_bytes: int | None,
    settle: Callable[[str, Path, int], Awaitable[Settled]],
) -> Settled:  # fmt: skip
    """What `settle` makes of a file that came whole, by its number, place and size [bytes]; DecodeError refuses it."""
    try:
        guard.safe_name(name)
    except guard.RefusedFileError as error:
        raise refused(error) from None
    if said_bytes is not None and said_bytes > config.max_upload_mb * 1_000_000:
        raise too_large(config)
    number = await asyncio.to_thread(shelf.room, who.organisation)
    try:
        coming = _Coming(shelf, config, number, said_bytes or 0)
        size = await _write(coming, shelf.folder(number) / "brought", name, body)
        try:
            return await settle(number, shelf.folder(number) / "brought" / name, size)
        except DecodeError as error:
            raise refused(error) from None
    except BaseException:  # also when whoever sends it goes away in the middle
        await asyncio.shield(asyncio.to_thread(shelf.clear, number))
        raise


class _Coming:
    """The room that a file takes before its bytes are written: for the length it said at once, then as it comes."""

    def __init__(self, shelf: Shelf, config: WebConfig, number: str, said_bytes: int) -> None:
        self._shelf = shelf
        self._config = config
        self._number = number
        self._said = said_bytes
        self._taken = 0

    def grows(self, size: int) -> None:
        """It has so many bytes now. Raises ProblemError where they may not be kept."""
        if size > self._config.max_upload_mb * 1_000_000:
            raise too_large(self._config)
        more = max(size, self._said) - self._taken
        if more > 0:
            take(self._shelf, self._config, self._number, more)
            self._taken += more


async def _write(coming: _Coming, folder: Path, name: str, body: AsyncIterator[bytes]) -> int:
    """What is written of it [bytes]. Raises ProblemError."""
    size = 0

    def keep(file: BinaryIO, chunk: bytes) -> None:
        coming.grows(size)
        file.write(chunk)

    try:
        await asyncio.to_thread(coming.grows, 0)
        file = await asyncio.to_thread(_opened, folder, name)
        try:
            async for chunk in body:
                size += len(chunk)
                await asyncio.to_thread(keep, file, chunk)
            await asyncio.to_thread(_settle, file)
        finally:
            await asyncio.to_thread(file.close)
    except OSError as error:
        raise ProblemError(
            HTTPStatus.INSUFFICIENT_STORAGE,
            "no-room",
            Said(
                f"It cannot be kept: {error.strerror}.",
                "Le fichier ne peut pas être gardé : le disque du serveur le refuse. Prévenez son administrateur.",
            ),
        ) from error
    return size


def _opened(folder: Path, name: str) -> BinaryIO:
    folder.mkdir(mode=0o700)
    return (folder / name).open("xb")


def _settle(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
