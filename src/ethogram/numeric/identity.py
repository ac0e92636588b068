"""Vectors of requests from their columns alone: near one another where item, categories and person's columns agree.

    k = l2( sum over columns of l2( mean of the vectors of the column's values ) )

The vector of a value is drawn once for its hash: values agree or are (nearly) orthogonal. The identity of an item is
the hash of its id, so that items which training never met differ from one another; values of other columns that
training never met are one value. Numbers enter as steps of half a deviation.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ethogram.log import Candidates, Features, Histories
from ethogram.log.columns import hashes
from ethogram.numeric.hashing import mix, places, salt, steps_of
from ethogram.numeric.slates import Slates, score
from ethogram.verbs import Table

PLACES = 2**14


@cache
def _drawn(dim: int) -> np.ndarray:
    """float32[PLACES, dim], each row of length 1; row 0, what is missing, is 0."""
    made = np.random.default_rng(20_230_806).standard_normal((PLACES, dim)).astype(np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    made[0] = 0
    return made


def items(candidates: Candidates, n: int) -> np.ndarray:
    """Hash of each candidate's id, uint64[total]: the same for 7 and "7", and for items never met before."""
    codes, _ = candidates.flat(n)
    known = np.append(hashes(candidates.vocabulary.ids), np.uint64(0)) if len(candidates.vocabulary) else None
    return np.zeros(len(codes), np.uint64) if known is None else known[codes]


def vectors(
    features: Features, histories: Histories, candidates: Candidates, context: Table | None = None, dim: int = 32
) -> np.ndarray:
    """k of every candidate, float32[total, dim]; `context` as in `score` of a system."""
    table, found = _drawn(dim), np.empty((int(candidates.counts(len(histories)).sum()), dim), np.float32)
    item = items(candidates, len(histories))
    at = 0

    def made(slates: Slates) -> np.ndarray:
        nonlocal at
        own = item[at : at + len(slates)]
        total = table[places(mix(salt("item"), own.view(np.int64)), PLACES)].copy()
        for name, column in slates.batch.items.items():
            if name == "item":
                continue
            if column.kind == "numeric":
                total += table[places(mix(salt(name), steps_of(column.values[slates.item])), PLACES)]
            elif column.offsets is None:
                values = column.values[slates.item]
                total += table[places(mix(salt(name), values), PLACES, values > 0)]
            else:
                total += _several(table, salt(name), column.values, column.offsets)[slates.item]
        for name, values, coded in (*slates.context(), *slates.users()):
            code = values if coded is not None else steps_of(values)
            total += table[places(mix(salt(name), code), PLACES, None if coded is None else values > 0)]
        found[at : at + len(slates)] = total
        at += len(slates)
        return np.zeros(len(slates))

    score(features.limit(1), histories, candidates, context, made)
    return unit(found)


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros stays."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1e-12), np.float32)


def _several(table: np.ndarray, state: np.uint64, values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Mean of the vectors of each item's values, of length 1."""
    rows = table[places(mix(state, values), PLACES, values > 0)]
    total = np.zeros((len(offsets) - 1, table.shape[1]), np.float32)
    np.add.at(total, np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)), rows)
    return unit(total)
