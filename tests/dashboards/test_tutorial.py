"""The students' tutorial, run as they run it, against a plant whose figures are known by hand."""

import asyncio
import re
import sys
from dataclasses import replace
from pathlib import Path

from pipeline.kpis.catalogue import CATALOGUE
from pipeline.kpis.evaluate import evaluate, windows
from telemetry.plant import Asset, Plant
from telemetry.samples import SECOND_NS, Quality, Sample, Window
from tests.dashboards.seeded import HOUR_NS, NOW_NS, Seeded, empty
from tests.dashboards.test_server import CONFIG, served

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial" / "first_figures.py"
MILL, LATHE, LINK = "km0/a/b/mill", "km0/a/b/lathe", "km0/net/5g/link"
END_NS = NOW_NS // HOUR_NS * HOUR_NS
"""10:00 UTC, the start of the hour under way."""


def known() -> Seeded:
    """Four whole hours of two machines and a link.

    The mill runs 40 min of each hour and makes 40 parts of 36 s, 30 of them good. The lathe runs 15 min of the first
    half-hour and makes 10 good parts of 60 s; its source knows nothing after that. 1,000 packets an hour come back, in
    10 ms and every hundredth in 20 ms; 8 more are lost. Of the hour under way nothing is known.
    """
    plant = Plant(
        timezone="UTC",
        assets=(
            Asset(path=MILL, name="mill", cycle_s={"*": 36.0}),
            Asset(path=LATHE, name="lathe", cycle_s={"*": 60.0}),
            Asset(path=LINK, name="link", kind="link"),
        ),
    )
    seeded = empty(plant, CONFIG)
    start = END_NS - 4 * HOUR_NS
    samples: list[Sample] = []

    def says(at_s: float, asset: str, metric: str, value: float) -> None:
        samples.append(Sample(start + round(at_s * SECOND_NS), asset, metric, value))

    for asset in (MILL, LATHE):
        for counter in ("parts", "parts_good"):
            says(0, asset, counter, 0.0)
    for hour in range(4):
        says(3600 * hour, MILL, "state", 3.0)
        for part in range(1, 41):
            says(3600 * hour + 60 * part - 1, MILL, "parts", 40.0 * hour + part)
            says(3600 * hour + 60 * part - 1, MILL, "parts_good", 30.0 * hour + min(part, 30))
        says(3600 * hour + 2400, MILL, "state", 2.0)
        says(3600 * hour + 3000, MILL, "state", 2.0)
        for n in range(1000):
            says(3600 * hour + 3.6 * n, LINK, "rtt", 20.0 if n % 100 == 0 else 10.0)
        for n in range(8):
            says(3600 * hour + 450 * n + 1, LINK, "rtt_lost", 1.0)
    says(0, LATHE, "state", 3.0)
    for part in range(1, 11):
        says(90 * part - 1, LATHE, "parts", part)
        says(90 * part - 1, LATHE, "parts_good", part)
    for minute in (15, 25):
        says(60 * minute, LATHE, "state", 2.0)
    for asset, end_ns in ((MILL, END_NS), (LATHE, start + HOUR_NS // 2)):
        samples.append(Sample(end_ns, asset, "state", 2.0, "", Quality.BAD))
    seeded.store.write(samples)
    span = Window(start, NOW_NS)
    for asset in plant.assets:
        metrics = {sample.metric for sample in seeded.store.latest(asset.path)}
        due = [one for one in windows(plant, asset, span) if one.kind in ("hour", "day") and one.start_ns < NOW_NS]
        seeded.store.write_kpis(evaluate(seeded.store, plant, asset, due, NOW_NS, metrics), 1)
    return replace(seeded, context=replace(seeded.context, catalogue=CATALOGUE))


async def test_the_tutorial_runs_and_its_figures_are_those_of_the_plant() -> None:
    """Do 2/3 and 1/2, TRS of the plant by sums and not by the mean, 10 and 20 ms, 58.3 % and where the rest went: by
    hand and by the API alike."""
    async with served(known()) as (address, _):
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(TUTORIAL), env={"KM0_ADDRESS": address, "PYTHONIOENCODING": "utf-8"},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, wrong = await asyncio.wait_for(process.communicate(), 90)
    said = out.decode()
    assert process.returncode == 0, said + wrong.decode()
    assert "mill: Do by hand 0.6667, by the API 0.6667" in said
    assert "lathe: Do by hand 0.5000, by the API 0.5000" in said
    # mill 4 × 30 × 36 s of 4 h; lathe 10 × 60 s of the half-hour of which something is known
    trs = (4 * 30 * 36 + 10 * 60) / (4 * 3600 + 1800)
    mean = (4 * 0.3 + 1 / 3) / 5
    assert f"TRS of the plant {trs:.4f}; the mean of the hours' TRS would say {mean:.4f}" in said
    assert "p50 by hand 10.00 ms, by the API 10.0" in said
    # of 4,032 packets 3,960 take 10 ms, 40 take 20 ms, 32 are lost: p99 is the 3,992nd; without the lost, the 3,960th
    p99 = re.search(r"p99 by hand 20.00 ms, by the API ([\d.]+) ms", said)
    assert p99 is not None
    assert abs(float(p99[1]) - 20) <= 0.08 + 0.005
    assert "TRS of the press 0.5833 = Do 0.7500 × Tp 0.8333 × Tq 0.9333" in said
    # bars of 50 € an hour: stopped 1 h; 150 parts in 3 h where 180 could be; ten bad parts of a minute
    assert "lost to operation: 1.00 h, 50.00 €" in said
    assert "lost to speed: 0.50 h, 25.00 €" in said
    assert "lost to rejects: 0.17 h, 8.33 €" in said
