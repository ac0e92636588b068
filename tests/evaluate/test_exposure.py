import numpy as np
import pytest

from ethogram.evaluate.exposure import Exposure, coverage, gini, information
from ethogram.evaluate.ranking import Past


def none(n):
    return np.zeros(0, np.int64), np.zeros(n + 1, np.int64), Past.none(n)


def test_gini_is_the_mean_difference_over_twice_the_mean():
    x = np.random.default_rng(0).integers(0, 20, 50)
    expected = np.abs(x[:, None] - x).mean() / (2 * x.mean())
    assert gini(x) == pytest.approx(expected)
    assert gini([3, 3, 3]) == 0
    assert np.isnan(gini([0, 0]))


def test_coverage_counts_who_is_shown():
    assert coverage(np.array([0, 2, 1, 0])) == 0.5


def test_lists_without_ties_are_the_best_k():
    rng = np.random.default_rng(3)
    n, items, ks = 25, 30, (1, 5, 12)
    scores = rng.random((n, items)).astype(np.float32)
    seen = [rng.integers(0, items, 10) for _ in range(n)]
    targets = np.array([s[0] for s in seen])  # a target is shown although it was seen
    counts = rng.integers(0, 9, items)
    made = Exposure(ks, counts)
    novelty = np.concatenate(
        [
            made.add(scores[:10], targets[:10], np.arange(11), Past.of(seen[:10], 10)),
            made.add(scores[10:], targets[10:], np.arange(16), Past.of(seen[10:], 15)),
        ]
    )
    bits = -np.log2(np.maximum(counts, 1) / np.maximum(counts, 1).sum())
    assert information(counts) == pytest.approx(bits)
    for j, k in enumerate(ks):
        shown = np.zeros(items)
        for q in range(n):
            allowed = [i for i in range(items) if i not in seen[q] or i == targets[q]]
            best = sorted(allowed, key=lambda i: -scores[q, i])[:k]
            shown[best] += 1
            assert novelty[q, j] == pytest.approx(bits[best].mean())
        assert made.shown[j] == pytest.approx(shown)
        assert made.metrics()[f"coverage@{k}"] == pytest.approx(coverage(shown))
        assert made.metrics()[f"gini@{k}"] == pytest.approx(gini(shown))


def test_ties_at_the_last_place_share_it():
    scores = np.array([[3.0, 2, 2, 2, 1], [3.0, 2, 2, 2, 1]])
    made = Exposure((2, 4), np.ones(5))
    made.add(scores, *none(2))
    assert made.shown[0] == pytest.approx([2, 2 / 3, 2 / 3, 2 / 3, 0])
    assert made.shown[1] == pytest.approx([2, 2, 2, 2, 0])
    # expected coverage: each of the three is missed by both lists with probability (2/3)^2
    assert made.metrics()["coverage@2"] == pytest.approx((1 + 3 * (1 - 4 / 9)) / 5)
    assert made.metrics()["coverage@4"] == pytest.approx(0.8)


def test_a_constant_scorer_shows_everything_alike():
    made = Exposure((2,), np.ones(6))
    made.add(np.ones((300, 6), np.float32), *none(300))
    assert made.metrics()["gini@2"] == pytest.approx(0)
    assert made.metrics()["coverage@2"] == pytest.approx(1)


def test_never_and_nothing_shorten_the_list():
    scores = np.array([[1.0, -np.inf, np.nan], [-np.inf, np.nan, np.nan]])
    made = Exposure((2,), np.array([2, 1, 1]))
    novelty = made.add(scores, *none(2))
    assert made.shown[0].tolist() == [1, 0, 0]
    assert novelty[0, 0] == pytest.approx(1.0)  # half of the events: one bit
    assert np.isnan(novelty[1, 0])


def test_lists_longer_than_the_catalogue():
    made = Exposure((10,), np.ones(3))
    made.add(np.array([[1.0, 3, 2]]), *none(1))
    assert made.shown[0].tolist() == [1, 1, 1]
