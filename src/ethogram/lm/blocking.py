"""The same calls, blocking: they run on one event loop of their own, on a thread of its own."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from ethogram.lm.model import LM

T = TypeVar("T")
_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def loop() -> asyncio.AbstractEventLoop:
    """The loop of blocking calls; its thread ends with the process."""
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="ethogram-lm", daemon=True).start()
        return _loop


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine; may be called where an event loop runs, whose thread it blocks."""
    waiting = asyncio.run_coroutine_threadsafe(work, loop())
    try:
        return waiting.result()
    except KeyboardInterrupt:
        waiting.cancel()
        raise


class Blocking:
    """`LM` without `await`: `lm.sync.chat(...)`, `lm.sync.answer(...)` and so on."""

    def __init__(self, lm: LM):
        self._lm = lm

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._lm, name)
        if not asyncio.iscoroutinefunction(method):
            raise AttributeError(f"LM.{name} is not an asynchronous call; use it as it is.")

        @functools.wraps(method)
        def call(*args: Any, **options: Any) -> Any:
            return run(method(*args, **options))

        return call

    def stream(self, *args: Any, **options: Any) -> Iterator[str]:
        """The pieces of a reply, as they come."""
        pieces = self._lm.stream(*args, **options)

        async def following() -> str | None:
            return await anext(pieces, None)

        while (text := run(following())) is not None:
            yield text
