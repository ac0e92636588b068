"""The estimate is Jaccard's similarity; the index finds what an exact search finds, grows, forgets and comes back."""

import numpy as np
import pytest

from ethogram.errors import OptionError, StateError
from ethogram.numeric.minhash import Sets, Shortlist, estimate, signatures, similarity


def sets(lists, weights=None):
    tokens = np.array([t for held in lists for t in held], np.uint64)
    offsets = np.concatenate([[0], np.cumsum([len(held) for held in lists])]).astype(np.int64)
    return Sets(offsets, tokens, np.ones(len(tokens)) if weights is None else weights[tokens.astype(np.int64)])


def drawn(n, rng, weights=None):
    return sets([rng.choice(400, rng.integers(1, 30), replace=False) for _ in range(n)], weights)


def plain(a, b, weights):
    a, b = set(a.tolist()), set(b.tolist())
    total = lambda s: sum(weights[int(t)] for t in s)  # noqa: E731
    return total(a & b) / total(a | b)


def rows(held):
    return [held.tokens[a:b] for a, b in zip(held.offsets[:-1], held.offsets[1:], strict=True)]


def test_the_exact_similarity_is_that_of_sets():
    rng = np.random.default_rng(0)
    weights = rng.uniform(0.1, 5, 400)
    a, b = drawn(50, rng, weights), drawn(50, rng, weights)
    expected = [plain(x, y, weights) for x, y in zip(rows(a), rows(b), strict=True)]
    np.testing.assert_allclose(similarity(a, b), expected)


def test_the_estimate_misses_by_no_more_than_its_standard_error_says():
    rng = np.random.default_rng(1)
    weights = rng.uniform(0.5, 4, 400)
    lists = [rng.permutation(400)[:40] for _ in range(60)]
    others = [
        np.r_[held[:keep], 400 - 1 - np.arange(5)] for held, keep in zip(lists, rng.integers(0, 40, 60), strict=True)
    ]
    a, b = sets(lists, weights), sets([np.unique(o) for o in others], weights)
    k = 4_096
    exact = similarity(a, b)
    z = (estimate(signatures(a, k), signatures(b, k)) - exact) / np.sqrt(np.maximum(exact * (1 - exact), 1e-6) / k)
    assert np.abs(z).max() < 4.5
    assert abs(z.mean()) < 0.5


def test_the_shortlist_holds_the_most_similar():
    rng = np.random.default_rng(2)
    held, asked = drawn(3_000, rng), drawn(20, rng)
    index = Shortlist()
    for at in range(0, 3_000, 700):  # sorted and unsorted parts
        index.add(held.take(np.arange(at, min(at + 700, 3_000))))
    places, scores = index.search(asked, 10)
    everything = np.array([[plain(q, s, np.ones(400)) for s in rows(held)] for q in rows(asked)])
    best = np.sort(everything, 1)[:, ::-1][:, :10]
    np.testing.assert_allclose(scores, np.take_along_axis(everything, places, 1))
    assert (scores >= best[:, -1:] - 1e-12).mean() >= 0.95
    assert (np.diff(scores, axis=1) <= 0).all()


def test_only_what_was_there_before_is_found_and_what_is_removed_is_not():
    index = Shortlist(hashes=64)
    index.add(sets([[1, 2, 3], [1, 2, 3], [1, 2, 9]]), np.array([10, 20, 30]))
    asked = sets([[1, 2, 3]])
    assert index.search(asked, 3, np.array([20]))[0].tolist() == [[0, -1, -1]]
    assert index.search(asked, 3)[0].tolist() == [[0, 1, 2]]
    index.remove(np.array([0]))
    assert index.search(asked, 3)[0].tolist() == [[1, 2, -1]]
    assert not np.isin([1, 2, 3], index.sets.tokens[:3]).any()
    index.add(sets([[2, 3]]))
    assert index.search(asked, 3)[0].tolist() == [[1, 3, 2]]


def test_it_comes_back_from_its_arrays():
    rng = np.random.default_rng(3)
    index = Shortlist(hashes=32, seed=5)
    index.add(drawn(300, rng))
    index.remove(np.array([4]))
    back, asked = Shortlist.restored(index.arrays()), drawn(9, rng)
    for one, other in zip(index.search(asked, 7), back.search(asked, 7), strict=True):
        assert one.tobytes() == other.tobytes()
    with pytest.raises(StateError, match="clocks"):
        Shortlist.restored({**index.arrays(), "clock": np.zeros(2, np.int64)})


def test_empty_sets_are_like_nothing():
    index = Shortlist(hashes=16)
    index.add(sets([[], [1]]))
    assert index.search(sets([[], [1]]), 2)[0].tolist() == [[-1, -1], [1, -1]]
    with pytest.raises(OptionError, match="twice"):
        index.add(sets([[1, 1]]))
    with pytest.raises(OptionError, match="k = 0"):
        index.search(sets([[1]]), 0)
