"""A file as a controller of a press logs it: stops, scrap and three products, in time order."""

from pathlib import Path

import numpy as np


def press(path: Path, rows: int) -> None:
    """A row per cycle of 12 s (of 1 s, where there are millions): running or stopped, counters, product, cause."""
    rng = np.random.default_rng(1)
    start, step = np.datetime64("2025-01-06T05:00:00", "ms"), np.timedelta64(1000 if rows > 3_000_000 else 12_000, "ms")
    made = scrap = 0
    with path.open("w", encoding="utf-8") as file:
        file.write("Horodatage;Etat;Compteur;Bonnes;Article;Cause\n")
        for first in range(0, rows, 200_000):
            count = min(200_000, rows - first)
            index = np.arange(first, first + count)
            runs = rng.random(count) < 0.95
            total = made + np.cumsum(runs)
            bad = scrap + np.cumsum(runs & (rng.random(count) < 0.01))
            made, scrap = int(total[-1]), int(bad[-1])
            columns = (
                (start + index * step).astype(str), np.where(runs, "Marche", "Arrêt"), total, total - bad,
                np.array(["A", "B", "C"])[index // 5000 % 3], np.where(runs, "", "bourrage"),
            )  # fmt: skip
            file.writelines(
                ";".join(map(str, row)) + "\n" for row in zip(*(one.tolist() for one in columns), strict=True)
            )
