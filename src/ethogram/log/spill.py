"""Rows that wait on disk: blocks in the order in which they came, and parts that belong together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa


class Blocks:
    """Tables one after another, each in a file of its own below `folder`."""

    def __init__(self, folder: Path, name: str):
        self._folder, self._name = folder, name
        self.lengths: list[int] = []

    def __len__(self) -> int:
        return len(self.lengths)

    def add(self, table: pa.Table) -> None:
        with pa.OSFile(str(self._place(len(self))), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table.combine_chunks())
        self.lengths.append(len(table))

    def __getitem__(self, number: int) -> pa.Table:
        """A block, mapped into memory."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        with pa.memory_map(str(self._place(number))) as file:
            return pa.ipc.open_file(file).read_all()

    def drop(self, number: int) -> None:
        """Give a block's room on the disk back."""
        self._place(number).unlink()

    def _place(self, number: int) -> Path:
        return self._folder / f"{self._name}-{number:06d}.arrow"


class Parts:
    """Rows dealt out to parts, appended to a file per part."""

    def __init__(self, folder: Path, count: int, schema: pa.Schema):
        self._paths = [folder / f"part-{i:06d}.arrow" for i in range(count)]
        self._files = [pa.OSFile(str(p), "wb") for p in self._paths]
        self._writers = [pa.ipc.new_stream(f, schema) for f in self._files]

    def deal(self, table: pa.Table, part: np.ndarray) -> None:
        """Each row to its part, in the order in which they stand."""
        order = np.argsort(part, kind="stable")
        ends = np.searchsorted(part[order], np.arange(len(self._paths) + 1))
        moved = table.take(pa.array(order)).combine_chunks()
        for i, writer in enumerate(self._writers):
            if ends[i + 1] > ends[i]:
                writer.write_table(moved.slice(ends[i], ends[i + 1] - ends[i]))

    def __iter__(self) -> Iterator[pa.Table]:
        """Each part in turn; its file goes when the next is asked for."""
        for writer, file in zip(self._writers, self._files, strict=True):
            writer.close()
            file.close()
        for path in self._paths:
            with pa.memory_map(str(path)) as file:
                yield pa.ipc.open_stream(file).read_all()
            path.unlink()
