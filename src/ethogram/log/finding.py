"""Which files a path means: itself, those that a pattern like ``part-*.csv`` matches, those of a folder."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from ethogram.errors import SourceError, nearest
from ethogram.log import kernels
from ethogram.log.coding import distinct_values
from ethogram.log.sources import Raw, Where

TEXT = re.compile(r"\.(csv|tsv|jsonl|ndjson|inter)(\.(gz|bz2|zst|lz4))?$", re.IGNORECASE)
"""Names of the text files that a folder of events may hold."""


def is_pattern(path: Path) -> bool:
    """Whether a path is a pattern for names, and not the name of something that is there."""
    return not path.exists() and glob.has_magic(str(path))


def matched(path: Path) -> list[Path]:
    """Files that a pattern matches, by name; ``**`` goes into folders.

    Raises
    ------
    SourceError
        There is none.
    """
    found = sorted(Path(p) for p in glob.glob(str(path), recursive=True) if Path(p).is_file())
    if not found:
        raise SourceError(f"{path}: no file matches this pattern.")
    return found


def there(path: Path) -> bool:
    """Whether a source can be read from this path."""
    return path.exists() or (is_pattern(path) and any(True for _ in glob.iglob(str(path), recursive=True)))


def missing(path: Path) -> SourceError:
    """The error for a path that does not exist."""
    around = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    return SourceError(f"{path}: no such file or folder.{nearest(path.name, around)}")


def members(folder: Path) -> tuple[list[Path], str]:
    """(files of a folder that hold its events, ``parquet`` or ``text``).

    Raises
    ------
    SourceError
        There are none, or text files of several formats.
    """
    hidden = (".", "_")
    files = [p for p in sorted(folder.rglob("*")) if not p.relative_to(folder).parts[-1].startswith(hidden)]
    files = [p for p in files if not any(q.startswith(hidden) for q in p.relative_to(folder).parts) and p.is_file()]
    parquet = [p for p in files if p.suffix == ".parquet"]
    if parquet:
        return parquet, "parquet"
    text = [(p, m[1].lower()) for p in files if (m := TEXT.search(p.name))]
    kinds = sorted({kind for _, kind in text})
    if "inter" in kinds:  # side tables and lists may lie beside atomic files
        text, kinds = [(p, kind) for p, kind in text if kind == "inter"], ["inter"]
    if len(kinds) > 1:
        raise SourceError(f"{folder}: holds {' and '.join(kinds)} files; name those to read, such as *.{kinds[0]}.")
    if not text:
        raise SourceError(
            f"{folder}: the folder is neither a log (no log.toml) nor does it hold Parquet, CSV, TSV, JSONL or "
            "atomic files."
        )
    return [p for p, _ in text], "text"


def joined(parts: Sequence[Raw], name: str) -> Raw:
    """The rows of several text files one after another; each keeps its file and its lines.

    Raises
    ------
    SourceError
        Their columns differ. (Fields that some JSON lines lack are missing there.)
    """
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    for part in parts[1:]:
        other = sorted(set(part.table.column_names) ^ set(first.table.column_names))
        if other and not (part.partial and first.partial):
            raise SourceError(
                f"{part.name}: has not the same columns as {first.name}; they differ in {', '.join(other)}."
            )
    table = pa.concat_tables([p.table for p in parts], promote_options="default")
    if any(p.continues for p in parts):
        table = _renumbered(table)
    return replace(
        first, name=name, table=table, where=_where(parts),
        broken=[b._replace(file=b.file or p.name) for p in parts for b in p.broken],
        marked=any(p.marked for p in parts),
    )  # fmt: skip


def _where(parts: Sequence[Raw]) -> Where:
    ends = np.cumsum([len(p) for p in parts])

    def where(rows: np.ndarray) -> tuple[list[str], np.ndarray]:
        owner = np.searchsorted(ends, rows, side="right")
        files, lines = np.empty(len(rows), object), np.empty(len(rows), np.int64)
        for i in np.unique(owner):
            mine = owner == i
            named, lines[mine] = parts[i].where(rows[mine] - (ends[i] - len(parts[i])))
            files[mine] = named
        return files.tolist(), lines

    return where


def _renumbered(table: pa.Table) -> pa.Table:
    """Lists of several files: a user's items of a later file come behind those of an earlier one."""
    places, distinct = distinct_values(table["user"])
    rows, offsets = kernels.sort_events(places, [], len(distinct))
    order = np.empty(len(rows), np.int64)
    order[rows] = kernels.within(offsets[:-1], offsets[1:])
    return table.set_column(table.column_names.index("order"), "order", pa.array(order))
