"""One LMDB environment that grows by itself, commits for many threads at once, and survives a full disk.

LMDB gives readers a snapshot without a lock, and one writer at a time, across processes too: two processes may open
the same path and write in turn. What this adds, within a process:

- group commit: writers that wait while another commits go into one transaction and share its fsync;
- growth: a full map is doubled and the transaction done again. LMDB forbids transactions of the same process while
  the map changes, so there and in `rewrite` readers wait for a moment, else never;
- a failed write (disk full) is undone, raised as `StoreError`, and the environment opened anew where LMDB asks for it.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import lmdb

from ethogram.errors import StoreError
from ethogram.log.journal import sync

T = TypeVar("T")
Transaction = Any
READERS = 1_024
"""Transactions that may read at once, over all processes."""
MOMENT = 1e-4
"""Seconds between looks whether all transactions have ended."""


class _Turn(Generic[T]):
    """A job that waits to be committed, and what became of it."""

    def __init__(self, job: Callable[[Transaction], T]) -> None:
        self.job, self.done, self.leads = job, False, False
        self.woken = threading.Event()
        self.result: T | None = None
        self.error: BaseException | None = None


class Mapped:
    """An environment in the folder `path` with the named databases; `db[name]` goes into calls of a transaction.

    Parameters
    ----------
    durable : fsync at every commit; without, a crash of the machine (not of the process) may damage everything.
    size : bytes of the map to begin with.

    Raises
    ------
    StoreError
        It cannot be opened.
    """

    def __init__(self, path: Path, names: Sequence[str], *, durable: bool, size: int) -> None:
        self.path, self.names, self.durable, self.size = path, tuple(names), durable, size
        self.db: dict[str, Any] = {}
        self._env: Any = None
        self._gate, self._shut = threading.Lock(), False
        self._inside: set[object] = set()
        self._writer, self._queue = threading.Lock(), threading.Lock()
        self._turns: deque[_Turn[Any]] = deque()
        self._led = False
        made = [folder for folder in (path, *path.parents) if not folder.exists()]
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._flag = os.open(path / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(self._flag, fcntl.LOCK_SH)
                self._open()
                if made and durable:
                    sync(*made, made[-1].parent)
            except BaseException:
                os.close(self._flag)
                raise
        except (lmdb.Error, OSError) as error:
            raise StoreError(f"{path}: cannot be opened as a store: {error}.") from error

    def _open(self) -> None:
        self._env = lmdb.open(
            str(self.path), map_size=self.size, max_dbs=len(self.names), max_readers=READERS, mode=0o600,
            sync=self.durable, metasync=self.durable, writemap=False, readahead=False,
        )  # fmt: skip
        info = self._env.info()
        length = (self.path / "data.mdb").stat().st_size
        if not self.durable and length < (info["last_pgno"] + 1) * self._env.stat()["psize"]:
            # reading behind the end of a file kills the process. (A ledger may end early: its last pages may be free.)
            self._env.close()
            raise lmdb.InvalidError(f"{self.path}: the file is shorter than it was")
        self._env.reader_check()  # slots of killed processes would keep old pages from being used again
        self.size = max(self.size, info["map_size"])
        try:
            self.db = {name: self._env.open_db(name.encode()) for name in self.names}
        except lmdb.MapResizedError:  # another process let the map grow meanwhile; opened again, it has its size
            self._env.close()
            self._open()

    # -- reading ------------------------------------------------------------------------------------------------------

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A snapshot; must not be held while the caller waits for anything, nor inside `write`."""
        with self._entered():
            try:
                transaction = self._env.begin(buffers=True)
            except lmdb.MapResizedError:
                transaction = None
            if transaction is not None:
                try:
                    with transaction:
                        yield transaction
                except lmdb.Error as error:
                    raise StoreError(f"{self.path}: cannot be read: {error}.") from error
                return
        with self._writer:
            self._resize(0)  # another process let the map grow
        with self.read() as transaction:
            yield transaction

    @contextmanager
    def _entered(self) -> Iterator[None]:
        # no lock on this way: a set's `add` and `discard` are atomic, and who shuts the gate looks into it afterwards
        me = object()
        self._inside.add(me)
        try:
            while self._shut:
                self._inside.discard(me)
                with self._gate:
                    pass
                self._inside.add(me)
            if self._env is None:
                raise StoreError(f"{self.path}: the store is closed.")
            yield
        finally:
            self._inside.discard(me)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No reading transaction of this process is open within."""
        with self._gate:
            self._shut = True
            try:
                while self._inside:
                    time.sleep(MOMENT)
                yield
            finally:
                self._shut = False

    def _resize(self, size: int) -> None:
        with self.alone():
            if self._env is not None and (size == 0 or size > self._env.info()["map_size"]):
                self._env.set_mapsize(size)
                self.size = self._env.info()["map_size"]

    # -- writing ------------------------------------------------------------------------------------------------------

    def write(self, job: Callable[[Transaction], T]) -> T:
        """Run a job in a write transaction, together with others that wait; returns when it is committed.

        The job may run more than once (before its transaction was committed), so it changes nothing else.
        """
        turn = _Turn(job)
        with self._queue:
            self._turns.append(turn)
            turn.leads, self._led = not self._led, True
        if not turn.leads:
            self._waited(turn)
        if turn.leads:
            self._lead()
        if turn.error is not None:
            raise turn.error
        return turn.result  # type: ignore[return-value]

    def _waited(self, turn: _Turn[Any]) -> None:
        try:
            turn.woken.wait()
        except BaseException:  # interrupted: nobody may be left waiting for this thread to lead
            with self._queue:
                if not turn.leads and turn in self._turns:
                    self._turns.remove(turn)
            if turn.leads:
                self._lead()
            raise

    def _lead(self) -> None:
        """Commit all that wait, and hand on to the first of those who came meanwhile."""
        with self._queue:
            turns = list(self._turns)
            self._turns.clear()
        try:
            with self._writer:
                if not self._tried(turns) and len(turns) > 1:
                    for turn in turns:  # whose fault it was must not hurt the others
                        self._tried([turn])
        finally:
            for turn in turns:
                if not turn.done and turn.error is None:
                    turn.error = StoreError(f"{self.path}: the writing thread was interrupted.")
            with self._queue:
                self._led = bool(self._turns)
                if self._turns:
                    self._turns[0].leads = True
                    self._turns[0].woken.set()
            for turn in turns:
                turn.woken.set()

    def _tried(self, turns: Sequence[_Turn[Any]]) -> bool:
        try:
            results = self._committed([t.job for t in turns])
        except Exception as error:
            for turn in turns:
                turn.error = error if isinstance(error, StoreError) else self._told(error)
            return False
        for turn, result in zip(turns, results, strict=True):
            turn.result, turn.error, turn.done = result, None, True
        return True

    def _told(self, error: Exception) -> Exception:
        if isinstance(error, (lmdb.Error, OSError)):
            found = StoreError(f"{self.path}: cannot be written: {error}. Nothing of the call was kept; try again.")
            found.__cause__ = error
            return found
        return error

    def _committed(self, jobs: Sequence[Callable[[Transaction], Any]]) -> list[Any]:
        opened = False
        while True:
            try:
                return self._once(jobs)
            except lmdb.MapFullError:
                self._resize(self.size * 2)
            except lmdb.MapResizedError:
                self._resize(0)
            except lmdb.PanicError:  # a failed fsync: LMDB does not trust the environment any more
                if opened:
                    raise
                opened = True
                self._again()

    def _once(self, jobs: Sequence[Callable[[Transaction], Any]]) -> list[Any]:
        if self._env is None:
            raise StoreError(f"{self.path}: the store is closed.")
        transaction = self._env.begin(write=True)
        try:
            results = [job(transaction) for job in jobs]
        except BaseException:
            with self.alone():  # the binding waits in an abort until nobody reads, which under load is never
                transaction.abort()
            raise
        transaction.commit()
        return results

    def _again(self) -> None:
        with self.alone():
            if self._env is not None:
                self._env.close()
                self._open()

    # -- whole files --------------------------------------------------------------------------------------------------

    def rewrite(self) -> bool:
        """Replace the file by a copy without free pages, in which deleted bytes still stand.

        Not while another process has it open; then False, and pages are only used again one by one.
        """
        fresh = self.path / "fresh"
        with self._writer:
            if not self.sole():
                return False
            try:
                _emptied(fresh)
                fresh.mkdir()
                with self._entered():  # readers go on
                    self._env.copy(str(fresh), compact=True)
                sync(fresh / "data.mdb")
                with self.alone():
                    self._env.close()
                    os.replace(fresh / "data.mdb", self.path / "data.mdb")
                    sync(self.path)
                    self._open()
            except (lmdb.Error, OSError) as error:
                raise StoreError(f"{self.path}: cannot be rewritten: {error}; the old file is in use.") from error
            finally:
                _emptied(fresh)
                fcntl.flock(self._flag, fcntl.LOCK_SH)
        return True

    def sole(self) -> bool:
        """Whether no other process has it open; if so none can until the lock is shared again."""
        try:
            fcntl.flock(self._flag, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            fcntl.flock(self._flag, fcntl.LOCK_SH)
            return False
        return True

    def flush(self) -> None:
        """Write what a disposable environment has not yet."""
        with self._entered():
            self._env.sync(True)

    @property
    def closed(self) -> bool:
        return self._env is None

    def close(self) -> None:
        """Waits for transactions under way; calls afterwards raise StoreError."""
        with self._writer, self.alone():
            if self._env is not None:
                self._env.close()
                self._env = None
                os.close(self._flag)


def _emptied(folder: Path) -> None:
    if folder.exists():
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
