"""From collectors to the store: a spool on disk, and the drain that empties it."""

from pathlib import Path

from pydantic import Field

from telemetry.config import Section


class SpoolConfig(Section):
    """[spool]: where samples wait on disk until the store has them."""

    path: Path = Field(Path("spool.sqlite"), description="the file; made, with its folder, when it is not there")
    max_bytes: int = Field(
        2_000_000_000,
        ge=1_000_000,
        description="room for waiting samples [bytes]; when it is full, sources wait (MQTT at its broker)",
    )
    max_dead_bytes: int = Field(
        100_000_000, ge=100_000, description="room for dead letters [bytes]; beyond it the oldest go, counted"
    )


__all__ = ["SpoolConfig"]
