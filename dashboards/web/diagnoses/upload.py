"""Files come in: streamed to disk as they arrive, never held, refused as soon as they are too large."""

import asyncio
import os
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from dashboards.web.accounts.identity import Identity
from dashboards.web.config import WebConfig
from dashboards.web.diagnoses.shelf import Diagnosis, Shelf
from dashboards.web.problems import ProblemError
from pipeline.files import guard
from pipeline.said import Said
from telemetry.errors import DecodeError


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
    try:
        guard.safe_name(name)
    except guard.RefusedFileError as error:
        raise refused(error) from None
    most = config.max_upload_mb * 1_000_000
    if said_bytes is not None and said_bytes > most:
        raise too_large(config)
    number = await asyncio.to_thread(shelf.room, who.organisation)
    try:
        coming = _Coming(shelf, config, number, said_bytes or 0)
        size = await _write(coming, shelf.folder(number) / "brought", name, body)
        try:
            await asyncio.to_thread(guard.checked, shelf.folder(number) / "brought" / name, largest=most)
        except DecodeError as error:
            raise refused(error) from None
        return await asyncio.to_thread(shelf.add, number, who.name, name, size)
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
