"""Charts in the page: specs by `dashboards.charts`, drawn with the copy of Vega that vl-convert-python carries.

Both come with the extra `reports`; without it the pages say so, and their tables hold every figure all the same.
"""

import asyncio
import gzip
import hashlib
import threading
from http import HTTPStatus
from importlib.util import find_spec
from typing import Annotated, Final

from fastapi import Query, Request, Response

from dashboards.web import problems

Dark = Annotated[bool, Query(description="in the colours of the dark page")]

AVAILABLE: Final = all(find_spec(name) is not None for name in ("altair", "vl_convert"))
"""Whether charts can be drawn here."""

_lock = threading.Lock()
_bundle: tuple[bytes, str] | None = None


def bundle() -> tuple[bytes, str]:
    """Vega, Vega-Lite and vega-embed as one script, gzipped, and its ETag. Made at the first call (3 s), then kept."""
    global _bundle  # noqa: PLW0603  # a cache of the process: the script is the same for every app in it
    with _lock:
        if _bundle is None:
            import vl_convert

            script: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub forgets the default
            packed = gzip.compress(script.encode(), 6, mtime=0)
            _bundle = packed, f'"{hashlib.sha256(packed).hexdigest()[:32]}"'
        return _bundle


async def answer(request: Request) -> Response:
    """The bundle; every browser that asks for scripts takes gzip."""
    require()
    packed, tag = await asyncio.to_thread(bundle)
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(gzip.decompress(packed), media_type="text/javascript", headers=headers)
    return Response(packed, media_type="text/javascript", headers=headers | {"Content-Encoding": "gzip"})


def require() -> None:
    """Raises ProblemError when charts cannot be drawn here."""
    if not AVAILABLE:
        raise problems.ProblemError(
            HTTPStatus.NOT_IMPLEMENTED,
            "no-charts",
            "Charts are not installed: pip install 'km0-telemetry[reports]'. The tables hold every figure.",
        )
