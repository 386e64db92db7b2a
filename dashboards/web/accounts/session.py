"""The cookie of a session."""

from http import HTTPStatus

from fastapi import Response
from fastapi.responses import RedirectResponse

from dashboards.web.accounts.book import Book
from dashboards.web.accounts.walls import COOKIE
from dashboards.web.config import AccountsConfig


def came_in(book: Book, config: AccountsConfig, user: int, address: str) -> Response:
    """A new session, and on to an address. Raises RefusedError for somebody who is in no organisation."""
    answer = RedirectResponse(address, HTTPStatus.SEE_OTHER)
    keep(answer, book.entrance.enter(user), config)
    return answer


def keep(answer: Response, session: str, config: AccountsConfig) -> None:
    age_s = round(config.session_hours * 3600)
    answer.set_cookie(
        COOKIE, session, max_age=age_s, httponly=True, secure=config.secure_cookies, samesite="lax", path="/"
    )
