"""A blocking call awaited without being able to hold up the end of the process."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(call: Callable[[], T]) -> T:
    """The result of `call`, made in a thread of its own; when cancelled, the thread is left to end by itself.

    Not `asyncio.to_thread`: its threads are waited for at exit, and a connection attempt may hang for many seconds.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # None only when T is

    def work() -> None:
        result, error = None, None
        try:
            result = call()
        except BaseException as raised:  # carried to the awaiting task
            error = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name="connecting", daemon=True).start()
    return await future
