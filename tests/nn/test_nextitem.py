"""A next-item model with a network that can be computed in the head: the sum of the history's item vectors."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from ethogram.errors import StateError
from ethogram.log import Candidates, Histories, Log, Vocabulary
from ethogram.nn.nextitem import NextItem
from ethogram.numeric.known import Known
from ethogram.numeric.vectors import Judge

VECTORS = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, 1.0]])  # of items 10, 20, 30


class Sum:
    """State of a row: the vectors of all rows of its history up to its group, added up."""

    def __init__(self, vectors=VECTORS):
        self.vectors = vectors

    def eval(self):
        return self

    def __call__(self, rows, offsets, group):
        owner = torch.repeat_interleave(torch.arange(len(offsets) - 1), offsets.diff())
        reads = (owner[:, None] == owner) & (group[:, None] >= group)
        return reads.float() @ self.vectors[rows]


def model(length=50, network=None):
    """Items 10, 20 and 30 were met 1, 2 and 3 times; 15 is in the vocabulary of the log but not in its training."""
    known = Known(Vocabulary([10, 15, 20, 30]), Vocabulary([1, 2]), np.array([1, 0, 2, 3]), 0.0)
    return NextItem(known, network or Sum(), length)


def test_scores_are_products_of_state_and_vector():
    asked = Histories.of([[10, 20], [30, 30, 10]])
    got = model().score(asked, Candidates.of([10, 20, 30]))
    np.testing.assert_allclose(got, [[1, 4, 1], [-1, 4, 3]])  # states (1, 2) and (-1, 2)


def test_only_the_end_of_a_history_is_read():
    got = model(length=1).score(Histories.of([[10, 20], [30, 30, 10]]), Candidates.of([10, 20, 30]))
    np.testing.assert_allclose(got, [[0, 4, 2], [1, 0, -1]])


def test_equal_times_are_read_together():
    log = Log.open(pa.table({"user": [1, 1, 1], "item": [20, 10, 30], "time": [1, 2, 2]}))
    state, known = model().states(log.histories())
    np.testing.assert_allclose(state, [[0, 3]])  # all three, for both rows of the last group
    assert known.all()


def test_items_that_training_never_met():
    asked = Histories.of([[15, 99], [10, 99, 20], []])
    ids = Candidates.of([10, 99, 30, 15])
    got = model().score(asked, ids)
    assert np.isfinite(got).all()
    assert (got[1, [1, 3]] < got[1, [0, 2]].min()).all(), "they stand last"
    np.testing.assert_allclose(got[1, [0, 2]], [1, 1], err_msg="and tell nothing in a history")
    np.testing.assert_allclose(got[0], got[2], err_msg="who did nothing known is nobody")
    np.testing.assert_allclose(got[2, [0, 2]], np.log([1 / 6, 3 / 6]), rtol=1e-6)
    assert got[2, 1] == got[2, 3] < got[2, 0]


def test_ragged_candidates_get_the_scores_of_shared_ones():
    asked = Histories.of([[10, 20], [], [30]])
    shared = model().score(asked, Candidates.of([10, 20, 30, 99]))
    ragged = model().score(asked, Candidates.of([[30, 99], [10], [99, 20, 10]]))
    np.testing.assert_allclose(ragged, [*shared[0, [2, 3]], shared[1, 0], *shared[2, [3, 1, 0]]], rtol=1e-6)


def test_a_network_of_other_items_is_refused():
    with pytest.raises(StateError, match="knows 2 items"):
        model(network=Sum(VECTORS[:2])).score(Histories.of([[10]]), Candidates.of([10]))


def test_the_judge_is_ndcg_of_the_next_group_without_past_items():
    """User 1: state (1, 2), past 10 and 20 left out, target 30 alone: rank 1. User 2: state (-1, 1), scores -1, 2, 2
    for 10, 20, 30 with 30 past: target 20 rank 1. User 3: state (0, 2), scores 0, 4, 2: past 20 out, 10 behind 30."""
    log = Log.open(pa.table({"user": [1, 1, 1, 2, 2, 3, 3], "item": [10, 20, 30, 30, 20, 20, 10],
                             "time": [1, 2, 3, 1, 2, 1, 2]}))  # fmt: skip
    asked = log.questions("next", which="last")
    built = NextItem(Known.of(log), Sum(), 50)
    value = Judge(built, asked)()
    assert built.known.excludes(None)
    assert value == pytest.approx((1 + 1 + 1 / np.log2(3)) / 3)
    few = {Judge(built, asked, most=1, seed=s)() for s in range(30)}
    assert {round(v, 6) for v in few} == {1.0, round(1 / np.log2(3), 6)}
