"""The section of the plant file that asks for the embedded store."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from telemetry.config import Section
from telemetry.protocols import Store


class DuckDbConfig(Section):
    """[store] kind = "duckdb": everything in one file, no server. One process at a time may have it."""

    kind: Literal["duckdb"] = Field("duckdb", description="the embedded store")
    path: Path = Field(Path("km0.duckdb"), description="the file; made, with its folder, when it is not there")
    memory_mb: int = Field(1024, ge=128, description="memory DuckDB may use [MB]; beyond it, it works on disk")
    threads: int = Field(2, ge=1, le=64, description="threads of one query")
    keep_days: int = Field(
        0, ge=0, description="how long samples are kept [days]; 0: for ever. What still holds then is kept longer"
    )

    def open(self) -> Store:
        """Raises ConfigError when the file is held by another process, damaged or too new."""
        from pipeline.stores.duckdb import DuckDbStore  # DuckDB is loaded only where the plant file asks for it

        return DuckDbStore(self.path, memory_mb=self.memory_mb, threads=self.threads, keep_days=self.keep_days)
