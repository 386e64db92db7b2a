"""Serve the seeded plant live, to look at: `python -m tests.dashboards [PORT]`."""

import asyncio
import random
import sys
import time

from dashboards.web.app import create_app
from dashboards.web.config import WebConfig
from dashboards.web.server import serve
from tests.dashboards.seeded import NOW_NS, full, probe


async def main() -> None:
    config = WebConfig(port=int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    seeded = full(config=config)
    offset = NOW_NS - time.time_ns()
    chance = random.Random(1)

    async def live() -> None:
        while True:
            seeded.clock.now_ns = time.time_ns() + offset
            seeded.store.write([probe(seeded.clock.now_ns, chance)])
            await asyncio.sleep(0.5)

    def ready(address: str) -> None:
        sys.stderr.write(f"{address}\n")

    async with asyncio.TaskGroup() as group:
        group.create_task(live(), name="live")
        group.create_task(serve(create_app(seeded.context), config, ready=ready), name="serve")


if __name__ == "__main__":
    asyncio.run(main())
