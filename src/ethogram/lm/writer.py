"""Group commit: many answers become durable in one transaction, and no caller sees an answer before it is kept.

While one batch is written on a thread of its own, the next gathers; so the number of transactions follows the disk
and not the calls. SQLite in WAL mode with `synchronous=NORMAL`: a killed process loses nothing that was committed; a
power failure may lose the last moments, but never damages the file.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

Write = Callable[[], None]
"""Writes a batch's rows; runs on the writer's thread."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection that several threads may use in turn and several processes at once."""
    db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    return db


class Writer:
    """Rows for several stores, committed together per batch.

    `flush(rows)` is called on one thread with all rows of a batch, in order. Batches of different event loops are
    separate but are written by the same thread.
    """

    def __init__(self, flush: Callable[[list[Any]], None]):
        self._flush = flush
        self._thread = ThreadPoolExecutor(1, "ethogram-lm-writer")
        self._lock = threading.Lock()
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Gathering] = weakref.WeakKeyDictionary()

    async def write(self, row: Any) -> None:
        """Return when the row is committed; raises what the disk raised."""
        loop = asyncio.get_running_loop()
        gathering = self._loops.get(loop)
        if gathering is None:
            gathering = self._loops[loop] = _Gathering(loop, self._written)
        await asyncio.shield(gathering.add(row))

    def _written(self, rows: list[Any], done: Callable[[BaseException | None], None]) -> None:
        def work() -> None:
            try:
                with self._lock:
                    self._flush(rows)
            except BaseException as error:
                done(error)
            else:
                done(None)

        self._thread.submit(work)

    def close(self) -> None:
        """Wait for what is being written."""
        self._thread.shutdown(wait=True)


class _Gathering:
    """The open batch of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, written: Callable[..., None]):
        self._loop = weakref.ref(loop)
        self._send = written
        self._rows: list[Any] = []
        self._done: asyncio.Future[None] | None = None
        self._busy = False

    def add(self, row: Any) -> asyncio.Future[None]:
        loop = self._loop()
        assert loop is not None
        if self._done is None:
            self._done = loop.create_future()
        self._rows.append(row)
        done = self._done
        if not self._busy:
            self._busy = True
            # what the loop has ready is gathered first: a thousand replies that came together are one batch
            loop.call_soon(self._start)
        return done

    def _start(self) -> None:
        rows, done = self._rows, self._done
        self._rows, self._done = [], None
        loop = self._loop()
        if not rows or done is None or loop is None:
            self._busy = False
            return

        def finished(error: BaseException | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._finish, done, error)

        self._send(rows, finished)

    def _finish(self, done: asyncio.Future[None], error: BaseException | None) -> None:
        if not done.done():
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)
                done.exception()  # waiting callers raise it; without any, there is nobody to tell
        self._start()
