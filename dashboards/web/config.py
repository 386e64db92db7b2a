"""[web]: where the web app listens and to which names it answers."""

import ipaddress
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from telemetry.config import Secret, Section, safe


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError(f'{value!r} is no address or network; write "127.0.0.1" or "172.16.0.0/12"') from None


Network = Annotated[str, AfterValidator(_network)]
HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9.:\-]+$", max_length=255)]


class OidcConfig(Section):
    """[web.accounts.oidc]: people may also log in with a service that speaks OpenID Connect (Keycloak, Entra ID …)."""

    issuer: str = Field(description="the service, as its discovery document calls itself: https://login.example.org")
    client: str = Field(min_length=1, max_length=200, description="what the service calls this app")
    secret: Secret | None = Field(None, description="the app's secret there; without, a public client")
    address: str = Field(
        description="where people reach this app: https://plant.example.org; register ADDRESS/login/oidc/done there"
    )
    name: str = Field("OpenID Connect", min_length=1, max_length=60, description="what people call the service")

    @field_validator("issuer", "address")
    @classmethod
    def _safe(cls, value: str) -> str:
        if not safe(value) or not urlsplit(value).hostname:
            raise ValueError(f"{value!r} must begin with https:// (http:// only for 127.0.0.1): passwords pass there")
        return value

    @field_validator("address")
    @classmethod
    def _plain(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError(f"{value!r} has a path: write scheme, name and port only, as https://plant.example.org")
        return value.rstrip("/")


class AccountsConfig(Section):
    """[web.accounts]: people log in. Without this section everybody on this machine, and nobody else, may see all."""

    organisation: str = Field("KM0", min_length=1, max_length=100, description="the organisation that owns the plant")
    session_hours: float = Field(12.0, gt=0, le=24 * 31, description="a session ends so long after the login [h]")
    password_mb: int = Field(
        64, ge=19, le=4096, description="memory that checking one password takes [MB]; less only on a small computer"
    )
    secure_cookies: bool = Field(
        True, description="cookies over HTTPS only (or on this machine); false only on a network you trust"
    )
    oidc: OidcConfig | None = Field(None, description="another way to log in, by OpenID Connect")


class WebConfig(Section):
    """[web]. Without [web.accounts] there is no login, and it listens on this machine only."""

    host: HostName = Field("127.0.0.1", description="address to listen on; only 127.0.0.1 is out of reach of others")
    port: int = Field(8080, ge=0, le=65535, description="TCP port; 0 takes any free one")
    hosts: tuple[HostName, ...] = Field(
        ("localhost", "127.0.0.1", "::1"),
        description="names people may type to reach it; a request for any other is refused (DNS rebinding)",
    )
    proxies: tuple[Network, ...] = Field(
        (),
        description="addresses or networks of the proxies before it, whose X-Forwarded-For says who asks: failed "
        "logins are counted by address, and without this the proxy's would be everybody's",
    )
    folder: Path = Field(Path(".km0/web"), description="where accounts and diagnoses are kept")
    accounts: AccountsConfig | None = Field(None, description="people, their passwords and roles; without: no login")
    max_upload_mb: int = Field(600, ge=1, le=2000, description="largest file for a diagnosis [MB]")
    keep_mb: int = Field(10_000, ge=1, description="most that the files of one organisation may take, reports too [MB]")
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

    @model_validator(mode="after")
    def _walled(self) -> "WebConfig":
        if self.accounts is None and not ipaddress.ip_address(self.host).is_loopback:
            raise ValueError(
                f"host {self.host} is in reach of others, and nobody has to log in: add a section [web.accounts], "
                'or listen on this machine only with host = "127.0.0.1"'
            )
        return self

    def answers_to(self, host_header: str) -> bool:
        """Whether a Host header names us: it does without its port, and in any case of letters."""
        name = host_header.rsplit("]", 1)[0].removeprefix("[") if "[" in host_header else host_header.split(":", 1)[0]
        return name.lower() in {self.host, *(host.lower() for host in self.hosts)}
