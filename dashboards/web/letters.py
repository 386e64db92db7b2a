"""/api/v1/deadletters: messages that will never be samples, with their reasons, and each with all of its bytes."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Response

from dashboards.web import problems
from dashboards.web.context import DeadLetter, WebContext
from dashboards.web.models import DeadLetterOut, DeadLettersOut
from dashboards.web.queries import LettersQuery, following

Number = Annotated[int, Path(ge=0, le=2**62)]
BYTES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}
SHOWN_BYTES: Final = 500
"""How much of a dead letter is shown in a list."""


def add(api: APIRouter, context: WebContext) -> None:
    """The routes."""

    @api.get("/deadletters", tags=["data path"])
    async def dead_letters(query: Annotated[LettersQuery, Query()]) -> DeadLettersOut:
        """Messages that will never be samples, newest first, each with the reason."""
        count, found = await asyncio.to_thread(
            lambda: (context.dead_letters.count(), context.dead_letters.list(query.limit + 1, query.before))
        )
        shown = found[: query.limit]
        return DeadLettersOut(
            count=count,
            letters=[_letter(letter) for letter in shown],
            truncated=len(found) > len(shown),
            next=following("/api/v1/deadletters", query, before=shown[-1].id) if len(found) > len(shown) else None,
        )

    @api.get("/deadletters/{number}", tags=["data path"], response_class=Response, responses=BYTES)
    async def dead_letter(number: Number) -> Response:
        """The bytes of one dead letter, whole."""
        return await asyncio.to_thread(whole, context, number)


def whole(context: WebContext, number: int) -> Response:
    """The bytes of a letter as a file that no browser renders. Raises ProblemError when there is none."""
    found = context.dead_letters.list(1, number + 1)
    if not found or found[0].id != number:
        raise problems.ProblemError(HTTPStatus.NOT_FOUND, "unknown-letter", f"There is no dead letter {number}.")
    headers = {"Content-Disposition": f'attachment; filename="dead-letter-{number}.bin"'}
    return Response(found[0].raw, media_type="application/octet-stream", headers=headers)


def _letter(letter: DeadLetter) -> DeadLetterOut:
    return DeadLetterOut(
        id=letter.id,
        at=letter.at_ns,
        source=letter.source,
        reason=letter.reason,
        raw=letter.raw[:SHOWN_BYTES].decode("utf-8", "backslashreplace"),
        bytes=len(letter.raw),
    )
