"""Evaluation of rankers by several goals: each goal on the exposures whose answer to it is known, and their mean.

Every goal is judged on one set of exposures, those with an answer to any goal; where its own answer is missing, a row
weighs nothing. So people are drawn alike for all goals, and the mean over goals has an interval of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.evaluate import bootstrap as boot
from ethogram.evaluate import calibration, classification
from ethogram.evaluate.evaluation import checked_scores, units_of
from ethogram.log.histories import Questions

MEAN = "mean"
"""Name of the mean over goals: ``auc/mean``."""


def judged(
    system: Any, questions: Questions, resamples: int, seed: int, *, block: int = 4096
) -> tuple[dict[str, float], dict[str, np.ndarray], dict[str, Any]]:  # fmt: skip
    """(metrics, draws, facts) of the goals that a system scores.

    Parameters
    ----------
    questions : of kind ``goals``.

    Returns
    -------
    metrics : ``auc/<goal>``, ``gauc/<goal>`` (group AUC inside slates), ``logloss/<goal>``, and ``/mean`` of each.
    draws : the same, one value per resample over users. facts : goal -> answered, missing, positive_rate.
    """
    scores = _scores(system, questions, block)
    units = units_of(questions.histories)
    _, offsets = questions.candidates.flat(len(questions))
    unit = np.repeat(units, np.diff(offsets))
    metrics: dict[str, float] = {}
    draws: dict[str, np.ndarray] = {}
    facts: dict[str, Any] = {}
    for goal, found in scores.items():
        answers = np.asarray(questions.labels[goal], np.float64)
        known = ~np.isnan(answers)
        label, weight = np.where(known, answers, 0.0), questions.weight * known
        losses = calibration.log_losses(label, found)
        inside, mass, _ = classification.auc_by_group(label, found, weight, offsets=offsets)
        over, under = boot.by_unit(losses, unit, weight)
        metrics[f"auc/{goal}"] = classification.auc(label, found, weight)
        metrics[f"gauc/{goal}"] = classification.group_auc(label, found, weight, offsets=offsets).value
        metrics[f"logloss/{goal}"] = float(over.sum() / under.sum()) if under.any() else float("nan")
        draws[f"auc/{goal}"] = boot.curve_draws(label, found, unit, weight, resamples, seed)[0]
        draws[f"gauc/{goal}"] = boot.ratio_draws(*boot.by_unit(inside, units, mass), resamples, seed)[:, 0]
        draws[f"logloss/{goal}"] = boot.ratio_draws(over, under, resamples, seed)[:, 0]
        rate = float(np.average(label, weights=weight)) if weight.any() else None
        facts[goal] = {"answered": int(known.sum()), "missing": int((~known).sum()), "positive_rate": rate}
    for name in ("auc", "gauc", "logloss"):
        metrics[f"{name}/{MEAN}"] = float(np.mean([metrics[f"{name}/{goal}"] for goal in scores]))
        draws[f"{name}/{MEAN}"] = np.mean([draws[f"{name}/{goal}"] for goal in scores], axis=0)
    return metrics, draws, facts


def _scores(system: Any, questions: Questions, block: int) -> dict[str, np.ndarray]:
    """Goal -> float64[total] of the goals that the system scores and the questions have answers to."""
    parts: dict[str, list[np.ndarray]] = {}
    for at in range(0, len(questions), block):
        some = questions[slice(at, min(at + block, len(questions)))]
        said = system.score_goals(some.histories, some.candidates, some.context or None)
        for goal in questions.labels:
            if goal in said:
                shape = np.shape(some.candidates.items)
                parts.setdefault(goal, []).append(checked_scores(system, said[goal], shape).ravel().astype(np.float64))
    return {goal: np.concatenate(found) for goal, found in parts.items()}
