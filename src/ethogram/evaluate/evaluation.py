"""What one evaluation found: metrics with intervals, a row per question, and the draws that pair it with others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.evaluate import bootstrap
from ethogram.evaluate.machine import Cost
from ethogram.log.histories import Candidates, Histories, Questions

Watch = Callable[[Mapping[str, Any]], None]


class Scorer(Protocol):
    """Anything that judges candidates for histories; see `ethogram.verbs.Scores`."""

    def score(self, histories: Histories, candidates: Candidates, context: Any = None) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Metrics of one system on one set of questions.

    Attributes
    ----------
    protocol : what was asked: task, part, and every setting that moves a number.
    metrics : name -> value; NaN where it is not defined.
    intervals : name -> (low, high), 95%, bootstrap over users; metrics of the whole catalogue have none.
    facts : what a reader must know beside them: counts, shares of cold and repeated targets, ties ...
    vectors : a row per question: `user` (id, null for strangers), `unit` (whom the bootstrap draws), metrics.
    draws : a row per resample, a column per metric that has an interval.
    plan : hash of the questions and the resamples. Equal plans: the difference of the draws of two evaluations
        is the paired bootstrap of their difference.
    """

    protocol: Mapping[str, Any]
    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    facts: Mapping[str, Any]
    vectors: pa.Table
    draws: pa.Table
    plan: str
    cost: Cost = field(default_factory=Cost)

    def __str__(self) -> str:
        lines = []
        for name, value in self.metrics.items():
            low, high = self.intervals.get(name, (np.nan, np.nan))
            lines.append(f"{name:20}{value:8.4f}" + (f"  [{low:.4f}, {high:.4f}]" if low == low else ""))
        return "\n".join(lines)


def units_of(histories: Histories) -> np.ndarray:
    """Whom the bootstrap draws: place 0 ... U - 1 of each question's user; every stranger is somebody else."""
    users = np.asarray(histories.users, np.int64)
    strangers = users < 0
    return bootstrap.places(np.where(strangers, -1 - np.arange(len(users)), users))[0]


def plan_of(questions: Questions, resamples: int, seed: int) -> str:
    """Hash of who is asked what and when, and of the resamples that are drawn."""
    digest = hashlib.blake2b(f"{resamples},{seed}".encode(), digest_size=16)
    histories, candidates = questions.histories, questions.candidates
    digest.update(histories.vocabularies["user"].fingerprint.encode())
    digest.update(candidates.vocabulary.fingerprint.encode())
    codes, offsets = candidates.flat(len(questions))
    for column in (histories.users, histories.time, offsets, codes):
        digest.update(np.ascontiguousarray(column, np.int64).tobytes())
    return digest.hexdigest()


def name_of(system: Any) -> str:
    """The key of a system, or the name of its class."""
    return str(getattr(getattr(system, "info", None), "key", type(system).__name__))


def checked_scores(system: Any, scores: Any, shape: tuple[int, ...]) -> np.ndarray:
    """A block's scores as float32 or float64 of the promised shape.

    Raises
    ------
    OptionError
        The system returned another shape or no numbers.
    """
    made = np.asarray(scores)
    if made.shape != shape or made.dtype.kind not in "fiub":
        raise OptionError(
            f"{name_of(system)}: score returned {made.dtype} of shape {made.shape}, {shape} numbers were asked."
        )
    return made if made.dtype in (np.float32, np.float64) else made.astype(np.float64)


def user_ids(histories: Histories) -> pa.Array:
    """Ids of the questions' users, null for strangers."""
    return histories.vocabularies["user"].decode(histories.users)


def questions_of(split: Any, part: str, kind: str, which: str | None = None) -> Questions:
    """The questions of a part of a split.

    Raises
    ------
    OptionError
        The part is neither valid nor test.
    """
    if part not in ("valid", "test"):
        raise OptionError(f"evaluate: part '{part}' is neither 'valid' nor 'test'.")
    log = getattr(split, part)
    return log.questions(kind) if which is None else log.questions(kind, which=which)
