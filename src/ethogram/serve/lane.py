"""One thread with a bounded queue in front of it: what blocks runs here, and the event loop goes on.

What waits while a piece of work is done is handed over together, at most `batch` of it. A thread that sleeps is woken
once for a group and wakes the loop once, so that a busy server pays the hand-over less often than an idle one.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from ethogram.serve.problems import Refused

_A = TypeVar("_A")
_R = TypeVar("_R")


class Lane(Generic[_A, _R]):
    """Hands what is asked to `work` in groups.

    Parameters
    ----------
    work : takes a group, gives an answer or an exception for each.
    waiting : how many may wait; the next is refused as overloaded.
    """

    def __init__(
        self, name: str, work: Callable[[list[_A]], Sequence[_R | Exception]], *, waiting: int, batch: int = 32
    ):
        self.name, self.work, self.waiting, self.batch = name, work, waiting, batch
        self.depth = 0
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def check(self) -> None:
        """Refuse at once, before any work, what would be refused anyway.

        Raises
        ------
        Refused
            Too many wait already.
        """
        if self.depth >= self.waiting:
            raise Refused("overloaded", f"{self.depth} requests wait already.", right="try again", after=1.0)

    async def ask(self, what: _A) -> _R:
        """The answer of `work`.

        Raises
        ------
        Refused
            Too many wait already.
        """
        self.check()
        if self._thread is None:
            self._start()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_R] = loop.create_future()
        self.depth += 1
        self._queue.put((what, answer, loop))
        try:
            return await answer
        finally:
            self.depth -= 1

    def soon(self, chore: Callable[[], object]) -> None:
        """Let the thread do something between two groups; it must not raise."""
        if self._thread is None:
            self._start()
        self._queue.put(chore)

    def close(self) -> None:
        """Let the thread finish what waits, and end; what is asked later starts another."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join(timeout=30)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"ethogram-{self.name}", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            group, ends = [first], False
            with contextlib.suppress(Empty):
                while len(group) < self.batch and not ends:
                    group.append(self._queue.get_nowait())
                    ends = group[-1] is None
            chores = [g for g in group if callable(g)]
            asked = [g for g in group if isinstance(g, tuple) and not g[1].cancelled()]
            if asked:
                self._answer(asked)
            for chore in chores:
                chore()
            if ends:
                return

    def _answer(self, asked: list[Any]) -> None:
        try:
            answers: Sequence[Any] = self.work([what for what, _, _ in asked])
        except Exception as error:
            # one bad request must not fail those that came with it
            answers = [error] if len(asked) == 1 else [self._alone(what) for what, _, _ in asked]
        by_loop: dict[Any, list[tuple[asyncio.Future[_R], Any]]] = {}
        for (_, future, loop), answer in zip(asked, answers, strict=True):
            by_loop.setdefault(loop, []).append((future, answer))
        for loop, pairs in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_deliver, pairs)

    def _alone(self, what: _A) -> Any:
        try:
            return self.work([what])[0]
        except Exception as error:
            return error


def _deliver(pairs: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, answer in pairs:
        if future.done():  # the caller is gone
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
