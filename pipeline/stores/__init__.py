"""Where samples and KPI values are kept. To add a store, add its section to the union."""

from pipeline.stores.duckdb_config import DuckDbConfig

StoreConfig = DuckDbConfig
"""The union, on `kind`, of the sections that can be [store]; each has `open() -> Store`."""

__all__ = ["DuckDbConfig", "StoreConfig"]
