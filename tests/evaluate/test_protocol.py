import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.evaluate.worlds import Counting, Random, listens, open_listens

from ethogram.errors import OptionError
from ethogram.evaluate import evaluate
from ethogram.log import Log


def floor(table, ks, exclude):
    """Popularity under leave-last-out, in plain Python from the rows of a table without ties."""
    past = {}
    for user, item, _ in sorted(
        zip(*(table[c].to_pylist() for c in ("user", "item", "time")), strict=True), key=_clock
    ):
        past.setdefault(user, []).append(item)
    counts = dict.fromkeys(set(table["item"].to_pylist()), 0)
    for items in past.values():
        for item in items[:-2]:
            counts[item] += 1
    out = []
    for items in past.values():
        target, seen = items[-1], set(items[:-1])
        rivals = [i for i in counts if i != target and not (exclude and i in seen)]
        above = sum(counts[i] > counts[target] for i in rivals)
        place = above + sum(counts[i] == counts[target] for i in rivals) / 2
        found = {"mrr": 1 / (1 + place)}
        for k in ks:
            hit = place < k
            found |= {f"hr@{k}": float(hit), f"ndcg@{k}": hit / math.log2(2 + place)}
        out.append({**found, "repeat": target in seen})
    return out


def _clock(row):
    return row[0], row[2]


@pytest.mark.parametrize("repeats", [0.0, 0.4])
@pytest.mark.parametrize("exclude", [False, True])
def test_popularity_as_in_plain_python(repeats, exclude):
    table = listens(repeats=repeats)
    split = Log.open(table).split("leave-last-out")
    system = Counting().fit(split.train)
    made = evaluate(system, split, ks=(5, 10), exclude_seen=exclude, bootstrap=50, block=7)
    expected = floor(table, (5, 10), exclude)
    for metric in ("hr@5", "ndcg@5", "hr@10", "ndcg@10", "mrr"):
        values = [row[metric] for row in expected]
        assert made.vectors[metric].to_pylist() == pytest.approx(values)
        assert made.metrics[metric] == pytest.approx(np.mean(values))
        for name, chosen in (("repeat", True), ("explore", False)):
            part = [row[metric] for row in expected if row["repeat"] == chosen]
            if repeats:
                assert made.metrics[f"{metric}/{name}"] == pytest.approx(np.mean(part))
            else:
                assert f"{metric}/{name}" not in made.metrics
    assert made.facts["repeat_targets"] == pytest.approx(np.mean([row["repeat"] for row in expected]))
    assert made.vectors["user"].to_pylist() == sorted(set(table["user"].to_pylist()))


def test_block_size_changes_nothing():
    split = open_listens().split("leave-last-out")
    system = Counting().fit(split.train)
    first, second = (evaluate(system, split, bootstrap=50, block=size) for size in (1, 1000))
    assert first.metrics == second.metrics
    assert first.intervals == second.intervals
    assert first.vectors.equals(second.vectors)


def test_past_items_leave_the_ranking_only_where_people_do_not_repeat():
    for repeats, excluded in ((0.0, True), (0.4, False)):
        split = open_listens(repeats=repeats).split("leave-last-out")
        made = evaluate(Counting().fit(split.train), split, bootstrap=10)
        assert made.protocol["exclude_seen"] is excluded


def test_rows_of_one_group_may_come_in_any_order():
    table = listens(users=30)
    hours = np.asarray(table["time"]) // 7_200_000_000 * 7_200_000_000  # pairs of events now share a time
    table = table.set_column(2, "time", pa.array(hours))
    order = np.random.default_rng(0).permutation(len(table))
    results = []
    for rows in (table, table.take(order)):
        split = Log.open(rows).split("leave-last-out")
        results.append(evaluate(Counting().fit(split.train), split, bootstrap=50))
    assert results[0].metrics == results[1].metrics
    assert results[0].intervals == results[1].intervals
    tied = results[0].facts["users_with_tied_targets"]
    assert tied == sum(n > 1 for n in results[0].vectors["targets"].to_pylist())
    assert 0 < tied < 30


@dataclass(kw_only=True)
class Constant:
    value: float = 0.5

    def score(self, histories, candidates, context=None):
        return np.full((len(histories), candidates.items.shape[-1]), self.value, np.float32)


def test_a_constant_scorer_is_in_the_middle_and_shows_everything():
    split = open_listens(users=200).split("leave-last-out")
    made = evaluate(Constant(), split, exclude_seen=False, bootstrap=50)
    assert made.vectors["mrr"].to_pylist() == [1 / 13] * 200  # 25 items: 24 others level with the target
    assert made.metrics["hr@10"] == 0
    assert made.metrics["coverage@5"] == pytest.approx(1)
    assert made.metrics["gini@5"] == pytest.approx(0)
    assert made.facts["score_ties"] == 1


