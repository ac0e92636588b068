"""Promises of the verbs `score` and `explain`."""

from __future__ import annotations

import numpy as np

from ethogram.log import Candidates
from ethogram.testing.case import Case, close


def shapes(case: Case) -> None:
    """Scores have the shape of the candidates, and mean the same in each of the three shapes."""
    histories, _ = case.asked
    n, vocabulary = len(histories), case.log.vocabulary("item")
    codes = np.arange(6, dtype=np.int32)
    shared = case.fitted.score(histories, Candidates(codes, vocabulary, shared=True))
    dense = case.fitted.score(histories, Candidates(np.tile(codes, (n, 1)), vocabulary))
    ragged = case.fitted.score(
        histories, Candidates(np.tile(codes, n), vocabulary, np.arange(n + 1, dtype=np.int64) * 6)
    )
    assert shared.shape == (n, 6), f"shared candidates: shape {shared.shape}, not {(n, 6)}"
    assert dense.shape == (n, 6), f"one list each: shape {dense.shape}, not {(n, 6)}"
    assert ragged.shape == (n * 6,), f"ragged candidates: shape {ragged.shape}, not {(n * 6,)}"
    assert close(shared, dense), "shared and dense candidates score differently"
    assert close(ragged.reshape(n, 6), dense), "ragged and dense candidates score differently"


def alone(case: Case) -> None:
    """A question is answered alike alone, in a crowd, and in another order (1e-5 relative)."""
    histories, candidates = case.asked
    n = len(histories)
    codes, offsets = candidates.flat(n)
    together = np.asarray(case.fitted.score(histories, candidates)).reshape(-1)
    for i in range(min(n, 6)):
        rows = slice(i, i + 1)
        single = np.asarray(case.fitted.score(histories[rows], candidates[rows])).reshape(-1)
        assert close(single, together[offsets[i] : offsets[i + 1]]), f"question {i} alone scores differently"
    turned = np.arange(n)[::-1]
    counts = np.diff(offsets)[turned]
    again = np.concatenate([codes[offsets[i] : offsets[i + 1]] for i in turned])
    backwards = Candidates(again, candidates.vocabulary, np.concatenate([[0], np.cumsum(counts)]))
    said = case.fitted.score(histories[turned], backwards)
    expected = np.concatenate([together[offsets[i] : offsets[i + 1]] for i in turned])
    assert close(said, expected), "the order of the questions changes scores"


def candidates_alone(case: Case) -> None:
    """A candidate's score does not depend on which others are judged beside it."""
    histories, _ = case.asked
    every = Candidates.every(case.log.vocabulary("item"))
    whole = np.asarray(case.fitted.score(histories, every))
    few = Candidates(every.items[3:9][::-1].copy(), every.vocabulary, shared=True)
    assert close(case.fitted.score(histories, few), whole[:, 3:9][:, ::-1]), "scores depend on the other candidates"


def probabilities(case: Case) -> None:
    """In area rank a score is a probability."""
    if case.ranks:
        scores = np.asarray(case.fitted.score(*case.asked))
        assert ((scores >= 0) & (scores <= 1)).all(), f"scores from {scores.min()} to {scores.max()}"


def learns(case: Case) -> None:
    """What is scored depends on the history or on the item: not all answers are one number."""
    scores = np.asarray(case.fitted.score(*case.asked), np.float64)
    assert np.ptp(scores) > 0, "every question and candidate gets the same score"


def reasons(case: Case) -> None:
    """`explain` names past items of the asking history, with shares of the whole weight, strongest first.

    A share may be negative where weights can be (an event that speaks against); the sizes add up to 1 at most.
    """
    histories, candidates = case.asked
    histories, candidates = histories[:4], candidates[slice(0, 4)]
    found = case.fitted.explain(histories, candidates, k=2)
    wanted = ["question", "candidate", "item", "time", "share", "rank"]
    assert found.column_names[:6] == wanted, f"columns {found.column_names} do not begin with {wanted}"
    sums: dict[tuple[object, object], float] = {}
    last: dict[tuple[object, object], tuple[int, float]] = {}
    for row in found.to_pylist():
        at = (row["question"], row["candidate"])
        assert row["item"] in histories.item_ids(row["question"]), f"{row['item']} is not in the history"
        rank, share = last.get(at, (0, float("inf")))
        assert row["rank"] == rank + 1, f"ranks of {at} are not 1, 2 ..."
        size = abs(row["share"])
        assert size <= share + 1e-6, f"shares of {at} are not in order"
        last[at] = (row["rank"], size)
        sums[at] = sums.get(at, 0.0) + size
    assert found.num_rows, "no reason is given for anything"
    assert all(r <= 2 for r, _ in last.values()), "more reasons than asked for"
    assert all(s <= 1 + 1e-5 for s in sums.values()), "shares add up to more than the whole"


def goals(case: Case) -> None:
    """Every goal has scores in the shape of the candidates, and `score` is the first goal's."""
    histories, candidates = case.asked
    alone = np.asarray(case.fitted.score(histories, candidates))
    found = case.fitted.score_goals(histories, candidates)
    assert found, "no goal is scored"
    for name, scores in found.items():
        assert np.shape(scores) == alone.shape, f"goal '{name}': shape {np.shape(scores)}, not {alone.shape}"
    first = next(iter(found))
    assert close(found[first], alone), f"score differs from the scores of the first goal, '{first}'"


GOALS = (goals,)
CHECKS = (shapes, alone, candidates_alone, probabilities, learns)
EXPLAIN = (reasons,)
