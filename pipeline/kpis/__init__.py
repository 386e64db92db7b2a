"""From series of samples to KPIs: pure functions on arrays, models of a machine and of a link, and the catalogue."""
