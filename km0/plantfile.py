"""The plant file as a whole: which sections there may be. Whatever is present runs; there are no roles and no modes."""

from collections import Counter
from pathlib import Path
from typing import Final

from pydantic import Field, model_validator

from collectors.mqtt import MqttConfig
from collectors.sections import CollectorConfig
from dashboards.web.config import WebConfig
from km0.parts import HealthConfig, Part
from pipeline.ingest import SpoolConfig
from pipeline.kpis.use_cases import USE_CASES
from pipeline.stores import StoreConfig
from pipeline.stores.duckdb_config import DuckDbConfig
from telemetry.config import Section
from telemetry.plant import Plant

KEEPERS: Final = frozenset(("spool", "drain", "recompute", *Part))
"""Names under which the platform tells of itself: a collector of the same name would speak with one mouth."""


class PlantFile(Section):
    """plant.toml."""

    plant: Plant = Field(Plant(), description="the site, its calendars and its assets")
    collectors: tuple[CollectorConfig, ...] = Field((), description="where the data comes from")
    spool: SpoolConfig = Field(SpoolConfig(), description="where samples wait on disk until the store has them")
    store: StoreConfig = Field(DuckDbConfig(kind="duckdb"), description="where samples and KPI values are kept")
    web: WebConfig | None = Field(None, description="the web app and its API; without this section there is none")
    health: HealthConfig | None = Field(
        None, description="where parts that run in processes of their own tell how they are; needed for nothing else"
    )

    @model_validator(mode="after")
    def _names_are_unique(self) -> "PlantFile":
        names = [collector.name for collector in self.collectors]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two collectors are named {min(twice)!r}; give each its own name")
        if taken := KEEPERS & set(names):
            raise ValueError(f"a collector is named {min(taken)!r}, as a part of the platform is; give it another name")
        return self

    @model_validator(mode="after")
    def _sessions_are_unique(self) -> "PlantFile":
        brokers = [one for one in self.collectors if isinstance(one, MqttConfig)]
        sessions = Counter((one.host, one.effective_port, one.effective_client_id) for one in brokers)
        for (host, _, client_id), count in sessions.items():
            if count > 1:
                raise ValueError(
                    f"two collectors are the same client {client_id!r} of {host}, which would end the connection of "
                    "one for the other again and again; give each its own `client_id`, or none"
                )
        return self

    @model_validator(mode="after")
    def _use_cases_are_known(self) -> "PlantFile":
        for asset in self.plant.assets:
            if asset.use_case is None:
                continue
            if asset.kind != "link":
                raise ValueError(f"asset {asset.path!r} has a use_case and is no link; take it out")
            if asset.use_case not in USE_CASES:
                raise ValueError(
                    f"asset {asset.path!r}: there is no use case {asset.use_case!r}; there is {', '.join(USE_CASES)}"
                )
        return self


def sample_file() -> Path:
    """The demonstrator's plant file: beside the packages in a checkout, inside this package in an installed wheel."""
    installed = Path(__file__).with_name("plant.toml")
    return installed if installed.exists() else Path(__file__).parents[1] / "plant.toml"
