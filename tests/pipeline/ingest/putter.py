"""A process to be killed: puts batches into a spool from four tasks, and says on stdout which put returned.

Usage: python -m tests.pipeline.ingest.putter PATH RUN [SAMPLES PER BATCH]
"""

import asyncio
import sys
from pathlib import Path

from pipeline.ingest.spool import Spool
from telemetry.samples import Sample

BATCH = 7


async def main(path: Path, run: int, batch: int) -> None:
    async with Spool(path) as spool:

        async def keep_putting(task: int) -> None:
            for number in range(1_000_000):
                first = number * batch
                asset = f"site/run-{run}/task-{task}"
                await spool.put([Sample(first + n, asset, "parts", 1.0) for n in range(batch)])
                sys.stdout.write(f"{run} {task} {number}\n")
                sys.stdout.flush()

        await asyncio.gather(*(keep_putting(task) for task in range(4)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else BATCH))