def test_missing_scores_are_last_and_counted():
    split = open_listens().split("leave-last-out")
    made = evaluate(Constant(value=np.nan), split, bootstrap=20)
    assert made.facts["nan_scores"] == 40 * made.facts["items"]
    assert made.metrics["hr@5"] == 0
    assert np.isnan(made.metrics["novelty@5"])


def test_only_items_of_the_log_compete():
    whole = open_listens(repeats=0.3)
    kept = whole.core(1, 12)
    split = kept.split("leave-last-out")
    made = evaluate(Counting().fit(split.train), split, bootstrap=20, exclude_seen=False)
    there = len(set(kept.table()["item"].to_pylist()))
    assert made.facts["items"] == there < 25
    worst = [1 / rank for rank in (there, 1)]
    assert worst[0] <= min(made.vectors["mrr"].to_pylist()) <= worst[1]


def test_cold_targets_are_counted():
    table = pa.table(
        {
            "user": ["a", "a", "a", "a", "b", "b", "b", "b"], "item": ["x", "y", "x", "new", "x", "y", "y", "x"],
            "time": [1, 2, 3, 4, 1, 2, 3, 4],
        }
    )  # fmt: skip
    split = Log.open(table).split("leave-last-out")
    made = evaluate(Counting().fit(split.train), split, bootstrap=10)
    assert made.facts["cold_targets"] == 0.5
    assert made.facts["items"] == 3


def test_intervals_hold_the_value_and_come_from_the_draws():
    split = open_listens(users=120).split("leave-last-out")
    made = evaluate(Counting().fit(split.train), split, bootstrap=400)
    assert set(made.intervals) == set(made.draws.column_names)
    for metric, (low, high) in made.intervals.items():
        assert low <= made.metrics[metric] <= high
        assert [low, high] == pytest.approx(np.quantile(made.draws[metric].to_numpy(), [0.025, 0.975]))
    assert not {"coverage@5", "gini@5"} & set(made.intervals)


def test_plans_tell_whether_two_evaluations_pair():
    split = open_listens().split("leave-last-out")
    one = evaluate(Counting().fit(split.train), split, bootstrap=20)
    other = evaluate(Random().fit(split.train), split, bootstrap=20)
    reseeded = evaluate(Random().fit(split.train), split, bootstrap=20, seed=1)
    valid = evaluate(Random().fit(split.train), split, bootstrap=20, part="valid")
    assert one.plan == other.plan
    assert len({one.plan, reseeded.plan, valid.plan}) == 3


def test_every_group_of_a_user_is_one_question_and_the_user_is_drawn():
    split = open_listens(users=30).split("temporal", valid=0.2, test=0.3)
    made = evaluate(Counting().fit(split.train), split, bootstrap=20, which="every")
    assert made.facts["questions"] > made.facts["users"] == len(set(made.vectors["user"].to_pylist()))


def test_wrong_shapes_and_settings_are_refused():
    class Narrow(Constant):
        def score(self, histories, candidates, context=None):
            return np.zeros((len(histories), 2))

    split = open_listens().split("leave-last-out")
    for settings, said in (
        ({"ks": ()}, "ks"), ({"ks": (0, 5)}, "ks"), ({"block": 0}, "block"), ({"part": "train"}, "part 'train'"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=said):
            evaluate(Constant(), split, **settings)
    with pytest.raises(OptionError, match=r"Narrow: score returned float64 of shape \(40, 2\)"):
        evaluate(Narrow(), split)


@pytest.mark.parametrize("seed", [0, 1])
def test_progress_is_told(seed):
    told = []
    split = open_listens(seed=seed).split("leave-last-out")
    evaluate(Constant(), split, bootstrap=5, block=16, watch=told.append)
    assert [t["done"] for t in told] == [16, 32, 40]


def test_the_popularity_floor_of_ml_100k():
    path = Path(os.environ.get("ETHOGRAM_DATA", "../shared/data")) / "ml-100k" / "ml-100k.inter"
    if not path.exists():
        pytest.skip(f"{path} is not on this machine; set ETHOGRAM_DATA")
    split = Log.open(path).ties("order").split("leave-last-out")
    made = evaluate(Counting().fit(split.train), split, bootstrap=50)
    found = [round(made.metrics[m], 4) for m in ("hr@5", "ndcg@5", "hr@10", "ndcg@10")]
    assert found == [0.0583, 0.0357, 0.0859, 0.0442]
