"""[web]: where the web app listens and to which names it answers."""

import ipaddress
from typing import Annotated

from pydantic import Field, field_validator

from telemetry.config import Section

HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9.:\-]+$", max_length=255)]


class WebConfig(Section):
    """[web]. It has no login yet: it listens on this machine only, unless told otherwise."""

    host: HostName = Field("127.0.0.1", description="address to listen on; only 127.0.0.1 is out of reach of others")
    port: int = Field(8080, ge=0, le=65535, description="TCP port; 0 takes any free one")
    hosts: tuple[HostName, ...] = Field(
        ("localhost", "127.0.0.1", "::1"),
        description="names people may type to reach it; a request for any other is refused (DNS rebinding)",
    )
    refresh_s: float = Field(1.0, ge=0.1, le=60, description="how often live pages get what changed [s]")
    max_streams: int = Field(200, ge=1, description="live pages and event streams served at once; more are refused")

    @field_validator("host")
    @classmethod
    def _address(cls, value: str) -> str:
        if value == "localhost":
            return "127.0.0.1"
        try:
            ipaddress.ip_address(value)
        except ValueError:
            raise ValueError(
                f'{value!r} is not an address; write "127.0.0.1", or "0.0.0.0" for every network'
            ) from None
        return value

    def answers_to(self, host_header: str) -> bool:
        """Whether a Host header names us: it does without its port, and in any case of letters."""
        name = host_header.rsplit("]", 1)[0].removeprefix("[") if "[" in host_header else host_header.split(":", 1)[0]
        return name.lower() in {self.host, *(host.lower() for host in self.hosts)}
