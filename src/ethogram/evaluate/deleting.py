"""Do the events that an explanation names make the score? Delete them, and look.

    named(q)  = | f(S \\ N_q, t) - f(S, t) |              N_q: the events named for candidate t of history S
    random(q) = mean_r | f(S \\ R_qr, t) - f(S, t) |      R_qr: as many events of S, drawn without replacement

f is the log odds of the score, or the score itself where it is no probability. An explanation that points at what
matters has named > random. The interval of the difference is a bootstrap over users.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.evaluate import bootstrap
from ethogram.evaluate.evaluation import Scorer, name_of, units_of
from ethogram.log.histories import Candidates, Histories, Questions

CLOSE = 1e-7


class Explainer(Scorer, Protocol):
    """Anything that scores and says why; see `ethogram.verbs.Explains`."""

    def explain(self, histories: Histories, candidates: Candidates, k: int = 3) -> pa.Table: ...


@dataclass(frozen=True, eq=False)
class Deletion:
    """What deleting events did to scores.

    Attributes
    ----------
    system : its key. k : events named at most. pairs, users : how many were tried.
    named, random : mean change of the score by deleting the named events, and random ones.
    difference : named - random with its 95% interval and p-value. odds : whether changes are of log odds.
    rows : per pair `question`, `user`, `candidate`, `deleted` (events), `named`, `random`.
    """

    system: str
    k: int
    pairs: int
    users: int
    named: float
    random: float
    difference: bootstrap.Difference
    odds: bool
    rows: pa.Table

    def __str__(self) -> str:
        gap, what = self.difference, "log odds" if self.odds else "score"
        return (
            f"{self.system}: deleting the {self.k} named events moves the {what} by {self.named:.4f}, random ones by "
            f"{self.random:.4f}; difference {gap.value:.4f} [{gap.low:.4f}, {gap.high:.4f}], {self.pairs} pairs"
        )

    def json(self) -> dict[str, Any]:
        """Figures without the rows."""
        return {
            "system": self.system, "k": self.k, "pairs": self.pairs, "users": self.users, "named": self.named,
            "random": self.random, "difference": list(self.difference[:3]), "p": self.difference.p, "odds": self.odds,
        }  # fmt: skip


def deletion(
    system: Explainer, asked: Questions, *, k: int = 3, pairs: int = 300, draws: int = 5, last: int | None = None,
    seed: int = 0, resamples: int = bootstrap.RESAMPLES,
) -> Deletion:  # fmt: skip
    """Delete what `system.explain` names, and as many random events, from the histories of random candidates.

    Parameters
    ----------
    k : events named per candidate. pairs : (question, candidate) pairs, drawn among those with more than 2 k events.
    draws : random sets per pair. last : events of a history that the system reads, from the end; by default its option
        of that name. Only these are explained, drawn and deleted.
    seed : of all that is drawn. resamples : of the bootstrap over users.

    Raises
    ------
    OptionError
        No history is long enough, or the system names an event that is not in the history.
    """
    if k < 1 or pairs < 1 or draws < 1:
        raise OptionError(f"deletion: k = {k}, pairs = {pairs}, draws = {draws}; give 1 or more of each.")
    rng = np.random.default_rng(seed)
    reads = getattr(system, "last", None) if last is None else last
    histories = asked.histories if reads is None else asked.histories.last(reads)
    codes, ends = asked.candidates.flat(len(asked))
    owner = np.repeat(np.arange(len(asked)), np.diff(ends))
    able = np.flatnonzero(histories.lengths[owner] > 2 * k)
    if not len(able):
        raise OptionError(f"deletion: no history holds more than {2 * k} events; take a smaller k.")
    chosen = np.sort(rng.choice(able, min(pairs, len(able)), replace=False))
    question = owner[chosen]
    some, judged = histories[question], _one_each(asked.candidates, codes[chosen])
    gone = _named(system, some, judged, k)
    counts = np.array([len(g) for g in gone])
    sets: list[list[np.ndarray]] = [[np.zeros(0, np.int64)] * len(some), gone]
    for _ in range(draws):
        sets.append([a + rng.permutation(b - a)[:n] for a, b, n in zip(some.start, some.stop, counts, strict=True)])
    context = {name: np.asarray(values)[chosen] for name, values in asked.context.items()}
    scores = np.stack([_without(system, some, judged, context, drop) for drop in sets])
    odds = bool((scores >= 0).all() and (scores <= 1).all())
    if odds:
        scores = np.clip(scores, CLOSE, 1 - CLOSE)
        scores = np.log(scores / (1 - scores))
    moved = np.abs(scores[1:] - scores[0])
    named, other, users = moved[0], moved[1:].mean(0), units_of(some)
    gap = bootstrap.mean_difference(named, other, units=users, resamples=resamples, seed=seed)
    table = {
        "question": question, "user": some.vocabularies["user"].decode(some.users),
        "candidate": asked.candidates.vocabulary.decode(codes[chosen]), "deleted": counts, "named": named,
        "random": other,
    }  # fmt: skip
    return Deletion(
        name_of(system), k, len(chosen), int(users.max()) + 1, float(named.mean()), float(other.mean()), gap, odds,
        pa.table(table),
    )  # fmt: skip


def _one_each(candidates: Candidates, codes: np.ndarray) -> Candidates:
    return Candidates(np.ascontiguousarray(codes), candidates.vocabulary, np.arange(len(codes) + 1, dtype=np.int64))


def _named(system: Explainer, some: Histories, judged: Candidates, k: int) -> list[np.ndarray]:
    """Shared rows of the events that the system names for each pair; an event is found by its item and time."""
    told = system.explain(some, judged, k)
    item = some.vocabularies["item"].encode(told.column("item"))
    time = None if told.column("time").null_count else told.column("time").cast("int64").to_numpy()
    held = np.asarray(some.columns["time"]) if time is not None else None
    found: list[list[int]] = [[] for _ in range(len(some))]
    for place, question in enumerate(told.column("question").to_pylist()):
        a, b = some.start[question], some.stop[question]
        there = np.asarray(some.item[a:b]) == item[place]
        if held is not None and time is not None:
            there &= held[a:b] == time[place]
        rows = [r for r in a + np.flatnonzero(there)[::-1] if r not in found[question]]
        if not rows:
            what = told.column("item")[place].as_py()
            raise OptionError(
                f"{name_of(system)} names event '{what}', which is not in the history of question {question}."
            )
        found[question].append(int(rows[0]))
    return [np.array(rows, np.int64) for rows in found]


def _without(
    system: Explainer, some: Histories, judged: Candidates, context: Mapping[str, np.ndarray], drop: list[np.ndarray]
) -> np.ndarray:
    rows, ends = some.flat()
    owner = np.repeat(np.arange(len(some)), np.diff(ends))
    gone = np.zeros(len(rows), bool)
    for i, wrong in enumerate(drop):
        gone[ends[i] + wrong - some.start[i]] = True
    kept = np.concatenate([[0], np.cumsum(np.bincount(owner[~gone], minlength=len(some)))])
    cut = some.taken(rows[~gone], kept)
    return np.asarray(system.score(cut, judged, context or None), np.float64).reshape(-1)
