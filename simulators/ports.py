"""Ports of 127.0.0.1."""

import socket


def free_port() -> int:
    """A TCP port that was free a moment ago, for servers that cannot tell which one the system gave them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
