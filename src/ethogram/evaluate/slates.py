"""Evaluation of rankers: slates of candidates with known answers, each row standing for `weight` of the task."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.evaluate import bootstrap as boot
from ethogram.evaluate import calibration, classification
from ethogram.evaluate.evaluation import (
    Evaluation,
    Scorer,
    Watch,
    checked_scores,
    name_of,
    plan_of,
    questions_of,
    units_of,
    user_ids,
)  # fmt: skip
from ethogram.evaluate.goals import judged
from ethogram.evaluate.machine import measure
from ethogram.log.histories import Questions

BINS = 15


def evaluate_slates(
    system: Scorer, asked: Any, *, part: str = "test", seed: int = 0, bootstrap: int = boot.RESAMPLES,
    block: int = 4096, bins: int = BINS, watch: Watch | None = None,
) -> Evaluation:  # fmt: skip
    """Judge the probabilities that a ranker gives the candidates of slates.

    Parameters
    ----------
    asked : a split (its part's slates are asked) or `Questions` with labels.
    seed, bootstrap : of the resamples (over users) and their number.
    block : questions scored at once. bins : of the calibration error, of equal mass.

    Returns
    -------
    Evaluation
        ``auc``, ``gauc`` (group AUC: the AUC inside each slate, averaged with the slates' exposures as weights; slates
        with one kind of answer have none and are left out), ``user_auc`` (the same inside users, what DIN's paper calls
        GAUC: users with one kind of answer are left out, the others weigh by their exposures), ``pr_auc``,
        ``logloss``, ``brier``, ``ece``; all weighted. The last three are NaN where a score is no probability (fact
        `probabilities`). Of a system that scores several goals also each goal's, see `ethogram.evaluate.goals`.
        Intervals of ``ece`` keep the bins of the whole sample; the resampled value lies a little higher than the value
        itself, as noise adds to every bin's gap.

    Raises
    ------
    OptionError
        Scores of the wrong shape or NaN, labels outside [0, 1].
    """
    with measure() as cost:
        questions = asked if isinstance(asked, Questions) else questions_of(asked, part, "slates")
        if block < 1 or not len(questions):
            raise OptionError(f"evaluate: block = {block}, {len(questions)} slates; both must be at least 1.")
        scores, facts = scored(system, questions, block, watch)
        goals = None if isinstance(asked, Questions) else _goals(system, asked, part, bootstrap, seed)
        protocol = {
            "task": "slates", "part": part, "bins": bins, "bootstrap": bootstrap, "bootstrap_seed": seed,
        }  # fmt: skip
        try:
            evaluation = summarised(questions, scores, protocol, facts, cost, goals)
        except OptionError as error:
            raise OptionError(f"{name_of(system)}: {error}") from error
    return evaluation


def scored(system: Scorer, questions: Questions, block: int, watch: Watch | None) -> tuple[np.ndarray, dict[str, Any]]:
    """Scores of all candidates, flat, asked block by block, and what that took."""
    _, offsets = questions.candidates.flat(len(questions))
    scores: np.ndarray | None = None
    cpu = wall = 0.0
    for at in range(0, len(questions), block):
        rows = slice(at, min(at + block, len(questions)))
        some = questions[rows]
        began = time.process_time(), time.perf_counter()
        made = system.score(some.histories, some.candidates, some.context or None)
        cpu, wall = cpu + time.process_time() - began[0], wall + time.perf_counter() - began[1]
        total = int(offsets[rows.stop] - offsets[rows.start])
        shape = (total,) if some.candidates.offsets is not None else (len(some), total // len(some))
        made = checked_scores(system, made, shape).ravel()
        if scores is None:
            scores = np.empty(int(offsets[-1]), made.dtype)
        scores[offsets[rows.start] : offsets[rows.stop]] = made
        if watch is not None:
            watch({"done": rows.stop, "questions": len(questions)})
    return scores if scores is not None else np.zeros(0), {"score_seconds": cpu, "score_wall_seconds": wall}


def _goals(system: Any, split: Any, part: str, resamples: int, seed: int) -> _Goals | None:
    """How a system that scores several goals does on each, where the log has answers to several."""
    if not hasattr(system, "score_goals"):
        return None
    questions = questions_of(split, part, "goals")
    return judged(system, questions, resamples, seed) if len(questions.labels) > 1 else None


_Goals = tuple[dict[str, float], dict[str, np.ndarray], dict[str, Any]]


def summarised(
    questions: Questions, scores: np.ndarray, protocol: dict[str, Any], facts: dict[str, Any], cost: Any,
    goals: _Goals | None = None,
) -> Evaluation:  # fmt: skip
    """The metrics of scores that lie flat beside the candidates of the questions, and those of goals."""
    label, weight = np.asarray(questions.label, np.float64), np.asarray(questions.weight, np.float64)
    _, offsets = questions.candidates.flat(len(questions))
    units = units_of(questions.histories)
    sizes = np.diff(offsets)
    unit = np.repeat(units, sizes)
    resamples, seed, bins = protocol["bootstrap"], protocol["bootstrap_seed"], protocol["bins"]

    inside, slate_weight, _ = classification.auc_by_group(label, scores, weight, offsets=offsets)
    groups = classification.group_auc(label, scores, weight, offsets=offsets)
    person, user_weight, _ = classification.auc_by_group(label, scores, weight, groups=unit)
    over, under = boot.by_unit(person, np.arange(len(person)), user_weight)
    metrics = {
        "auc": classification.auc(label, scores, weight), "gauc": groups.value,
        "user_auc": float(over.sum() / under.sum()) if under.any() else float("nan"),
        "pr_auc": classification.pr_auc(label, scores, weight),
    }  # fmt: skip
    draws: dict[str, np.ndarray] = {}
    draws["auc"], draws["pr_auc"] = boot.curve_draws(label, scores, unit, weight, resamples, seed)
    draws["gauc"] = boot.ratio_draws(*boot.by_unit(inside, units, slate_weight), resamples, seed)[:, 0]
    draws["user_auc"] = boot.ratio_draws(over, under, resamples, seed)[:, 0]

    question = np.repeat(np.arange(len(sizes)), sizes)
    total = np.bincount(question, weight, len(sizes))
    losses: dict[str, np.ndarray] = {}
    probabilities = bool((scores >= 0).all() and (scores <= 1).all())
    metrics |= dict.fromkeys(("logloss", "brier", "ece"), float("nan"))
    if probabilities:
        for name, rows in (
            ("logloss", calibration.log_losses(label, scores)),
            ("brier", calibration.brier_losses(label, scores)),
        ):
            metrics[name] = calibration.mean(rows, weight)
            with np.errstate(invalid="ignore"):
                losses[name] = np.bincount(question, rows * weight, len(sizes)) / total
            draws[name] = boot.ratio_draws(*boot.by_unit(rows, unit, weight), resamples, seed)[:, 0]
        metrics["ece"] = calibration.ece(label, scores, weight, bins=bins)
        draws["ece"] = _ece_draws(label, scores, weight, unit, bins, resamples, seed)

    rate = calibration.mean(label, weight)
    facts |= {
        "questions": len(questions), "users": int(units.max()) + 1, "rows": len(label), "weight": float(weight.sum()),
        "positives": float((label * weight).sum()), "positive_rate": rate,
        "share_slates": groups.share_groups, "share_rows": groups.share_rows, "probabilities": probabilities,
    }  # fmt: skip
    if probabilities:
        # what a constant that knows the rate would lose: a logloss above it has learned nothing
        facts["constant_logloss"] = calibration.mean(calibration.log_losses(label, np.full(len(label), rate)), weight)
        facts["reliability"] = calibration.reliability(label, scores, weight, bins=bins).to_pydict()
    vectors = {
        "user": user_ids(questions.histories), "unit": units.astype(np.int32), "time": questions.histories.time,
        "candidates": sizes.astype(np.int32), "weight": total,
        "positives": np.bincount(question, label * weight, len(sizes)), "auc": inside, **losses,
    }  # fmt: skip
    if goals is not None:
        metrics, draws, facts = metrics | goals[0], draws | goals[1], facts | {"goals": goals[2]}
    ordered = {name: draws[name] for name in metrics if name in draws}
    intervals = {name: boot.interval(metrics[name], column)[1:] for name, column in ordered.items()}
    plan = plan_of(questions, resamples, seed)
    return Evaluation(protocol, metrics, intervals, facts, pa.table(vectors), pa.table(ordered), plan, cost)


def _ece_draws(
    label: np.ndarray, scores: np.ndarray, weight: np.ndarray, unit: np.ndarray, bins: int, resamples: int, seed: int
) -> np.ndarray:  # fmt: skip
    place = calibration.bins_of(scores, weight, bins=bins)
    users = int(unit.max()) + 1
    cell = unit * bins + place
    gap = np.bincount(cell, weight * (scores - label), users * bins).reshape(users, bins)
    mass = np.bincount(unit, weight, users)
    drawn = boot.sums(np.column_stack([gap, mass]), resamples, seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.abs(drawn[:, :bins]).sum(1) / drawn[:, bins])
