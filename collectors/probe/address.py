"""Where a host is: the addresses that the system's resolver gives for its name."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from collectors.probe.wire import Address
from telemetry.errors import SourceError


class Target(NamedTuple):
    """A UDP address and its family, AF_INET or AF_INET6."""

    family: int
    address: Address

    @property
    def any(self) -> str:
        """The local address that stands for all of its family."""
        return "::" if self.family == socket.AF_INET6 else "0.0.0.0"  # noqa: S104 — where answers may come from is where packets are sent from


Resolve = Callable[[str, int], Awaitable[list[Target]]]


async def resolve(host: str, port: int) -> list[Target]:
    """Every address of the host, the preferred one first. Raises SourceError when it has none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except UnicodeError as error:
        raise SourceError(f"{host!r} is no name or address of a host") from error
    except OSError as error:
        raise SourceError(f"{host} has no address: {error.strerror}") from error
    return [Target(family, address) for family, _, _, _, address in found]  # type: ignore[arg-type]  # typeshed: any family
