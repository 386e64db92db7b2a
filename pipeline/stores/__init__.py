"""Where samples and KPI values are kept. To add a store, add its section to the union."""

from typing import Annotated

from pydantic import Field

from pipeline.stores.duckdb_config import DuckDbConfig
from pipeline.stores.influxdb_config import InfluxDbConfig

StoreConfig = Annotated[DuckDbConfig | InfluxDbConfig, Field(discriminator="kind")]
"""The union, on `kind`, of the sections that can be [store]; each has `open() -> Store`."""

__all__ = ["DuckDbConfig", "InfluxDbConfig", "StoreConfig"]
