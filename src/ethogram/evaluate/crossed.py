"""Evaluation fold by fold: what each fold's model says of the answers it did not see, judged together.

Predictions of all folds are pooled and judged once, with every person in exactly one resampling unit: an AUC over the
whole panel, not a mean of folds' AUCs. Where a system also predicts the value of an answer (`rate`) and the log has
values, ``rmse``, ``mae``, ``pearson`` and ``spearman`` stand beside the metrics of the click.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.evaluate import bootstrap as boot
from ethogram.evaluate import ratings
from ethogram.evaluate.evaluation import Evaluation, Watch, name_of, units_of
from ethogram.evaluate.machine import Cost, measure
from ethogram.evaluate.rolling import added
from ethogram.evaluate.slates import BINS, scored, summarised
from ethogram.log.histories import Candidates, Histories, Questions

BLOCK = 4096


def crossed(
    system: Any, cut: Any, *, fit: Callable[[Any], None], costs: dict[str, Cost], part: str = "test", seed: int = 0,
    bootstrap: int = boot.RESAMPLES, bins: int = BINS, watch: Watch | None = None,
) -> Evaluation:  # fmt: skip
    """Fit on the rest of every fold, ask the fold, judge all answers together.

    Parameters
    ----------
    cut : a `CrossFold`. fit : fits the system on one fold. costs : ``fit`` gets what all fits cost.
    """
    asked, scores, told = [], [], []
    spent, seconds = Cost(peak_mb=None), {"score_seconds": 0.0, "score_wall_seconds": 0.0}
    judging = Cost(peak_mb=None)
    for number, fold in enumerate(cut.parts):
        with measure() as cost:
            fit(fold)
        spent = added(spent, cost)
        questions = fold.test.questions("slates")
        with measure() as cost:
            found, facts = scored(system, questions, BLOCK, None)
            told.append(rated(system, questions))
        judging = added(judging, cost)
        asked.append(questions)
        scores.append(found)
        seconds = {name: seconds[name] + facts[name] for name in seconds}
        if watch is not None:
            watch({"block": number + 1, "blocks": len(cut.parts)})
    costs["fit"] = spent
    together = pooled(asked)
    protocol = {"task": "slates", "part": part, "bins": bins, "bootstrap": bootstrap, "bootstrap_seed": seed}
    with measure() as cost:
        try:
            made = summarised(together, np.concatenate(scores), protocol, dict(seconds), judging)
        except OptionError as error:
            raise OptionError(f"{name_of(system)}: {error}") from error
        values = np.concatenate([fold.test.ratings() for fold in cut.parts])
        metrics, intervals, draws = dict(made.metrics), dict(made.intervals), made.draws
        known = [t for t in told if t is not None]
        if len(known) == len(told) and not np.isnan(values).any():
            sizes = np.diff(together.candidates.flat(len(together))[1])
            units = np.repeat(units_of(together.histories), sizes)
            more = ratings.evaluated(values, np.concatenate(known), units, resamples=bootstrap, seed=seed)
            for name, value in more.metrics.items():
                metrics[name], intervals[name] = value, boot.interval(value, more.draws[name])[1:]
                draws = draws.append_column(name, pa.array(more.draws[name]))
    # the order in which people are asked is part of what is paired
    folds = "+".join(fold.test.fingerprint() for fold in cut.parts)
    plan = hashlib.blake2b(f"{made.plan}{folds}".encode(), digest_size=16).hexdigest()
    facts = {**made.facts, "folds": len(cut.parts)}
    return Evaluation(protocol, metrics, intervals, facts, made.vectors, draws, plan, added(judging, cost))


def rated(system: Any, questions: Questions) -> np.ndarray | None:
    """Predicted values flat beside the candidates; None from a system that predicts none.

    Raises
    ------
    OptionError
        As many numbers as candidates were not returned, or one is not finite.
    """
    if not hasattr(system, "rate"):
        return None
    made = np.asarray(system.rate(questions.histories, questions.candidates, questions.context or None), np.float64)
    total = int(questions.candidates.flat(len(questions))[1][-1])
    if made.size != total or not np.isfinite(made).all():
        raise OptionError(f"{name_of(system)}: rate returned {made.shape}, {total} finite numbers were asked.")
    return made.ravel()


def pooled(asked: list[Questions]) -> Questions:
    """Questions of several folds of one log as one; their histories are not kept, only who asks."""
    first = asked[0]
    users = np.concatenate([a.histories.users for a in asked]).astype(np.int32)
    time = np.concatenate([a.histories.time for a in asked])
    none = np.zeros(len(users), np.int64)
    who = Histories(
        {"item": np.zeros(0, np.int32)}, np.zeros(0, bool), none, none, users, time, first.histories.vocabularies
    )
    flat = [a.candidates.flat(len(a)) for a in asked]
    items = np.concatenate([codes for codes, _ in flat])
    offsets = np.append(0, np.cumsum(np.concatenate([np.diff(ends) for _, ends in flat])))
    return Questions(
        who,
        Candidates(items, first.candidates.vocabulary, offsets),
        np.concatenate([a.label for a in asked]),
        np.concatenate([a.weight for a in asked]),
    )
