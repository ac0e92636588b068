"""Writing so that a kill at any moment leaves the old state or the new one: files hashed and flushed, one rename."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pyarrow as pa

from ethogram.errors import LogFormatError


class Member(NamedTuple):
    """A file of a log: path inside it, bytes, BLAKE2b-128 of the bytes (hex)."""

    path: str
    bytes: int
    hash: str


class HashingFile:
    """A binary file for writing that hashes what passes through."""

    def __init__(self, file: IO[bytes]):
        self._file = file
        self._digest = hashlib.blake2b(digest_size=16)
        self.size = 0
        self.closed = False

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._digest.update(view)
        self._file.write(view)
        self.size += len(view)
        return len(view)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """The caller closes the file itself."""

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


@contextmanager
def member(root: Path, path: str, into: list[Member]) -> Iterator[HashingFile]:
    """Write one file of a log; flushed to the disk and listed in `into` when the block ends."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        hashing = HashingFile(file)
        yield hashing
        file.flush()
        os.fsync(file.fileno())
    into.append(Member(path, hashing.size, hashing.hexdigest()))


def write_table(root: Path, path: str, table: pa.Table, into: list[Member]) -> None:
    """A Parquet file that any engine reads: plain types, no Arrow schema inside, statistics for pruning."""
    import pyarrow.parquet as pq

    with member(root, path, into) as file:
        pq.write_table(
            table, pa.PythonFile(file, "w"), compression="zstd", compression_level=1,
            use_dictionary=_texts(table.schema), store_schema=False, write_page_index=False,
        )  # fmt: skip


ROW_GROUP = 1 << 20
"""Rows of a row group of events."""


class RowGroups:
    """A Parquet file of events that grows by whole row groups; see `write_table`."""

    def __init__(self, file: HashingFile, schema: pa.Schema):
        import pyarrow.parquet as pq

        self._writer = pq.ParquetWriter(
            pa.PythonFile(file, "w"), schema, compression="zstd", compression_level=1, use_dictionary=_texts(schema),
            store_schema=False, write_page_index=False,
        )  # fmt: skip
        self.rows = 0

    def add(self, table: pa.Table) -> None:
        """At most `ROW_GROUP` rows."""
        self._writer.write_table(table, row_group_size=ROW_GROUP)
        self.rows += len(table)

    def close(self) -> None:
        self._writer.close()


def _texts(schema: pa.Schema) -> list[str]:
    return [f.name for f in schema if not pa.types.is_primitive(f.type) and not pa.types.is_nested(f.type)]


@contextmanager
def array(root: Path, path: str, kind: Any, length: int, into: list[Member]) -> Iterator[Callable[[np.ndarray], None]]:
    """A .npy file of known length whose values come piece by piece, through the function that is given."""
    head = {"descr": np.lib.format.dtype_to_descr(np.dtype(kind)), "fortran_order": False, "shape": (length,)}
    with member(root, path, into) as file:
        np.lib.format.write_array_header_1_0(file, head)

        def put(part: np.ndarray) -> None:
            if len(part):
                file.write(np.ascontiguousarray(part, kind).data)

        yield put


def write_array(root: Path, path: str, array: np.ndarray, into: list[Member]) -> None:
    """A .npy file, little-endian, C order."""
    array = np.ascontiguousarray(array)
    with member(root, path, into) as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data if array.size else b"")


def sync(*directories: Path) -> None:
    """Flush the entries of directories, so that files in them survive a power cut."""
    for directory in directories:
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def replace_text(path: Path, text: str) -> None:
    """Put `text` in place of a file's content in one step."""
    beside = path.with_name(path.name + ".new")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    sync(path.parent)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock file `path`; it is released when the process ends, however it ends.

    Raises
    ------
    LogFormatError
        Another process holds it and `wait` is false.
    """
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LogFormatError(f"{path.parent}: another process is writing here.") from None
        yield
