"""Charts in the page: specs by `dashboards.charts`, drawn with the copy of Vega that vl-convert-python carries.

Both come with the extra `reports`; without it the pages say so, and their tables hold every figure all the same.
"""

import asyncio
import gzip
import hashlib
import os
import subprocess
import sys
import threading
import zlib
from contextlib import suppress
from http import HTTPStatus
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

from fastapi import Query, Request, Response

from dashboards.web import problems

Dark = Annotated[bool, Query(description="in the colours of the dark page")]

AVAILABLE: Final = all(find_spec(name) is not None for name in ("altair", "vl_convert"))
"""Whether charts can be drawn here."""

_lock = threading.Lock()
_bundle: tuple[bytes, str] | None = None


def bundle() -> tuple[bytes, str]:
    """Vega, Vega-Lite and vega-embed as one script, gzipped, and its ETag; kept in memory and in the user's cache."""
    global _bundle  # noqa: PLW0603  # a cache of the process: the script is the same for every app in it
    with _lock:
        if _bundle is None:
            try:
                packed = _file().read_bytes()
                gzip.decompress(packed)
            except (OSError, EOFError, zlib.error):
                packed = made()
                _keep(packed)
            _bundle = _tagged(packed)
        return _bundle


def _tagged(packed: bytes) -> tuple[bytes, str]:
    return packed, f'"{hashlib.sha256(packed).hexdigest()[:32]}"'


def made() -> bytes:
    """Takes 3 s."""
    import vl_convert

    script: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub forgets the default
    return gzip.compress(script.encode(), 6, mtime=0)


def _file() -> Path:
    """Where the script of this version of vl-convert is kept between starts."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a home, as in a container
        cache = Path(os.devnull)
    return cache / "km0" / f"vega-{version('vl-convert-python')}.js.gz"


def _keep(packed: bytes) -> None:
    """For the next start; where there is no room for it, it is made again."""
    path = _file()
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        whole = path.with_suffix(f".{os.getpid()}")
        whole.write_bytes(packed)
        whole.replace(path)


def maker() -> subprocess.Popen[bytes] | None:
    """A process that makes the script where it is not kept yet, so that nobody waits; None when there is no need."""
    if not AVAILABLE or _bundle is not None or _is_kept():
        return None
    return subprocess.Popen(
        [sys.executable, "-c", "import sys; from dashboards.web.charts import made; sys.stdout.buffer.write(made())"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _is_kept() -> bool:
    try:
        return _file().exists()
    except OSError:  # a home that is not ours to look into
        return False


def take(maker: subprocess.Popen[bytes]) -> None:
    """Wait for what the process makes, and keep it: in memory, where there is no other place. Nothing when it was
    ended before."""
    global _bundle  # noqa: PLW0603  # as in `bundle`
    packed, _ = maker.communicate()
    if maker.returncode != 0:
        return
    with _lock:
        if _bundle is None:
            _keep(packed)
            _bundle = _tagged(packed)


def load() -> None:
    """Import what draws, where it is installed: most of a second."""
    if AVAILABLE:
        import dashboards.charts  # noqa: F401  # for its effect


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
