import numpy as np
from numba import njit

from ethogram.nn.prefetch import fetch


@njit
def asked(array, rows):
    for row in rows:
        fetch(array, row)
    return array.sum()


def test_a_hint_changes_nothing_wherever_it_points():
    array = np.arange(1_000 * 33, dtype=np.int64).reshape(1_000, 33)
    assert asked(array, np.array([0, 999, 5, 1_000_000])) == array.sum()
    assert asked(array[:, 0].copy(), np.array([3])) == array[:, 0].sum()
