"""Why an item is scored as it is, for models that are no sum over events: what the score loses without each event.

    part of event k in score(u, i) = score(u's history, i) - score(u's history without event k, i)

Events of one group and item are taken away one at a time. Everybody is asked about as a stranger, so that a vector of
the training log does not stand in for the history.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ethogram.log import Candidates, Histories
from ethogram.log.kernels import ragged_rows
from ethogram.numeric.reasons import reasons
from ethogram.verbs import Table


def explain_without(
    score: Callable[[Histories, Candidates], np.ndarray], histories: Histories, candidates: Candidates, k: int
) -> Table:
    """The k past events that each candidate's score would miss most; see `ethogram.verbs.Explains`.

    `score` is asked with one history for each past event, so this costs as many scorings as the history is long.
    """
    asked = replace(histories, users=np.full(len(histories), -1, np.int32))

    def terms(question: int, codes: np.ndarray, past: slice) -> np.ndarray:
        n = past.stop - past.start
        if not n:
            return np.zeros((len(codes), 0))
        judged = Candidates(codes, candidates.vocabulary, shared=True)
        whole = np.asarray(score(asked[question : question + 1], judged), np.float64)
        return (whole - np.asarray(score(without_each(asked, question), judged), np.float64)).T

    return reasons(histories, candidates, terms, k)


def without_each(histories: Histories, question: int) -> Histories:
    """n histories, each the one asked about without one of its n events, oldest first."""
    low, high = int(histories.start[question]), int(histories.stop[question])
    n = high - low
    rows, _ = ragged_rows(np.full(n, low), np.full(n, high))
    gone = np.arange(n) * (n + 1)
    starts = np.array(np.asarray(histories.starts)[rows])
    starts[np.arange(n) * n] = True
    # the group of the event that goes begins with the next one, where there is one of it
    heads = gone[:-1][starts[gone[:-1]]]
    starts[heads + 1] = True
    kept = np.ones(len(rows), bool)
    kept[gone] = False
    rows, starts = rows[kept], starts[kept]
    stop = np.arange(1, n + 1) * (n - 1)
    who = np.full(n, question)
    return replace(
        histories,
        columns={name: np.asarray(column)[rows] for name, column in histories.columns.items()},
        starts=starts,
        start=stop - (n - 1),
        stop=stop,
        users=histories.users[who],
        time=histories.time[who],
    )
