"""The forgetting sketch against sums written out."""

import numpy as np
import pytest

from ethogram.errors import OptionError
from ethogram.numeric.sketch import Sketch


def plain(codes, values, clock, asked, now, half_life):
    """The definition, cell by cell."""
    found = np.zeros((len(asked), values.shape[1]))
    for q, row in enumerate(asked):
        for r, code in enumerate(row):
            for i in np.flatnonzero(codes[:, r] == code):
                fade = 1.0 if half_life is None else 2.0 ** (-(now[q] - clock[i]) / half_life)
                found[q] += values[i] * fade / codes.shape[1]
    return found


@pytest.mark.parametrize("half_life", [None, 3.0, 500.0])
def test_reads_are_the_sums_of_the_definition(half_life):
    rng = np.random.default_rng(0)
    codes, values = rng.integers(0, 8, (200, 3)), rng.standard_normal((200, 2))
    clock = np.sort(rng.uniform(0, 3_000, 200))  # a thousand half-lives: the base has to move
    sketch = Sketch(3, 8, 2, half_life)
    for rows in np.array_split(np.arange(200), 7):
        sketch.write(codes[rows], values[rows], clock[rows])
    asked, now = rng.integers(0, 8, (20, 3)), np.full(20, 3_001.0)
    expected = plain(codes, values, clock, asked, now, half_life)
    np.testing.assert_allclose(sketch.read(asked, now), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(sketch.sums, np.nan_to_num(sketch.sums, posinf=0))


def test_what_one_call_writes_may_be_written_in_many():
    rng = np.random.default_rng(1)
    codes, values, clock = rng.integers(0, 4, (50, 2)), rng.random((50, 1)), np.arange(50.0)
    once, often = Sketch(2, 4, 1, 10.0), Sketch(2, 4, 1, 10.0)
    once.write(codes, values, clock)
    for i in range(50):
        often.write(codes[i : i + 1], values[i : i + 1], clock[i : i + 1])
    now = np.full(50, 60.0)
    np.testing.assert_allclose(once.read(codes, now), often.read(codes, now), rtol=1e-12)
    kept = Sketch(2, 4, 1, 10.0)
    kept.restore(once.arrays())
    assert np.array_equal(kept.read(codes, now), once.read(codes, now))
    assert kept.nbytes == Sketch(2, 4, 1, 10.0).nbytes == 2 * 4 * 8


def test_bad_sizes_are_refused():
    for wrong in ({"rows": 0, "size": 4}, {"rows": 1, "size": 0}, {"rows": 1, "size": 4, "half_life": 0.0}):
        with pytest.raises(OptionError, match="all are above 0"):
            Sketch(**wrong)
