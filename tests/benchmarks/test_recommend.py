"""Epochs of the recommenders: what is counted, and that every row is a system of the package."""

import pytest
from benchmarks.cases import recommend
from tests.recommend.test_als import tastes

from ethogram.system import find


def test_only_epochs_behind_the_first_are_counted():
    found = recommend.fit("bpr_mf", {"optimiser": "adam", "factors": 4}, tastes())
    assert len(found) == recommend.EPOCHS - 1
    assert all(seconds >= 0 for seconds in found)


@pytest.mark.parametrize("name", recommend.SYSTEMS)
def test_rows_are_systems_with_these_options(name):
    key, options = recommend.SYSTEMS[name]
    assert set(options) <= set(find(key).__dataclass_fields__)


def test_targets_read_the_values_of_a_run():
    (race,) = recommend.cases()
    values = {f"{name}: ratio": 2.0 for name in recommend.SYSTEMS}
    assert [target.value(values) for target in race.targets] == [2.0, 2.0, 1.0]
