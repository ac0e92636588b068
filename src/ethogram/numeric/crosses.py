"""The hashed features of (question, candidate): columns, crosses with the user, crosses with what was done last."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ethogram.log import Features, kernels
from ethogram.log.batch import UNSEEN
from ethogram.numeric.aggregates import Past
from ethogram.numeric.hashing import mix, places, salt, steps_of
from ethogram.numeric.slates import Slates
from ethogram.numeric.values import Values

WORDS = 8
"""Values of a several-valued column that enter one by one, the first ones."""
MODERATE = (2, 500)
"""Number of values of a column whose pairs are worth a weight each."""


def places_of(slates: Slates, features: Features, buckets: int, recent: int) -> np.ndarray:
    """Places of each candidate's features, int32[total, W]; W depends on the features only."""
    made = [np.full((len(slates), 1), places(salt("bias")[None], buckets)[0], np.int32)]
    made.extend(np.atleast_2d(p.T).T for p in _parts(slates, features, buckets, recent))
    return np.concatenate(made, axis=1)


def _parts(slates: Slates, features: Features, buckets: int, recent: int) -> Iterator[np.ndarray]:
    """Arrays int32[total] or [total, w]."""
    items, batch, owner = slates.batch.items, slates.batch, slates.owner
    identity = items["item"].values[slates.item]
    known = identity > UNSEEN
    sizes = features.tables
    past = Past.of(features, batch)
    for name, values, table in (*slates.context(), *slates.users()):
        code = values if table is not None else steps_of(values)
        there = values > 0 if table is not None else None
        yield places(mix(salt(name), code), buckets, there)
    for name, values, table in slates.users():
        code = values if table is not None else steps_of(values)
        yield places(mix(mix(salt(f"item*{name}"), code), identity), buckets, known)
    for c in features.of("item"):
        column = items[c.name]
        if column.kind == "numeric":
            yield places(mix(salt(c.name), steps_of(column.values[slates.item])), buckets)
            continue
        assert column.table is not None
        values = Values.of(column, sizes[column.table])
        yield _each(values, slates.item, salt(c.name), buckets, 1 if column.offsets is None else WORDS)
        if c.type == "text":
            continue
        same = Values.identity(len(values)) if c.name == "item" else values
        for name, count, _ in past.counts(slates, same):
            yield places(mix(salt(f"{c.name}{name}"), steps_of(np.log2(1 + count), 1.0)), buckets)
        if MODERATE[0] <= values.size - 2 <= MODERATE[1]:
            yield _last(slates, _sets(values), recent, salt(f"{c.name}*last"), buckets)
    for name, number in past.answered():
        yield places(mix(salt(name), steps_of(number, 0.25)), buckets)[owner]


def _each(values: Values, item: np.ndarray, state: np.uint64, buckets: int, width: int) -> np.ndarray:
    """The first `width` values of each item, one place each, [total, width]."""
    first, last = values.bounds[item], values.bounds[item + 1]
    at = first[:, None] + np.arange(width)
    there = at < last[:, None]
    if not len(values.rows):
        return np.zeros(at.shape, np.int32)
    return places(mix(state, values.rows[np.where(there, at, 0)]), buckets, there)


def _sets(values: Values) -> np.ndarray:
    """One code per item for the set of its values, uint64; 0 where it has none."""
    code = np.zeros(len(values), np.uint64)
    # a sum, so that the order of the values does not matter
    np.add.at(code, values.owner, mix(np.uint64(1), values.rows))
    return code


def _last(slates: Slates, code: np.ndarray, recent: int, state: np.uint64, buckets: int) -> np.ndarray:
    """The candidate's code with that of each of the last `recent` events, [total, recent]."""
    history = slates.batch.sequences["history"]
    starts = np.ones(len(history.item), bool) if history.starts is None else np.asarray(history.starts)
    first = kernels.cut_at_group(history.start, history.stop, starts, recent)
    at = first[:, None] + np.arange(recent)
    there = at < history.stop[:, None]
    theirs = code[history.item[np.where(there, at, 0)]] if len(history.item) else np.zeros(at.shape, np.uint64)
    theirs = np.where(there, theirs, np.uint64(0))[slates.owner]
    mine = code[slates.item][:, None]
    pair = mix(mix(state, theirs.view(np.int64)), mine.view(np.int64))
    return places(pair, buckets, (theirs != 0) & (mine != 0))
