"""Kinds of error memory against their kernels, computed plainly."""

import numpy as np
import pytest

from ethogram.nn.error_memory import ByItem, Keys, Nearest, Sketched
from ethogram.numeric.identity import unit


def some(n, seed, dim=6):
    rng = np.random.default_rng(seed)
    keys = Keys(unit(rng.standard_normal((n, dim)).astype(np.float32)), rng.integers(0, 7, n).astype(np.uint64))
    return keys, rng.uniform(0.1, 1, (n, 3)), np.arange(n, dtype=float)


def test_the_sketch_tends_to_the_kernel_of_collisions():
    """20,000 tables of 3 bits: within 3% of sum_i fade_i K_i v_i, K = (1 - theta / pi)^3."""
    keys, values, clock = some(30, 0)
    asked = some(10, 1)[0]
    memory = Sketched(6, 20_000, 3, 20.0, 0)
    memory.write(keys, values, clock)
    theta = np.arccos(np.clip(asked.vectors.astype(float) @ keys.vectors.T.astype(float), -1, 1))
    weight = (1 - theta / np.pi) ** 3 * 2.0 ** (-(40 - clock) / 20)
    expected = weight @ values
    assert np.abs(memory.read(asked, np.full(10, 40.0)) - expected).max() < 0.03 * expected.max()


def test_exact_neighbours_are_the_softmax_of_the_nearest():
    keys, values, clock = some(30, 2)
    asked = some(8, 3)[0]
    memory = Nearest(6, 5, 0.2, 10.0, 100)
    memory.write(keys[:20], values[:20], clock[:20])
    memory.write(keys[20:], values[20:], clock[20:])
    found = memory.read(asked, np.full(8, 30.0))
    for q in range(8):
        cosine = keys.vectors.astype(float) @ asked.vectors[q].astype(float)
        best = np.argsort(cosine)[-5:]
        share = np.exp((cosine[best] - 1) / 0.2) * 2.0 ** (-(30 - clock[best]) / 10)
        np.testing.assert_allclose(found[q], share @ values[best], rtol=1e-5)
    # without forgetting, s / n is the softmax-weighted mean of the paper
    still = Nearest(6, 5, 0.2, None, 100)
    still.write(keys, values, clock)
    n, s, _ = still.read(asked, np.full(8, 30.0)).T
    cosine = keys.vectors.astype(float) @ asked.vectors[0].astype(float)
    best = np.argsort(cosine)[-5:]
    soft = np.exp(cosine[best] / 0.2) / np.exp(cosine[best] / 0.2).sum()
    assert s[0] / n[0] == pytest.approx(soft @ values[best, 1] / (soft @ values[best, 0]), rel=1e-5)


def test_the_ring_holds_the_latest():
    keys, values, clock = some(25, 4)
    memory, last = Nearest(6, 3, 0.1, None, 10), Nearest(6, 3, 0.1, None, 10)
    for rows in (slice(0, 4), slice(4, 13), slice(13, 25)):
        memory.write(keys[rows], values[rows], clock[rows])
    last.write(keys[15:], values[15:], clock[15:])
    asked, now = some(5, 5)[0], np.zeros(5)
    np.testing.assert_allclose(memory.read(asked, now), last.read(asked, now), rtol=1e-12)
    size = memory.nbytes
    memory.write(keys, values, clock)
    assert memory.nbytes == size
    np.testing.assert_allclose(memory.read(asked, now), last.read(asked, now), rtol=1e-12)


def test_items_keep_their_own_sums():
    keys, values, clock = some(40, 6)
    memory = ByItem(None)
    memory.write(keys, values, clock)
    for item in range(7):
        one = Keys(np.zeros((1, 0), np.float32), np.array([item], np.uint64))
        np.testing.assert_allclose(memory.read(one, np.zeros(1))[0], values[keys.item == item].sum(0), rtol=1e-12)


@pytest.mark.parametrize(
    "make", [lambda: Sketched(6, 4, 5, 9.0, 2), lambda: Nearest(6, 3, 0.1, 9.0, 8), lambda: ByItem(9.0)]
)
def test_a_memory_is_kept_whole(make):
    keys, values, clock = some(20, 7)
    memory, again = make(), make()
    empty = memory.read(keys, clock)
    assert not empty.any()
    memory.write(keys, values, clock)
    again.restore(memory.arrays())
    now = np.full(20, 25.0)
    assert np.array_equal(again.read(keys, now), memory.read(keys, now))
    again.write(keys, values, now)
    memory.write(keys, values, now)
    assert np.array_equal(again.read(keys, now), memory.read(keys, now))
