"""Plays from the files in which listening logs were released: who, which track, when, and perhaps in which session.

A file is known by its columns, not by its name. Tables with a header (Parquet, CSV, TSV) may call them as Deezer's
release does (``user_id``, ``product_track_id``, ``ts``, ``session_id``, and ``artist_id`` beside the tracks) or as
LFM-2b's does (``track_id``, ``timestamp``). Three releases have none: LFM-1b's listening events (user, artist, album,
track, seconds; tabs), sessions cut from them (user, artist, track, seconds, session; commas), and Last.fm-1K (user,
time, artist id, artist, track id, track; tabs), where a track without an id goes by its artist and its name.

Files are read in blocks; people who are not drawn are left out block by block. Rows that cannot be plays are set aside
with the reason.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq

from ethogram.errors import SourceError
from ethogram.log import times

BLOCK = 1 << 24
"""Bytes of a text file, and BATCH rows of a Parquet file, that are read at once."""
BATCH = 1 << 20
SHOWN = 1_000
"""Rows set aside that are kept as they were; the counts are of all."""
CALLED = {
    "user": ("user_id", "userid", "user"),
    "item": ("product_track_id", "track_id", "song_id", "track", "item"),
    "time": ("ts", "timestamp", "time"),
    "session": ("session_id", "session"),
    "artist": ("artist_id", "art_id", "artist"),
}
HEADLESS = {
    ("\t", 5): ("user", "artist", "album", "item", "time"),
    (",", 5): ("user", "artist", "item", "time", "session"),
    ("\t", 6): ("user", "time", "artist id", "artist", "item", "title"),
}
SIDES = ("artist", "title")


@dataclass
class Plays:
    """What was read.

    Attributes
    ----------
    columns : user, item, time (microseconds), and session, artist, title where the files tell them.
    counts : reason -> rows set aside. aside : the first of them: file, line, reason, row.
    broken : numbers of the lines of each file that do not have its columns.
    """

    columns: dict[str, Any]
    counts: Counter[str] = field(default_factory=Counter)
    aside: list[dict[str, Any]] = field(default_factory=list)
    broken: dict[Path, list[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Form:
    """How a file is read: its own column names by role; `separator` is empty for Parquet, `names` for a header."""

    roles: dict[str, str]
    separator: str = ""
    names: tuple[str, ...] = ()


def form(path: Path) -> Form | None:
    """How a file is read; None for one that holds neither plays nor facts about tracks.

    Raises
    ------
    SourceError
        A Parquet file that is damaged.
    """
    with path.open("rb") as file:
        parquet = file.read(4) == b"PAR1"
    if parquet:
        try:
            found = _named(pq.read_schema(path).names)
        except (pa.ArrowInvalid, OSError) as error:
            raise SourceError(f"listening_sessions: {path} is no whole Parquet file ({error}).") from None
        return Form(found) if found else None
    try:
        with pa.input_stream(str(path), compression="detect") as file:
            head = file.read(4096).decode("utf-8", "replace").split("\n")[0].rstrip("\r")
    except (pa.ArrowInvalid, OSError):
        return None
    separator = "\t" if "\t" in head else ","
    cells = head.split(separator)
    if found := _named(cells):
        return Form(found, separator)
    names = HEADLESS.get((separator, len(cells)))
    if names is None or (len(cells) == 5 and not all(c.strip().lstrip("-").isdigit() for c in cells)):
        return None
    return Form({n: n for n in names if n in CALLED or n in SIDES}, separator, names)


def _named(names: list[str]) -> dict[str, str]:
    """Role -> column; empty unless it has plays, or tracks with their artist."""
    plain = {n.strip().lower(): n for n in names}
    found = {role: plain[called[0]] for role, all_ in CALLED.items() if (called := [c for c in all_ if c in plain])}
    plays = {"user", "item", "time"} <= set(found)
    return found if plays or ({"item", "artist"} <= set(found) and "user" not in found) else {}


def read(files: list[tuple[Path, Form]], share: float) -> tuple[Plays, dict[Any, Any]]:
    """All plays of the drawn people, and track -> artist where a file without plays tells it.

    Parameters
    ----------
    share : of the people; they are drawn by a hash of their id, so that a larger share holds a smaller one.

    Raises
    ------
    SourceError
        No row of any file is a play, or a file cannot be read.
    """
    plays, parts, artists = Plays({}), [], {}
    for path, how in files:
        if "user" not in how.roles:
            table = pa.concat_tables([t for t, _ in _blocks(path, how, plays)])
            artists |= dict(zip(table["item"].to_pylist(), table["artist"].to_pylist(), strict=True))
            continue
        unit = None
        for table, first in _blocks(path, how, plays):
            told = times.parse(table["time"], unit)
            unit = told.unit
            kept = _sound(table, told, plays, path, first)
            if share < 1:
                kept &= _drawn(table["user"], share)
            rest = [n for n in table.column_names if n != "time"]
            mine = table.select(rest).append_column("time", pa.array(told.time, pa.int64()))
            parts.append(mine if kept.all() else mine.filter(pa.array(kept)))
    if not parts or not sum(map(len, parts)):
        said = ", ".join(f"{n:,} {reason}" for reason, n in plays.counts.items()) or "no row"
        raise SourceError(f"listening_sessions: {files[0][0].parent} holds no play of anybody who is drawn ({said}).")
    try:
        table = pa.concat_tables(parts, promote_options="default")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise SourceError(f"listening_sessions: files of {files[0][0].parent} differ in their ids ({error}).") from None
    plays.columns = {name: table[name] for name in table.column_names}
    return plays, artists


def _blocks(path: Path, how: Form, plays: Plays) -> Iterator[tuple[pa.Table, int]]:
    """(columns by role, number of the first row) of each block; ids that are all whole numbers as int64."""
    at, whole = 1, {n: how.names[:1] != ("user",) or len(how.names) < 6 for n in ("user", "item", "session")}
    for table in _parquet(path, how) if not how.separator else _text(path, how, plays):
        columns = {role: table[name] for role, name in how.roles.items()}
        if len(how.names) == 6:  # Last.fm-1K
            named = pc.binary_join_element_wise(columns["artist"], columns["title"], " / ", null_handling="skip")
            columns["item"] = pc.if_else(pc.equal(columns["item"], ""), named, columns["item"])
        elif how.separator:
            for name in [n for n in whole if n in columns]:
                number, sound = _whole(columns[name])
                if at == 1 and not how.names:
                    whole[name] = bool(sound.all())  # the first block of a table with a header decides
                if whole[name]:
                    columns[name] = number
        yield pa.table(columns), at + int(bool(how.separator and not how.names))
        at += len(table)


def _whole(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, np.ndarray]:
    """Text as int64, null where it is no whole number."""
    try:
        return column.cast(pa.int64()), np.ones(len(column), bool)
    except pa.ArrowInvalid:
        sound = pc.match_substring_regex(column, r"^-?\d{1,18}$")
        return pc.if_else(sound, column, None).cast(pa.int64()), sound.to_numpy()


def _parquet(path: Path, how: Form) -> Iterator[pa.Table]:
    for batch in pq.ParquetFile(path).iter_batches(BATCH, columns=list(how.roles.values())):
        yield pa.table(batch)


def _text(path: Path, how: Form, plays: Plays) -> Iterator[pa.Table]:
    def broken(row: Any) -> str:
        plays.broken.setdefault(path, []).append(row.number or 0)
        _aside(plays, path, row.number, f"{row.actual_columns} columns where {row.expected_columns} are", row.text)
        return "skip"

    # names hold quotes of their own where columns are told apart by tabs
    parse = pv.ParseOptions(
        delimiter=how.separator, quote_char=how.separator == "," and '"', invalid_row_handler=broken
    )
    read = pv.ReadOptions(column_names=list(how.names) or None, block_size=BLOCK, use_threads=False)
    with pa.input_stream(str(path), compression="detect") as file:
        head = file.read(1 << 16).split(b"\n")[0].decode("utf-8", "replace").rstrip("\r").split(how.separator)
    names = list(how.names) or head
    convert = pv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), include_columns=list(how.roles.values()),
        check_utf8=False, strings_can_be_null=False,
    )  # fmt: skip
    try:
        with pa.input_stream(str(path), compression="detect") as file:
            for batch in pv.open_csv(file, read, parse, convert):
                yield pa.table(batch)
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"listening_sessions: {path} cannot be read ({error}).") from None


def _sound(table: pa.Table, told: times.Times, plays: Plays, path: Path, first: int) -> np.ndarray:
    """bool[N]: rows that are plays; the others are set aside."""
    bad = np.zeros(len(table), bool)
    for name, reason in (("user", "no user"), ("item", "no track"), ("session", "no session")):
        if name not in table.column_names:
            continue
        column = table[name]
        lacking = column.is_null().to_numpy()
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            lacking = lacking | pc.equal(column, "").fill_null(True).to_numpy()
        bad = _reject(table, lacking, bad, reason, plays, path, first)
    for wrong, reason in ((told.missing, "no time"), (told.unparsable, "time is none"),
                          (told.other_unit, "time in another unit"), (told.time <= 0, "time is none")):  # fmt: skip
        if wrong is not None:
            bad = _reject(table, wrong, bad, reason, plays, path, first)
    return ~bad


def _reject(
    table: pa.Table, wrong: np.ndarray, bad: np.ndarray, reason: str, plays: Plays, path: Path, first: int
) -> np.ndarray:  # fmt: skip
    fresh = np.flatnonzero(wrong & ~bad)
    shown = fresh[: max(0, SHOWN - len(plays.aside))]
    broken = np.array(plays.broken.get(path, []), int)
    line = shown + first
    line += np.searchsorted(broken - np.arange(len(broken)), line, side="right")  # skipped lines count, too
    for row, said in zip(line.tolist(), table.take(pa.array(shown)).to_pylist(), strict=True):
        _aside(plays, path, row, reason, str(said))
    if len(fresh) > len(shown):
        plays.counts[reason] += len(fresh) - len(shown)
    return bad | wrong


def _aside(plays: Plays, path: Path, line: int | None, reason: str, row: str) -> None:
    plays.counts[reason] += 1
    if len(plays.aside) < SHOWN:
        plays.aside.append({"file": path.name, "line": line or 0, "reason": reason, "row": row})


def _drawn(users: pa.ChunkedArray, share: float) -> np.ndarray:
    """bool[N]: whether each row's person is one of the share."""
    coded = users.combine_chunks().dictionary_encode() if len(users) else users
    if not len(users):
        return np.zeros(0, bool)
    ids = coded.dictionary.to_pylist()
    hashed = np.array([zlib.crc32(str(i).encode()) for i in ids], np.uint64)
    mixed = (hashed * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)
    codes = coded.indices.fill_null(0).to_numpy(zero_copy_only=False)
    return np.asarray((mixed < share * 2.0**32)[codes])
