"""The forgetting matrix of a learner whose memory is known."""

from __future__ import annotations

import numpy as np

from ethogram.evaluate.forgetting import forgetting, matrix


def test_a_learner_that_keeps_only_the_last_window_forgets_all():
    held = []
    found = matrix(4, held.append, lambda j: float(j == held[-1]))
    assert np.array_equal(found, np.eye(4))
    assert forgetting(found).tolist() == [1, 1, 1]


def test_one_that_keeps_all_forgets_nothing_and_only_what_is_needed_is_judged():
    held, asked = [], []

    def judge(j):
        asked.append((len(held) - 1, j))
        return float(j in held)

    found = matrix(4, held.append, judge, every=False)
    assert asked == [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 3), (3, 0), (3, 1), (3, 2), (3, 3)]
    assert np.isnan(found[0, 2])
    assert forgetting(found).tolist() == [0, 0, 0]
