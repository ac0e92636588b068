"""Hash of what events say: equal content, equal hash, in memory or stored, however it is chunked."""

from __future__ import annotations

import hashlib
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


def absorb(digest: hashlib.blake2b, column: pa.Array | pa.ChunkedArray) -> None:
    """Feed a column to a hash: its type, where it is null, and its values, however it is chunked."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    digest.update(str(column.type).replace("large_", "").encode())
    if pa.types.is_string(column.type):
        column = column.cast(pa.large_string())  # one chunk may be larger than 2 GB
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    _absorb(digest, column.chunk(0) if isinstance(column, pa.ChunkedArray) else column)


def _absorb(digest: hashlib.blake2b, chunk: pa.Array) -> None:
    if chunk.null_count:
        digest.update(np.flatnonzero(chunk.is_null().to_numpy(zero_copy_only=False)).tobytes())
    if pa.types.is_list(chunk.type) or pa.types.is_large_list(chunk.type):
        digest.update(pc.fill_null(pc.list_value_length(chunk), 0).cast(pa.int64()).to_numpy().tobytes())
        _absorb(digest, chunk.flatten())
    elif pa.types.is_string(chunk.type) or pa.types.is_large_string(chunk.type) or pa.types.is_binary(chunk.type):
        chunk = chunk.drop_null()
        digest.update(pc.binary_length(chunk).cast(pa.int64()).to_numpy().tobytes())
        large = chunk.cast(pa.large_binary())
        if len(large):
            bounds = np.frombuffer(large.buffers()[1], np.int64)[large.offset : large.offset + len(large) + 1]
            digest.update(memoryview(large.buffers()[2] or b"")[bounds[0] : bounds[-1]])
    elif pa.types.is_struct(chunk.type):
        for part in chunk.flatten():
            _absorb(digest, part)
    elif pa.types.is_boolean(chunk.type):
        digest.update(chunk.drop_null().cast(pa.int8()).to_numpy().tobytes())
    elif pa.types.is_primitive(chunk.type):
        digest.update(np.ascontiguousarray(chunk.drop_null().to_numpy(zero_copy_only=False)).data.cast("B"))
    else:
        digest.update(repr(chunk.to_pylist()).encode("utf-8", "surrogatepass"))
