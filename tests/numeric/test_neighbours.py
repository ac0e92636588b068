"""Sparse rows: what is kept, how much room they take, how they add up."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ethogram.log import Log
from ethogram.numeric.neighbours import (
    Baskets,
    Neighbours,
    ThroughUsers,
    cosines,
    from_arrays,
    itself,
    longest,
    similar,
    transitions,
)


def random_log(seed, events=300, users=15, items=20):
    rng = np.random.default_rng(seed)
    columns = {"user": rng.integers(0, users, events), "item": rng.integers(0, items, events)}
    return Log.open(pa.table({**columns, "order": rng.integers(0, 30, events)}))


def dense(rows):
    size = len(rows.offsets) - 1
    out = np.zeros((size, size))
    for a in range(size):
        span = slice(rows.offsets[a], rows.offsets[a + 1])
        out[a, rows.codes[span]] = rows.weights[span]
    return out


def test_cosines_as_a_matrix_product():
    log = random_log(0)
    h = log.histories()
    x = np.zeros((len(h), len(h.vocabularies["item"])))
    for u in range(len(h)):
        x[u, h.item[h.start[u] : h.stop[u]]] = 1
    counts = np.bincount(h.item, minlength=x.shape[1]).astype(float)
    expected = (x.T @ x) / np.sqrt(np.outer(counts, counts))
    np.fill_diagonal(expected, 0)
    found = cosines(Baskets.of(h), counts)
    np.testing.assert_allclose(dense(found), expected, rtol=1e-6)
    assert found.cap is None
    assert Baskets.of(h).reach().sum() >= len(found.codes)


@pytest.mark.parametrize("cap", [None, 5])
def test_cosines_of_counts_as_a_matrix_product(cap):
    h = random_log(4).histories()
    x = np.zeros((len(h), len(h.vocabularies["item"])))
    for u in range(len(h)):
        np.add.at(x[u], h.item[h.start[u] : h.stop[u]], 1)
    assert x.max() > 1
    baskets = Baskets.of(h, often=True)
    np.testing.assert_allclose(baskets.squares(), (x**2).sum(0))
    squares = np.maximum(baskets.squares(), 1.0)
    expected = (x.T @ x) / np.sqrt(np.outer(squares, squares))
    found = dense(cosines(baskets, squares, cap, own=True))
    if cap is not None:
        least = np.sort(expected, 1)[:, -cap][:, None]
        assert ((found > 0).sum(1) <= cap).all()
        expected = np.where(found > 0, expected, np.minimum(expected, least) * 0)
        assert (np.where(found > 0, found, np.inf).min(1) >= least[:, 0] * (1 - 1e-6)).all()
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("often", [False, True])
def test_through_users_gives_the_same_sums(often):
    h = random_log(5).histories()
    baskets = Baskets.of(h, often=often)
    squares = np.maximum(baskets.squares(), 1.0)
    rows = similar(baskets, squares, cap=None, limit=2**30, own=often)
    through = similar(baskets, squares, cap=None, limit=0, own=often)
    assert isinstance(rows, Neighbours)
    assert isinstance(through, ThroughUsers)
    again = from_arrays(through.arrays(), None)
    items, offsets = h.item[h.start[0] : h.stop[0]].astype(np.int32), np.array([0, h.stop[0] - h.start[0]])
    out = [np.empty((1, len(squares))) for _ in range(3)]
    for kind, sums in zip((rows, through, again), out, strict=True):
        kind.add(items, np.ones(len(items)), offsets, np.zeros(len(squares)), sums)
    np.testing.assert_allclose(out[0], out[1], rtol=1e-5, atol=1e-12)
    np.testing.assert_array_equal(out[1], out[2])
    a, b = np.repeat(np.arange(8), 8), np.tile(np.arange(8), 8)
    np.testing.assert_allclose(rows.between(a, b), through.between(a, b), rtol=1e-6)


@pytest.mark.parametrize("cap", [1, 3, 7])
def test_a_cap_keeps_the_largest(cap):
    h = random_log(1, items=40).histories()
    counts = np.maximum(np.bincount(h.item, minlength=len(h.vocabularies["item"])), 1.0)
    full, cut = dense(cosines(Baskets.of(h), counts)), cosines(Baskets.of(h), counts, cap)
    assert cut.cap == cap
    for a, row in enumerate(full):
        order = np.lexsort((np.arange(len(row)), -row))[:cap]
        kept = np.where(np.isin(np.arange(len(row)), order), row, 0)
        # equal cosines may differ in their last bit before rounding to float32
        np.testing.assert_allclose(np.sort(dense(cut)[a]), np.sort(kept), rtol=1e-6)


def test_transitions_fit_the_limit():
    h = random_log(2, events=900, items=60).histories()
    counts = np.maximum(np.bincount(h.item, minlength=len(h.vocabularies["item"])), 1.0)
    full = transitions(h, counts, gap=3, reverse=0.5, limit=2**30)
    limit = full.arrays()["codes"].nbytes  # half of what all entries take
    cut = transitions(h, counts, gap=3, reverse=0.5, limit=limit)
    assert full.cap is None
    assert cut.codes.nbytes + cut.weights.nbytes <= limit
    one_more = np.minimum(np.diff(full.offsets), cut.cap + 1).sum()
    assert one_more * 8 > limit
    assert (np.diff(cut.offsets) == np.minimum(np.diff(full.offsets), cut.cap)).all()


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.integers(0, 300))
def test_longest_is_the_longest(sizes, entries):
    sizes = np.array(sizes)
    found = longest(sizes, entries)
    fits = [c for c in range(1, max(sizes.max(), 1) + 1) if np.minimum(sizes, c).sum() <= entries]
    assert found == max(fits, default=1)


def test_repeated_and_unknown_items_add_up():
    rows = Neighbours(np.array([0, 2, 3]), np.array([0, 1, 0], np.int32), np.float32([1, 2, 4]))
    out = np.full((2, 2), np.nan)
    items, offsets = np.array([0, 1, -1, 0], np.int32), np.array([0, 4, 4])
    rows.add(items, np.array([1.0, 0.5, 9.0, 0.25]), offsets, np.array([10.0, 20.0]), out)
    assert out.tolist() == [[1.25 + 2 + 10, 2.5 + 20], [10, 20]]


def test_weights_are_looked_up():
    rows = Neighbours(np.array([0, 2, 2, 3]), np.array([0, 2, 1], np.int32), np.float32([1, 2, 4]))
    a, b = np.array([0, 0, 0, 1, 2, 2, -1, 0]), np.array([0, 1, 2, 0, 1, 2, 0, -1])
    assert rows.between(a, b).tolist() == [1, 0, 2, 0, 4, 0, 0, 0]
    assert itself(3).between(np.arange(3), np.array([0, 2, 2])).tolist() == [1, 0, 1]
