"""Overlap of two samples, and why the personal one is read beside a matched one."""

import numpy as np
import pytest

from ethogram.numeric.overlap import overlap, overlaps


def test_by_hand():
    assert overlap(np.array([0.0, 1, 2, 3]), np.array([2.0, 3, 4, 4]), bins=4) == pytest.approx(0.5)
    assert overlap(np.ones(3), np.ones(2)) == 1.0
    assert overlap(np.zeros(3), np.ones(2)) == 0.0


def test_personal_offsets_hide_a_gap_that_is_there():
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(80), 40)
    kind = rng.random(len(owner)) < 0.3
    value = rng.normal(0, 3, 80)[owner] + 2 * kind + rng.normal(0, 0.5, len(owner))
    found = overlaps(value, kind, owner)
    assert found.people == 80
    assert found.personal < 0.1 < 0.4 < found.matched
    assert found.whole > 0.7


def test_without_a_difference_personal_is_no_smaller_than_matched():
    rng = np.random.default_rng(1)
    owner = np.repeat(np.arange(200), 30)
    kind, value = rng.random(len(owner)) < 0.3, rng.normal(size=len(owner))
    found = overlaps(value, kind, owner)
    assert found.personal == pytest.approx(found.matched, abs=0.03)
    assert found.whole - found.personal > 0.1, "few examples overlap little: the whole is no fair comparison"
