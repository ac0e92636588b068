"""Text files with one JSON object a line: top-level values become columns, nested ones the payload."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import SourceError
from ethogram.log.engine import json_fields, json_kinds
from ethogram.log.sources import Broken, Raw, _named

if TYPE_CHECKING:
    from collections.abc import Sequence

BROKEN, NO_OBJECT, TRUNCATED = "broken JSON", "no JSON object", "truncated last line"
SUFFIXES = (".jsonl", ".ndjson", ".json")
MOST_KEYS = 512
"""Lines with more distinct keys use ids as keys; those are no columns."""


def is_json(path: Path, head: Sequence[str]) -> bool:
    """Whether a text file holds JSON objects, by its name or its first line."""
    plain = path.name.lower()
    for packed in (".gz", ".bz2", ".zst", ".lz4"):
        plain = plain.removesuffix(packed)
    first = next((line.lstrip() for line in head if line.strip()), "")
    return plain.endswith(SUFFIXES) or (first.startswith("{") and first.rstrip().endswith("}"))


def read(path: Path, data: pa.Buffer, first: int = 1) -> Raw:
    """Read lines of JSON; what is no JSON object is told with its line.

    Values are read as the text that they are, so that 5 and "5" are one id; null is missing. Objects and lists go
    under their own keys to column `payload`, beside the members of a field of that name.

    Parameters
    ----------
    data : UTF-8. first : number of the first line.

    Raises
    ------
    SourceError
        The file is one JSON document instead of lines, or has too many keys to be a table.
    """
    lines, number = _lines(data, first)
    if not len(lines):
        raise SourceError(f"{path}: the file has no lines.")
    kinds = json_kinds(lines)
    if kinds[0] == 2 and lines[0].as_py().lstrip().startswith("["):
        raise SourceError(f"{path}: one JSON list; write one object a line (JSONL).")
    unfinished = not bytes(data[-1:]).endswith(b"\n")
    broken = [
        Broken(int(number[row]), (BROKEN, NO_OBJECT)[kinds[row] - 1], lines[row].as_py())
        for row in np.flatnonzero(kinds).tolist()
    ]
    if broken and unfinished and kinds[-1] == 1:
        broken[-1] = broken[-1]._replace(reason=TRUNCATED)
    keep = np.flatnonzero(kinds == 0)
    if not len(keep) and number[0] == 1:
        raise SourceError(f"{path}: none of the lines is a JSON object; the first: {broken[0].text[:80]}")
    table = json_fields(lines.take(pa.array(keep)), MOST_KEYS)
    if table is None:
        raise SourceError(f"{path}: more than {MOST_KEYS} different keys; put ids that are keys into a nested field.")
    number = number[keep]
    return Raw(
        str(path), _named(table, str(path)), lambda rows: ([str(path)] * len(rows), number[rows]), text=True,
        broken=broken, partial=True,
    )  # fmt: skip


def _lines(data: pa.Buffer, first: int) -> tuple[pa.Array, np.ndarray]:
    """(lines that are not blank, the number of each)."""
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    bounds = np.concatenate([[0], ends + 1, [data.size] if not len(ends) or ends[-1] + 1 < data.size else []])
    text = pa.Array.from_buffers(
        pa.large_string(), len(bounds) - 1, [None, pa.py_buffer(bounds.astype(np.int64)), data]
    )
    text = pc.utf8_trim_whitespace(text)
    there = pc.not_equal(pc.binary_length(text), 0)
    return text.filter(there), first + np.flatnonzero(there.to_numpy(zero_copy_only=False))
