"""Serving: one uvicorn inside the caller's TaskGroup, that ends when told to and holds nobody up.

- The socket is bound here, before anything is promised: a port in use is a ConfigError, not the exit of the process.
- Ended by `should_exit`, never by cancelling uvicorn in the middle; event streams end first, so nobody waits for them.
"""

import asyncio
import contextlib
import errno
import ipaddress
import socket
from collections.abc import Callable, Iterator
from typing import Final

import uvicorn
from fastapi import FastAPI

from dashboards.web.config import WebConfig
from dashboards.web.connections import Connection
from telemetry.errors import ConfigError

GRACE_S: Final = 1
"""How long [s] answers under way may still take at the end."""
BESIDES_STREAMS: Final = 200
"""Connections at once beside the `max_streams` of live pages; beyond, the answer is 503."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: signals belong to the process, whose owner cancels `serve`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def bind(config: WebConfig) -> socket.socket:
    """A listening socket. Raises ConfigError when the port is taken or not ours to take."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    # The protocol by its name: asyncio sends without delay (TCP_NODELAY) only what says that it is TCP, and every
    # answer of two writes waited 40 ms for the browser's acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((config.host, config.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            hint = "another program uses this port: choose another `port` in [web], or 0 for any free one"
        elif error.errno in (errno.EACCES, errno.EPERM):
            hint = "this port needs more rights: choose a `port` of 1024 or more in [web]"
        else:
            hint = f"{error.strerror}: is `host` of [web] an address of this machine?"
        raise ConfigError(f"cannot listen on {config.host}:{config.port}: {hint}") from error
    listener.setblocking(False)
    return listener


def address(listener: socket.socket) -> str:
    """Where the app can be reached: "http://127.0.0.1:8080/"."""
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "::1" if ":" in host else "127.0.0.1"  # nobody can go to "every address of this machine"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


async def serve(
    app: FastAPI, config: WebConfig, *, ready: Callable[[str], None] | None = None, warm: bool = False
) -> None:
    """Serve until cancelled; ends within GRACE_S. `ready` is told the address once requests are answered; `warm`: what
    the first of them would wait for is then done beforehand.

    Raises ConfigError when the port cannot be had.
    """
    listener = bind(config)
    settings = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        http=Connection,
        proxy_headers=bool(config.proxies),
        forwarded_allow_ips=list(config.proxies),
        ws="none",
        limit_concurrency=config.max_streams + BESIDES_STREAMS + 1,  # uvicorn refuses the one that reaches it
        timeout_keep_alive=15,
        timeout_graceful_shutdown=GRACE_S,
    )
    warming: list[asyncio.Task[None]] = []

    def reached() -> None:
        if ready is not None:
            ready(address(listener))
        if warm:
            warming.append(asyncio.create_task(asyncio.to_thread(app.state.warm), name="warm"))

    server = _Server(settings, reached)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="uvicorn")
    try:
        await asyncio.shield(serving)
    finally:
        app.state.close()
        server.should_exit = True
        await asyncio.shield(serving)
        listener.close()
        await asyncio.gather(*warming)
