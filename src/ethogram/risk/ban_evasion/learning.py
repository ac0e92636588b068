"""From pairs to accounts: the best parents of an account, and what their score says about the account itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from ethogram.errors import StepError
from ethogram.evaluate.grouped import grouped_folds
from ethogram.numeric.scorer import Scorer
from ethogram.risk.ban_evasion.card import reasons
from ethogram.risk.ban_evasion.scorers import Either, Kind, learn
from ethogram.risk.ban_evasion.shortlist import Banned, Blocking
from ethogram.risk.ban_evasion.tasks import T2, Task, Tasks

PAIRS = 60_000
"""Pairs that are scored at once; the banned accounts of a block are read once, so small blocks read them often."""
ADDED = 10_000
"""Accounts that are read at once."""
LEARNED = 4_000
"""Most accounts from which risks are learned, drawn from all alike: the share that returns stays as it is."""
FOLDS = 5
LEAST = 10
"""Accounts of each kind that it takes."""
LOWEST, WIDEST = -20.0, 10.0
EVIDENCE = ("best", "lead", "similarity of the best", "similarity of the nearest", "lead of the nearest")
"""What is known of an account once its candidates are scored: the best one's logit, how far it lies before the second,
its similarity, that of the nearest candidate, and how far this lies before the next."""


@dataclass(frozen=True, eq=False)
class Best:
    """What was found for each account that was asked about, and below it the ranking, one row per pair.

    Attributes
    ----------
    parent : int64[n], row of the best, -1 for none. score : of it. reasons : of it, [] for none.
    evidence : float64[n, len(EVIDENCE)].
    account, ranked, ranked_score, rank, ranked_reasons : the `k` best of each, accounts in the order they were asked.
    """

    parent: np.ndarray
    score: np.ndarray
    reasons: list[list[dict[str, Any]]]
    evidence: np.ndarray
    account: np.ndarray
    ranked: np.ndarray
    ranked_score: np.ndarray
    rank: np.ndarray
    ranked_reasons: list[list[dict[str, Any]]]


def shortlisted(
    tasks: Tasks, key: str, asked: np.ndarray, candidates: int, blocking: Blocking
) -> tuple[np.ndarray, np.ndarray]:
    """The banned accounts that are worth a look for each account asked about (`shortlist`).

    Returns
    -------
    rows : int64[n, candidates], -1 where there are no more. similarity : float64[n, candidates], 0 there.
    """
    a = tasks.accounts
    banned = tasks.n[np.isfinite(a.blocked)]
    index = Banned(tasks.idf, blocking)
    if not len(banned):
        return np.full((len(asked), candidates), -1, np.int64), np.zeros((len(asked), candidates))
    for rows in np.array_split(banned, 1 + len(banned) // ADDED):
        index.add(tasks.old(rows), a.blocked[rows])
    found, alike = np.full((len(asked), candidates), -1, np.int64), np.zeros((len(asked), candidates))
    for at in range(0, len(asked), ADDED):
        rows = asked[at : at + ADDED]
        # without a time of creation nothing can be said to have been banned before
        created = np.where(np.isnan(a.created[rows]), -1e9, a.created[rows])
        places, close = index.search(tasks.seen(key, rows), created, candidates)
        found[at : at + ADDED], alike[at : at + ADDED] = np.where(places >= 0, banned[places], -1), close
    return found, alike


def evidence(logits: np.ndarray, alike: np.ndarray) -> np.ndarray:
    """`EVIDENCE` of accounts from the logits (-inf for none) and similarities of their candidates, float64[n, 5]."""
    n = len(logits)
    padded = np.column_stack([logits, np.full(n, -np.inf)])
    best = np.maximum(padded.max(1), LOWEST)
    second = np.maximum(np.partition(padded, -2, 1)[:, -2], LOWEST)
    near = np.column_stack([alike, np.zeros((n, 2))])
    own = near[np.arange(n), padded.argmax(1)]
    nearest = -np.partition(-near, 1, 1)[:, :2]
    lead = np.minimum(best - second, WIDEST)
    return np.column_stack([best, lead, own, nearest[:, 0], nearest[:, 0] - nearest[:, 1]])


def best_parents(
    tasks: Tasks, model: Either, key: str, asked: np.ndarray, candidates: int, told: int, blocking: Blocking, k: int = 1
) -> Best:
    """Score every shortlisted pair and keep the k best of each account."""
    held, alike = shortlisted(tasks, key, asked, candidates, blocking)
    n = len(asked)
    parent, logits = np.full(n, -1, np.int64), np.full(held.shape, -np.inf)
    best: list[list[dict[str, Any]]] = [[] for _ in range(n)]
    rows: list[tuple[np.ndarray, ...]] = []
    why: list[list[dict[str, Any]]] = []
    block = max(1, PAIRS // held.shape[1])
    for at in range(0, n, block):
        row, column = np.nonzero(held[at : at + block] >= 0)
        if not len(row):
            continue
        old = held[at : at + block][row, column]
        columns = tasks.columns(key, old, asked[at + row])
        z = model.logit(columns)
        logits[at + row, column] = z
        order = np.lexsort([old, -z, row])
        rank = np.arange(len(order)) - np.searchsorted(row[order], row[order])
        kept = order[rank < k]
        own = reasons(model, columns[kept], told)
        rows.append((at + row[kept], old[kept], z[kept], rank[rank < k] + 1))
        why += own
        for place in np.flatnonzero(rank[rank < k] == 0).tolist():
            i = at + row[kept[place]]
            parent[i], best[i] = old[kept[place]], own[place]
    empty = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64))
    account, ranked, score, rank = (np.concatenate(c) for c in zip(empty, *rows, strict=True))
    return Best(
        parent, expit(logits.max(1)), best, evidence(logits, alike), asked[account], ranked, expit(score), rank, why,
    )  # fmt: skip


def account_scorer(
    tasks: Tasks, task: Task, kind: Kind, l2: float, candidates: int, blocking: Blocking, seed: int
) -> Scorer:
    """How likely an account returns, given the `EVIDENCE` of its candidates; learned out of fold, by person.

    Accounts without a candidate take no part.

    Raises
    ------
    StepError
        Hardly any account that returns (or that does not) has a candidate.
    """
    a = tasks.accounts
    rng = np.random.default_rng(seed)
    possible = np.isfinite(a.created) if task.key == T2 else np.isfinite(a.created) & np.isfinite(a.blocked)
    rows = np.sort(rng.permutation(tasks.n[possible])[:LEARNED])
    known = dict(zip(task.groups.tolist(), grouped_folds(task.groups, FOLDS, seed).tolist(), strict=True))
    fold = np.array([known.get(g, int(rng.integers(FOLDS))) for g in a.master[rows].tolist()], np.int64)
    held, alike = shortlisted(tasks, task.key, rows, candidates, blocking)
    own = np.array([known[g] for g in task.groups.tolist()])
    logits = np.full(held.shape, -np.inf)
    for f in range(FOLDS):
        model = learn(kind, task.columns[own != f], task.label[own != f], task.names, l2)
        for mine in np.array_split(np.flatnonzero(fold == f), 1 + int((fold == f).sum()) * candidates // PAIRS):
            row, column = np.nonzero(held[mine] >= 0)
            if len(row):
                seen = tasks.columns(task.key, held[mine][row, column], rows[mine][row])
                logits[mine[row], column] = model.logit(seen)
    there = (held >= 0).any(1)
    label = (a.parent[rows] >= 0)[there]
    if min(label.sum(), (~label).sum()) < LEAST:
        raise StepError(
            f"ban_evasion {task.key}: of the accounts with a banned account like them {int(label.sum())} return and "
            f"{int((~label).sum())} do not; it takes {LEAST} of each. Give more accounts."
        )
    return Scorer.learn(evidence(logits, alike)[there], label, EVIDENCE, l2=1.0)
