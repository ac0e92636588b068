"""Text files with one event a line: CSV, TSV, RecBole's atomic files, and "user item item ..." lists."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import OptionError, RolesError, SourceError
from ethogram.log import jsonlines, kernels, separated
from ethogram.log.coding import distinct_values
from ethogram.log.roles import Roles
from ethogram.log.sources import Broken, Raw, _first_line, _named

TRUNCATED = "truncated last line"
ENCODING = "broken encoding"
MARK = 0x10F000
"""A byte that is no UTF-8 is read as the private character MARK + byte, so that only its own row is set aside."""
MARKED = f"[{chr(MARK)}-{chr(MARK + 0xFF)}]"


def _mark(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "".join(chr(MARK + b) for b in error.object[error.start : error.end]), error.end


codecs.register_error("ethogram-mark", _mark)


def unmarked(text: str) -> str:
    """Text with marked bytes as they were, in the notation ``\\xff``."""
    return re.sub(MARKED, lambda m: f"\\x{ord(m[0]) - MARK:02x}", text)


def load(path: Path, *, header: bool = True) -> Raw:
    """Read a text file; separator and kind are found by looking at its first lines, and whether they are lists.

    Parameters
    ----------
    header : whether the first line names the columns; if not, their names are their numbers, from "1".
    """
    data, marked = as_utf8(path, _bytes(path))
    return read(path, data, form(path, data, header), marked=marked, header=header)


class Form(NamedTuple):
    """What a text file is: ``json``, ``atomic``, ``separated``, ``spaces`` or ``lists``."""

    kind: str
    separator: str = ""


def form(path: Path, data: pa.Buffer, header: bool) -> Form:
    """By the name of a file and its first lines."""
    head = bytes(data[: 1 << 16]).decode("utf-8", "replace").splitlines()[:50]
    if not any(line.strip() for line in head):
        raise SourceError(f"{path}: the file has no lines.")
    if jsonlines.is_json(path, head):
        if not header:
            raise OptionError(f"{path}: header=False is for tables; lines of JSON name their columns.")
        return Form("json")
    named = re.search(r"\.(inter|item|user)$", unpacked(path).lower())
    if header and (named or re.search(r":(token|float)(_seq)?(\t|$)", head[0])):
        return Form("atomic", "\t")
    if (separator := _separator(head)) != " ":
        return Form("separated", separator)
    return Form("lists" if header and _is_list(head) else "spaces", " ")


def read(path: Path, data: pa.Buffer, found: Form, *, marked: bool, header: bool) -> Raw:
    """The rows of a text in a known form."""
    if found.kind == "json":
        return replace(jsonlines.read(path, data), marked=marked)
    if found.kind == "atomic":
        raw = _atomic(path, data)
    elif found.kind == "lists":
        raw = _lists(path, data)
    elif found.kind == "spaces":
        single = re.sub(rb"[ ]+", b" ", re.sub(rb"(?m)^[ ]+|[ ]+$", b"", bytes(data)))
        raw = _delimited(path, pa.py_buffer(single), " ", quotes=True, header=header)
    else:
        raw = _delimited(path, data, found.separator, quotes=True, header=header)
    return replace(raw, marked=marked, header=header)


def more(path: Path, data: pa.Buffer, found: Form, begun: Raw, first: int, *, marked: bool) -> Raw | None:
    """Further rows of a text whose begin was read; None where there are none.

    Parameters
    ----------
    begun : what the begin of the file was read as. first : line that the data begins on.
    """
    if not re.search(rb"\S", data):
        return None
    if found.kind == "json":
        return replace(jsonlines.read(path, data, first), marked=marked)
    names = begun.table.column_names
    raw = _delimited(path, data, found.separator, quotes=found.kind != "atomic", names=names, first=first)
    return replace(begun, table=raw.table, where=raw.where, broken=raw.broken, marked=marked)


PACKED = re.compile(r"\.(gz|bz2|zst|lz4)$", re.IGNORECASE)


def unpacked(path: Path) -> str:
    """A file's name without the ending of its compression."""
    return PACKED.sub("", path.name)


