"""Recommenders that learn from comparisons, taken apart: what is learned, and how it becomes vectors that score.

A `PairNetwork` holds the learned tables x^(0) and a map to the vectors x that score; the step of a training

    x = map(x^(0)),   g = d loss / d x,   x^(0) <- Adam(map'(g) + lambda x^(0) of the triples' three rows)

is the same whatever the map is: matrix factorisation has none, a graph convolution averages over neighbours.
A system that offers `network` can be trained by another one, which chooses the triples (`LearnsFromPairs`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from ethogram.numeric.factors import Factors
from ethogram.numeric.interactions import Interactions
from ethogram.numeric.known import Known
from ethogram.numeric.pairwise import Adam, Draws, Pair, gradient, shrink
from ethogram.numeric.weighted import weighted
from ethogram.verbs import State


class PairNetwork(Protocol):
    """Learned tables, the vectors that they stand for, and the model that remains when training is over."""

    @property
    def tables(self) -> Pair:
        """What is learned, float32[U, d] and [M, d], in place."""
        ...

    def vectors(self) -> Pair:
        """The vectors that score, from the tables as they are now."""
        ...

    def back(self, slopes: Pair) -> Pair:
        """Gradient by the tables from the gradient by the vectors."""
        ...

    def arrays(self) -> Mapping[str, np.ndarray]:
        """All that the model needs, from the tables as they are now."""
        ...


class LearnsFromPairs(Protocol):
    """A recommender whose vectors another system can train on pairs of its own choice."""

    def network(self, pairs: Interactions, rng: np.random.Generator) -> PairNetwork:
        """The untrained network for users (rows) and items (columns)."""
        ...

    def model(self, known: Known, arrays: Mapping[str, np.ndarray], *, penalty: float, always: bool) -> Factors:
        """What scores, from a network's arrays; `penalty` is that of training, `always` folds in everybody."""
        ...


class Learner:
    """Steps of Adam on a network's tables.

    Parameters
    ----------
    penalty : lambda of lambda / 2 (|x_u|^2 + |x_i|^2 + |x_j|^2), the mean over a batch's triples, of the tables.
    """

    def __init__(self, network: PairNetwork, *, lr: float, penalty: float):
        self.network, self.penalty = network, penalty
        self.steps = [Adam(t, lr) for t in network.tables]
        self.slopes = np.zeros_like(network.tables[0]), np.zeros_like(network.tables[1])

    def step(self, triples: np.ndarray, weight: np.ndarray | None = None, *, pointwise: bool = False) -> float:
        """One step down the (weighted) mean loss of int32[n, 3] triples; that loss, without the penalty."""
        vectors = self.network.vectors()
        if weight is None and not pointwise:
            loss = gradient(triples, vectors, self.slopes)
        else:
            loss = weighted(triples, weight, vectors, self.slopes, pointwise=pointwise)
        back = self.network.back(self.slopes)
        shrink(triples, self.network.tables, back, self.penalty)
        for step, slope, used in zip(self.steps, back, self.slopes, strict=True):
            step.step(slope)
            used[:] = 0
        return loss

    def epoch(self, draws: Draws, batch: int) -> Callable[[], float]:
        """An epoch of steps on draws, which gives its mean loss; as many draws as there are distinct pairs."""

        def passed() -> float:
            total = sum(self.step(triples) * len(triples) for triples in draws.batches(batch))
            return total / len(draws.pairs.items)

        return passed


class Plain:
    """Matrix factorisation: the tables are the vectors."""

    def __init__(self, users: np.ndarray, items: np.ndarray):
        self.tables = users, items

    def vectors(self) -> Pair:
        return self.tables

    def back(self, slopes: Pair) -> Pair:
        return slopes

    def arrays(self) -> Mapping[str, np.ndarray]:
        return {"users": self.tables[0], "items": self.tables[1]}


def arrays_of(state: State) -> dict[str, np.ndarray]:
    """The arrays of a saved network (see `PairNetwork.arrays`)."""
    return {name: np.asarray(value) for name, value in state.arrays.items()}
