"""Rows of separated text, each with the line that it began on; lines that are no rows, with the reason."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import SourceError
from ethogram.log.sources import Broken, _first_line

FIELDS = "wrong number of fields"
QUOTE = "unclosed quote"

Found = tuple[pa.Table, np.ndarray, list[Broken]]


def rows(path: Path, body: pa.Buffer, names: list[str], separator: str, quotes: bool, first: int) -> Found:
    """(table of text, line of each row int64[N], lines that are no rows) of a text that begins on line `first`.

    A quote that never closes would swallow the lines up to the next quote, or all that follow. Where a row spans
    lines and is not quoted as it should be, only its first line is set aside and the others are read anew.
    """
    if not re.search(rb"\S", body):
        return pa.table({name: pa.array([], pa.string()) for name in names}), np.zeros(0, np.int64), []
    table, bad = _read(path, body, names, separator, quotes, threads=True)
    if bad:
        # only a serial read numbers the rows that it rejects
        table, bad = _read(path, body, names, separator, quotes, threads=False)
    total = len(table) + len(bad)
    number = np.array([n - 1 for n, _ in bad], np.int64)
    kept = np.delete(np.arange(total), number) if bad else np.arange(total)
    inside = np.zeros(total, np.int64)
    if quotes:
        for column in table.columns:
            inside[kept] += pc.fill_null(pc.count_substring(column, "\n"), 0).to_numpy()
        inside[number] = [text.count("\n") for _, text in bad]
    lines = first + np.arange(total) + np.cumsum(inside) - inside
    texts = {n - 1: text for n, text in bad}
    ill: dict[int, str] = {}
    if quotes:
        ill = _ill_quoted(body, lines - first, inside, kept, separator)
        well = np.isin(kept, list(ill), invert=True)
        table, kept = table.filter(pa.array(well)), kept[well]
        fine = _well_quoted(pa.array(list(texts.values()), pa.string()), separator)
        ill.update({row: texts.pop(row) for row, f in zip(list(texts), fine.tolist(), strict=True) if not f})
    broken = [Broken(int(lines[row]), FIELDS, text) for row, text in texts.items()]
    again: list[Found] = []
    for row, text in ill.items():
        head, _, rest = text.partition("\n")
        line = int(lines[row])
        broken.append(Broken(line, QUOTE, head.rstrip("\r")))
        again.append(rows(path, pa.py_buffer(rest.encode()), names, separator, '"' in rest, line + 1))
    table, lines = _without_blank(table, lines[kept], body, first)
    if again:
        lines = np.concatenate([lines, *(found[1] for found in again)])
        order = np.argsort(lines, kind="stable")
        table = pa.concat_tables([table, *(found[0] for found in again)]).take(pa.array(order))
        lines = lines[order]
        broken += [b for found in again for b in found[2]]
    return table, lines, broken


def _read(
    path: Path, body: pa.Buffer, names: list[str], separator: str, quotes: bool, *, threads: bool
) -> tuple[pa.Table, list[tuple[int, str]]]:
    """(table, number from 1 and text of each row that has another number of fields)."""
    from pyarrow import csv as arrow_csv

    bad: list[tuple[int, str]] = []

    def reject(row: arrow_csv.InvalidRow) -> str:
        bad.append((row.number or 0, row.text))
        return "skip"

    block = 1 << 22
    while True:
        try:
            table = arrow_csv.read_csv(
                pa.BufferReader(body),
                read_options=arrow_csv.ReadOptions(use_threads=threads, block_size=block, column_names=names),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=separator,
                    quote_char='"' if quotes else False,
                    newlines_in_values=quotes,
                    ignore_empty_lines=False,
                    invalid_row_handler=reject,
                ),
                convert_options=arrow_csv.ConvertOptions(
                    check_utf8=False,
                    column_types=dict.fromkeys(names, pa.string()),
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )
            return table, bad
        except pa.ArrowInvalid as e:
            if "straddling" in str(e) and block < body.size:
                block, bad = min(block * 64, (1 << 31) - 1), []
            elif "Empty CSV" in str(e):  # so it says where a quote opens and nothing follows
                return pa.table({name: pa.array([], pa.string()) for name in names}), [(1, bytes(body).decode())]
            else:
                raise SourceError(f"{path}: not readable as a table ({_first_line(e)}).") from e


def _well_quoted(texts: pa.Array, separator: str) -> np.ndarray:
    """bool[n]: a quote opens only where a value begins and closes only where it ends."""
    mark = re.escape(separator)
    value = rf'(?:"(?:[^"]|"")*"|[^"{mark}\n][^{mark}\n]*)?'
    form = rf"^{value}(?:{mark}{value})*\r?\n?$"
    return pc.match_substring_regex(texts, form).to_numpy(zero_copy_only=False).astype(bool)


def _ill_quoted(
    body: pa.Buffer, lines: np.ndarray, inside: np.ndarray, kept: np.ndarray, separator: str
) -> dict[int, str]:
    """Row -> text of the kept rows that span lines because a quote does not close where it should.

    Parameters
    ----------
    lines : line of each row, from 0.
    inside : line ends inside the values of each row.
    """
    if not len(kept):
        return {}
    asked = kept[inside[kept] > 0]
    if kept[-1] == len(lines) - 1:
        asked = np.union1d(asked, kept[-1:])  # the last may end where the text ends
    starts = np.concatenate([[0], _ends(body) + 1])[lines]
    bounds = pa.py_buffer(np.append(starts, body.size).astype(np.int64))
    texts = pa.Array.from_buffers(pa.large_string(), len(lines), [None, bounds, body]).take(pa.array(asked))
    ill = ~_well_quoted(texts, separator)
    found = dict(zip(asked[ill].tolist(), texts.filter(pa.array(ill)).to_pylist(), strict=True))
    return {r: t.removesuffix("\n") for r, t in found.items() if inside[r] or t.count('"') % 2}


def _ends(body: pa.Buffer) -> np.ndarray:
    """Where each line ends, int64."""
    return np.append(np.flatnonzero(np.frombuffer(body, np.uint8) == ord("\n")), body.size)


def _without_blank(table: pa.Table, lines: np.ndarray, body: pa.Buffer, first: int) -> tuple[pa.Table, np.ndarray]:
    """Blank lines are no rows; a line of separators alone is one."""
    blank = np.ones(len(table), bool)
    for column in table.columns:
        if not column.null_count:
            return table, lines
        blank &= column.is_null().to_numpy()
    if not blank.any():
        return table, lines
    ends = _ends(body)
    for row in np.flatnonzero(blank).tolist():
        at = int(lines[row]) - first
        blank[row] = not bytes(body[int(ends[at - 1]) + 1 if at else 0 : int(ends[at])]).strip()
    return table.filter(pa.array(~blank)), lines[~blank]
