"""What a check is given: a way to make the system, logs, questions, and answers that can be compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np

from ethogram.errors import NotFitted
from ethogram.log import Candidates, Histories, Log, Split
from ethogram.system import find, options, system
from ethogram.testing.example import example

SMALL = {
    "epochs": 2, "steps": 30, "max_epochs": 2, "lm": "scripted:echo", "remember": True, "variants": 1, "rotations": 1,
    "prompts": 6, "longest": 4, "owner": "the contract", "sequences": 100, "growth": 8, "attacks": ("full",),
    "defences": (), "size": "tiny", "update_epochs": 1,
}  # fmt: skip
"""Options of these names are set so, where the caller gives none: a contract needs a fit, not a good one."""


@cache
def log(**how: Any) -> Log:
    """The example log, made once."""
    return example(**how)


@dataclass(eq=False)
class Case:
    """A system under test; `fitted` is shared by the checks that only ask it."""

    key: str
    make: Callable[[], Any]
    _fits: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Any, **settings: Any) -> Case:
        """From a key (with options) or from a system object, fitted or not; it is never touched."""
        if isinstance(given, str):
            known = {f.name for f in find(given).__dataclass_fields__.values()}  # type: ignore[attr-defined]
            chosen = {n: v for n, v in SMALL.items() if n in known} | settings
            return cls(given, lambda: system(given, **chosen))
        return cls(given.info.key, lambda: fresh(given))

    @cached_property
    def info(self) -> Any:
        return self.make().info

    @property
    def ranks(self) -> bool:
        """Whether scores are probabilities of answers to slates."""
        return bool(self.info.area == "rank")

    @cached_property
    def log(self) -> Log:
        return log()

    @cached_property
    def parts(self) -> Split:
        return parts(self.log)

    @cached_property
    def fitted(self) -> Any:
        return self.fit(self.parts)

    def fit(self, parts: Split, seed: int = 3) -> Any:
        """A new system, fitted on the training part."""
        return self.make().fit(parts.train, parts.valid, seed=seed)

    @cached_property
    def asked(self) -> tuple[Histories, Candidates]:
        return asked(self.parts, self.ranks)

    def has(self, verb: str) -> bool:
        return verb in self.info.verbs


def parts(whole: Log) -> Split:
    """Train, validation, test by time, with enough left to ask."""
    return whole.split("temporal", valid=0.1, test=0.3)


def asked(cut: Split, slates: bool) -> tuple[Histories, Candidates]:
    """Questions of the test part: slates for a ranker, else the next group with the whole catalogue to judge."""
    if slates:
        found = cut.test.questions("slates")
        return found.histories, found.candidates
    found = cut.test.questions("next")
    return found.histories, Candidates.every(found.candidates.vocabulary)


def fresh(given: Any) -> Any:
    """A new, unfitted system with the same options; options that are systems are made anew too."""
    own = {n: fresh(v) if hasattr(v, "info") else v for n, v in options(given).items()}
    return type(given)(**own)


def answers(built: Any, histories: Histories, candidates: Candidates) -> dict[str, Any]:
    """Everything that a fitted system says to these questions, by verb and column."""
    said: dict[str, Any] = {}
    if "score" in built.info.verbs:
        said["score"] = np.asarray(built.score(histories, candidates))
    if "recommend" in built.info.verbs:
        table = built.recommend(histories, 5)
        said |= {f"recommend {name}": table.column(name).to_pylist() for name in table.column_names}
    if "forecast" in built.info.verbs:
        table = built.forecast(histories[:20], 2, seed=1)
        said |= {f"forecast {name}": table.column(name).to_pylist() for name in table.column_names}
    if "explain" in built.info.verbs:
        table = built.explain(histories[:3], candidates[slice(0, 3)])
        said |= {f"explain {name}": table.column(name).to_pylist() for name in table.column_names}
    return said


def by_name(histories: Histories, candidates: Candidates, scores: np.ndarray) -> dict[tuple[Any, ...], float]:
    """(user id, time, item id) -> score: free of codes and of the order of rows."""
    n = len(histories)
    codes, offsets = candidates.flat(n)
    users = histories.vocabularies["user"].decode(histories.users).to_pylist()
    items = candidates.vocabulary.decode(codes).to_pylist()
    flat = np.asarray(scores).reshape(-1).tolist()
    return {
        (users[i], int(histories.time[i]), items[at]): flat[at]
        for i in range(n)
        for at in range(offsets[i], offsets[i + 1])
    }


def equal(one: dict[str, Any], other: dict[str, Any]) -> str:
    """Empty if two sets of answers are equal to the last byte, else the first difference in words."""
    if one.keys() != other.keys():
        return f"{sorted(one)} against {sorted(other)}"
    for name, value in one.items():
        a, b = np.asarray(value, dtype=None), np.asarray(other[name], dtype=None)
        if a.shape != b.shape:
            return f"{name}: shape {a.shape} against {b.shape}"
        if a.dtype.kind == "f" and a.tobytes() != b.tobytes():
            return f"{name}: differs by up to {float(np.nanmax(np.abs(a - b))):.3g}"
        if a.dtype.kind != "f" and not (a == b).all():
            at = int(np.flatnonzero(~(a == b).reshape(-1))[0])
            return f"{name}: {a.reshape(-1)[at]!r} against {b.reshape(-1)[at]!r} at {at}"
    return ""


def close(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal to 1e-5 relative, with an absolute floor of 1e-6 of the largest value for what cancels to nothing."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    scale = float(np.max(np.abs(b), initial=0.0))
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-5, atol=1e-6 * scale))


def refused(calls: Mapping[str, Callable[[], Any]]) -> None:
    """Each call, of something that was never fitted, raises NotFitted."""
    for name, call in calls.items():
        try:
            call()
        except NotFitted:
            continue
        raise AssertionError(f"{name} before fit did not raise NotFitted")
