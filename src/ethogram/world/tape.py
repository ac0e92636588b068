"""The tape of a run: records of ticks, in memory or in a file that only grows, each with its link of the chain."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ethogram.errors import StateError, WorldError
from ethogram.world.events import LINK, Record, decode, link

NAME = "events.bin"
_MAGIC = b"ethogram events 1\n"


@dataclass(frozen=True)
class Entry:
    """A record on the tape: its tick, its number of events, the chain behind it, and where its bytes are."""

    tick: int
    events: int
    chain: bytes
    where: bytes | tuple[Path, int, int]

    def record(self) -> Record:
        if isinstance(self.where, bytes):
            return decode(memoryview(self.where), 0)[0]
        path, at, size = self.where
        with path.open("rb") as file:
            file.seek(at)
            return decode(memoryview(file.read(size)), 0)[0]


class Tape:
    """Records in order of their ticks.

    Parameters
    ----------
    path : a file; None keeps the records in memory.
    """

    def __init__(self, path: Path | None = None, entries: list[Entry] | None = None):
        self.path, self.entries = path, entries or []
        self._file: Any = None
        self._size = 0
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _opened(path)
            if self._file.tell() == 0:
                self._file.write(_MAGIC)
                self.entries = self._taken(path, self.entries)
                self._file.flush()
            self._size = self._file.tell()

    @property
    def chain(self) -> bytes:
        """The last link; zeros where nothing has happened."""
        return self.entries[-1].chain if self.entries else bytes(LINK)

    @property
    def events(self) -> int:
        return sum(e.events for e in self.entries)

    def _taken(self, path: Path, entries: list[Entry]) -> list[Entry]:
        """Write the records of the run that this one branched off, as they lie there; the entries of the copies."""
        made, files = [], dict[Path, Any]()
        with ExitStack() as opened:
            for entry in entries:
                start = self._file.tell()
                if isinstance(entry.where, bytes):
                    self._put([entry.where], entry.chain)
                else:
                    source, at, size = entry.where
                    if source not in files:
                        files[source] = opened.enter_context(source.open("rb"))
                    _copied(files[source], at, size, self._file)
                made.append(replace(entry, where=(path, start, self._file.tell() - start)))
        return made

    def _put(self, pieces: list[Any], chain: bytes) -> int:
        size = 0
        for piece in (*pieces, chain):
            self._file.write(piece)
            size += len(piece)
        return size

    def append(self, record: Record) -> None:
        """Add a record, handed to the system before the call returns."""
        pieces = record.encode()
        chain = link(self.chain, pieces)
        where: Any
        if self._file is None:
            where = b"".join(pieces)
        else:
            size = self._put(pieces, chain)
            self._file.flush()
            where = (self.path, self._size, size)
            self._size += size
        self.entries.append(Entry(record.tick, len(record), chain, where))

    def sync(self) -> None:
        """Flush to the disk itself."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    def records(self, first: int = 0, last: int | None = None) -> Iterator[Record]:
        """Records of ticks from `first` up to `last` (exclusive)."""
        for entry in self.entries:
            if entry.tick >= first and (last is None or entry.tick < last):
                yield entry.record()

    def before(self, tick: int) -> list[Entry]:
        """Entries of earlier ticks."""
        return [e for e in self.entries if e.tick < tick]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    @classmethod
    def read(cls, path: Path) -> Tape:
        """The tape of a run that was broken off; a record that was cut in half is dropped, and so is what is behind.

        Raises
        ------
        StateError
            The file is none of ours, or a record before its end is not what was written.
        """
        try:
            mapped = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8)
        except OSError as error:
            raise StateError(
                f"{path} cannot be read ({error.strerror}); a run's folder holds its events there."
            ) from None
        data = mapped.data
        if len(data) < len(_MAGIC) and _MAGIC.startswith(bytes(data)):  # killed before anything happened
            del data, mapped
            file = _opened(path)
            os.truncate(path, 0)
            file.close()
            return cls(path)
        if bytes(data[: len(_MAGIC)]) != _MAGIC:
            raise StateError(f"{path} is not a tape of events.")
        at, entries, chain = len(_MAGIC), [], bytes(LINK)
        while at < len(data):
            try:
                record, end = decode(data, at)
            except StateError:
                break  # a process that was killed while it wrote; what is lost is decided again
            if end + LINK > len(data):
                break
            told = bytes(data[end : end + LINK])
            chain = link(chain, [data[at:end]])
            if told != chain:
                if end + LINK == len(data):
                    break
                raise StateError(f"{path}: the events of tick {record.tick} are not what was written.")
            entries.append(Entry(record.tick, len(record), chain, (path, at, end + LINK - at)))
            at = end + LINK
        del data, mapped
        file = _opened(path)
        if at < path.stat().st_size:
            os.truncate(path, at)
        made = cls.__new__(cls)
        made.path, made.entries, made._file, made._size = path, entries, file, at
        return made


def _opened(path: Path) -> Any:
    """The file, for one writer; the lock ends with the process, however it ends."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise WorldError(f"{path.parent}: this run is open elsewhere; close it there, or fork it.") from None
    return file


def _copied(source: Any, at: int, size: int, to: Any) -> None:
    """Append a part of a file, in pieces."""
    source.seek(at)
    while size:
        piece = source.read(min(size, 2**20))
        if not piece:
            raise StateError(f"{source.name} ends before its events do.")
        to.write(piece)
        size -= len(piece)
