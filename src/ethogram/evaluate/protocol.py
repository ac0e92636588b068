"""Next-item evaluation: the whole catalogue is ranked for every question, nothing is sampled.

A question is a user's next group of equal times; its targets are that group's items. Every item that occurs in
the log which was split competes, except, where `exclude_seen` holds, the user's past items that are no targets.
Ties of score get mid-ranks (`ethogram.evaluate.ranking`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.evaluate import bootstrap as boot
from ethogram.evaluate import kernels
from ethogram.evaluate.evaluation import (
    Evaluation,
    Scorer,
    Watch,
    checked_scores,
    plan_of,
    questions_of,
    units_of,
    user_ids,
)  # fmt: skip
from ethogram.evaluate.exposure import Exposure
from ethogram.evaluate.machine import measure
from ethogram.evaluate.ranking import Past, Standing, per_question, stand
from ethogram.evaluate.slates import evaluate_slates
from ethogram.log.histories import Candidates, Questions

__all__ = ["REPEATS", "Evaluation", "evaluate", "evaluate_slates"]

REPEATS = 0.01
"""Where at least this share of the training events are repeats, past items stay in the ranking."""

_SPLIT_METRICS = ("hr", "recall", "ndcg", "mrr")
_BLOCK_SCORES = 2**25  # a block of scores takes at most 128 MiB, however large the catalogue


def evaluate(
    system: Scorer, split: Any, *, part: str = "test", ks: Sequence[int] = (5, 10, 20),
    exclude_seen: bool | None = None, which: str | None = None, seed: int = 0, bootstrap: int = boot.RESAMPLES,
    block: int = 512, watch: Watch | None = None,
) -> Evaluation:  # fmt: skip
    """Rank the catalogue for each question of a part.

    Parameters
    ----------
    system : fitted on ``split.train``.
    ks : lengths of the lists that are judged.
    exclude_seen : take past items out of the ranking (targets stay). None: where less than 1% of the training
        events are repeats.
    which : which groups of a user are asked: first, last, every; default is the part's own.
    seed, bootstrap : of the resamples (over users) and their number.
    block : most questions scored at once.
    watch : called with ``{"done", "questions"}`` after each block.

    Returns
    -------
    Evaluation
        Metrics of `ranking.per_question`, the same for targets that the user had met before (``hr@10/repeat``) and
        had not (``hr@10/explore``) where both occur, ``novelty@k``, ``coverage@k``, ``gini@k``. Facts: `items`
        ranked, share of `cold_targets` (no training event), `users_with_tied_targets` (more than one target at
        the same time), `score_ties` (share of targets level with another item), `nan_scores`,
        `score_seconds` (CPU time inside the system), `score_wall_seconds`.

    Raises
    ------
    OptionError
        Bad ks, block or part, or scores of the wrong shape.
    """
    ks = _lengths(ks)
    if block < 1:
        raise OptionError(f"evaluate: block = {block}; give 1 or more.")
    with measure() as cost:
        questions = questions_of(split, part, "next", which)
        if exclude_seen is None:
            exclude_seen = bool(split.train.repeat_ratio() < REPEATS)
        catalogue = _Catalogue(split, questions)
        found = _rank(system, questions, catalogue, ks, exclude_seen, block, watch)
        protocol = {
            "task": "next", "part": part, "ks": list(ks), "exclude_seen": exclude_seen, "which": which,
            "bootstrap": bootstrap, "bootstrap_seed": seed,
        }  # fmt: skip
        evaluation = _summary(questions, catalogue, found, protocol, cost)
    return evaluation


class _Catalogue:
    """Who competes: the items of the log that was split, with their training events."""

    def __init__(self, split: Any, questions: Questions):
        vocabulary = questions.candidates.vocabulary
        occurs = np.bincount(_items(split.log), minlength=len(vocabulary)) > 0
        codes = np.flatnonzero(occurs).astype(np.int32)
        self.candidates = Candidates.every(vocabulary) if occurs.all() else Candidates(codes, vocabulary, shared=True)
        self.counts = np.bincount(_items(split.train), minlength=len(vocabulary))[codes]
        self.place = np.full(len(vocabulary) + 1, -1, np.int32)  # code -1 reads the last entry: nowhere
        self.place[codes] = np.arange(len(codes), dtype=np.int32)
        asked, offsets = questions.candidates.flat(len(questions))
        self.targets, self.offsets = self.place[asked].astype(np.int64), offsets
        histories = questions.histories
        own = histories.vocabularies["item"].codes_in(vocabulary)
        past = np.asarray(histories.item)
        place = self.place[np.append(own, -1)[past]] if len(past) else past
        self.past = Past(place, np.asarray(histories.start), np.asarray(histories.stop))

    def __len__(self) -> int:
        return len(self.counts)


class _Found:
    """What ranking the blocks gathers."""

    def __init__(self, targets: int, questions: int, ks: Sequence[int], counts: np.ndarray):
        self.greater, self.equal = np.zeros(targets, np.int64), np.zeros(targets, np.int64)
        self.novelty = np.full((questions, len(ks)), np.nan)
        self.exposure = Exposure(ks, counts)
        self.nans = 0
        self.cpu = self.wall = 0.0


def _rank(
    system: Scorer, questions: Questions, catalogue: _Catalogue, ks: Sequence[int], exclude_seen: bool,
    block: int, watch: Watch | None,
) -> _Found:  # fmt: skip
    found = _Found(len(catalogue.targets), len(questions), ks, catalogue.counts)
    block = max(1, min(block, _BLOCK_SCORES // max(1, len(catalogue))))
    for rows, histories in questions.histories.blocks(block):
        cpu, wall = time.process_time(), time.perf_counter()
        made = system.score(histories, catalogue.candidates)
        found.cpu += time.process_time() - cpu
        found.wall += time.perf_counter() - wall
        scores = checked_scores(system, made, (len(histories), len(catalogue)))
        first, last = catalogue.offsets[rows.start], catalogue.offsets[rows.stop]
        offsets = catalogue.offsets[rows.start : rows.stop + 1] - first
        targets = catalogue.targets[first:last]
        past = catalogue.past.rows(rows) if exclude_seen else Past.none(len(histories))
        standing = stand(scores, targets, offsets, past)
        found.greater[first:last], found.equal[first:last] = standing.greater, standing.equal
        found.novelty[rows] = found.exposure.add(scores, targets, offsets, past)
        found.nans += int(np.isnan(scores).sum())
        if watch is not None:
            watch({"done": rows.stop, "questions": len(questions)})
    return found


def _summary(
    questions: Questions, catalogue: _Catalogue, found: _Found, protocol: dict[str, Any], cost: Any
) -> Evaluation:  # fmt: skip
    ks, histories = protocol["ks"], questions.histories
    standing = Standing(found.greater, found.equal, catalogue.offsets)
    again = kernels.met(catalogue.targets, catalogue.offsets, *catalogue.past, len(catalogue))
    columns = per_question(standing, ks)
    if again.any() and not again.all():
        for name, chosen in (("repeat", again), ("explore", ~again)):
            part = per_question(standing.only(chosen), ks)
            columns |= {f"{m}/{name}": v for m, v in part.items() if m.split("@")[0] in _SPLIT_METRICS}
    columns |= {f"novelty@{k}": found.novelty[:, j] for j, k in enumerate(ks)}
    units = units_of(histories)
    over, under = boot.by_unit(np.stack(list(columns.values()), 1), units)
    with np.errstate(invalid="ignore"):
        values = over.sum(0) / under.sum(0)
    draws = boot.ratio_draws(over, under, protocol["bootstrap"], protocol["bootstrap_seed"])
    intervals = {n: boot.interval(values[j], draws[:, j])[1:] for j, n in enumerate(columns)}
    metrics = {n: float(values[j]) for j, n in enumerate(columns)} | found.exposure.metrics()
    targets = np.diff(catalogue.offsets)
    cold = catalogue.targets < 0
    cold[~cold] = catalogue.counts[catalogue.targets[~cold]] == 0
    facts = {
        "questions": len(questions), "users": int(units.max()) + 1, "items": len(catalogue),
        "targets": len(cold), "cold_targets": float(cold.mean()), "repeat_targets": float(again.mean()),
        "users_with_tied_targets": len(np.unique(units[targets > 1])),
        "score_ties": float((found.equal > 0).mean()), "nan_scores": found.nans,
        "score_seconds": found.cpu, "score_wall_seconds": found.wall,
    }  # fmt: skip
    question = standing.question
    vectors = {
        "user": user_ids(histories), "unit": units.astype(np.int32), "time": histories.time,
        "targets": targets.astype(np.int32),
        "repeats": np.bincount(question, again, len(questions)).astype(np.int32),
        "score_tie": np.bincount(question, found.equal > 0, len(questions)) > 0,
        **columns,
    }  # fmt: skip
    plan = plan_of(questions, protocol["bootstrap"], protocol["bootstrap_seed"])
    table = pa.table({n: draws[:, j] for j, n in enumerate(columns)})
    return Evaluation(protocol, metrics, intervals, facts, pa.table(vectors), table, plan, cost)


def _items(log: Any) -> np.ndarray:
    codes = np.asarray(log.sequences().columns["item"])
    return codes[codes >= 0]


def _lengths(ks: Sequence[int]) -> tuple[int, ...]:
    lengths = tuple(sorted({int(k) for k in ks}))
    if not lengths or lengths[0] < 1:
        raise OptionError(f"evaluate: ks = {list(ks)}; give list lengths of at least 1.")
    return lengths