def _bytes(path: Path) -> pa.Buffer:
    """What a file holds, decompressed."""
    try:
        if PACKED.search(path.name):
            with pa.input_stream(str(path), compression="detect") as stream:
                return stream.read_buffer()
        with pa.memory_map(str(path)) as file:
            return file.read_buffer()
    except (pa.ArrowException, OSError) as e:
        raise unreadable(path, e) from e


def unreadable(path: Path, error: Exception) -> SourceError:
    """The error for a file that cannot be read to its end."""
    return SourceError(f"{path}: not readable, truncated or damaged ({_first_line(error)}).")


def as_utf8(path: Path, data: pa.Buffer) -> tuple[pa.Buffer, bool]:
    """(text as UTF-8, lines ended by line feeds; whether some bytes were no UTF-8 and are marked)."""
    head = bytes(data[:4])
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        data = pa.py_buffer(bytes(data).decode("utf-16", "ethogram-mark").encode())
    elif head[:3] == codecs.BOM_UTF8:
        data = data[3:]
    if re.search(rb"\r(?!\n)", data):
        data = pa.py_buffer(re.sub(rb"\r(?!\n)", b"\n", data))
    if b"\0" in bytes(data[: 1 << 16]):
        raise SourceError(f"{path}: not a text file; give CSV, TSV, JSONL, Parquet or a RecBole .inter file.")
    try:
        _validate(data)
    except pa.ArrowInvalid:
        return pa.py_buffer(bytes(data).decode("utf-8", "ethogram-mark").encode()), True
    return data, False


def _validate(data: pa.Buffer) -> None:
    offsets = pa.py_buffer(np.array([0, data.size], np.int64))
    pa.Array.from_buffers(pa.large_binary(), 1, [None, offsets, data]).cast(pa.large_string())


def _separator(head: list[str]) -> str:
    """The separator that cuts the first lines into the same number of fields, more than one."""
    lines = [line for line in head if line.strip()][:20]
    best, most = "", 0.0
    for mark in ("\t", ",", ";", "|"):
        counts = [len(row) for row in csv.reader(lines, delimiter=mark)]
        share = sum(c == counts[0] for c in counts) / len(counts) if counts[0] > 1 else 0.0
        if share > most:
            best, most = mark, share
    return best or " "


def _is_list(head: list[str]) -> bool:
    """Whether space-separated lines are lists of items: no header names a user, and lengths differ or all is whole."""
    lines = [line.split() for line in head if line.strip()]
    try:
        Roles.guess(lines[0])
        return False
    except RolesError:
        whole = all(re.fullmatch(r"-?\d+", token) for token in lines[0])
        return whole or len({len(line) for line in lines}) > 1


def _lists(path: Path, data: pa.Buffer) -> Raw:
    """``user item item ...``: role `order` is the place in the line."""
    lines = pc.split_pattern(pa.array([bytes(data)], pa.large_binary()).cast(pa.large_string()), "\n").flatten()
    tokens = pc.split_pattern_regex(pc.utf8_trim_whitespace(lines), r"\s+")
    lengths = pc.list_value_length(tokens).to_numpy()
    flat = tokens.flatten()
    first = np.cumsum(lengths) - lengths
    empty = (lengths == 1) & (pc.equal(flat.take(pa.array(first)), "").to_numpy(zero_copy_only=False))
    line_of = np.repeat(np.arange(len(lengths)), lengths)
    is_user = np.zeros(len(flat), bool)
    is_user[first] = True
    items = np.flatnonzero(~is_user)
    user = flat.take(pa.array(first[line_of[items]]))
    # a user's later lines go on where the earlier ones end
    rows, offsets = kernels.sort_events(*_users(user))
    order = np.empty(len(rows), np.int64)
    order[rows] = kernels.within(offsets[:-1], offsets[1:])
    table = pa.table({"user": user, "item": flat.take(pa.array(items)), "order": pa.array(order)})
    alone = np.flatnonzero((lengths == 1) & ~empty)
    broken = [Broken(int(a) + 1, "user without items", flat[int(first[a])].as_py()) for a in alone]
    source_line = line_of[items] + 1
    return Raw(
        str(path), table, lambda rows: ([str(path)] * len(rows), source_line[rows]), text=True, broken=broken,
        roles={"user": "user", "item": "item", "order": "order"}, continues=True,
    )  # fmt: skip


