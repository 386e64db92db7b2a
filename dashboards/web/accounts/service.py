"""Asking a login service: so long and so much, no more.

Invariants
- An answer is whole within WAIT_S and MOST_BYTES, however it drips, or it is none; no redirect is followed.
- A service that was silent is not asked again for SILENT_S: whoever comes is told so at once, and holds no thread.
"""

import asyncio
import json
import logging
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from time import monotonic
from typing import Any, Final

from dashboards.web.accounts.ledger import RefusedError
from dashboards.web.texts import mark

log = logging.getLogger(__name__)

WAIT_S: Final = 10.0
SILENT_S: Final = 10.0
MOST_BYTES: Final = 1_000_000
SILENT: Final = mark("the login service does not answer")


class _Left(ThreadPoolExecutor):
    """Whose end nobody waits for: a resolver that is silent cannot be told to stop."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        super().shutdown(wait=False, cancel_futures=True)


class Service:
    """Synchronous and thread-safe: call it from threads. Raises RefusedError, with a sentence for people."""

    def __init__(self) -> None:
        self._silent_until = -1.0

    def ask(
        self, method: str, address: str, *, form: Mapping[str, str] | None = None,
        basic: tuple[str, str] | None = None, token: str = "",
    ) -> dict[str, Any]:  # fmt: skip
        """The JSON object at an address."""
        import httpx2

        if monotonic() < self._silent_until:
            raise RefusedError(SILENT)
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        try:
            # a loop of its own: only there one deadline holds for name, connection, head and body together
            status, content = asyncio.run(_answer(method, address, form, headers, basic))
        except (httpx2.HTTPError, TimeoutError) as error:
            self._silent_until = monotonic() + SILENT_S
            log.warning("the login service at %s does not answer: %r", address, error)
            raise RefusedError(SILENT) from error
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            found = None
        if status != 200 or not isinstance(found, dict):
            said = found.get("error_description") or found.get("error") if isinstance(found, dict) else None
            raise RefusedError(f"the login service answers {status}{f': {said}' if said else ''}"[:300])
        return found


@cache
def _authorities() -> ssl.SSLContext:
    """Whom we trust, as the system says at the first question: reading it takes longer than asking."""
    import httpx2

    return httpx2.create_ssl_context()


async def _answer(
    method: str, address: str, form: Mapping[str, str] | None, headers: Mapping[str, str], basic: tuple[str, str] | None
) -> tuple[int, bytes]:
    import httpx2

    asyncio.get_running_loop().set_default_executor(_Left(1))  # asyncio.run joins it: the deadline is one for names too
    content = bytearray()
    async with (
        asyncio.timeout(WAIT_S),
        httpx2.AsyncClient(verify=_authorities(), timeout=WAIT_S, follow_redirects=False) as client,
        client.stream(method, address, data=form, headers=headers, auth=basic) as answer,
    ):
        async for piece in answer.aiter_bytes():
            content += piece
            if len(content) > MOST_BYTES:
                raise RefusedError("the login service answers more than it should")
        return answer.status_code, bytes(content)
