import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ethogram.errors import OptionError
from ethogram.evaluate import ranking
from ethogram.evaluate.ranking import Past, Standing


def brute_mid_rank(scores, target, targets, excluded):
    """The rule in plain Python; NaN is the lowest score."""
    value = [-math.inf if math.isnan(s) else s for s in scores]
    rivals = [v for i, v in enumerate(value) if i != target and (i not in excluded or i in targets)]
    own = value[target]
    return 1 + sum(v > own for v in rivals) + sum(v == own for v in rivals) / 2


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_mid_ranks_as_in_plain_python(kind):
    rng = np.random.default_rng(4)
    n, items = 60, 40
    scores = rng.integers(0, 8, (n, items)).astype(kind)
    scores[rng.random((n, items)) < 0.1] = -np.inf
    scores[rng.random((n, items)) < 0.1] = np.nan
    scores[rng.random((n, items)) < 0.02] = np.inf
    before = scores.copy()
    targets = [rng.choice(items, rng.integers(1, 6), replace=False) for _ in range(n)]
    seen = [rng.integers(-1, items, rng.integers(0, 25)) for _ in range(n)]  # with repeats, unknown items and targets
    offsets = np.concatenate([[0], np.cumsum([len(t) for t in targets])])
    found = ranking.mid_ranks(scores, np.concatenate(targets), offsets, seen)
    expected = [
        brute_mid_rank(scores[q].tolist(), t, set(targets[q].tolist()), set(seen[q].tolist()))
        for q in range(n) for t in targets[q]
    ]  # fmt: skip
    assert found.tolist() == expected
    assert np.array_equal(scores, before, equal_nan=True)


def test_masks_lists_and_slices_say_the_same():
    rng = np.random.default_rng(1)
    scores, targets = rng.random((20, 15)).astype(np.float32), rng.integers(0, 15, 20)
    mask = rng.random((20, 15)) < 0.4
    lists = [np.flatnonzero(row) for row in mask]
    by_mask = ranking.mid_ranks(scores, targets, excluded=mask)
    assert by_mask.tolist() == ranking.mid_ranks(scores, targets, excluded=lists).tolist()
    assert by_mask.tolist() == ranking.mid_ranks(scores, targets, excluded=Past.of(lists, 20)).tolist()
    assert (by_mask < ranking.mid_ranks(scores, targets)).any()


def test_order_of_items_changes_nothing():
    rng = np.random.default_rng(6)
    scores, target = rng.integers(0, 5, (30, 50)).astype(np.float32), rng.integers(0, 50, 30)
    moved = rng.permutation(50)
    place = np.argsort(moved)
    assert (ranking.mid_ranks(scores, target) == ranking.mid_ranks(scores[:, moved], place[target])).all()


def test_a_constant_scorer_gets_the_middle():
    scores = np.full((3, 101), 0.5, np.float32)
    assert ranking.mid_ranks(scores, [0, 50, 100]).tolist() == [51, 51, 51]
    found = ranking.per_question(ranking.stand(scores, [0, 50, 100]), [10])
    assert found["hr@10"].tolist() == [0, 0, 0]
    assert found["mrr"].tolist() == pytest.approx([1 / 51] * 3)


def test_an_item_that_was_not_scored_stands_behind_all():
    standing = ranking.stand(np.zeros((1, 5)), [-1])
    assert standing.ranks()[0].tolist() == [6]


TIES = [
    # greater, equal, k -> rank, hit: the place counted from 0, ties half, is below k
    (4, 0, 5, 5.0, 1),
    (5, 0, 5, 6.0, 0),
    (4, 1, 5, 5.5, 1),
    (4, 2, 5, 6.0, 0),
    (3, 3, 5, 5.5, 1),
    (0, 9, 5, 5.5, 1),
    (0, 10, 5, 6.0, 0),
]


@pytest.mark.parametrize(("greater", "equal", "k", "rank", "hit"), TIES)
def test_table_of_ties(greater, equal, k, rank, hit):
    standing = Standing(np.array([greater]), np.array([equal]), np.array([0, 1]))
    assert standing.ranks()[0].tolist() == [rank]
    found = {name: v[0] for name, v in ranking.per_question(standing, [k]).items()}
    assert found == pytest.approx(
        {
            f"hr@{k}": hit, f"recall@{k}": hit, f"precision@{k}": hit / k, f"map@{k}": hit / rank,
            f"ndcg@{k}": hit / math.log2(1 + rank), f"mrr@{k}": hit / rank, "mrr": 1 / rank,
        }
    )  # fmt: skip


