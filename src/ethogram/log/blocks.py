"""A source in blocks of rows: what is larger than memory is read, judged and forgotten piece by piece."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import SourceError
from ethogram.log import delimited, finding
from ethogram.log.sources import Raw, _first_line, _named, _need_header, is_parquet, load

ROWS = 1 << 20
"""Rows of a block of Parquet or Arrow."""
PIECE = 1 << 26
"""Bytes of a block of text."""
UNPACKED = 5
"""How many bytes of text are expected of a compressed one."""


def weight(source: Any) -> int:
    """Bytes that the rows of a source take about, decompressed; 0 where it is in memory already."""
    if not isinstance(source, str | Path):
        return 0
    path = Path(source).expanduser()
    if not finding.there(path) or (path / "log.toml").is_file():
        return 0
    total = 0
    for file in _files(path)[0]:
        if is_parquet(file):
            import pyarrow.parquet as pq

            try:
                found = pq.ParquetFile(file, memory_map=True).metadata
            except (pa.ArrowException, OSError):
                return 0  # the reader says what is wrong
            total += max(sum(found.row_group(i).total_byte_size for i in range(found.num_row_groups)),
                         8 * found.num_rows * found.num_columns)  # fmt: skip
        else:
            total += file.stat().st_size * (UNPACKED if delimited.PACKED.search(file.name) else 1)
    return total


def read(source: Any, *, header: bool = True, rows: int = ROWS, piece: int = PIECE) -> Iterator[Raw]:
    """The rows of a source in order, block by block; what cannot be cut (lists, UTF-16) comes as one.

    Raises
    ------
    SourceError, OptionError
        See `sources.load`; a file that is damaged at its end is noticed there.
    """
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        if not finding.there(path) or (path / "log.toml").is_file():
            yield load(source, header=header)
            return
        files, root = _files(path)
        if all(is_parquet(f) for f in files):
            _need_header(header, str(path))
            yield from _parquet(files, str(path), root, rows)
        else:
            yield from _texts(files, header, piece)
    elif isinstance(source, pa.RecordBatchReader):
        yield from _batches(source, rows)
    else:
        raw = load(source, header=header)
        for at in range(0, max(len(raw), 1), rows):
            yield _shifted(raw, raw.table.slice(at, rows), at)


def _files(path: Path) -> tuple[list[Path], Path]:
    """(files of a source, the folder in which their folders are columns)."""
    if finding.is_pattern(path):
        files = finding.matched(path)
        return files, files[0].parent
    if path.is_dir():
        return finding.members(path)[0], path
    return [path], path.parent


def _shifted(raw: Raw, table: pa.Table, at: int) -> Raw:
    from dataclasses import replace

    return replace(raw, table=table, where=lambda rows: raw.where(rows + at), broken=raw.broken if at == 0 else [])


def _batches(reader: pa.RecordBatchReader, rows: int) -> Iterator[Raw]:
    name, at = "pyarrow RecordBatchReader", 0
    for batch in reader:
        for start in range(0, len(batch), rows):
            table = _named(pa.Table.from_batches([batch.slice(start, rows)]), name)
            first = at + start + 1
            yield Raw(name, table, lambda r, first=first: ([name] * len(r), r + first))  # type: ignore[misc]
        at += len(batch)


def _parquet(files: list[Path], name: str, root: Path, rows: int) -> Iterator[Raw]:
    import pyarrow.parquet as pq

    schemas = []
    for file in files:
        try:
            schemas.append(pq.read_schema(file, memory_map=True).remove_metadata())
        except (pa.ArrowException, OSError) as e:
            raise SourceError(f"{file}: not readable as Parquet, truncated or damaged ({_first_line(e)}).") from e
        if other := sorted(set(schemas[-1].names) ^ set(schemas[0].names)):
            raise SourceError(f"{file}: has not the same columns as {files[0]}; they differ in {', '.join(other)}.")
    try:
        whole = pa.unify_schemas(schemas, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as e:
        raise SourceError(f"{name}: the files do not have the same columns ({_first_line(e)}).") from e
    for file in files:
        at = 1
        inside = file.relative_to(root).parts[:-1] if file.is_relative_to(root) else ()
        try:
            for batch in pq.ParquetFile(file, memory_map=True, pre_buffer=False).iter_batches(rows):
                table = pa.Table.from_batches([batch]).select(whole.names).cast(whole)
                for key, _, value in (p.partition("=") for p in inside):
                    if value and key not in table.column_names:
                        table = table.append_column(key, pa.repeat(pa.scalar(value), len(table)))

                def where(r: np.ndarray, told: str = str(file), first: int = at) -> tuple[list[str], np.ndarray]:
                    return [told] * len(r), r + first

                yield Raw(name, _named(table, name), where)
                at += len(batch)
        except (pa.ArrowException, OSError) as e:
            raise SourceError(f"{file}: not readable as Parquet, truncated or damaged ({_first_line(e)}).") from e


def _texts(files: list[Path], header: bool, piece: int) -> Iterator[Raw]:
    first: Raw | None = None
    for file in files:
        for raw in _text(file, header, piece):
            other = sorted(set(raw.table.column_names) ^ set(first.table.column_names)) if first else []
            if first is not None and other and not (raw.partial and first.partial):
                raise SourceError(
                    f"{file}: has not the same columns as {first.name}; they differ in {', '.join(other)}."
                )
            first = first or raw
            yield raw


def _text(file: Path, header: bool, piece: int) -> Iterator[Raw]:
    found: delimited.Form | None = None
    begun: Raw | None = None
    line = 1
    for data in _pieces(file, piece):
        if found is None:
            wide = bytes(data[:2]) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
            text, marked = (data, False) if wide else delimited.as_utf8(file, data)
            found = delimited.Form("whole") if wide else delimited.form(file, text, header)
            if found.kind in ("whole", "lists", "spaces"):
                yield load(file, header=header)
                return
            begun = delimited.read(file, text, found, marked=marked, header=header)
            yield begun
        else:
            assert begun is not None
            text, marked = delimited.as_utf8(file, data)
            raw = delimited.more(file, text, found, begun, line, marked=marked)
            if raw is not None:
                yield raw
        line += int(np.count_nonzero(np.frombuffer(text, np.uint8) == ord("\n")))
    if found is None:
        raise SourceError(f"{file}: the file is empty.")


def _pieces(file: Path, size: int) -> Iterator[pa.Buffer]:
    """The bytes of a file, decompressed, cut behind line ends that are in no quoted value."""
    rest = b""
    try:
        with pa.input_stream(str(file), compression="detect" if delimited.PACKED.search(file.name) else None) as stream:
            while data := stream.read(size):
                whole = rest + data
                cut = _cut(whole)
                if cut:
                    yield pa.py_buffer(whole[:cut])
                rest = whole[cut:]
    except (pa.ArrowException, OSError) as e:
        raise delimited.unreadable(file, e) from e
    if rest:
        yield pa.py_buffer(rest)


def _cut(data: bytes) -> int:
    """Place behind the last line end before which quotes are even; where quotes are not well set, the last line end."""
    last = data.rfind(b"\n") + 1
    if not last or b'"' not in data:
        return last
    signs = np.frombuffer(data, np.uint8)
    ends, quotes = np.flatnonzero(signs == ord("\n")), np.flatnonzero(signs == ord('"'))
    even = ends[np.searchsorted(quotes, ends) % 2 == 0]
    return int(even[-1]) + 1 if len(even) and 2 * even[-1] >= len(data) else last
