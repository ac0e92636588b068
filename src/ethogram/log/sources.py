"""Where events come from: files, folders and frames, each read into one Arrow table that remembers its lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError, SourceError
from ethogram.log.roles import ROLES

Where = Callable[[np.ndarray], tuple[list[str], np.ndarray]]


class Broken(NamedTuple):
    """A line that could not be split into columns."""

    line: int
    reason: str
    text: str
    file: str = ""
    "Where the source has several; else the source's name says it."


@dataclass(frozen=True, eq=False)
class Raw:
    """A source as it was read, nothing judged yet.

    Attributes
    ----------
    name : for messages.
    table : the columns; all text where `text` is true.
    where : rows int64[n] -> (file of each, 1-based line of each); row numbers for sources without lines.
    broken : lines without columns.
    types : declared types of RecBole's atomic files: token, float, token_seq or float_seq.
    roles : roles that the format fixes; None for roles that no column plays.
    sides : side tables found beside the source, "items" and "users".
    marked : bytes that are no UTF-8 stand as private characters (see `delimited`).
    header : the columns have names, not only numbers.
    continues : role order counts from the user's first event in this source, whatever else is known of the user.
    partial : a column that another file of the source has may be absent here.
    """

    name: str
    table: pa.Table
    where: Where
    text: bool = False
    broken: list[Broken] = field(default_factory=list)
    types: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, str | None] = field(default_factory=dict)
    sides: Mapping[str, Raw] = field(default_factory=dict)
    marked: bool = False
    header: bool = True
    continues: bool = False
    partial: bool = False

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def total(self) -> int:
        """Rows that the source has, with those that could not be split."""
        return len(self) + len(self.broken)


def load(source: Any, *, header: bool = True) -> Raw:
    """Read any source.

    Parameters
    ----------
    source : path of a file (Parquet, CSV, TSV, JSONL, RecBole ``.inter``, lists), a pattern like ``part-*.csv``, a
        folder of such files, or a log; pandas, polars or Arrow table, anything with ``__arrow_c_stream__`` or that
        narwhals knows; dict of columns; a log.
    header : False for a text file whose first line holds values; its columns are named by their number, from "1".

    Raises
    ------
    SourceError
        There is no such file, it is empty or damaged, or the object is no table.
    OptionError
        `header` is false and the source has names for its columns.
    """
    if isinstance(source, Raw):
        return source
    if isinstance(source, str | Path):
        return _path(Path(source).expanduser(), header)
    _need_header(header, type(source).__name__)
    return _frame(source)


def _need_header(header: bool, name: str) -> None:
    if not header:
        raise OptionError(f"{name}: header=False is for text files; this source has names for its columns.")


def _path(path: Path, header: bool = True) -> Raw:
    from ethogram.log import delimited, finding

    if finding.is_pattern(path):
        return _files(finding.matched(path), str(path), header)
    if not path.exists():
        raise finding.missing(path)
    if path.is_dir():
        return _folder(path, header)
    if not path.stat().st_size:
        raise SourceError(f"{path}: the file is empty.")
    if is_parquet(path):
        _need_header(header, str(path))
        return _parquet([path], str(path), path.parent)
    return delimited.load(path, header=header)


def is_parquet(path: Path) -> bool:
    """By its first bytes or its name."""
    with path.open("rb") as file:
        return file.read(4) == b"PAR1" or path.suffix.lower() in (".parquet", ".pq")


def _folder(path: Path, header: bool) -> Raw:
    from ethogram.log import finding

    if (path / "log.toml").is_file():
        from ethogram.log.store import open_stored

        _need_header(header, str(path))
        return replace(_frame(open_stored(path)), name=str(path))
    files, kind = finding.members(path)
    if kind == "parquet":
        _need_header(header, str(path))
        return _parquet(files, str(path), path)
    return _files(files, str(path), header)


def _files(files: list[Path], name: str, header: bool) -> Raw:
    """Several files of one format, one after another."""
    from ethogram.log import finding

    if all(is_parquet(f) for f in files):
        _need_header(header, name)
        return _parquet(files, name, files[0].parent)
    parts = [_path(f, header) for f in files]
    if odd := [p.name for p in parts if not p.text]:
        raise SourceError(f"{name}: matches text files and Parquet files ({odd[0]}); give a pattern for one of them.")
    return finding.joined(parts, name)


def _parquet(files: list[Path], name: str, root: Path) -> Raw:
    import pyarrow.parquet as pq

    parts: list[pa.Table] = []
    for file in files:
        try:
            part = pq.ParquetFile(file, memory_map=True).read()
        except (pa.ArrowException, OSError) as e:
            raise SourceError(f"{file}: not readable as Parquet, truncated or damaged ({_first_line(e)}).") from e
        inside = file.relative_to(root).parts[:-1] if file.is_relative_to(root) else ()
        for key, _, value in (p.partition("=") for p in inside):
            if value and key not in part.column_names:  # Hive's way of writing a column
                part = part.append_column(key, pa.repeat(pa.scalar(value), len(part)))
        if parts and set(part.column_names) != set(parts[0].column_names):
            other = sorted(set(part.column_names) ^ set(parts[0].column_names))
            raise SourceError(f"{file}: has not the same columns as {files[0]}; they differ in {', '.join(other)}.")
        parts.append(part)
    try:
        table = pa.concat_tables(parts, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as e:
        raise SourceError(f"{name}: the files do not have the same columns ({_first_line(e)}).") from e
    ends = np.cumsum([len(p) for p in parts])

    def where(rows: np.ndarray) -> tuple[list[str], np.ndarray]:
        file = np.searchsorted(ends, rows, side="right")
        first = np.concatenate([[0], ends])[file]
        return [str(files[f]) for f in file.tolist()], rows - first + 1

    return Raw(name, _named(table, name), where)


def _frame(source: Any) -> Raw:
    kind = type(source)
    name = f"{kind.__module__.split('.')[0]} {kind.__name__}"
    try:
        table = _arrow(source)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError) as e:
        raise SourceError(f"{name}: cannot be read as a table ({_first_line(e)}).") from e
    fixed: dict[str, str | None] = {}
    if _is_log(source):  # its columns are named by their roles, and a further column is none
        fixed = {role: role if role in table.column_names else None for role in ROLES}
    return Raw(name, _named(table, name), lambda rows: ([name] * len(rows), rows + 1), roles=fixed)


def _is_log(source: Any) -> bool:
    """A log, or its events."""
    return not isinstance(source, pa.Table) and callable(getattr(source, "table", None)) and hasattr(source, "roles")


def _arrow(source: Any) -> pa.Table:
    if isinstance(source, pa.Table):
        return source
    if type(source).__module__.split(".")[0] == "pandas":
        return _pandas(source)
    if hasattr(source, "__arrow_c_stream__") and not hasattr(source, "_modin_frame"):
        return pa.table(source)
    if _is_log(source):
        return source.table()
    if isinstance(source, Mapping):
        return pa.table({str(k): v for k, v in source.items()})
    return _narwhals(source)


def _narwhals(source: Any) -> pa.Table:
    """Any other frame that narwhals knows: lazy ones are computed, those like pandas are read like pandas."""
    import narwhals as nw

    try:
        frame: Any = nw.from_native(source, allow_series=False)
    except TypeError:
        raise TypeError(
            "expected a path, a data frame (pandas, polars, Arrow or another that narwhals knows), or a dict of columns"
        ) from None
    kind = frame.implementation
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect(backend="pandas" if kind.is_dask() else None)
    if kind.is_pandas_like() or kind.is_dask():
        return _pandas(frame.to_pandas())
    return frame.to_arrow()


def _pandas(frame: Any) -> pa.Table:
    """NaN means missing in pandas, and an object column may mix types: then its values are read as text."""
    columns = {}
    for name in frame.columns:
        series = frame[name]
        try:
            columns[str(name)] = pa.array(series, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            missing = series.isna()
            columns[str(name)] = pa.array([None if m else str(v) for v, m in zip(series, missing, strict=True)])
    return pa.table(columns)


def _named(table: pa.Table, name: str) -> pa.Table:
    """Check the columns' names and give the nameless one."""
    names = [str(c) or f"column_{i}" for i, c in enumerate(table.column_names, 1)]
    twice = sorted({c for c in names if names.count(c) > 1})
    if twice:
        raise SourceError(f"{name}: two columns are named '{twice[0]}'; the first line has to hold distinct names.")
    table = table.rename_columns(names) if names != table.column_names else table
    # views have no kernels yet
    views = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary(), pa.null(): pa.string()}
    fields = [f.with_type(views.get(f.type, f.type)) for f in table.schema]
    return table.cast(pa.schema(fields)) if fields != list(table.schema) else table.replace_schema_metadata(None)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
