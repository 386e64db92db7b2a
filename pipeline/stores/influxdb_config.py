"""The section of the plant file that asks for InfluxDB."""

import socket
from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from telemetry.config import Secret, Section, safe
from telemetry.protocols import Store

IN_CLEAR: Final = (
    "the token would pass in clear, and whoever is on the way could write here: make the address https://, or say "
    "token_in_clear = true in a network that is all your own"
)


class InfluxDbConfig(Section):
    """[store] kind = "influxdb": samples and KPI values in an InfluxDB server, 1.x, 2.x or 3.x, which Grafana reads.

    `km0 init influxdb` makes what is named here. On 1.x a bucket is a database, or "database/retention policy".
    """

    kind: Literal["influxdb"] = Field("influxdb", description="the store of a plant: a server, shared by processes")
    url: str = Field("http://127.0.0.1:8086", description="where it listens")
    org: str = Field("km0", description="organisation (2.x); 1.x and 3.x have none")
    bucket: str = Field("km0", min_length=1, description="where samples go")
    kpi_bucket: str = Field("km0_kpi", min_length=1, description="where KPI values go")
    journal_bucket: str = Field(
        "km0_journal",
        min_length=1,
        description="where writers say what they touched, so that KPIs follow; kept for a week",
    )
    keep_days: int = Field(
        0,
        ge=0,
        le=36500,
        description="how long samples are kept [days], 0: for ever; `km0 init influxdb` sets this retention",
    )
    keep_kpis_days: int = Field(0, ge=0, le=36500, description="the same of KPI values")
    token: Secret | None = Field(
        None, description='the token (on 1.x "user:password"); none when the server asks for none'
    )
    token_in_clear: bool = Field(
        False,
        description="send the token over http:// beyond this machine, where whoever is on the way reads it: only in a "
        "network of your own, as that of the compose file",
    )
    writer: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]*$",
        description="name of this process among those that write there; empty: the name of this host",
    )
    compress: Literal["auto", "always", "never"] = Field(
        "auto", description="gzip what is sent; auto: unless the server is on this machine, where it only costs time"
    )
    timeout_s: float = Field(30.0, gt=0, le=600, description="longest wait for an answer [s]")

    @field_validator("url")
    @classmethod
    def _usable(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError('write the address with its scheme and port, as in "http://127.0.0.1:8086"')
        if parts.username is not None or parts.password is not None:
            raise ValueError("a password does not belong into an address: name it with `token`")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _covered(self) -> "InfluxDbConfig":
        if self.token is not None and self.bare:
            raise ValueError(IN_CLEAR)
        return self

    @property
    def bare(self) -> bool:
        """Whether a token would pass where others read it, and nobody has said that it may."""
        return not safe(self.url) and not self.token_in_clear

    @property
    def gzip(self) -> bool:
        """Whether bodies are compressed: a loopback link is faster without, a thin one with."""
        local = urlsplit(self.url).hostname in ("127.0.0.1", "::1", "localhost")
        return self.compress == "always" or (self.compress == "auto" and not local)

    @property
    def writer_name(self) -> str:
        return self.writer or socket.gethostname() or "km0"

    def open(self) -> Store:
        """Raises ConfigError when the token cannot be had. The server is asked later: it may be down now."""
        from pipeline.stores.influxdb import InfluxDbStore  # urllib3 is loaded only where the plant file asks for it

        return InfluxDbStore(self)
