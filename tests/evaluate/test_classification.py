import numpy as np
import pytest
from sklearn import metrics as sk

from ethogram.errors import OptionError
from ethogram.evaluate import classification as c


def data(seed, n=400, levels=12):
    """Labels, scores with many ties, weights."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n)
    score = np.round(rng.random(n) * 0.7 + label * 0.3, 1) if levels else rng.random(n)
    return label, score, rng.random(n) * 5


@pytest.mark.parametrize("seed", range(4))
def test_weighted_and_tied_as_scikit_learn(seed):
    label, score, weight = data(seed)
    assert len(np.unique(score)) < 15
    assert c.auc(label, score) == pytest.approx(sk.roc_auc_score(label, score), abs=1e-12)
    assert c.auc(label, score, weight) == pytest.approx(sk.roc_auc_score(label, score, sample_weight=weight), abs=1e-12)
    assert c.pr_auc(label, score) == pytest.approx(sk.average_precision_score(label, score), abs=1e-12)
    assert c.pr_auc(label, score, weight) == pytest.approx(
        sk.average_precision_score(label, score, sample_weight=weight), abs=1e-12
    )


def test_ks_is_the_largest_gap_of_the_roc_curve():
    label, score, weight = data(9)
    false, true, _ = sk.roc_curve(label, score, sample_weight=weight, drop_intermediate=False)
    assert c.ks(label, score, weight) == pytest.approx(np.max(np.abs(true - false)), abs=1e-12)


def test_row_order_and_monotone_maps_change_nothing():
    label, score, weight = data(1)
    shuffled = np.random.default_rng(0).permutation(len(label))
    groups = np.arange(len(label)) % 7
    for metric in (c.auc, c.pr_auc, c.ks):
        before = metric(label, score, weight)
        assert metric(label[shuffled], score[shuffled], weight[shuffled]) == pytest.approx(before, abs=1e-12)
        assert metric(label, np.exp(3 * score), weight) == pytest.approx(before, abs=1e-12)
    before = c.group_auc(label, score, weight, groups=groups)
    after = c.group_auc(label[shuffled], score[shuffled], weight[shuffled], groups=groups[shuffled])
    assert after == pytest.approx(before, abs=1e-12)


def test_constant_scores_know_nothing():
    label = np.array([1, 0, 0, 1, 0])
    assert c.auc(label, np.full(5, 0.3)) == 0.5
    assert c.ks(label, np.full(5, 0.3)) == 0
    assert c.pr_auc(label, np.full(5, 0.3)) == pytest.approx(0.4)
    assert c.group_auc(label, np.zeros(5), offsets=[0, 2, 5]).value == 0.5


def test_one_class_is_undefined():
    for metric in (c.auc, c.ks):
        assert np.isnan(metric([1, 1], [0.1, 0.2]))
    assert np.isnan(c.pr_auc([0, 0], [0.1, 0.2]))
    assert np.isnan(c.auc([], []))


def test_a_soft_label_is_a_positive_and_a_negative():
    label, score, weight = np.array([0.25, 1.0, 0.0, 0.6]), np.array([0.4, 0.7, 0.4, 0.2]), np.array([1, 2, 3, 4.0])
    written_out = np.repeat(score, 2)
    hard = np.tile([1, 0], 4)
    shares = np.column_stack([weight * label, weight * (1 - label)]).ravel()
    for metric in (c.auc, c.pr_auc, c.ks, c.logloss):
        assert metric(label, score, weight) == pytest.approx(metric(hard, written_out, shares), abs=1e-12)


def test_group_auc_is_the_weighted_mean_over_groups_with_both_classes():
    rng = np.random.default_rng(3)
    groups = rng.integers(0, 30, 300)
    label, score, weight = (groups % 3 > 0) * rng.integers(0, 2, 300), np.round(rng.random(300), 1), rng.random(300)
    values, masses, rows = [], [], 0
    for g in np.unique(groups):
        inside = groups == g
        if 0 < label[inside].sum() < inside.sum():
            values.append(sk.roc_auc_score(label[inside], score[inside], sample_weight=weight[inside]))
            masses.append(weight[inside].sum())
            rows += inside.sum()
    found = c.group_auc(label, score, weight, groups=groups)
    assert found.value == pytest.approx(np.average(values, weights=masses), abs=1e-12)
    assert found.share_groups == pytest.approx(len(values) / len(np.unique(groups)))
    assert found.share_rows == pytest.approx(rows / 300)
    assert 0 < found.share_groups < 1


def test_offsets_and_ids_agree():
    label, score, weight = data(5, n=60)
    offsets = np.array([0, 10, 10, 25, 60])
    ids = np.repeat(["b", "a", "d"], [10, 15, 35])
    by_offsets = c.group_auc(label, score, weight, offsets=offsets)
    by_ids = c.group_auc(label, score, weight, groups=ids)
    assert by_offsets.value == pytest.approx(by_ids.value, abs=1e-12)
    assert by_offsets.share_groups == 0.75  # an empty group is a group without both classes


def test_two_slates_of_three_rows_are_offsets_not_ids():
    assert c.group_auc([1, 1, 0], [0.1, 0.9, 0.2], offsets=[0, 1, 3]) == (1.0, 0.5, pytest.approx(2 / 3))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([1, 0], [0.1]), "2 labels, 1 scores"),
        (([1, 2], [0.1, 0.2]), "label 2.0 at row 1"),
        (([1, 0], [0.1, np.nan]), "score nan at row 1"),
        (([1, 0], [0.1, 0.2], [1, -1]), "weight -1.0 at row 1"),
        (([1, np.nan], [0.1, 0.2]), "label nan at row 1"),
    ],
)
def test_bad_rows_are_named(arguments, said):
    with pytest.raises(OptionError, match=said):
        c.auc(*arguments)


def test_group_auc_wants_one_kind_of_groups_that_fits():
    with pytest.raises(OptionError, match="either groups"):
        c.group_auc([1, 0], [0.1, 0.2])
    with pytest.raises(OptionError, match="up to 2"):
        c.group_auc([1, 0], [0.1, 0.2], offsets=[0, 3])
    with pytest.raises(OptionError, match="need an id each"):
        c.group_auc([1, 0], [0.1, 0.2], groups=[0, 1, 2])


def test_relative_improvement():
    assert c.relaimpr(0.61, 0.6) == pytest.approx(0.1)
    assert np.isnan(c.relaimpr(0.6, 0.5))
