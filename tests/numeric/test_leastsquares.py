"""Least squares against dense normal equations, written out in float64."""

import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from ethogram.numeric import leastsquares
from ethogram.numeric.interactions import Interactions


def problem(seed=0, rows=40, width=300, d=17, most=290):
    """Rows of very different lengths, longer than a chunk among them, and an empty one."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, most, rows)
    lengths[3] = 0
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    pairs = Interactions.counted(rng.integers(0, width, offsets[-1]).astype(np.int32), offsets, width)
    return pairs, rng.standard_normal((width, d), np.float32)


def by_hand(pairs, extra, vectors, penalty):
    y, found = vectors.astype(np.float64), []
    for a, b in pairwise(pairs.offsets):
        confidence, took = np.ones(pairs.width), np.zeros(pairs.width)
        confidence[pairs.items[a:b]] += extra[a:b]
        took[pairs.items[a:b]] = 1
        left = (y.T * confidence) @ y + penalty * np.eye(y.shape[1])
        found.append(np.linalg.solve(left, y.T @ (confidence * took)))
    return np.array(found)


@pytest.mark.parametrize("alpha", [0.0, 2.0, 1e4])
@pytest.mark.parametrize("d", [1, 3, 16, 17])
def test_exact_solutions(alpha, d):
    pairs, vectors = problem(d=d)
    extra = np.float32(alpha) * pairs.counts
    found = leastsquares.solve(pairs, extra, vectors, leastsquares.gram(vectors, 0.1))
    expected = by_hand(pairs, extra, vectors, 0.1)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-6 * np.abs(expected).max())
    assert not found[3].any()


def test_few_pairs_and_hardly_a_penalty_stay_exact():
    pairs, vectors = problem(rows=5, width=6, d=32, most=6)
    extra = np.float32(4_000) * pairs.counts
    found = leastsquares.solve(pairs, extra, vectors, leastsquares.gram(vectors, 1e-3))
    np.testing.assert_allclose(found, by_hand(pairs, extra, vectors, 1e-3), rtol=1e-4, atol=1e-5)


def test_conjugate_gradients_come_to_the_same():
    pairs, vectors = problem()
    extra, fixed = 2 * pairs.counts, leastsquares.gram(vectors, 1.0)
    exact = by_hand(pairs, extra, vectors, 1.0)
    gaps = []
    for steps in (1, 3, 17):
        found = leastsquares.solve(pairs, extra, vectors, fixed, solver="cg", steps=steps)
        gaps.append(np.abs(found - exact).max())
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-4 * np.abs(exact).max()
    near = leastsquares.solve(pairs, extra, vectors, fixed, solver="cg", steps=1, start=exact)
    np.testing.assert_allclose(near, exact, atol=1e-4 * np.abs(exact).max())


def test_pieces_change_no_byte(monkeypatch):
    pairs, vectors = problem(rows=200)
    extra, fixed = 3 * pairs.counts, leastsquares.gram(vectors, 0.5)
    whole = [leastsquares.solve(pairs, extra, vectors, fixed, solver=s) for s in ("cholesky", "cg")]
    monkeypatch.setattr(leastsquares, "WORTH", 1)
    monkeypatch.setattr(leastsquares.numba.config, "NUMBA_NUM_THREADS", 3)
    assert len(leastsquares._pieces(pairs.offsets, 17)) == 4
    cut = [leastsquares.solve(pairs, extra, vectors, fixed, solver=s) for s in ("cholesky", "cg")]
    assert all(np.array_equal(a, b) for a, b in zip(whole, cut, strict=True))


def test_the_loss_is_the_sum_over_every_pair():
    pairs, vectors = problem(rows=12, width=30, d=4, most=25)
    rows, extra = np.random.default_rng(1).standard_normal((12, 4), np.float32), 5 * pairs.counts
    weight, took = np.ones((12, 30)), np.zeros((12, 30))
    weight[pairs.owner, pairs.items] += extra
    took[pairs.owner, pairs.items] = 1
    x, y = rows.astype(float), vectors.astype(float)
    expected = (weight * (took - x @ y.T) ** 2).sum() + 0.3 * ((x**2).sum() + (y**2).sum())
    assert leastsquares.loss(pairs, extra, rows, vectors, 0.3) == pytest.approx(expected, rel=1e-9)


def test_torch_keeps_its_threads():
    """In a process of its own, since numba's threads start once."""
    code = """
import ethogram, torch
log = ethogram.Log.open({"user": [1, 1, 2, 2], "item": [1, 2, 2, 3], "time": [1, 2, 1, 2]})
ethogram.system("als", factors=2, iterations=1).fit(log)
print(torch.get_num_threads())
"""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert said.stdout.split()[-1] == "1"
