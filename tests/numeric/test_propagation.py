"""Graph convolution against powers of a dense matrix."""

from itertools import pairwise

import numpy as np

from ethogram.numeric.interactions import Interactions
from ethogram.numeric.propagation import Graph, sums


def test_against_dense_matrices():
    rng = np.random.default_rng(0)
    took = rng.random((9, 14)) < 0.3
    took[4], took[:, 6] = False, False
    offsets = np.concatenate([[0], np.cumsum(took.sum(1))])
    pairs = Interactions.counted(np.nonzero(took)[1].astype(np.int32), offsets, 14)
    users, items = rng.standard_normal((9, 6), np.float32), rng.standard_normal((14, 6), np.float32)
    whole = np.zeros((23, 23))
    whole[:9, 9:], whole[9:, :9] = took, took.T
    root = 1 / np.sqrt(np.maximum(whole.sum(1), 1))
    step, layer, layers = root[:, None] * whole * root, np.concatenate([users, items]).astype(float), []
    for _ in range(4):
        layers.append(layer)
        layer = step @ layer
    graph = Graph(pairs)
    found = graph.convolve(users, items, 3)
    np.testing.assert_allclose(np.concatenate(found[:2]), np.mean(layers, 0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[2], np.sum(layers[:3], 0)[9:], rtol=1e-5, atol=1e-6)
    # the map is symmetric, so it carries gradients back
    other = rng.standard_normal((9, 6), np.float32), rng.standard_normal((14, 6), np.float32)
    back = graph.convolve(*other, 3)
    one = sum(float((a * b).sum()) for a, b in zip(found[:2], other, strict=True))
    two = sum(float((a * b).sum()) for a, b in zip(back[:2], (users, items), strict=True))
    assert abs(one - two) < 1e-4


def test_sums_of_any_length():
    rng = np.random.default_rng(1)
    offsets = np.concatenate([[0], np.cumsum(np.arange(12))])
    items = np.concatenate([np.sort(rng.permutation(20)[:n]) for n in range(12)]).astype(np.int32)
    pairs = Interactions.counted(items, offsets, 20)
    vectors = rng.standard_normal((20, 7), np.float32)
    expected = [vectors[items[a:b]].sum(0) for a, b in pairwise(offsets)]
    np.testing.assert_allclose(sums(pairs, vectors), expected, rtol=1e-5, atol=1e-6)
