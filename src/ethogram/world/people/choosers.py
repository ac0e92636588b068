"""Policies for many at once: by script, and by choice from what is offered.

`Scripted` does what it was told. `Choices` is a multinomial logit over a slate with an option outside it:

    P(item i) = exp(u_i) / (exp(u_0) + sum_j exp(u_j))       u_0: of taking nothing

`LearnedTaste` gives utilities ``u_i = scale * score_i`` by any system that scores, such as one fitted on a log; scale
and u_0 are fitted on the slates of a log by maximum likelihood, so that people take as often as they did there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np

from ethogram.errors import OptionError, StepError
from ethogram.log import Candidates, Histories, Questions, Vocabulary
from ethogram.world.acts import Acts
from ethogram.world.choosing import drawn, in_blocks
from ethogram.world.draws import Luck
from ethogram.world.state import Frozen

Offer = Callable[[np.ndarray, Frozen], np.ndarray]
"""(rows, state) -> what each is offered, int64[rows, k] of objects, -1 for none. Rows that sleep are asked for, too."""


class Scripted:
    """Acts by script: tick -> (row, verb, object, value) each; whoever stands in no line does nothing.

    >>> Scripted({3: [(0, "buy", 7, 1.0)]}).act(np.array([0, 1]), Frozen({}, 3, None), None)[0].object.tolist()
    [7]
    """

    def __init__(self, script: Mapping[int, Sequence[tuple[int, str, int, float]]]):
        for tick, lines in script.items():
            for line in lines:
                if len(line) != 4:
                    raise OptionError(f"script at tick {tick}: {line!r} is not (row, verb, object, value).")
        self.script = script

    def act(self, rows: np.ndarray, seen: Frozen, luck: Luck) -> list[Acts]:
        lines = [line for line in self.script.get(seen.tick, ()) if line[0] in set(rows.tolist())]
        made = []
        for verb in dict.fromkeys(line[1] for line in lines):
            own = [line for line in lines if line[1] == verb]
            made.append(
                Acts(verb, np.array([o[0] for o in own]), np.array([o[2] for o in own]), np.array([o[3] for o in own]))
            )
        return made


class Utility(Protocol):
    """How much each would like what it is offered."""

    def __call__(self, rows: np.ndarray, items: np.ndarray, seen: Frozen) -> np.ndarray:
        """Utilities float[rows, k] of items int64[rows, k]."""
        ...


class Choices:
    """One choice each from a slate, or nothing.

    Parameters
    ----------
    verb : what taking is called. outside : utility u_0 of taking nothing, minus infinity where something must be taken.
    every : ticks until the next choice.
    """

    def __init__(self, verb: str, offer: Offer, utility: Utility, *, outside: float = 0.0, every: int = 1):
        self.verb, self.offer, self.utility, self.outside, self.every = verb, offer, utility, outside, every

    def act(self, rows: np.ndarray, seen: Frozen, luck: Luck) -> Acts | None:
        if not len(rows):
            return None
        items = np.asarray(self.offer(rows, seen))

        def utilities(block: np.ndarray) -> np.ndarray:
            return self.utility(block, np.maximum(self.offer(block, seen), 0), seen)

        # a model's last bits must not hang on who is asked together, so whole blocks are asked
        value = np.where(items >= 0, in_blocks(utilities, rows, seen.people), -np.inf)
        chosen = drawn(np.column_stack([np.full(len(rows), self.outside), value]), luck, self.verb)
        took = chosen > 0
        return Acts(self.verb, rows[took], items[took, chosen[took] - 1], chosen[took].astype(float), via="model")


@dataclass
class LearnedTaste:
    """Utilities by a fitted system.

    Attributes
    ----------
    system : scores histories and candidates. histories : (rows, state) -> what each did so far.
    items : ids of the objects of the world, in their order. scale : utility per unit of score.
    """

    system: Any
    histories: Callable[[np.ndarray, Frozen], Histories]
    items: Vocabulary
    scale: float = 1.0

    def __call__(self, rows: np.ndarray, items: np.ndarray, seen: Frozen) -> np.ndarray:
        asked = Candidates(items.astype(np.int32), self.items)
        return self.scale * np.asarray(self.system.score(self.histories(rows, seen), asked), np.float64)

    def fitted(self, questions: Questions) -> tuple[Self, float]:
        """This taste with its scale fitted on slates of a log, and the utility of taking nothing.

        Raises
        ------
        StepError
            No slate was taken from, or every one was: nothing tells the other option's worth.
        """
        _, offsets = questions.candidates.flat(len(questions))
        scores = np.asarray(self.system.score(questions.histories, questions.candidates), np.float64).reshape(-1)
        scale, outside = logit(scores, np.asarray(questions.label) > 0, offsets)
        return type(self)(self.system, self.histories, self.items, scale), outside


def logit(scores: np.ndarray, taken: np.ndarray, offsets: np.ndarray, rounds: int = 100) -> tuple[float, float]:
    """(scale, u_0) of the multinomial logit with an outside option that is most likely, by Newton's method.

    Parameters
    ----------
    scores : float64[total] of all slates, one after another. taken : bool[total]; of a slate from which several were
        taken each counts as a choice of its own. offsets : int64[slates + 1].

    Raises
    ------
    StepError
        Every slate, or none, was taken from.
    """
    slate = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    count = np.bincount(slate, taken, len(offsets) - 1)
    choices = np.maximum(count, 1)  # taking nothing is one choice
    if not taken.any() or (count > 0).all():
        raise StepError("a taste is fitted on slates of which some were taken from and some were not.")
    spread = float(scores.std()) or 1.0
    x, theta = scores / spread, np.zeros(2)
    met = np.array([x[taken].sum(), float((count == 0).sum())])
    for _ in range(rounds):
        u = theta[0] * x
        top = np.maximum(np.maximum.reduceat(np.append(u, -np.inf), offsets[:-1]), theta[1])
        e, none = np.exp(u - top[slate]), np.exp(theta[1] - top)
        total = none + np.bincount(slate, e, len(top))
        p, p0 = e / total[slate], none / total
        mean = np.bincount(slate, p * x, len(top))
        gradient = met - np.array([(choices * mean).sum(), (choices * p0).sum()])
        square = (choices * (np.bincount(slate, p * x**2, len(top)) - mean**2)).sum()
        cross, own = -(choices * mean * p0).sum(), (choices * p0 * (1 - p0)).sum()
        step = np.linalg.solve(np.array([[square, cross], [cross, own]]) + 1e-9 * np.eye(2), gradient)
        theta += step / max(1.0, np.abs(step).max() / 2)
        if np.abs(step).max() < 1e-9:
            break
    return float(theta[0] / spread), float(theta[1])
