"""Why an item is scored as it is: the parts of a score that is a sum over the events of the history, largest first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from ethogram.log import Candidates, Histories
from ethogram.numeric.known import times

PAIRS = 2**22
"""Pairs of a candidate and a past event held at once."""


def reasons(
    histories: Histories, candidates: Candidates, terms: Callable[[int, np.ndarray, slice], np.ndarray], k: int,
    *, components: Sequence[str] = (),
) -> pa.Table:  # fmt: skip
    """The k past events with the largest part in each candidate's score, as `ethogram.verbs.Explains` has it.

    `share` is a part's share of the sum of all parts' sizes, negative where the event speaks against the candidate.
    Ties go to the later event; parts of 0 have no row.

    Parameters
    ----------
    terms : (question, int32[c] codes of the candidates' vocabulary, events as a slice of ``histories.flat()``)
        -> float64[c, events], the part of each event in each candidate's score.
    components : what the parts are made of, if of several things: `terms` then gives [components, c, events], and the
        column `component` tells the largest of them.
    """
    rows, spans = histories.flat()
    codes, offsets = candidates.flat(len(histories))
    found: list[tuple[np.ndarray, ...]] = []
    for q in range(len(histories)):
        past = slice(int(spans[q]), int(spans[q + 1]))
        step = max(1, PAIRS // max(past.stop - past.start, 1))
        for a in range(offsets[q], offsets[q + 1], step):
            part = codes[a : min(a + step, offsets[q + 1])]
            given = terms(q, part, past)
            place, event, share, rank = _largest(given.sum(0) if components else given, k)
            kind = np.abs(given[:, place, event]).argmax(0) if components else np.zeros(len(place), np.int64)
            found.append((np.full(len(place), q), part[place], rows[past][event], share, rank, kind))
    empty = (np.empty(0, np.int64),) * 3 + (np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
    question, candidate, row, share, rank, kind = (np.concatenate(c) for c in zip(empty, *found, strict=True))
    more = {"component": pa.array(list(components), pa.string()).take(pa.array(kind))} if components else {}
    return pa.table(
        {
            "question": question.astype(np.int64),
            "candidate": candidates.vocabulary.decode(candidate),
            "item": histories.vocabularies["item"].decode(np.asarray(histories.item)[row]),
            "time": times(histories, row),
            "share": share,
            "rank": rank.astype(np.int64),
            **more,
        }
    )


def _largest(terms: np.ndarray, k: int) -> tuple[np.ndarray, ...]:
    """(candidate, event, share, rank) of the k largest parts of each candidate."""
    size = np.abs(terms)
    latest_first = np.argsort(-size[:, ::-1], axis=1, kind="stable")[:, :k]
    event = terms.shape[1] - 1 - latest_first
    held = np.take_along_axis(size, event, 1)
    candidate, rank = np.nonzero(held > 0)
    event = event[candidate, rank]
    return candidate, event, terms[candidate, event] / size.sum(1)[candidate], rank + 1
