import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from ethogram.errors import OptionError
from ethogram.numeric.bins import Bins
from ethogram.numeric.trees import Trees


def test_bins_hold_about_equal_counts_and_stand_for_their_means():
    rng = np.random.default_rng(0)
    x = rng.lognormal(size=1000)
    made = Bins.of(np.append(x, np.nan), 8)
    codes = made.codes(x)
    assert np.bincount(codes).tolist() == [125] * 8
    np.testing.assert_allclose(made.values, [x[codes == c].mean() for c in range(8)])
    assert np.eye(8) @ made.values == pytest.approx(made.values)
    assert made.codes([np.nan, -1e9, 1e9]).tolist() == [-1, 0, 7]
    back = Bins.restored(made.arrays("x"), "x")
    assert (back.codes(x) == codes).all()


def test_equal_numbers_share_a_bin_and_a_constant_has_one():
    made = Bins.of(np.array([0.0] * 90 + [1.0] * 5 + [2.0] * 5), 10)
    assert made.codes([0.0, 1.0, 2.0]).tolist() == [0, 1, 1]
    one = Bins.of(np.full(5, 3.0), 4)
    assert (len(one), one.values.tolist()) == (1, [3.0])


@pytest.mark.parametrize(("numbers", "count"), [([1.0], 1), ([], 3), ([np.nan], 3), ([np.inf, 1.0], 3)])
def test_what_cannot_be_binned_is_told(numbers, count):
    with pytest.raises(OptionError, match="bins"):
        Bins.of(np.array(numbers, float), count)


def test_trees_of_a_regression_say_what_it_says():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 3))
    x[::7, 1] = np.nan
    made = HistGradientBoostingRegressor(max_iter=10).fit(x, np.nan_to_num(x).sum(1))
    np.testing.assert_allclose(Trees.of(made).raw(x), made.predict(x))
