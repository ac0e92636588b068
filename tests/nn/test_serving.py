from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from ethogram.errors import OptionError, StateError
from ethogram.log import Candidates, Histories, Log
from ethogram.nn import serving
from ethogram.nn.attention import TargetAttention
from ethogram.nn.interest import Attended, Pooled, Several
from ethogram.nn.lsh import Hashed
from ethogram.nn.ranker import SlateRanker
from ethogram.nn.slates import SlateNetwork
from ethogram.nn.train import Trained

USERS, ITEMS, EVENTS, SHORT = 20, 150, 340, 12
DAY = 86_400_000_000


@pytest.fixture(scope="module")
def log():
    """Everybody's events at times of their own, with kinds and values, of items with categories."""
    rng = np.random.default_rng(0)
    n = USERS * EVENTS
    table = pa.table(
        {
            "user": np.repeat(np.arange(USERS), EVENTS),
            "item": rng.integers(0, ITEMS, n),
            "time": 1_700_000_000 + rng.permutation(n) * 60,
            "kind": rng.choice(["view", "buy"], n),
            "value": rng.gamma(2.0, size=n).astype(np.float32),
        }
    )
    items = pa.table({"item": np.arange(ITEMS), "category": [f"c{i % 9}" for i in range(ITEMS)]})
    return Log.open(table, items=items)


def ranker(log, *, last=None, seed=0, hash_seed=0, memory=None, width=3):
    """A network with weights of a size that training leaves, so that differences show."""

    def interest(dim):
        long = Hashed(dim, 24, width, seed=hash_seed, memory=memory)
        return Several(long, Attended(TargetAttention(dim, hidden=(8,)), SHORT))

    features = log.features().limit(last)
    network = SlateNetwork(features, interest, dim=12, side=4, seed=seed)
    with torch.no_grad():
        for matrix in network.tables.matrices:
            matrix *= 20
    network.eval()
    return SlateRanker(features, network, Trained())


def candidates(log, n, seed=1):
    vocabulary = log.vocabulary("item")
    picked = np.random.default_rng(seed).integers(0, len(vocabulary), (n, 7)).astype(np.int32)
    return Candidates(picked, vocabulary)


@pytest.mark.parametrize("memory", [None, 2 * DAY])
def test_ten_thousand_additions_and_expiries_score_like_the_whole_history(log, memory):
    window = 100
    model = ranker(log, last=window, memory=memory)
    histories = log.histories()
    codes, vectors = serving.events(model, histories)
    spans = np.concatenate([[0], np.cumsum(histories.lengths)])
    time = np.asarray(histories.columns["time"])[histories.flat()[0]]
    one = serving.tables(model, histories[0:1])[0]
    empty = replace(one, sums=one.sums * 0, counts=one.counts * 0, time=None)
    held, operations = [empty] * USERS, 0
    asked = candidates(log, USERS)
    for step in range(EVENTS):
        for user in range(USERS):
            at = spans[user] + step
            held[user] = held[user].add(codes[at], vectors[at], time[at])
            operations += 1
            if step >= window:
                gone = at - window
                held[user] = held[user].expire(codes[gone], vectors[gone], time[gone])
                operations += 1
        if step in (0, 3, 99, 100, 200, EVENTS - 1):
            seen = replace(histories, stop=histories.start + step + 1)
            got = serving.score(model, held, seen.last(SHORT), asked)
            expected = model.score(seen, asked)
            np.testing.assert_allclose(got, expected, atol=1e-5)
            assert np.ptp(expected) > 0.05  # the comparison is not one of constants
    assert operations > 10_000
    assert [t.events for t in held] == [window] * USERS


@pytest.mark.parametrize("width", [1, 3, 8])
def test_tables_made_at_once_score_like_histories_of_any_length(log, width):
    model = ranker(log, width=width)
    some = replace(log.histories(), stop=log.histories().start + np.arange(USERS) * 17)  # the first is empty
    asked = candidates(log, USERS)
    tables = serving.tables(model, some)
    got = serving.score(model, tables, some.last(SHORT), asked)
    np.testing.assert_allclose(got, model.score(some, asked), atol=1e-5)
    assert not tables[0].sums.any()
    # the long history counts: without it the scores differ
    without = serving.score(model, [tables[0]] * USERS, some.last(SHORT), asked)
    assert np.abs(without[1:] - got[1:]).max() > 1e-3


def test_strangers_unknown_items_and_missing_values_are_served(log):
    model = ranker(log)
    lists = [[3, 4, 10**9, 5], [], [10**9, -1], [7] * 60]
    histories, asked = Histories.of(lists), Candidates.of([3, 77, 10**9])
    tables = serving.tables(model, histories)
    assert all(np.isfinite(t.sums).all() for t in tables)
    got = serving.score(model, tables, histories.last(SHORT), asked)
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got, model.score(histories, asked), atol=1e-5)
    missing = Log.open(
        pa.table({"user": [1, 1], "item": [3, 4], "time": [5, 6], "kind": [None, "buy"], "value": [None, 2.0]})
    ).histories()
    (table,) = serving.tables(model, missing)
    assert table.events == 2
    got = serving.score(model, [table], missing, Candidates.of([3, 4]))
    np.testing.assert_allclose(got, model.score(missing, Candidates.of([3, 4])), atol=1e-5)
    assert np.isfinite(got).all()


def test_a_table_of_another_model_is_refused(log):
    model = ranker(log)
    histories, asked = log.histories()[0:2], candidates(log, 2)
    tables = serving.tables(model, histories)
    for other in (ranker(log, seed=1), ranker(log, hash_seed=1), ranker(log, memory=DAY), ranker(log, width=2)):
        assert serving.version(other) != serving.version(model)
        with pytest.raises(StateError, match="rebuild it"):
            serving.score(other, tables, histories, asked)
    assert serving.version(ranker(log)) == serving.version(model)  # the same weights, made again


def test_what_cannot_be_served_is_told(log):
    model = ranker(log)
    histories, asked = log.histories()[0:2], candidates(log, 2)
    with pytest.raises(OptionError, match="1 tables for 2 questions"):
        serving.score(model, serving.tables(model, histories)[:1], histories, asked)
    pooled = SlateNetwork(log.features(), lambda dim: Several(Pooled(dim)), dim=4, side=2)
    with pytest.raises(OptionError, match="does not read its history by hash buckets"):
        serving.tables(SlateRanker(log.features(), pooled, Trained()), histories)


def test_a_group_of_equal_times_is_read_whole_or_not_at_all():
    rng = np.random.default_rng(2)
    n = 300
    table = pa.table(
        {"user": np.zeros(n, np.int64), "item": rng.integers(0, 40, n), "time": 1_700_000_000 + np.arange(n) // 5 * 60}
    )
    log = Log.open(table)
    model = ranker(log, last=52)
    histories, asked = log.histories(), candidates(log, 1)
    (table,) = serving.tables(model, histories)
    assert table.events == 50
    np.testing.assert_allclose(
        serving.score(model, [table], histories.last(SHORT), asked), model.score(histories, asked), atol=1e-5
    )
