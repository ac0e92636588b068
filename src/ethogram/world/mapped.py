"""Large columns of a snapshot: each in a file of its own, mapped by whoever comes back to it, never written again.

The file is NumPy's (.npy). Its pages are read when they are first looked at; a page is copied when it is first written,
and the copy is the process's own, so no write reaches the file. A later snapshot, or one of a branch, in which the
column is the same gets a second name of the file (a hard link), or its own copy where the file system has no links.
Whoever maps a file whose names are all removed keeps it until they are done with it. What must not happen to a file
that is mapped is that somebody cuts it where it lies: then the system ends the process that looks at what is gone.
"""

from __future__ import annotations

import io
import mmap
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.lib import format as npy

from ethogram.errors import StateError

Mark = tuple[int, int, int, int]
LARGE = 2**20
"""Bytes from which on a column has a file of its own; a snapshot of many small files would be slow."""


class _Mapped:
    """A file that is open; `array` is the column, read-only."""

    def __init__(self, number: int):
        self.number = number
        self.array = self.mapping(mmap.ACCESS_READ)

    def mapping(self, access: int) -> np.ndarray:
        whole = mmap.mmap(self.number, 0, access=access)
        npy.read_magic(whole)
        shape, _, kind = npy.read_array_header_1_0(whole)
        return np.frombuffer(whole, kind, int(np.prod(shape)), whole.tell()).reshape(shape)

    def __del__(self) -> None:
        os.close(self.number)


_mapped: WeakValueDictionary[tuple[str, Mark], _Mapped] = WeakValueDictionary()
"""What is mapped now: checkpoints and branches that share a file share its mapping, and it is checked once."""


@dataclass(frozen=True, eq=False)
class Stored:
    """A column as it lies in the newest snapshot that holds it.

    Attributes
    ----------
    digest : of the whole file. mark : what tells the file from another one that came to lie at `path`.
    """

    path: Path
    digest: str
    mark: Mark
    _file: _Mapped | None = None

    @property
    def array(self) -> np.ndarray | None:
        """The mapped column, read-only; None where it was written from memory and is not mapped."""
        return None if self._file is None else self._file.array

    def own(self) -> np.ndarray:
        """The mapped column to be written: no page is copied before it is."""
        assert self._file is not None
        return self._file.mapping(mmap.ACCESS_COPY)


def stored(path: Path, digest: str, *, check: bool = True) -> Stored:
    """Map a file.

    Parameters
    ----------
    check : whether its bytes are read and compared with `digest`; not needed for what was just written.

    Raises
    ------
    ValueError
        It is not what was written. OSError: it cannot be read.
    """
    number = os.open(path, os.O_RDONLY)
    try:
        mark = _mark(number)
        found = _mapped.get((digest, mark))
        if found is None:
            if check:
                with mmap.mmap(number, 0, access=mmap.ACCESS_READ) as data:
                    if _digest([data]) != digest:
                        raise ValueError(f"the content of {path.name} is not what was written")
            found = _mapped[digest, mark] = _Mapped(os.dup(number))
        return Stored(path, digest, mark, found)
    finally:
        os.close(number)


def put(array: np.ndarray, place: Path, last: Stored | None) -> Stored:
    """Write a column, or link the file that holds it already; `last` is where it was stored before.

    Returns
    -------
    What lies at `place`, flushed to the disk.

    Raises
    ------
    StateError
        The file that `array` maps is not what it was.
    """
    unwritten = last is not None and last.array is array
    whole = np.ascontiguousarray(array)
    head = io.BytesIO()
    npy.write_array_header_1_0(head, npy.header_data_from_array_1_0(whole))
    pieces = (head.getvalue(), whole.reshape(-1).view(np.uint8).data)
    digest = last.digest if last is not None and unwritten else _digest(pieces)
    if last is not None and last.digest == digest and _linked(last, place):
        return replace(last, path=place) if unwritten else Stored(place, digest, last.mark)
    if last is not None and unwritten and digest != _digest(pieces):
        raise StateError(
            f"{last.path} was changed while a run looked at it; go back to an earlier checkpoint, or fork."
        )
    with place.open("wb") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
        mark = _mark(file.fileno())
    return replace(last, path=place, mark=mark) if last is not None and unwritten else Stored(place, digest, mark)


def _linked(last: Stored, place: Path) -> bool:
    """Whether `place` is now another name of the file, and that file is still what was stored."""
    try:
        os.link(last.path, place)
    except OSError:  # another file system, one without links, too many of them, or the snapshot is gone
        return False
    if _mark(place) == last.mark:
        return True
    place.unlink()
    return False


def _mark(file: int | Path) -> Mark:
    told = os.stat(file)
    return told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns


def _digest(pieces: Iterable[Any]) -> str:
    made = blake2b(digest_size=16)
    for piece in pieces:
        made.update(piece)
    return made.hexdigest()


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two columns are equal byte by byte; compared in pieces, as the comparison takes memory, too."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    a, b = (np.ascontiguousarray(x).reshape(-1).view(np.uint8) for x in (one, other))
    return all(np.array_equal(a[at : at + LARGE], b[at : at + LARGE]) for at in range(0, len(a), LARGE))


def owned(arrays: dict[str, np.ndarray], name: str, shared: set[str], files: Mapping[str, Stored]) -> np.ndarray:
    """The column, to be written by its one owner: what is shared is copied first, what is mapped page by page."""
    if name in shared:
        lies = files.get(name)
        arrays[name] = lies.own() if lies is not None and lies.array is arrays[name] else arrays[name].copy()
        shared.discard(name)
    return arrays[name]
