import numpy as np
import pytest
import torch

from ethogram.errors import OptionError, StateError
from ethogram.nn.buckets import BucketTable
from ethogram.nn.collisions import bucket_interest
from ethogram.nn.lsh import SimHash


@pytest.mark.parametrize("normalise", [True, False])
def test_tables_moved_event_by_event_equal_the_batch(normalise):
    rng = np.random.default_rng(4)
    simhash = SimHash(16, hashes=24, width=3, seed=1)
    stream = rng.standard_normal((5_100, 16)).astype(np.float32) * np.exp(rng.normal(size=(5_100, 1)) * 3).astype(
        np.float32
    )
    codes = simhash.codes(stream)
    table = BucketTable.empty(simhash.groups, simhash.buckets, 16, "v1")
    window = 100
    for i in range(len(stream)):  # 5,100 added, 5,000 expired
        table = table.add(codes[i], stream[i])
        if i >= window:
            table = table.expire(codes[i - window], stream[i - window])
    assert table.events == window
    queries = rng.standard_normal((50, 16)).astype(np.float32)
    asked = simhash.codes(queries)
    got = table.gather(asked, normalise=normalise)
    last = torch.from_numpy(stream[-window:])
    expected = bucket_interest(
        last, torch.from_numpy(codes[-window:]), torch.tensor([0, window]), torch.from_numpy(asked),
        torch.tensor([0, 50]), simhash.buckets, normalise=normalise,
    ).numpy()  # fmt: skip
    scale = 1 if normalise else np.abs(expected).max()
    assert np.abs(got - expected).max() <= 1e-5 * scale
    at_once = BucketTable.of(codes[-window:], stream[-window:], simhash.buckets, "v1")
    assert np.array_equal(at_once.counts, table.counts)
    np.testing.assert_allclose(table.sums, at_once.sums, rtol=1e-12, atol=1e-9)


def test_an_emptied_table_is_exactly_empty():
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((30, 4)).astype(np.float32) * 1e6
    vectors[::3] *= 1e-9
    codes = rng.integers(0, 4, (30, 3))
    table = BucketTable.of(codes, vectors, 4)
    assert table.bytes == 3 * 4 * 4 * 8 + 3 * 4 * 4
    gone = table.expire(codes[rng.permutation(30)[:0]], vectors[:0]).expire(codes, vectors)
    assert gone.sums.any() == False  # noqa: E712
    assert gone.counts.any() == False  # noqa: E712
    assert table.events == 30  # a value: the first table did not change
    assert np.array_equal(gone.gather(codes), np.zeros((30, 4), np.float32))


def test_versions_and_wrong_input():
    table = BucketTable.of(np.array([[1, 0]]), np.ones((1, 3), np.float32), 2, "v1")
    assert table.check("v1") is table
    with pytest.raises(StateError, match="v2"):
        table.check("v2")
    with pytest.raises(StateError, match="never added"):
        table.expire(np.array([0, 0]), np.ones(3, np.float32))
    with pytest.raises(OptionError, match="values in 0"):
        table.gather(np.array([[2, 0]]))
    with pytest.raises(OptionError, match="vectors"):
        table.add(np.array([0, 0]), np.ones(4, np.float32))
    with pytest.raises(OptionError, match="not finite"):
        table.add(np.array([0, 0]), np.array([1, np.nan, 2], np.float32))
    with pytest.raises(OptionError, match="multiple"):
        SimHash(4, hashes=10, width=3)
    with pytest.raises(OptionError, match="memory"):
        BucketTable.empty(1, 2, 3, memory=0.0)
    with pytest.raises(OptionError, match="need their time"):
        BucketTable.empty(2, 2, 3, memory=1.0).add(np.array([0, 0]), np.ones(3, np.float32))


def test_a_fading_table_weighs_events_by_their_age_and_still_expires_to_nothing():
    rng = np.random.default_rng(6)
    day, memory = 86_400_000_000, 3.5 * 86_400_000_000
    when = np.sort(rng.integers(0, 60 * day, 400)) + 1_700_000_000_000_000
    vectors = rng.standard_normal((400, 5)).astype(np.float32)
    codes = rng.integers(0, 4, (400, 3))
    table = BucketTable.empty(3, 4, 5, memory=memory)
    for i in rng.permutation(400):  # late events too
        table = table.add(codes[i], vectors[i], when[i])
    assert table.time == when.max()
    asked = rng.integers(0, 4, (7, 3))
    for normalise in (False, True):
        now = int(when.max() + 2 * day)
        weight = np.exp((when - now) / memory)
        expected = np.zeros((7, 5))
        for q in range(7):
            for g in range(3):
                mine = codes[:, g] == asked[q, g]
                found = (weight[mine, None] * vectors[mine]).sum(0)
                expected[q] += found / np.linalg.norm(found) / 3 if normalise else found / 3
        got = table.gather(asked, normalise=normalise, time=now)
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())
    # the oldest fade, they are not gone: each can be taken out again
    late = BucketTable.of(codes[100:], vectors[100:], 4, memory=memory, time=when[100:])
    left = table.expire(codes[:100], vectors[:100], when[:100])
    np.testing.assert_allclose(left.sums, late.sums, rtol=1e-9, atol=1e-12)
    gone = left.expire(codes[100:], vectors[100:], when[100:])
    assert not gone.sums.any()
    assert not gone.counts.any()
    # a year later a normalised read is what it was, whatever underflows
    assert np.array_equal(table.gather(asked, time=int(when.max()) + 40_000 * day), table.gather(asked))
