"""Regression with coefficients that differ by category, against dense solutions of the same problem."""

from __future__ import annotations

import numpy as np
import pytest

from ethogram.numeric import varying
from ethogram.numeric.deviations import MOST, Spread, deviations, spread
from ethogram.numeric.logistic import newton


def problem(family, seed=0, people=9, categories=3, items=6, p=2):
    rng = np.random.default_rng(seed)
    person, item = (a.ravel() for a in np.indices((people, items)))
    keep = rng.random(len(person)) < 0.8
    person, item = person[keep], item[keep]
    category = item % categories
    z = rng.normal(size=(people, p))
    extra = (rng.random(len(person)) < 0.3).astype(float)
    eta = 0.5 + z[person] @ rng.normal(size=p) + rng.normal(size=categories)[category] + 0.7 * extra
    target = eta + rng.normal(size=len(eta)) if family == "number" else (rng.random(len(eta)) < 1 / (1 + np.exp(-eta)))
    weight = rng.uniform(0.5, 2, len(eta))
    codes = (category, item)
    return varying.Rows(
        z, person, category, codes, extra, np.asarray(target, float), weight, categories, (categories, items)
    )


def dense(rows):
    """The same columns written out: constant, effects, common, own, slope."""
    x = rows.z[rows.person]
    kinds = np.eye(rows.categories)[rows.category]
    own = (kinds[:, :, None] * x[:, None, :]).reshape(len(x), -1)
    effects = [np.eye(size)[code] for code, size in zip(rows.codes, rows.sizes, strict=True)]
    return np.column_stack([np.ones(len(x)), *effects, x, own, rows.extra])


def ridge(rows, shrink, penalty, slope):
    p = rows.z.shape[1]
    parts = [[1e-9], *([k] * size for k, size in zip(shrink, rows.sizes, strict=True)), [penalty[0]] * p]
    return np.concatenate([*parts, [penalty[1]] * (p * rows.categories), [slope]])


@pytest.mark.parametrize("family", ["number", "answer"])
def test_blocks_reach_the_optimum_of_the_whole_problem(family):
    rows = problem(family)
    shrink, penalty, slope = (2.0, 3.0), (1.5, 4.0), 1.0
    made = varying.fit(rows, family, shrink, penalty, slope=slope, sweeps=4_000, tolerance=1e-13)
    x, k = dense(rows), ridge(rows, shrink, penalty, slope)
    scale = np.sqrt(k)
    if family == "number":
        w = np.linalg.solve((x * rows.weight[:, None]).T @ x + np.diag(k), x.T @ (rows.weight * rows.target))
    else:  # columns scaled so that one penalty serves all
        w = newton(x / np.where(np.arange(len(k)) == 0, 1, scale), rows.target > 0, rows.weight, 1.0, 200)
        w = w / np.where(np.arange(len(k)) == 0, 1, scale)
    said = made.predict(rows.z, rows.person, rows.category, rows.codes, rows.extra)
    np.testing.assert_allclose(said, x @ w, atol=2e-5)
    np.testing.assert_allclose(made.slope, w[-1], atol=2e-5)


def test_the_arrow_against_the_full_matrix():
    rng = np.random.default_rng(1)
    z, weight = rng.normal(size=(7, 3)), rng.uniform(0, 2, (7, 4))
    residual = rng.normal(size=(7, 4)) * weight
    a, b = 2.0, 5.0
    blocks = [(z * weight[:, c : c + 1]).T @ z for c in range(4)]
    whole = np.zeros((15, 15))
    whole[:3, :3] = sum(blocks) + a * np.eye(3)
    told = np.concatenate([residual.sum(1) @ z, *(residual[:, c] @ z for c in range(4))])
    for c, block in enumerate(blocks):
        at = slice(3 + 3 * c, 6 + 3 * c)
        whole[at, at] = block + b * np.eye(3)
        whole[:3, at] = whole[at, :3] = block
    w = np.linalg.solve(whole, told)
    common, own = varying.arrow(z, weight, residual, a, b)
    np.testing.assert_allclose(common, w[:3])
    np.testing.assert_allclose(own.ravel(), w[3:])


def test_penalties_follow_what_is_there():
    rng = np.random.default_rng(2)
    z, weight = rng.normal(size=(80, 3)), np.full((80, 5), 10.0)
    noise = rng.normal(0, 0.5, (80, 5))
    own = rng.normal(size=(5, 3))
    nothing = varying.penalties(z, weight, weight * noise)
    much = varying.penalties(z, weight, weight * (z @ own.T + noise))
    assert nothing[1] >= 10_000
    assert much[1] <= 250
    common = varying.penalties(z, weight, weight * (z @ np.ones((3, 5)) + noise))
    assert common[0] <= 250
    assert varying.penalties(z[:1], weight[:1], weight[:1]) == (varying.GRID[-1],) * 2


def test_unknown_codes_have_no_coefficients():
    made = varying.fit(problem("number"), "number", (1.0, 1.0), (1.0, 1.0))
    z = np.array([[1.0, 2.0]])
    none = np.array([-1])
    said = made.predict(z, np.array([0]), none, (none, none), np.zeros(1))
    assert said[0] == pytest.approx(made.level + z[0] @ made.common)
    again = varying.Varying.restored("x", made.arrays("x"))
    np.testing.assert_array_equal(again.predict(z, np.array([0]), none, (none, none), np.zeros(1)), said)


def test_deviations_by_hand():
    residual = np.array([1.0, np.nan, 2.0, -1.0, 4.0])
    category = np.array([0, 0, 1, 0, 1])
    # two questions of one history (one after two answers, one after three), and somebody else
    start, stop = np.array([0, 0, 4]), np.array([4, 3, 5])
    offsets, wanted = np.array([0, 2, 3, 5]), np.array([0, -1, 1, 1, 0])
    whole, own = deviations(residual, category, start, stop, offsets, wanted, Spread(2.0, 1.0), 2)
    d0, d1, d2 = 2 / 5, 3 / 4, 4 / 3
    np.testing.assert_allclose(whole, [d0, d0, d1, d2, d2])
    np.testing.assert_allclose(own, [(0 - 2 * d0) / 3, 0, (2 - d1) / 2, (4 - d2) / 2, 0])


def test_spread_finds_how_people_differ():
    rng = np.random.default_rng(3)
    person, category = (a.ravel() for a in np.indices((200, 10 * 6)))
    category = category // 6
    noise = rng.normal(0, 1.0, len(person))
    of_people = rng.normal(0, 0.5, 200)[person]
    of_cells = rng.normal(0, 0.7, (200, 10))[person, category]
    found = spread(of_people + of_cells + noise, person, category)
    assert found.person == pytest.approx(1 / 0.25, rel=0.3)
    assert found.category == pytest.approx(1 / 0.49, rel=0.15)
    nobody = spread(noise, person, category)
    assert min(nobody) > 30
    assert spread(np.zeros(4), np.arange(4), np.zeros(4, int)) == Spread(MOST, MOST)