def test_several_targets_by_hand():
    # ranks 1, 4 and 11 of three targets
    standing = ranking.stand(-np.arange(1.0, 21.0)[None], [0, 3, 10], [0, 3])
    found = {name: v[0] for name, v in ranking.per_question(standing, [2, 10]).items()}
    at2 = 1 / (1 + 1 / math.log2(3))
    at10 = (1 + 1 / math.log2(5)) / (1 + 1 / math.log2(3) + 1 / 2)
    assert found == pytest.approx(
        {
            "hr@2": 1, "recall@2": 1 / 3, "precision@2": 1 / 2, "map@2": 1 / 2, "ndcg@2": at2, "mrr@2": 1,
            "hr@10": 1, "recall@10": 2 / 3, "precision@10": 2 / 10, "map@10": (1 + 2 / 4) / 3, "ndcg@10": at10,
            "mrr@10": 1, "mrr": 1,
        }
    )  # fmt: skip


def test_level_targets_stand_where_they_fall_on_average():
    scores = np.array([[9.0, 5, 5, 5, 5, 1]])  # one item above a tie of four, two of which are targets
    standing = ranking.stand(scores, [1, 4], [0, 2])
    places = [sorted(2 + order.index(t) for t in "ab") for order in permutations("abcd")]
    assert standing.ranks()[0].tolist() == pytest.approx(np.mean(places, 0))
    assert np.mean(standing.ranks()[0]) == pytest.approx(ranking.mid_ranks(scores, [1, 4], [0, 2])[0])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_metric_passes_one_and_a_perfect_ranking_reaches_it(data):
    items = data.draw(st.integers(2, 12))
    scores = np.array([data.draw(st.lists(st.integers(0, 3), min_size=items, max_size=items))], np.float32)
    chosen = data.draw(st.lists(st.integers(0, items - 1), min_size=1, max_size=items, unique=True))
    k = data.draw(st.integers(1, items))
    found = ranking.per_question(ranking.stand(scores, chosen, [0, len(chosen)]), [k])
    assert all(0 <= v[0] <= 1 + 1e-12 for v in found.values())
    scores[0, chosen] = 10 + np.arange(len(chosen))
    best = ranking.per_question(ranking.stand(scores, chosen, [0, len(chosen)]), [k])
    assert best[f"ndcg@{k}"][0] == pytest.approx(1)
    assert best[f"map@{k}"][0] == pytest.approx(1)
    assert best[f"recall@{k}"][0] == pytest.approx(min(k, len(chosen)) / len(chosen))


def test_some_targets_among_the_same_competitors():
    scores = -np.arange(1.0, 11.0)[None].repeat(2, 0)
    standing = ranking.stand(scores, [0, 2, 5], [0, 2, 3])
    part = standing.only(np.array([False, True, False]))
    found = ranking.per_question(part, [3])
    assert part.ranks()[0].tolist() == [3]  # the other target still stands above
    assert found["recall@3"][0] == 1
    assert np.isnan(found["recall@3"][1])
    assert np.isnan(found["mrr"][1])


def test_names_are_those_of_the_columns():
    standing = ranking.stand(np.zeros((1, 3)), [0])
    assert ranking.names([5, 10]) == list(ranking.per_question(standing, [5, 10]))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((np.zeros(3), [0]), "not .questions, items."),
        ((np.zeros((2, 3)), [0]), "do not fit"),
        ((np.zeros((1, 3)), [3]), "outside the 3 items"),
        ((np.zeros((1, 3)), [-2]), "outside the 3 items"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, said):
    with pytest.raises(OptionError, match=said):
        ranking.stand(*arguments)


@pytest.mark.slow
def test_as_ranx_where_nothing_is_tied():
    from ranx import Qrels, Run, evaluate

    rng = np.random.default_rng(8)
    n, items = 40, 60
    scores = np.stack([rng.permutation(items) for _ in range(n)]).astype(np.float64)
    targets = [rng.choice(items, rng.integers(1, 9), replace=False) for _ in range(n)]
    offsets = np.concatenate([[0], np.cumsum([len(t) for t in targets])])
    found = ranking.per_question(ranking.stand(scores, np.concatenate(targets), offsets), [5, 10])
    relevant = Qrels({f"q{q}": {str(t): 1 for t in targets[q]} for q in range(n)})
    run = Run({f"q{q}": {str(i): float(scores[q, i]) for i in range(items)} for q in range(n)})
    theirs = {
        "hr": "hit_rate",
        "recall": "recall",
        "precision": "precision",
        "ndcg": "ndcg",
        "mrr": "mrr",
        "map": "map",
    }
    number = np.array([len(t) for t in targets])
    order = [int(q[1:]) for q in relevant.qrels]  # ranx lists queries in an order of its own
    for k in (5, 10):
        for ours, name in theirs.items():
            value = np.asarray(evaluate(relevant, run, f"{name}@{k}", return_mean=False))
            if ours == "map":  # ranx divides by all targets, also those that k leaves no room for
                value = value * (number / np.minimum(number, k))[order]
            assert found[f"{ours}@{k}"][order] == pytest.approx(value, abs=1e-9), (ours, k)