def _users(user: pa.ChunkedArray) -> tuple[np.ndarray, list[np.ndarray], int]:
    places, distinct = distinct_values(user)
    return places, [], len(distinct)


def headless(names: Iterable[str]) -> str:
    """What to do about column names that look like values; empty if none does."""
    names = list(names)
    if not any(re.match(r"[+-]?\d+(\.\d*)?$|\d{4}-\d\d-\d\d", name) for name in names):
        return ""
    roles = ", ".join(f"{role}='{i}'" for i, role in enumerate(("user", "item", "time")[: len(names)], 1))
    return (
        f"the first line looks like values ({', '.join(names[:6])}{' ...' if len(names) > 6 else ''}); if the file has "
        f"no header, say header=False and name roles by the number of their column, for example {roles}."
    )


def _atomic(path: Path, data: pa.Buffer) -> Raw:
    """RecBole's format: tabs, no quoting, ``name:type`` in the header, side tables in files beside it."""
    raw = _delimited(path, data, "\t", quotes=False)
    pairs = [name.partition(":") for name in raw.table.column_names]
    types = {name: kind or "token" for name, _, kind in pairs}
    sides = {}
    plain = unpacked(path)
    if plain.endswith(".inter"):
        for side, suffix in (("items", ".item"), ("users", ".user")):
            name = plain.removesuffix(".inter") + suffix
            beside = [path.with_name(name + packed) for packed in ("", path.name.removeprefix(plain))]
            if found := next((p for p in beside if p.is_file()), None):
                sides[side] = load(found)
    table = raw.table.rename_columns([c.partition(":")[0] for c in raw.table.column_names])
    return Raw(raw.name, table, raw.where, True, raw.broken, types, {}, sides)


def _delimited(
    path: Path, data: pa.Buffer, separator: str, *, quotes: bool, header: bool = True, names: list[str] | None = None,
    first: int = 1,
) -> Raw:  # fmt: skip
    """Rows of separated text; with `names`, the text goes on from line `first` where another ended."""
    body, line = data, first
    if names is None:
        names, body, line = _begin(path, data, separator, quotes, header)
    if not re.search(rb"\S", body):
        raise SourceError(f"{path}: the file has a header and no rows.")
    quotes = quotes and re.search(b'"', body) is not None
    table, lines, broken = separated.rows(path, body, names, separator, quotes, line)
    unfinished = not bytes(body[-1:]).endswith(b"\n")
    if broken and unfinished:
        last = max(broken, key=lambda b: b.line)
        tail = bytes(body[-len(last.text.encode()) - 2 :]).decode("utf-8", "replace").strip()
        if tail.endswith(last.text.strip()):
            broken[broken.index(last)] = last._replace(reason=TRUNCATED)
    broken = [b._replace(text=unmarked(b.text)) for b in broken]
    return Raw(str(path), table, lambda rows: ([str(path)] * len(rows), lines[rows]), text=True, broken=broken)


def _begin(path: Path, data: pa.Buffer, separator: str, quotes: bool, header: bool) -> tuple[list[str], pa.Buffer, int]:
    """(names of the columns, the text behind the header, the line that it begins on)."""
    before = re.match(rb"\s*?(?=[^\r\n])", data)
    blank = before.end() if before else 0
    line = 2 + bytes(data[:blank]).count(b"\n")
    data = data[blank:]
    end = bytes(data[: 1 << 20]).find(b"\n")
    head = bytes(data[: end if end >= 0 else data.size]).decode().rstrip("\r")
    names = next(csv.reader([head], delimiter=separator)) if quotes else head.split(separator)
    names = [unmarked(n.strip()) for n in names] if header else [str(i + 1) for i in range(len(names))]
    if len(set(names)) < len(names) and (hint := headless(names)):
        raise SourceError(f"{path}: {hint}")
    names = _named(pa.table([pa.nulls(0)] * len(names), names), str(path)).column_names
    body = data if not header else data[end + 1 :] if end >= 0 else data[:0]
    return names, body, line - (not header)
