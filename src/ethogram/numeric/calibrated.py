"""Scores that are true as probabilities: an option of every ranking system, and what it does to `fit` and `score`.

    platt      p' = sigmoid(a logit p + b)      a, b of least log-loss on the validation part
    isotonic   p' = g(p)                        g the rising function of least squared error there, linear between steps

Both are learned with the rows' weights, from the validation part alone: no event of the part that judges is ever seen.
Platt's map with a > 0 keeps every order and so every AUC; the isotonic one makes ties where it is flat. Labels are
drawn in as Platt does, (yes + 1) / (yes + 2) and 1 / (no + 2), so that neither answers 0 or 1.

References: J. Platt: Probabilistic outputs for support vector machines. Advances in Large Margin Classifiers, 1999.
B. Zadrozny, C. Elkan: Transforming classifier scores into accurate multiclass probability estimates. KDD 2002.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ethogram.errors import OptionError, StepError
from ethogram.numeric.calibrate import Calibration, pulled
from ethogram.numeric.slates import both_answers
from ethogram.verbs import Candidates, Histories, Log, State, Table, Watch

EDGE = 1e-9
"""Probabilities are kept so far from 0 and 1 before their logit is taken."""
PART = "calibration"


@dataclass(kw_only=True)
class Calibrated:
    """What makes a ranking system have the option; `system` gives its `fit`, `score`, `state`, `restore` the map."""

    calibrate: Literal["none", "platt", "isotonic"] = "none"
    "How scores are mapped to probabilities: not at all, or by Platt's or an isotonic map of the validation part."

    calibration = None
    "The map, once learned."
    maps_itself = False
    "Whether a system learns and applies the map itself, where predictions for the validation part need care."

    def calibrated(self, scores: np.ndarray) -> np.ndarray:
        """Raw scores as the map has them, in the same shape; as they are where there is none."""
        return np.asarray(scores) if self.calibration is None else apply(self.calibration, scores)


def learn(kind: str, label: np.ndarray, score: np.ndarray, weight: np.ndarray) -> Calibration:
    """The map of a validation part.

    Parameters
    ----------
    kind : platt or isotonic. label : float[N], 0 or 1. score : float[N] in [0, 1]. weight : float[N], any scale.

    Examples
    --------
    >>> score = np.repeat([0.2, 0.4], 500)          # twice as sure as it may be
    >>> label = np.tile([1.0] + [0.0] * 9, 100)
    >>> label[500:] = np.tile([1.0] + [0.0] * 4, 100)
    >>> apply(learn("isotonic", label, score, np.ones(1_000)), np.array([0.2, 0.4])).round(2).tolist()
    [0.1, 0.2]
    """
    y = np.asarray(label, np.float64)
    weight = np.asarray(weight, np.float64) / np.mean(weight)
    if kind == "platt":
        return Calibration.learn("sigmoid", _logit(score), y, weight)
    used = weight > 0
    return Calibration.learn("isotonic", np.asarray(score, np.float64)[used], pulled(y, weight)[used], weight[used])


def apply(found: Calibration, score: np.ndarray) -> np.ndarray:
    """Mapped scores, float64 in the same shape."""
    return found(_logit(score) if found.kind == "sigmoid" else np.asarray(score, np.float64))


def calibrating(cls: type) -> Mapping[str, Callable[..., Any]]:
    """`fit`, `score`, `state` and `restore` of a system with the option `calibrate`, with the map around them."""
    fit, score, state, restore = (_plain(cls, name) for name in ("fit", "score", "state", "restore"))

    @functools.wraps(fit)
    def fits(self: Any, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Any:
        self.calibration = None
        if self.calibrate == "none":
            return fit(self, train, valid, seed=seed, watch=watch)
        asked = _asked(self, valid)
        fit(self, train, valid, seed=seed, watch=watch)
        raw = np.asarray(score(self, asked.histories, asked.candidates, asked.context or None)).reshape(-1)
        self.calibration = learn(self.calibrate, asked.label, raw, asked.weight)
        return self

    @functools.wraps(score)
    def scores(self: Any, histories: Histories, candidates: Candidates, context: Table | None = None) -> np.ndarray:
        raw: np.ndarray = score(self, histories, candidates, context)
        return raw if self.calibration is None else apply(self.calibration, raw)

    @functools.wraps(state)
    def states(self: Any) -> State:
        held: State = state(self)
        if self.calibration is None:
            return held
        return replace(held, parts={**held.parts, PART: State(json=self.calibration.json())})

    @functools.wraps(restore)
    def restores(self: Any, held: State) -> Any:
        parts = dict(held.parts)
        found = parts.pop(PART, None)
        restore(self, replace(held, parts=parts))
        self.calibration = None if found is None else Calibration.from_json(found.json)
        return self

    made: dict[str, Any] = {"fit": fits, "score": scores, "state": states, "restore": restores}
    for whole in made.values():
        whole.__uncalibrated__ = whole.__wrapped__
    return made


def _plain(cls: type, name: str) -> Callable[..., Any]:
    """The method without a map around it, where the class inherits from a system that has one already."""
    method = getattr(cls, name)
    found: Callable[..., Any] = getattr(method, "__uncalibrated__", method)
    return found


def _asked(system: Any, valid: Log | None) -> Any:
    """The answered slates of the validation part, or what is wrong with it, before anything is trained."""
    key = system.info.key
    if valid is None:
        raise OptionError(
            f"{key}: calibrate = {system.calibrate} is learned on a validation part and there is none; give fit a "
            "valid log (on the command line: --protocol temporal, or a share for validation)."
        )
    try:
        asked = valid.questions("slates")
        both_answers(asked.label, asked.weight)
    except StepError as error:
        raise StepError(f"{key}: calibrate = {system.calibrate}: validation part: {error}") from None
    return asked


def _logit(score: np.ndarray) -> np.ndarray:
    p = np.clip(np.asarray(score, np.float64), EDGE, 1 - EDGE)
    return np.asarray(np.log(p) - np.log1p(-p))
