"""What the plant file says of a probe."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from collectors.probe.asked import Extension
from collectors.probe.stamp import PORT
from telemetry.config import HostName, Secret, Section
from telemetry.errors import ConfigError
from telemetry.health import Health
from telemetry.plant import AssetPath, Plant

if TYPE_CHECKING:
    from collectors.probe.probe import Probe


class ProbeConfig(Section):
    """[[collectors]] kind = "probe": measures a network link without end, by STAMP (RFC 8762) test packets."""

    kind: Literal["probe"]
    name: str = Field("probe", min_length=1, description="what messages and the health page call it")
    asset: AssetPath = Field(description="the link that is measured")
    host: HostName = Field(description="name or address of the reflector")
    port: int = Field(PORT, ge=1, le=65535, description="UDP port of the reflector")
    interval_ms: float = Field(100.0, ge=1, le=60_000, description="time between two packets [ms]")
    timeout_ms: float = Field(1000.0, ge=1, le=60_000, description="an answer later than this [ms] counts as lost")
    size: int = Field(0, ge=0, le=8972, description="UDP payload [byte]; 0: the smallest, 44 or with a key 112")
    dscp: int = Field(0, ge=0, le=63, description="DSCP of the packets, 46 is expedited forwarding")
    ssid: int = Field(0, ge=0, le=65535, description="session identifier (RFC 8972); 0: none")
    key: Secret | None = Field(None, description="shared key; with one, packets are authenticated (HMAC-SHA-256)")
    reflector: Literal["unknown", "stateful", "stateless"] = Field(
        "unknown", description="whether it numbers its answers itself, which tells in which direction packets are lost"
    )
    extensions: tuple[Extension, ...] = Field(
        (),
        description='sent with each packet (RFC 8972): "direct-measurement" tells the direction of losses, of a '
        'stateless reflector too; "class-of-service" whether the DSCP was changed on the way',
    )
    one_way_error_ms: float = Field(
        1.0, gt=0, le=1000, description="one-way delays are kept when both clocks together are no worse [ms]"
    )
    cpu: int | None = Field(None, ge=0, le=1023, description="processor its sender is bound to; without one, any")
    priority: int = Field(
        0, ge=0, le=99, description="real-time priority of its sender (SCHED_FIFO, needs CAP_SYS_NICE); 0: none"
    )
    bind: str | None = Field(None, description="local address to send from; without one, the system chooses")

    @model_validator(mode="after")
    def _bounded(self) -> "ProbeConfig":
        if self.timeout_ms / self.interval_ms > 10_000:
            raise ValueError("timeout_ms is more than 10,000 intervals: shorten it or send more slowly")
        return self

    def build(self, plant: Plant, health: Health) -> "Probe":
        """The collector. Raises ConfigError when the plant has no such asset or the key cannot be read."""
        from collectors.probe.probe import Probe

        if self.asset not in plant:
            raise ConfigError(f"probe {self.name!r}: there is no asset {self.asset!r}; add it to [[plant.assets]]")
        key = None if self.key is None else self.key.read().encode()
        return Probe(self, health.component(self.name), key)
