"""Probabilities judged in the order of time: each block of slates is predicted, then its answers are revealed.

A system with `update` is updated with what is revealed between two blocks, any other is fitted anew. Where answers take
an attribution window to be known (`Rolling.attribution`), neither sees one before: what happened within the window
before a block has no `label` and no `value` in the histories that the block is asked with.

All blocks are judged together, as by `evaluate_slates` (users are resampled across blocks), and beside each metric
stands its value in every block, ``auc/block 3``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import StepError
from ethogram.evaluate import bootstrap as boot
from ethogram.evaluate import calibration, classification, slates
from ethogram.evaluate.evaluation import Evaluation, Watch
from ethogram.evaluate.machine import Cost, measure
from ethogram.evaluate.rolling import added
from ethogram.log import Log
from ethogram.log.histories import Candidates, Histories, Questions

OUTCOME = ("label", "value")
"""Columns of past events that tell an answer."""
BLOCK = 4_096


def prequential(
    system: Any, cut: Any, *, fit: Callable[[Any], None], costs: dict[str, Cost], seed: int = 0,
    bootstrap: int = boot.RESAMPLES, bins: int = slates.BINS, watch: Watch | None = None, **_: Any,
) -> Evaluation:  # fmt: skip
    """Go through the blocks of a rolling protocol whose log has labels.

    Parameters
    ----------
    cut : a `Rolling`. fit : fits the system on one of its splits. costs : ``fit`` gets what all fits and updates cost.
    seed, bootstrap, bins : as in `evaluate_slates`.

    Raises
    ------
    StepError
        A block in which no event carries a label.
    """
    asked: list[Questions] = []
    scores: list[np.ndarray] = []
    spent, judging = Cost(peak_mb=None), Cost(peak_mb=None)
    facts = {"score_seconds": 0.0, "score_wall_seconds": 0.0}
    for number, part in enumerate(cut.parts):
        with measure() as cost:
            if cut.protocol == "stream" and number and hasattr(system, "update"):
                if answered(revealed := cut.reveals[number - 1]):
                    system.update(revealed)
            else:
                fit(part)
        spent = added(spent, cost)
        if not answered(part.test):
            raise StepError(f"block {number + 1} of {len(cut.parts)} holds no label; take fewer or larger blocks.")
        with measure() as cost:
            questions = part.test.questions("slates")
            questions = replace(questions, histories=unknown(questions.histories, part.test, cut.attribution))
            made, took = slates.scored(system, questions, BLOCK, None)
        judging = added(judging, cost)
        asked.append(questions)
        scores.append(made)
        facts = {name: facts[name] + took[name] for name in facts}
        if watch is not None:
            watch({"block": number + 1, "blocks": len(cut.parts)})
    costs["fit"] = spent
    whole, block = joined(asked), np.repeat(np.arange(len(asked)), [len(a) for a in asked])
    protocol = {"task": "slates", "part": "test", "bins": bins, "bootstrap": bootstrap, "bootstrap_seed": seed}
    found = slates.summarised(whole, np.concatenate(scores), protocol, dict(facts), judging)
    metrics = dict(found.metrics)
    for number, (questions, made) in enumerate(zip(asked, scores, strict=True)):
        for name, value in block_metrics(questions, made).items():
            metrics[f"{name}/block {number + 1}"] = value
    told = {**found.facts, "blocks": len(asked), "block_questions": [len(a) for a in asked]}
    vectors = found.vectors.append_column("block", pa.array(block + 1))
    return replace(found, metrics=metrics, facts=told, vectors=vectors)


def block_metrics(asked: Questions, score: np.ndarray) -> dict[str, float]:
    """AUC of a block, and what tells whether its probabilities are true."""
    label, weight = asked.label, asked.weight
    found = {"auc": classification.auc(label, score, weight)}
    if ((score >= 0) & (score <= 1)).all():
        found["logloss"] = classification.logloss(label, score, weight)
        found["ece"] = calibration.ece(label, score, weight)
    return found


def answered(part: Log | None) -> bool:
    """Whether there is such a part, and any of its events carries a label."""
    if part is None:
        return False
    rows = part.sequences().columns
    return "label" in rows and bool((~np.isnan(np.asarray(rows["label"]))).any())


def unknown(histories: Histories, block: Any, window: int) -> Histories:
    """Histories without the answers that are younger than the window when the block begins."""
    if not window:
        return histories
    since = block.steps[-1].start - window
    late = np.asarray(histories.columns["time"]) >= since
    hidden = {
        name: np.where(late, np.nan, np.asarray(histories.columns[name], np.float64)).astype(np.float32)
        for name in OUTCOME
        if name in histories.columns
    }
    return replace(histories, columns={**histories.columns, **hidden})


def joined(asked: list[Questions]) -> Questions:
    """Questions of several parts of one log, one behind the other; histories keep the columns of the last."""
    names = ("start", "stop", "users", "time")
    told: dict[str, Any] = {n: np.concatenate([getattr(a.histories, n) for a in asked]) for n in names}
    histories = replace(asked[-1].histories, **told)
    flat = [a.candidates.flat(len(a)) for a in asked]
    counts = np.concatenate([np.diff(ends) for _, ends in flat])
    items, offsets = np.concatenate([codes for codes, _ in flat]), np.concatenate([[0], np.cumsum(counts)])
    candidates = Candidates(items, asked[0].candidates.vocabulary, offsets)
    label, weight = (np.concatenate([getattr(a, name) for a in asked]) for name in ("label", "weight"))
    return Questions(histories, candidates, label, weight)
