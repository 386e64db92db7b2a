"""KPI functions: pure numpy, each with its unit and reference, and the catalogue of them."""
