"""Hash of what events say: equal content, equal hash, in memory or stored, however it is chunked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from ethogram.log.events import Events


def fingerprint(events: Events) -> str:
    """Hash of everything that the events say: columns, ids in order of their codes, side tables."""
    digest = hashlib.blake2b(digest_size=16)
    sequences = events.sequences
    rows = [("users", sequences.users), ("offsets", sequences.offsets)]
    for name, column in [*rows, *sorted(sequences.columns.items())]:
        digest.update(f"\0{name}:{np.asarray(column).dtype.str}".encode())
        digest.update(np.ascontiguousarray(column).data)
    for name in sorted(events.vocabularies):
        digest.update(f"\0{name}".encode())
        absorb(digest, events.vocabularies[name].ids)
    for table in (events.apart, events.items, events.users):
        if table is not None:
            for name in sorted(table.column_names):
                digest.update(f"\0{name}".encode())
                absorb(digest, table[name])
    return digest.hexdigest()


Chunks = Callable[[], Iterator[pa.Array]]
"""The parts of a column in order, from the first at each call."""


class Streamed:
    """A column that is read in parts, for whoever hashes it."""

    def __init__(self, kind: pa.DataType, chunks: Chunks):
        self.type, self.chunks = kind, chunks


def absorb(digest: hashlib.blake2b, column: pa.Array | pa.ChunkedArray | Streamed) -> None:
    """Feed a column to a hash: its type, where it is null, and its values, however it is chunked."""
    if not isinstance(column, Streamed) and pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    digest.update(str(column.type).replace("large_", "").encode())
    if isinstance(column, Streamed):
        chunks = column.chunks
    else:
        parts = column.chunks if isinstance(column, pa.ChunkedArray) else [column]

        def chunks() -> Iterator[pa.Array]:
            return iter(parts)

    _absorb(digest, column.type, chunks)


def _absorb(digest: hashlib.blake2b, kind: pa.DataType, chunks: Chunks) -> None:
    at = 0
    for chunk in chunks():
        if chunk.null_count:
            digest.update((np.flatnonzero(chunk.is_null().to_numpy(zero_copy_only=False)) + at).tobytes())
        at += len(chunk)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        for chunk in chunks():
            digest.update(pc.fill_null(pc.list_value_length(chunk), 0).cast(pa.int64()).to_numpy().tobytes())
        _absorb(digest, kind.value_type, lambda: (chunk.flatten() for chunk in chunks()))
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        for chunk in chunks():
            digest.update(pc.binary_length(chunk.drop_null()).cast(pa.int64()).to_numpy().tobytes())
        for chunk in chunks():
            large = chunk.drop_null().cast(pa.large_binary())
            if len(large):
                bounds = np.frombuffer(large.buffers()[1], np.int64)[large.offset : large.offset + len(large) + 1]
                digest.update(memoryview(large.buffers()[2] or b"")[bounds[0] : bounds[-1]])
    elif pa.types.is_struct(kind):
        for i in range(kind.num_fields):
            _absorb(digest, kind.field(i).type, lambda i=i: (c.flatten()[i] for c in chunks()))  # type: ignore[misc]
    elif pa.types.is_boolean(kind):
        for chunk in chunks():
            digest.update(chunk.drop_null().cast(pa.int8()).to_numpy().tobytes())
    elif pa.types.is_primitive(kind):
        for chunk in chunks():
            values = np.ascontiguousarray(chunk.drop_null().to_numpy(zero_copy_only=False))
            # instants and dates have no buffer of their own kind
            digest.update((values.view(np.int64) if values.dtype.kind in "Mm" else values).data.cast("B"))
    else:
        digest.update(repr([v for chunk in chunks() for v in chunk.to_pylist()]).encode("utf-8", "surrogatepass"))
