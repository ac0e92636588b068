"""A folded-in vector is the minimum of the user's own loss, as a general optimiser finds it."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import minimize

from ethogram.numeric import folding
from ethogram.numeric.interactions import Interactions


def own_loss(w, taken, others, penalty):
    gap = (taken @ w)[:, None] - others @ w
    return np.logaddexp(0, -gap).mean(1).sum() + 0.5 * penalty * len(taken) * w @ w


@pytest.mark.parametrize("scale", [0.3, 2.0])
def test_against_a_general_optimiser(scale):
    rng = np.random.default_rng(0)
    vectors = scale * rng.standard_normal((50, 4), np.float32)
    lists = [[3], [1, 2, 7, 30], list(range(20)), []]
    offsets = np.concatenate([[0], np.cumsum([len(x) for x in lists])])
    pairs = Interactions.counted(np.array([i for x in lists for i in x], np.int32), offsets, 50)
    found = folding.fold(pairs, vectors, 0.05, 300)
    y = vectors.astype(float)
    for taken, w in zip(lists[:3], found, strict=False):
        rest = np.delete(y, taken, 0)
        best = minimize(own_loss, np.zeros(4), (y[taken], rest, 0.05), options={"gtol": 1e-9}).x
        np.testing.assert_allclose(w, best, rtol=2e-3, atol=2e-3 * np.abs(best).max())
    assert not found[3].any()


def test_every_step_lowers_the_loss():
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((40, 6), np.float32)
    pairs = Interactions.counted(np.arange(0, 30, 3, dtype=np.int32), np.array([0, 10]), 40)
    y, taken = vectors.astype(float), pairs.items
    losses = [
        own_loss(folding.fold(pairs, vectors, 0.01, n)[0].astype(float), y[taken], np.delete(y, taken, 0), 0.01)
        for n in range(6)
    ]
    assert all(a > b for a, b in pairwise(losses))


def test_a_sample_stands_for_a_large_catalogue(monkeypatch):
    rng = np.random.default_rng(2)
    vectors = rng.standard_normal((400, 6), np.float32)
    pairs = Interactions.counted(np.arange(25, dtype=np.int32), np.array([0, 25]), 400)
    whole = folding.fold(pairs, vectors, 0.05, 50)[0]
    monkeypatch.setattr(folding, "SAMPLE", 200)
    part = folding.fold(pairs, vectors, 0.05, 50)[0]
    assert not np.array_equal(whole, part)
    assert whole @ part / np.linalg.norm(whole) / np.linalg.norm(part) > 0.95


def test_who_took_everything_has_no_vector():
    pairs = Interactions.counted(np.arange(3, dtype=np.int32), np.array([0, 3]), 3)
    assert not folding.fold(pairs, np.eye(3, dtype=np.float32), 0.1, 5).any()
