"""From ids to codes: vocabularies in ascending order of ids, so that codes do not depend on the order of rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.log import kernels
from ethogram.log.typed import is_text
from ethogram.log.vocabulary import UNKNOWN, Vocabulary

MOST_BITS = 64
"""Whole ids are coded through one bit for each number of their range, if that has at most so many numbers a row."""


def code(column: pa.Array | pa.ChunkedArray, known: Vocabulary | None = None) -> tuple[np.ndarray, Vocabulary]:
    """Codes of a column, int32[N] with -1 where it is null, and the vocabulary.

    Parameters
    ----------
    column : int64 or text.
    known : a vocabulary whose codes stay; new ids take the codes behind them, in ascending order.
    """
    if known is None and pa.types.is_integer(column.type) and not column.null_count:
        found = _dense(column.to_numpy())
        if found is not None:
            return found
    places, distinct = distinct_values(column)
    if known is None:
        order = pc.sort_indices(distinct).to_numpy()
        vocabulary = Vocabulary(distinct.take(pa.array(order)))
        rank = np.empty(len(order), np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
    else:
        vocabulary = known.extend(distinct)
        rank = vocabulary.encode(distinct)
    return np.append(rank, np.int32(UNKNOWN))[places], vocabulary


def _dense(ids: np.ndarray) -> tuple[np.ndarray, Vocabulary] | None:
    """By a set of bits over the range of whole ids, where the range affords one: the code is the rank in the set.

    A table of codes would be 32 times larger, and looking codes up would wait for the memory.
    """
    if not len(ids):
        return None
    low, high = map(int, kernels.span(ids))
    if high - low > max(4_000_000, MOST_BITS * len(ids)):
        return None
    bits = np.zeros((high - low) // 64 + 1, np.uint64)
    kernels.mark(ids, low, bits)
    ranks = kernels.ranks(bits)
    return kernels.rank_of(ids, low, bits, ranks), Vocabulary(pa.array(kernels.members(bits, ranks, low)))


def distinct_values(column: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """(place of each value among the distinct ones, -1 for null; the distinct values in order of appearance)."""
    coded = pc.dictionary_encode(column)
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.unify_dictionaries().combine_chunks() if coded.num_chunks != 1 else coded.chunk(0)
    if isinstance(coded, pa.ChunkedArray):  # no chunk at all
        return np.zeros(0, np.int32), pa.array([], column.type)
    distinct = coded.dictionary
    if is_text(distinct.type) and not pa.types.is_string(distinct.type):
        distinct = distinct.cast(pa.string())
    indices = coded.indices
    return (pc.fill_null(indices, UNKNOWN) if indices.null_count else indices).to_numpy(), distinct
