"""Pooled, attended and stacked interests against sums written out, and weights that say what was summed."""

import itertools

import numpy as np
import pytest
import torch

from ethogram.nn.attention import TargetAttention
from ethogram.nn.interest import Attended, Pooled, Several
from ethogram.nn.lsh import Hashed, SimHash

KEYS, QUERIES = torch.tensor([0, 7, 7, 8, 20]), torch.tensor([0, 2, 3, 5, 6])
WIDTH = 4


@pytest.fixture
def packed():
    g = torch.Generator().manual_seed(0)
    return torch.randn(20, WIDTH, generator=g), torch.randn(6, WIDTH, generator=g)


def each(keys, queries):
    """(events [L, d], candidate [d]) of every candidate in turn."""
    for b in range(len(KEYS) - 1):
        for q in range(int(QUERIES[b]), int(QUERIES[b + 1])):
            yield slice(int(KEYS[b]), int(KEYS[b + 1])), queries[q]


def parts(**tags):
    """Every interest, by name."""
    din = TargetAttention(WIDTH, hidden=(3,), act="prelu", seed=1)
    return {
        "mean": Pooled(WIDTH),
        "sum": Pooled(WIDTH, "sum"),
        "din": Attended(din),
        "din, mean": Attended(TargetAttention(WIDTH, hidden=(3,), act="prelu", seed=1), mean=True),
        "dot": Attended(TargetAttention(WIDTH, "dot")),
        "last": Attended(TargetAttention(WIDTH, hidden=(3,), act="prelu", seed=1), last=3, mean=True),
        "nearest": Attended(TargetAttention(WIDTH, "topk", hidden=(3,), k=2), tags=SimHash(WIDTH, 8, 1), mean=True),
        "hash": Hashed(WIDTH, 12, 2),
        "several": Several(Hashed(WIDTH, 12, 2), Pooled(WIDTH)),
    }


@pytest.mark.parametrize("name", parts())
def test_weights_times_events_are_the_interest(name, packed):
    part = parts()[name].eval()
    got = part(packed[0], KEYS, packed[1], QUERIES)
    weights = part.weights(packed[0], KEYS, packed[1], QUERIES)
    assert got.shape == (6, part.width)
    assert weights.lengths.tolist() == [7, 7, 0, 1, 1, 12]
    for q, (at, _) in enumerate(each(*packed)):
        # of several parts the weights are the first one's
        torch.testing.assert_close(weights[q] @ packed[0][at], got[q, :WIDTH], atol=1e-5, rtol=1e-4)


def test_pooling_by_hand(packed):
    for how in ("mean", "sum"):
        got = Pooled(WIDTH, how)(packed[0], KEYS, packed[1], QUERIES)
        for q, (at, _) in enumerate(each(*packed)):
            some = packed[0][at]
            expected = some.sum(0) / (max(len(some), 1) if how == "mean" else 1)
            torch.testing.assert_close(got[q], expected)


def test_the_mean_of_attention_starts_as_mean_pooling_plus_what_the_unit_says(packed):
    """The last bias is 1, so that a unit that says nothing pools; the sum is over the number of events."""
    part = parts()["din, mean"].eval()
    unit = part.attention.unit
    assert unit.layers[-1].bias.item() == 1.0
    plain = parts()["din"].eval()
    raw, pooled = (p(packed[0], KEYS, packed[1], QUERIES) for p in (plain, Pooled(WIDTH)))
    lengths = torch.tensor([7, 7, 1, 1, 1, 12]).unsqueeze(1)  # an empty history counts as one event of zero
    torch.testing.assert_close(part(packed[0], KEYS, packed[1], QUERIES), raw / lengths + pooled)


def test_the_last_events_alone(packed):
    part = parts()["last"].eval()
    got = part(packed[0], KEYS, packed[1], QUERIES)
    rows = torch.cat([torch.arange(max(int(a), int(b) - 3), int(b)) for a, b in itertools.pairwise(KEYS)])
    cut = torch.cat([torch.zeros(1, dtype=torch.int64), KEYS.diff().clamp_max(3).cumsum(0)])
    part.last = None
    torch.testing.assert_close(got, part(packed[0][rows], cut, packed[1], QUERIES))


def test_the_last_events_are_cut_between_groups_of_equal_time(packed):
    """Seven events in groups of 2, 3 and 2: at most four of them are the last two, since the three would be cut."""
    part = parts()["last"].eval()
    part.last = 4
    keys, ends = packed[0][:7], torch.tensor([0, 7])
    starts = torch.tensor([True, False, True, False, False, True, False])
    weights = part.weights(keys, ends, packed[1][:1], torch.tensor([0, 1]), key_starts=starts)
    assert (weights[0] != 0).tolist() == [False] * 5 + [True] * 2
    turned = keys[[1, 0, 4, 2, 3, 6, 5]]  # the order inside groups is nothing
    ask = (ends, packed[1][:1], torch.tensor([0, 1]))
    torch.testing.assert_close(part(keys, *ask, key_starts=starts), part(turned, *ask, key_starts=starts))


def test_retrieval_by_given_tags_takes_the_latest_of_the_category(packed):
    part = Attended(TargetAttention(WIDTH, "topk", hidden=(3,), act="prelu", k=2), tags="given", mean=True).eval()
    tags = torch.tensor([[0], [1], [0], [0], [2], [1], [0], *([[3]] * 13)])
    asked = torch.tensor([[0], [1], [0], [3], [9], [3]])
    found = part.weights(packed[0], KEYS, packed[1], QUERIES, key_tags=tags, query_tags=asked)
    there = [(found[q] != 0).nonzero().flatten().tolist() for q in range(6)]
    assert there == [[3, 6], [1, 5], [], [0], [], [10, 11]]
    got = part(packed[0], KEYS, packed[1], QUERIES, key_tags=tags, query_tags=asked)
    assert got[4].eq(0).all()  # nothing of its category
    unit = part.attention.unit
    pair = packed[0][[3, 6]]
    by_hand = unit.one_each(torch.tensor([0, 2]), pair, packed[1][:1]) @ pair / 2  # over the events that it retrieves
    torch.testing.assert_close(got[0], by_hand)


def test_several_stand_side_by_side(packed):
    both = parts()["several"]
    got = both(packed[0], KEYS, packed[1], QUERIES)
    left, right = (p(packed[0], KEYS, packed[1], QUERIES) for p in both.parts)
    torch.testing.assert_close(got, torch.cat([left, right], 1))
    assert both.width == 2 * WIDTH


def test_nobody_has_done_anything(packed):
    empty, asked = torch.zeros(3, dtype=torch.int64), torch.tensor([0, 2, 3])
    for name, part in parts().items():
        got = part.eval()(packed[0][:0], empty, packed[1][:3], asked)
        assert got.eq(0).all(), name
        assert np.array_equal(part.weights(packed[0][:0], empty, packed[1][:3], asked).lengths, [0, 0, 0])
