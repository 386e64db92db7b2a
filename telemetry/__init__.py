"""The ground floor: the words every other room speaks. It imports nothing of ours.

What flows: `samples` (Sample, Series, Window, KpiValue), `protocols` (Sink, Collector, Store), `errors` (the five).
What it means: `glossary` (every metric), `dialects` (how machines name states), `validity` (what may be kept).
Where and when: `plant` (assets), `calendar` and `intervals` (working time). How things are: `config`, `health`.
"""
