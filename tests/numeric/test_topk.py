"""Exact search against a full sort, with ties, masks and more wanted than there is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ethogram.errors import OptionError
from ethogram.numeric.topk import BLOCK, QUERIES, TopK


def brute(items, queries, k, exclude=None):
    every = queries.astype(np.float64) @ items.T.astype(np.float64)
    scores, codes = np.full((len(queries), k), -np.inf), np.full((len(queries), k), -1)
    for q, row in enumerate(every):
        allowed = np.setdiff1d(np.arange(len(items)), exclude[q] if exclude is not None else [])
        best = allowed[np.lexsort((allowed, -row[allowed]))][:k]
        scores[q, : len(best)], codes[q, : len(best)] = row[best], best
    return scores, codes


def ragged(lists):
    return np.cumsum([0, *map(len, lists)]), np.array([c for row in lists for c in row], np.int64)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    size=st.one_of(st.integers(0, 90), st.sampled_from([BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 100])),
    n=st.integers(1, 5),
    k=st.integers(1, 30),
    span=st.sampled_from([0, 1, 3, 1000]),
    banned=st.sampled_from([0, 5, 200]),
)
def test_equals_a_full_sort(seed, size, n, k, span, banned):
    # whole numbers multiply exactly in float32, so that equal scores are equal and ties are many
    rng = np.random.default_rng(seed)
    items = rng.integers(-span, span + 1, (size, 4)).astype(np.float32)
    queries = rng.integers(-span, span + 1, (n, 4)).astype(np.float32)
    exclude = [rng.integers(0, max(size, 1), rng.integers(0, banned + 1)) for _ in range(n)]
    scores, codes = TopK(items).search(queries, k, exclude=ragged(exclude))
    expected_scores, expected_codes = brute(items, queries, k, exclude)
    assert np.array_equal(codes, expected_codes)
    assert np.array_equal(scores, expected_scores)


def test_many_queries_and_odd_exclusions():
    rng = np.random.default_rng(1)
    items = rng.integers(-9, 10, (1000, 8)).astype(np.float32)
    queries = rng.integers(-9, 10, (QUERIES + 3, 8)).astype(np.float32)
    exclude = [[5, 5, 999, -1, 4000], *([] for _ in range(QUERIES + 2))]
    scores, codes = TopK(items).search(queries, 7, exclude=ragged(exclude))
    expected = brute(items, queries, 7, exclude)
    assert np.array_equal(scores, expected[0])
    assert np.array_equal(codes, expected[1])


def test_items_in_order_of_score():
    items = np.arange(5000, dtype=np.float32)[:, None]
    for direction in (1, -1):
        _, codes = TopK(items).search(np.full((1, 1), direction, np.float32), 3)
        assert codes.tolist() == [[4999, 4998, 4997] if direction == 1 else [0, 1, 2]]


def test_what_is_not_a_number_is_never_found():
    items = np.float32([[np.nan], [1], [2]])
    scores, codes = TopK(items).search(np.float32([[1]]), 3)
    assert codes.tolist() == [[2, 1, -1]]
    assert scores.tolist() == [[2, 1, -np.inf]]


def test_everything_excluded():
    scores, codes = TopK(np.ones((3, 2), np.float32)).search(
        np.ones((1, 2), np.float32), 2, exclude=ragged([[0, 1, 2]])
    )
    assert codes.tolist() == [[-1, -1]]
    assert np.isneginf(scores).all()


def test_the_given_exclusions_are_left_as_they_are():
    offsets, codes = ragged([[2, 0, 1]])
    codes = codes.astype(np.int32)
    TopK(np.ones((3, 2), np.float32)).search(np.ones((1, 2), np.float32), 2, exclude=(offsets, codes))
    assert codes.tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("k", "queries", "exclude"),
    [
        (0, np.ones((1, 2)), None),
        (1, np.ones((1, 3)), None),
        (1, np.ones(2), None),
        (1, np.ones((1, 2)), (np.array([0, 1, 2]), np.array([0, 1]))),
    ],
)
def test_bad_input(k, queries, exclude):
    with pytest.raises(OptionError):
        TopK(np.ones((3, 2), np.float32)).search(queries, k, exclude=exclude)


def test_items_must_be_rows():
    with pytest.raises(OptionError):
        TopK(np.ones(3, np.float32))
