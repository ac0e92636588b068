"""Items that are like an item, by how a fitted recommender sees them: cosines of vectors, or item-item weights.

s(a, b) = e_a . e_b / (|e_a| |e_b|)          where items are vectors; else the weight that a gives b
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError, UnknownName
from ethogram.log import Candidates
from ethogram.numeric.known import Known

CELLS = 2**22
"""Similarities held at once."""


def similar(
    known: Known, rows: Callable[[np.ndarray], np.ndarray], items: Sequence[Any], k: int, among: Candidates | None
) -> pa.Table:
    """The k items most like each asked one, itself left out; ties by the code of the item.

    Parameters
    ----------
    rows : int[m] trained rows of asked items -> float[m, trained], how like each trained item is to them; what is
        not finite is never named.
    among : items to choose from, the same for all; None is every item that training met.

    Returns
    -------
    pa.Table : `query`, `item` (ids of the caller's), `similarity` (float64), `rank` (int64, from 1).

    Raises
    ------
    OptionError
        k below 1, or candidates that differ by question.
    UnknownName
        Training never met one of the items: nothing is known that could be like it.
    """
    if k < 1:
        raise OptionError(f"similar_items: k = {k} is not a number of items; give 1 or more.")
    if among is not None and not among.shared:
        raise OptionError("similar_items: `among` is one list for all items; it was given as a list for each.")
    code = known.items.encode(list(items))
    row = known.rows[code]
    if strange := [item for item, at in zip(items, row, strict=True) if at < 0]:
        raise UnknownName(f"training never met item {strange[0]!r}" + _more(strange) + "; nothing is known of it.")
    offered = np.ones(known.trained, bool)
    if among is not None:
        there = known.rows_in(among.vocabulary)[among.items]
        offered[:] = False
        offered[there[there >= 0]] = True
    trained = np.flatnonzero(known.counts > 0)
    query, found, value, rank = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0)], [np.empty(0, np.int64)]
    step = max(1, CELLS // max(known.trained, 1))
    for at in range(0, len(row), step):
        mine = row[at : at + step]
        scores = np.where(offered, np.asarray(rows(mine), np.float64), -np.inf)
        scores[np.arange(len(mine)), mine] = -np.inf
        scores[np.isnan(scores)] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        held = np.take_along_axis(scores, order, 1)
        who, place = np.nonzero(held > -np.inf)
        query.append(code[at + who].astype(np.int64))
        found.append(trained[order[who, place]])
        value.append(held[who, place])
        rank.append(place + 1)
    return pa.table(
        {
            "query": known.items.decode(np.concatenate(query)),
            "item": known.items.decode(np.concatenate(found)),
            "similarity": np.concatenate(value),
            "rank": np.concatenate(rank).astype(np.int64),
        }
    )


def cosines(vectors: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """`rows` of `similar` for float32[trained, d]; a vector of length 0 is like nothing."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    nothing = length[:, 0] == 0

    def rows(which: np.ndarray) -> np.ndarray:
        found = unit[which] @ unit.T
        found[:, nothing] = -np.inf
        found[nothing[which]] = -np.inf
        return found

    return rows


def _more(strange: Sequence[Any]) -> str:
    return f" (nor {len(strange) - 1} others)" if len(strange) > 1 else ""
