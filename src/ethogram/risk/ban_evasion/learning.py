"""From pairs to accounts: the best parents of an account, and what their score says about the account itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ethogram.evaluate.grouped import grouped_folds
from ethogram.numeric.calibrate import Calibration
from ethogram.numeric.scorer import Scorer
from ethogram.risk.ban_evasion.card import reasons
from ethogram.risk.ban_evasion.shortlist import Banned
from ethogram.risk.ban_evasion.tasks import T2, Task, Tasks

BLOCK = 1_000
"""Accounts whose candidates are scored at once."""
CALIBRATED = 1_500
"""Most accounts of each kind from which risks are learned."""
FOLDS = 5


@dataclass(frozen=True, eq=False)
class Best:
    """What was found for each account that was asked about, and below it the ranking, one row per pair.

    Attributes
    ----------
    parent : int64[n], row of the best, -1 for none. logit, score : of it. reasons : of it, [] for none.
    account, ranked, ranked_score, rank, ranked_reasons : the `k` best of each, accounts in the order they were asked.
    """

    parent: np.ndarray
    logit: np.ndarray
    score: np.ndarray
    reasons: list[list[dict[str, Any]]]
    account: np.ndarray
    ranked: np.ndarray
    ranked_score: np.ndarray
    rank: np.ndarray
    ranked_reasons: list[list[dict[str, Any]]]


def shortlisted(tasks: Tasks, key: str, asked: np.ndarray, candidates: int, seed: int) -> np.ndarray:
    """Rows of the banned accounts that are most similar to each account asked about, int64[n, candidates], -1."""
    a = tasks.accounts
    banned = tasks.n[np.isfinite(a.blocked)]
    index = Banned(tasks.idf, seed=seed)
    if not len(banned):
        return np.full((len(asked), candidates), -1, np.int64)
    index.add(tasks.old(banned), a.blocked[banned])
    found = np.full((len(asked), candidates), -1, np.int64)
    for at in range(0, len(asked), BLOCK):
        rows = asked[at : at + BLOCK]
        # without a time of creation nothing can be said to have been banned before
        created = np.where(np.isnan(a.created[rows]), -1e9, a.created[rows])
        places, _ = index.search(tasks.early(rows) if key == T2 else tasks.reported(rows), created, candidates)
        found[at : at + BLOCK] = np.where(places >= 0, banned[places], -1)
    return found


def best_parents(
    tasks: Tasks, model: Scorer, key: str, asked: np.ndarray, candidates: int, told: int, seed: int, k: int = 1
) -> Best:
    """Score every shortlisted pair and keep the k best of each account."""
    held = shortlisted(tasks, key, asked, candidates, seed)
    n = len(asked)
    parent, logit = np.full(n, -1, np.int64), np.full(n, -np.inf)
    best: list[list[dict[str, Any]]] = [[] for _ in range(n)]
    rows: list[tuple[np.ndarray, ...]] = []
    why: list[list[dict[str, Any]]] = []
    for at in range(0, n, BLOCK):
        row, column = np.nonzero(held[at : at + BLOCK] >= 0)
        if not len(row):
            continue
        old = held[at : at + BLOCK][row, column]
        columns = tasks.columns(key, old, asked[at + row])
        z = model.logit(columns)
        order = np.lexsort([old, -z, row])
        rank = np.arange(len(order)) - np.searchsorted(row[order], row[order])
        kept = order[rank < k]
        own = reasons(model, columns[kept], told)
        rows.append((at + row[kept], old[kept], z[kept], rank[rank < k] + 1))
        why += own
        for place in np.flatnonzero(rank[rank < k] == 0).tolist():
            i = at + row[kept[place]]
            parent[i], logit[i], best[i] = old[kept[place]], z[kept[place]], own[place]
    empty = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64))
    account, ranked, score, rank = (np.concatenate(c) for c in zip(empty, *rows, strict=True))
    return Best(
        parent, logit, _sigmoid(logit), best, asked[account], ranked, _sigmoid(score), rank, why,
    )  # fmt: skip


def account_calibration(tasks: Tasks, task: Task, l2: float, candidates: int, seed: int) -> Calibration:
    """How likely an account returns, given the logit of its best pair; learned out of fold, by person.

    Of the accounts that return, and of those that do not, at most `CALIBRATED` each are taken; weights bring back the
    mix of the log. Accounts without a candidate take no part.
    """
    a = tasks.accounts
    rng = np.random.default_rng(seed)
    possible = np.isfinite(a.created) if task.key == T2 else np.isfinite(a.created) & np.isfinite(a.blocked)
    asked, weight = [], []
    for returning in (True, False):
        rows = tasks.n[possible & ((a.parent >= 0) == returning)]
        taken = np.sort(rng.permutation(rows)[:CALIBRATED])
        asked.append(taken)
        weight.append(np.full(len(taken), len(rows) / max(len(taken), 1)))
    rows, weights = np.concatenate(asked), np.concatenate(weight)
    known = dict(zip(task.groups.tolist(), grouped_folds(task.groups, FOLDS, seed).tolist(), strict=True))
    fold = np.array([known.get(g, int(rng.integers(FOLDS))) for g in a.master[rows].tolist()], np.int64)
    held = shortlisted(tasks, task.key, rows, candidates, seed)
    own = np.array([known[g] for g in task.groups.tolist()])
    logit = np.full(len(rows), np.nan)
    for f in range(FOLDS):
        model = Scorer.learn(task.columns[own != f], task.label[own != f], task.names, l2)
        mine = np.flatnonzero(fold == f)
        row, column = np.nonzero(held[mine] >= 0)
        if len(row):
            z = model.logit(tasks.columns(task.key, held[mine][row, column], rows[mine][row]))
            top = np.full(len(mine), -np.inf)
            np.maximum.at(top, row, z)
            logit[mine] = np.where(np.isfinite(top), top, np.nan)
    there = np.isfinite(logit)
    return Calibration.learn("sigmoid", logit[there], (a.parent[rows] >= 0)[there].astype(float), weights[there])


def _sigmoid(z: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    return expit(z)
