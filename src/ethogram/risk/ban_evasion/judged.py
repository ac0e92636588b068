"""How well a task is answered: cross-validated by person, by family of features, and what each family is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ethogram.evaluate.classification import auc
from ethogram.evaluate.grouped import grouped_folds, permutation_importance
from ethogram.numeric.scorer import Scorer
from ethogram.risk.ban_evasion.scorers import Kind, learn
from ethogram.risk.ban_evasion.tasks import CANDIDATES, T3A, Task, Tasks

FOLDS = 10
ALL = ("temporal", "edit", "username", "language")
Learn = Callable[[np.ndarray, np.ndarray, Sequence[str]], Callable[[np.ndarray], np.ndarray]]
"""(columns, label, names) -> a function from columns to scores."""


def logistic(l2: float = 30.0) -> Learn:
    """The paper's way to learn."""
    return way("logistic", l2)


def way(kind: Kind, l2: float = 30.0) -> Learn:
    """One of the system's ways to learn."""
    return lambda columns, label, names: learn(kind, columns, label, names, l2).probability


def out_of_fold(
    columns: np.ndarray, task: Task, learn: Learn, names: Sequence[str] = (), folds: int = FOLDS, seed: int = 0
) -> np.ndarray:
    """Score of each row by a model that met nothing of its person, float64[n]."""
    fold = grouped_folds(task.groups, folds, seed)
    names = names or [str(i) for i in range(columns.shape[1])]
    found = np.zeros(len(task))
    for f in range(folds):
        test = fold == f
        found[test] = learn(columns[~test], task.label[~test], names)(columns[test])
    return found


def by_family(
    task: Task, kept: Mapping[str, Sequence[str]], learn: Learn | None = None, folds: int = FOLDS, seed: int = 0
) -> dict[str, np.ndarray]:
    """Out-of-fold scores with each selection of families: name -> float64[n]."""
    learn = learn or logistic()
    made = {}
    for name, families in kept.items():
        at = task.of(families)
        made[name] = out_of_fold(task.columns[:, at], task, learn, [task.names[i] for i in at], folds, seed)
    return made


def importances(task: Task, l2: float = 30.0, folds: int = FOLDS, repeats: int = 3, seed: int = 0) -> dict[str, float]:
    """AUC that is lost, out of fold, when a family's columns are shuffled together among the rows."""
    fold = grouped_folds(task.groups, folds, seed)
    models = [Scorer.learn(task.columns[fold != f], task.label[fold != f], task.names, l2) for f in range(folds)]

    def score(columns: np.ndarray) -> float:
        found = np.zeros(len(task))
        for f, model in enumerate(models):
            found[fold == f] = model.logit(columns[fold == f])
        return auc(task.label, found)

    return permutation_importance(score, task.columns, {f: task.of([f]) for f in ALL}, repeats=repeats, seed=seed)


def reciprocal_ranks(
    tasks: Tasks, task: Task, score: Mapping[str, Callable[[int, np.ndarray], np.ndarray]] | None = None, *,
    k: int = CANDIDATES, l2: float = 30.0, folds: int = FOLDS, seed: int = 0, block: int = 400,
) -> dict[str, np.ndarray]:  # fmt: skip
    """1 / rank of the true parent among `k` candidates, for the children of T3a; equal scores share their middle rank.

    Candidates are accounts that are known as parents, banned closest before the child was made (T3b). The scorer of a
    child met nothing of its person.

    Parameters
    ----------
    score : further ways to rank, name -> (fold, columns) -> scores; "T3a" is the system's own.
    """
    fold = grouped_folds(task.groups, folds, seed)
    models = [Scorer.learn(task.columns[fold != f], task.label[fold != f], task.names, l2) for f in range(folds)]
    ways: dict[str, Callable[[int, np.ndarray], np.ndarray]] = {"T3a": lambda f, columns: models[f].logit(columns)}
    ways |= score or {}
    cases = np.flatnonzero(task.label)
    child, of = task.child[cases], fold[cases]
    held = tasks.candidates(child, tasks.n[tasks.accounts.is_parent], k)
    found = {name: np.zeros(len(cases)) for name in ways}
    for f in range(folds):
        mine = np.flatnonzero(of == f)
        for at in range(0, len(mine), block):
            rows = mine[at : at + block]
            row, column = np.nonzero(held[rows] >= 0)
            columns = tasks.columns(T3A, held[rows][row, column], child[rows][row])
            for name, way in ways.items():
                scores = np.full((len(rows), k), -np.inf)
                scores[row, column] = way(f, columns)
                found[name][rows] = 1 / middle_rank(scores)
    return found


def middle_rank(scores: np.ndarray) -> np.ndarray:
    """Rank (from 1) of the first column among all, float64[n]; ties count half."""
    true, rest = scores[:, :1], scores[:, 1:]
    return 1 + (rest > true).sum(1) + 0.5 * (rest == true).sum(1)
