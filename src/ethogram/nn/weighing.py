"""How the weights of rows enter the training of a slate network.

Sampled negatives. Where the negatives of a slate were sampled and carry weight w (1 / sampling rate) while positives
carry 1, the odds in the sample are w times the true ones. The network learns the sample with log w added to its logit
and answers without it: these are the probabilities of the full task, with the variance of an unweighted fit. (J.
Anderson: Separate sample logistic discrimination. Biometrika 1972.) Weights of any other kind stay weights of the loss.
"""

from __future__ import annotations

import numpy as np

from ethogram.log import Questions
from ethogram.numeric.balance import balanced


def offsets_of(asked: Questions) -> np.ndarray:
    """log(weight of a negative / of a positive) of each candidate's slate, float32; 0 where nothing was sampled.

    A slate that was left without negatives (or that has no positive) was sampled like the others: it takes their
    mean weight. Read as 1 it would teach that whatever is seen without negatives is taken more often than it is.
    """
    _, ends = asked.candidates.flat(len(asked))
    owner = np.repeat(np.arange(len(asked)), np.diff(ends))

    def mean(chosen: np.ndarray) -> np.ndarray:
        total = np.bincount(owner[chosen], asked.weight[chosen], minlength=len(asked))
        count = np.bincount(owner[chosen], minlength=len(asked))
        every = total.sum() / count.sum() if count.any() else 1.0
        return np.where(count > 0, total / np.maximum(count, 1), every)

    down = asked.label < 0.5
    ratio = mean(down) / np.maximum(mean(~down), 1e-12)
    return np.log(np.maximum(ratio, 1e-6))[owner].astype(np.float32)


def weighing(asked: Questions) -> tuple[np.ndarray, np.ndarray | None]:
    """(offset of each candidate's logit, weight of its loss or None for ones), by what the weights are.

    Sampling rates of negatives (positives of one weight, one weight for the negatives of a slate) go into the offset
    whole. Any other weights stay weights, scaled to mean 1 in each class, and the offset is what that moves
    (`ethogram.numeric.balance`). Either way the answers are probabilities of the weighted task.
    """
    up, weight = asked.label > 0.5, np.asarray(asked.weight, np.float64)
    _, ends = asked.candidates.flat(len(asked))
    owner = np.repeat(np.arange(len(asked)), np.diff(ends))

    def one(chosen: np.ndarray) -> bool:
        total = np.bincount(owner[chosen], weight[chosen], len(asked))
        mean = total / np.maximum(np.bincount(owner[chosen], minlength=len(asked)), 1)
        return bool(np.allclose(weight[chosen], mean[owner[chosen]], rtol=1e-4))

    counts = [np.bincount(owner[chosen], minlength=len(asked)) for chosen in (up, ~up)]
    # without negatives a slate has no rate of its own; where most positives stand so, the offset would tell the label
    told = (counts[1][counts[0] > 0] > 0).mean() >= 0.5 or bool(np.allclose(weight[~up], weight[~up].mean(), rtol=1e-4))
    if weight.min() > 0 and told and one(~up) and np.allclose(weight[up], weight[up].mean(), rtol=1e-4):
        return offsets_of(asked), None
    scaled, shift = balanced(up, weight)
    return np.full(len(weight), shift, np.float32), scaled.astype(np.float32)
