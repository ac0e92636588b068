"""Rewards made of parts, and whether they are being gamed.

    arithmetic  sum_i w_i r_i / sum w     geometric  prod_i r_i^(w_i / sum w)     harmonic  sum w / sum_i (w_i / r_i)

The latter two need parts in [0, 1] and let no part be paid for by another. What each part gave is kept, so that one
can see which of them moved. A reward that is maximised is soon maximised by length, by saying one thing again and
again, or by copying the prompt: `alarms` compares those habits with those of reference texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np

from ethogram.errors import OptionError, unknown

Part = Callable[[Sequence[str], Sequence[str]], Any]
"""(prompts, responses) -> a number for each."""


@dataclass(frozen=True)
class Term:
    """A part of a reward: what gives it, how much it counts, and what is done to its numbers first."""

    part: Part
    weight: float = 1.0
    transform: Callable[[np.ndarray], np.ndarray] | None = None


class Reward:
    """Several parts as one reward.

    Examples
    --------
    >>> made = Reward({"short": Term(lambda p, r: [1 / len(t) for t in r]), "polite": Term(
    ...     lambda p, r: ["please" in t for t in r], weight=3)})
    >>> made(["?", "?"], ["tea", "tea please"]).round(3).tolist()
    [0.083, 0.775]
    """

    def __init__(self, terms: Mapping[str, Term], mode: Literal["arithmetic", "geometric", "harmonic"] = "arithmetic"):
        if not terms or any(not t.weight > 0 for t in terms.values()):
            raise OptionError("a reward needs one or more parts, each of a weight above 0.")
        if mode not in ("arithmetic", "geometric", "harmonic"):
            raise OptionError(unknown("mode", mode, ["arithmetic", "geometric", "harmonic"]))
        self.terms, self.mode = dict(terms), mode
        self.last: dict[str, np.ndarray] = {}

    def __call__(self, prompts: Sequence[str], responses: Sequence[str], **_: Any) -> np.ndarray:
        """Reward of each response, float64[n]; the parts are in `last`.

        Raises
        ------
        OptionError
            Unequal lengths, a part that gives another number of values or NaN, or one outside [0, 1] where the mode
            needs that.
        """
        if len(prompts) != len(responses):
            raise OptionError(f"{len(prompts)} prompts and {len(responses)} responses: give one of each.")
        self.last = {}
        for name, term in self.terms.items():
            got = np.asarray(term.part(prompts, responses), float)
            got = got if term.transform is None else np.asarray(term.transform(got), float)
            if got.shape != (len(responses),) or np.isnan(got).any():
                raise OptionError(f"reward '{name}' gave {got.shape} values (or NaN) for {len(responses)} responses.")
            if self.mode != "arithmetic" and ((got < 0) | (got > 1)).any():
                raise OptionError(f"reward '{name}' leaves [0, 1]; a {self.mode} mean needs that.")
            self.last[name] = got
        parts = np.stack(list(self.last.values()), 1)
        weight = np.array([t.weight for t in self.terms.values()])
        weight = weight / weight.sum()
        if self.mode == "arithmetic":
            return np.asarray(parts @ weight)
        with np.errstate(divide="ignore"):
            if self.mode == "geometric":
                return np.asarray(np.exp(np.log(parts) @ weight))
            return np.asarray(1 / ((1 / parts) @ weight))


class Alarm(NamedTuple):
    """A habit that moved: its mean in the reference and now, and by how many standard deviations of the reference."""

    habit: str
    before: float
    now: float
    deviations: float


def alarms(
    prompts: Sequence[str], responses: Sequence[str], reference: Sequence[str], *, beyond: float = 2.0
) -> list[Alarm]:
    """Habits whose mean lies more than `beyond` standard deviations (of single texts) above the reference's.

    Length in words, repetition (1 - distinct word pairs / word pairs), and copying (share of the response's words that
    stand in its prompt; the reference is measured against the same prompts).
    """
    found = []
    for name, habit in (("length", _length), ("repetition", _repetition), ("copying", _copying)):
        before = np.array([habit(p, t) for p, t in zip(prompts, reference, strict=False)], float)
        now = np.array([habit(p, t) for p, t in zip(prompts, responses, strict=True)], float)
        spread = max(float(before.std()), 0.02 if name != "length" else 1.0)
        moved = float((now.mean() - before.mean()) / spread)
        if moved > beyond:
            found.append(Alarm(name, float(before.mean()), float(now.mean()), moved))
    return found


def _length(prompt: str, text: str) -> float:
    return float(len(text.split()))


def _repetition(prompt: str, text: str) -> float:
    words = text.lower().split()
    pairs = list(pairwise(words))
    return 1 - len(set(pairs)) / len(pairs) if pairs else 0.0


def _copying(prompt: str, text: str) -> float:
    known, words = set(prompt.lower().split()), text.lower().split()
    return sum(w in known for w in words) / len(words) if words else 0.0
