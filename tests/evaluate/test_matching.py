"""Controls are the nearest that are free, within the caliper, and alike."""

import numpy as np
import pytest

from ethogram.errors import OptionError
from ethogram.evaluate.contrasts import cliffs_delta, contrasts
from ethogram.evaluate.grouped import grouped_folds, permutation_importance
from ethogram.evaluate.matching import balance, match


def greedy(cases, pool, caliper):
    """All pairs sorted by distance, one after the other."""
    pairs = sorted((abs(a - b), i, j) for i, a in enumerate(cases) for j, b in enumerate(pool))
    left, right, made = set(), set(), {}
    for d, i, j in pairs:
        if d <= caliper and i not in left and j not in right:
            left.add(i)
            right.add(j)
            made[i] = j
    return made


def test_the_nearest_free_control_is_taken():
    rng = np.random.default_rng(0)
    cases, pool = rng.normal(size=40), rng.normal(size=60)
    found = match(cases, pool, 0.2)
    assert dict(zip(found.cases.tolist(), found.controls.tolist(), strict=True)) == greedy(cases, pool, 0.2)
    assert len(set(found.controls.tolist())) == len(found.controls)
    assert sorted([*found.cases, *found.alone]) == list(range(40))
    assert (np.abs(cases[found.cases] - pool[found.controls]) <= 0.2 + 1e-12).all()


def test_matching_brings_balance_and_its_rows_may_come_in_any_order():
    rng = np.random.default_rng(1)
    cases, pool = rng.normal(0.5, 1, (200, 2)), rng.normal(0, 1, (2_000, 2))
    assert np.abs(balance(cases, pool)).max() > 0.4
    found = match(cases, pool, 0.5)
    assert np.abs(balance(cases[found.cases], pool[found.controls])).max() < 0.1
    order = rng.permutation(len(pool))
    again = match(cases, pool[order], 0.5)
    assert (order[again.controls] == found.controls).all()


def test_a_case_may_reach_less_far_and_nan_matches_nothing():
    found = match([0.0, 0.0, np.nan], [0.9, -0.4], 1.0, reach=[0.3, 0.5, 1.0])
    assert found.cases.tolist() == [1]
    assert found.controls.tolist() == [1]
    assert found.alone.tolist() == [0, 2]
    with pytest.raises(OptionError, match="calipers above 0"):
        match([1.0], [1.0], 0.0)


def test_contrasts_find_a_shift_and_correct_for_many():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(200, 20)), rng.normal(size=(300, 20))
    a[:, 3] += 1.0
    a[0, 3] = np.nan
    names = [f"x{i}" for i in range(20)]
    found = contrasts(a, b, names).to_pylist()
    assert [r["attribute"] for r in found if r["differs"]] == ["x3"]
    assert found[3]["a_rows"] == 199
    assert found[3]["d"] == pytest.approx(1.0, abs=0.25)
    assert contrasts(a[:, :1] * 0, b[:, :1] * 0, ["flat"]).to_pylist()[0]["p"] is None
    with pytest.raises(OptionError, match="attributes"):
        contrasts(a, b, ["one"])


def test_cliffs_delta_counts_pairs():
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 5, 30).astype(float), rng.integers(0, 5, 40).astype(float)
    gap = a[:, None] - b[None]
    assert cliffs_delta(a, b) == pytest.approx((gap > 0).mean() - (gap < 0).mean())


def test_folds_keep_groups_together_and_even():
    groups = np.random.default_rng(4).integers(0, 60, 500)
    found = grouped_folds(groups, 10, seed=1)
    assert all(len(set(found[groups == g].tolist())) == 1 for g in range(60))
    sizes = np.bincount(found)
    assert len(sizes) == 10
    assert sizes.max() - sizes.min() <= 10
    assert (found == grouped_folds(groups, 10, seed=1)).all()
    with pytest.raises(OptionError, match="3 groups into 5 folds"):
        grouped_folds(["a", "b", "c"], 5)


def test_permuting_what_matters_costs_most():
    rng = np.random.default_rng(5)
    columns = rng.normal(size=(400, 3))
    target = 2 * columns[:, 0] + columns[:, 1]
    score = lambda x: -float(((2 * x[:, 0] + x[:, 1] - target) ** 2).mean())  # noqa: E731
    found = permutation_importance(score, columns, {"first": [0], "second": [1], "none": [2]})
    assert found["first"] > found["second"] > found["none"] == 0
    # the squared error of a permuted column is twice its variance, times its weight squared
    assert found["first"] == pytest.approx(8, rel=0.2)
