"""From samples to KPI values: ingest, stores, the KPI catalogue, recompute."""
