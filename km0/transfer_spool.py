"""Before a plant moves: what still waits in its spool goes into the old store, so that nothing stays behind."""

import asyncio
from pathlib import Path

from pipeline.ingest.dead_letters import DeadLetters
from pipeline.ingest.drain import Drain
from pipeline.ingest.spool import Spool
from telemetry.errors import StoreError
from telemetry.health import Component
from telemetry.protocols import Store


def drained(path: Path, store: Store) -> tuple[int, int]:
    """Move all that waits, and return how many samples that were and how many dead letters lie there now.

    Raises StoreError when the store does not take them, ConfigError when the spool cannot be had.
    """
    if not path.exists():
        return 0, 0
    return asyncio.run(_drained(path, store)), DeadLetters(path).count()


async def _drained(path: Path, store: Store) -> int:
    component = Component("drain")
    async with Spool(path) as spool:
        waiting = spool.samples
        drain = asyncio.create_task(Drain(spool, store, component, sleep=_given_up).run(), name="drain")
        emptied = asyncio.create_task(spool.emptied(), name="emptied")
        try:
            await asyncio.wait({drain, emptied}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            emptied.cancel()
            drain.cancel()
            ended, _ = await asyncio.gather(drain, emptied, return_exceptions=True)
        if isinstance(ended, StoreError):
            why = component.snapshot()["detail"].partition("; samples wait")[0]
            raise StoreError(
                f"{spool.samples} samples wait in the spool {path}, and the old store does not take them ({why}); "
                "nothing was moved: put that right and move again"
            )
        if isinstance(ended, Exception):
            raise ended
        return waiting


async def _given_up(_: float) -> None:
    """A person waits: the first refusal is told instead of trying again for ever."""
    raise StoreError("not tried again")
