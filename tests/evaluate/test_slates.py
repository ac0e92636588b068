from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics as sk

from ethogram.errors import OptionError
from ethogram.evaluate import evaluate_slates
from ethogram.evaluate.classification import ece, group_auc
from ethogram.log import Log


def shown(users=40, seed=0):
    """Slates of 3 to 6 items shown to users, with answers and weights; the probability rises with the item's number."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        for at in range(rng.integers(2, 6)):
            for item in rng.choice(30, rng.integers(3, 7), replace=False):
                answer = int(rng.random() < item / 30)
                rows.append(
                    (
                        f"u{user}",
                        f"i{item:02}",
                        1_700_000_000 + 3600 * at,
                        answer,
                        1.0 if answer else 4.0,
                        f"{user}.{at}",
                    )
                )
    names = ("user", "item", "time", "label", "weight", "slate")
    return pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


@dataclass(kw_only=True)
class ByNumber:
    """The item's own number as its probability."""

    scale: float = 1 / 30

    def score(self, histories, candidates, context=None):
        codes, _ = candidates.flat(len(histories))
        number = np.array([int(i[1:]) for i in candidates.vocabulary.ids.to_pylist()], np.float32)
        return candidates.shape(number[codes] * np.float32(self.scale), len(histories))


@pytest.fixture(scope="module")
def split():
    return Log.open(shown()).split("temporal", valid=0.2, test=0.4)


@pytest.fixture(scope="module")
def rows(split):
    asked = split.test.questions("slates")
    return asked, ByNumber().score(asked.histories, asked.candidates)


def test_metrics_are_weighted(split, rows):
    asked, scores = rows
    made = evaluate_slates(ByNumber(), split, bootstrap=50, block=5)
    y, w = asked.label.astype(int), asked.weight.astype(float)
    assert set(np.unique(w)) == {1.0, 4.0}
    assert made.metrics["auc"] == pytest.approx(sk.roc_auc_score(y, scores, sample_weight=w))
    assert made.metrics["pr_auc"] == pytest.approx(sk.average_precision_score(y, scores, sample_weight=w))
    assert made.metrics["logloss"] == pytest.approx(sk.log_loss(y, scores, sample_weight=w), rel=1e-6)
    assert made.metrics["brier"] == pytest.approx(np.average((scores - y) ** 2, weights=w), rel=1e-6)
    assert made.metrics["ece"] == pytest.approx(ece(y, scores, w))
    inside = group_auc(y, scores, w, offsets=asked.candidates.offsets)
    assert made.metrics["gauc"] == inside.value
    unit = np.repeat(np.asarray(made.vectors["unit"]), np.diff(asked.candidates.offsets))
    assert made.metrics["user_auc"] == pytest.approx(group_auc(y, scores, w, groups=unit).value)
    assert made.facts["share_slates"] == inside.share_groups
    assert made.facts["positive_rate"] == pytest.approx(np.average(y, weights=w))
    rate = np.full(len(y), made.facts["positive_rate"])
    assert made.facts["constant_logloss"] == pytest.approx(sk.log_loss(y, rate, sample_weight=w))


def test_intervals_are_over_users(split, rows):
    asked, scores = rows
    made = evaluate_slates(ByNumber(), split, bootstrap=200, seed=3)
    assert list(made.draws.column_names) == ["auc", "gauc", "user_auc", "pr_auc", "logloss", "brier", "ece"]
    for metric in ("auc", "gauc", "user_auc", "pr_auc", "logloss", "brier"):
        low, high = made.intervals[metric]
        assert low < made.metrics[metric] < high
    # one resample by hand: the users drawn, each with all rows
    from ethogram.evaluate import bootstrap

    counts = np.concatenate([c for _, c in bootstrap.resample(made.facts["users"], 200, 3)], 1)[:, 17]
    unit = np.repeat(np.asarray(made.vectors["unit"]), np.diff(asked.candidates.offsets))
    w = asked.weight * counts[unit]
    assert made.draws["auc"][17].as_py() == pytest.approx(sk.roc_auc_score(asked.label, scores, sample_weight=w))
    assert made.draws["logloss"][17].as_py() == pytest.approx(
        sk.log_loss(asked.label, scores, sample_weight=w), rel=1e-6
    )
    inside = np.asarray(made.vectors["auc"])
    mass = np.asarray(made.vectors["weight"]) * counts[np.asarray(made.vectors["unit"])] * ~np.isnan(inside)
    assert made.draws["gauc"][17].as_py() == pytest.approx((np.nan_to_num(inside) * mass).sum() / mass.sum())
    made_of = np.array(
        [(sk.roc_auc_score(y, p, sample_weight=v), v.sum() * n) for y, p, v, n in _people(asked, scores, unit, counts)]
    )
    assert made.draws["user_auc"][17].as_py() == pytest.approx(np.average(made_of[:, 0], weights=made_of[:, 1]))


def _people(asked, scores, unit, counts):
    for person, times in enumerate(counts):
        mine = unit == person
        if 0 < asked.label[mine].sum() < mine.sum():
            yield asked.label[mine], scores[mine], asked.weight[mine], times


def test_block_size_changes_nothing(split):
    first, second = (evaluate_slates(ByNumber(), split, bootstrap=30, block=size) for size in (1, 1000))
    assert first.metrics == second.metrics
    assert first.intervals == second.intervals


def test_questions_can_be_given_themselves(split):
    asked = split.test.questions("slates")
    assert evaluate_slates(ByNumber(), asked, bootstrap=20).metrics == pytest.approx(
        evaluate_slates(ByNumber(), split, bootstrap=20).metrics
    )


def test_scores_that_are_no_probabilities_still_rank(split):
    plain, scaled = (
        evaluate_slates(ByNumber(), split, bootstrap=20),
        evaluate_slates(ByNumber(scale=1), split, bootstrap=20),
    )
    assert scaled.metrics["auc"] == plain.metrics["auc"]
    assert np.isnan(scaled.metrics["logloss"])
    assert "logloss" not in scaled.intervals
    assert scaled.facts["probabilities"] is False
    assert "reliability" not in scaled.facts


def test_a_score_that_is_no_number_is_refused_by_name(split):
    with pytest.raises(OptionError, match="ByNumber: score nan at row 0"):
        evaluate_slates(ByNumber(scale=np.nan), split)


def test_context_lies_beside_the_candidates():
    table = shown(users=12)
    table = table.append_column("place", pa.array([f"p{i % 5}" for i in range(len(table))]))
    seen = []

    class Looking(ByNumber):
        def score(self, histories, candidates, context=None):
            seen.append(len(context["place"]) == len(candidates.items))
            return super().score(histories, candidates)

    evaluate_slates(Looking(), Log.open(table).split("temporal", test=0.4), bootstrap=10, block=3)
    assert len(seen) > 1
    assert all(seen)
