"""From scores to a table of recommendations: how every system that can score implements `recommend`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories
from ethogram.numeric.known import Known
from ethogram.numeric.select import best

SCORES = 2**22
"""Scores held at once (32 MB in float64)."""


def recommend(
    score: Callable[[Histories, Candidates], np.ndarray],
    known: Known,
    histories: Histories,
    k: int = 10,
    *,
    exclude_seen: bool | None = None,
    among: Candidates | None = None,
) -> pa.Table:
    """Best k items of each question, in the caller's ids.

    Parameters
    ----------
    score : gives scores in the shape of the candidates, higher is better; -inf and NaN are never recommended.
    exclude_seen : leave out the items of the question's history; None resolves by the training log's repeats.
    among : items to choose from; None is the whole catalogue.

    Returns
    -------
    pa.Table : `question` (int64), `user` (null for strangers), `item`, `score` (float64), `rank` (int64, from 1) and
        `status` of the user: `hot`, `warm` or `cold` (see `Known.status`), and `met` (bool), whether training met the
        item: what `among` offers need not be known. A question has fewer than k rows where fewer items are left.

    Raises
    ------
    OptionError
        k below 1.
    """
    if k < 1:
        raise OptionError(f"k = {k} is not a number of items; give 1 or more.")
    candidates = among if among is not None else Candidates.every(known.items)
    seen = histories.vocabularies["item"].codes_in(candidates.vocabulary)
    excludes = known.excludes(exclude_seen)
    ends = np.concatenate([[0], np.cumsum(candidates.counts(len(histories)))])
    questions, items, scores, ranks = [], [], [], []
    for rows in _blocks(ends):
        asked, offered = histories[rows], candidates[rows]
        given = np.ascontiguousarray(score(asked, offered)).reshape(-1)
        codes, offsets = offered.flat(len(asked))
        barred = _seen(asked, seen) if excludes else None
        place = best(given, np.ascontiguousarray(codes), offsets, k, len(candidates.vocabulary), barred)
        question, rank = np.nonzero(place >= 0)
        chosen = place[question, rank]
        questions.append(question + rows.start)
        items.append(codes[chosen])
        scores.append(given[chosen].astype(np.float64))
        ranks.append(rank + 1)
    question = np.concatenate([np.empty(0, np.int64), *questions])
    code = np.concatenate([np.empty(0, np.int32), *items])
    item, met = candidates.vocabulary.decode(code), known.rows_in(candidates.vocabulary)[code] >= 0
    value, rank = np.concatenate([np.empty(0), *scores]), np.concatenate([np.empty(0, np.int64), *ranks])
    return table(known, histories, question, item, value, rank, met)


def table(
    known: Known, histories: Histories, question: np.ndarray, item: pa.Array, score: np.ndarray, rank: np.ndarray,
    met: np.ndarray,
) -> pa.Table:  # fmt: skip
    """The columns that every `recommend` answers with, one row per question and rank."""
    return pa.table(
        {
            "question": question,
            "user": histories.vocabularies["user"].decode(histories.users).take(pa.array(question)),
            "item": item if len(item) else known.items.decode(np.empty(0, np.int32)),  # no ids have no type
            "score": score,
            "rank": rank,
            "status": known.status(histories).take(pa.array(question)),
            "met": met,
        }
    )


def _blocks(ends: np.ndarray) -> list[slice]:
    """Consecutive questions with at most `SCORES` candidates together, at least one question each."""
    found, first = [], 0
    while first < len(ends) - 1:
        last = max(first + 1, int(np.searchsorted(ends, ends[first] + SCORES, side="right")) - 1)
        found.append(slice(first, last))
        first = last
    return found


def _seen(histories: Histories, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, offsets = histories.flat()
    item = np.asarray(histories.item)[rows]
    out = np.full(len(rows), -1, np.int32)
    out[item >= 0] = codes[item[item >= 0]]
    return out, offsets
