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
from dashboards.web.texts import Language
from pipeline.files import guard
from telemetry.errors import DecodeError


def refused(error: DecodeError, language: Language) -> ProblemError:
    """What is wrong with a file, in the language of whoever brought it."""
    sentence = error.said.in_(language) if isinstance(error, guard.RefusedFileError) else str(error)
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "file-refused", f"{sentence[:1].upper()}{sentence[1:]}.")


def too_large(config: WebConfig) -> ProblemError:
    return ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "file-too-large",
        f"The file is larger than {config.max_upload_mb} MB: export a shorter period, or raise max_upload_mb in [web].",
    )


def require_room(shelf: Shelf, config: WebConfig, who: Identity, size: int = 0) -> None:
    """Raises ProblemError where an organisation has no room for so many bytes more."""
    if shelf.kept_bytes(who.organisation) + size > config.keep_mb * 1_000_000:
        raise ProblemError(
            HTTPStatus.INSUFFICIENT_STORAGE,
            "no-room",
            f"Your diagnoses fill their {config.keep_mb} MB: delete old ones, or raise `keep_mb` of [web].",
        )


async def bring(
    shelf: Shelf, config: WebConfig, who: Identity, name: str, body: AsyncIterator[bytes], said_bytes: int | None,
    language: Language,
) -> Diagnosis:  # fmt: skip
    """The diagnosis of a file that came whole and may be opened. Raises ProblemError; then nothing is left of it."""
    try:
        guard.safe_name(name)
    except guard.RefusedFileError as error:
        raise refused(error, language) from None
    most = config.max_upload_mb * 1_000_000
    if said_bytes is not None and said_bytes > most:
        raise too_large(config)
    await asyncio.to_thread(require_room, shelf, config, who, said_bytes or 0)
    number = await asyncio.to_thread(shelf.room)
    try:
        size = await _write(shelf, config, number, name, body, most)
        await asyncio.to_thread(require_room, shelf, config, who, size)  # no length was said, or others came meanwhile
        path = shelf.folder(number) / "brought" / name
        try:
            await asyncio.to_thread(guard.checked, path, largest=most)
        except DecodeError as error:
            raise refused(error, language) from None
        return await asyncio.to_thread(shelf.add, number, who.organisation, who.name, name, size)
    except BaseException:  # also when whoever sends it goes away in the middle
        await asyncio.shield(asyncio.to_thread(shelf.clear, number))
        raise


async def _write(shelf: Shelf, config: WebConfig, number: str, name: str, body: AsyncIterator[bytes], most: int) -> int:
    folder = shelf.folder(number) / "brought"
    size = 0
    try:
        file = await asyncio.to_thread(_opened, folder, name)
        try:
            async for chunk in body:
                size += len(chunk)
                if size > most:
                    raise too_large(config)
                await asyncio.to_thread(file.write, chunk)
            await asyncio.to_thread(_settle, file)
        finally:
            await asyncio.to_thread(file.close)
    except OSError as error:
        raise ProblemError(
            HTTPStatus.INSUFFICIENT_STORAGE, "no-room", f"It cannot be kept: {error.strerror}."
        ) from error
    return size


def _opened(folder: Path, name: str) -> BinaryIO:
    folder.mkdir(mode=0o700)
    return (folder / name).open("xb")


def _settle(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
