"""Several answers to one exposure: what is behaviour, what is asked, and what no model may read."""

import numpy as np
import pyarrow as pa
import pytest

from ethogram.errors import StepError
from ethogram.log import Log

ROWS = [  # user, item, time, slate, label, label_buy, label_share
    ("u", "a", 1, None, None, None, None),
    ("u", "b", 2, None, None, None, None),
    ("u", "a", 3, 1, 1.0, 0.0, None),
    ("u", "c", 3, 1, 0.0, None, 1.0),
    ("u", "b", 4, 2, None, 1.0, 0.0),  # shown, but nobody knows whether it was clicked
    ("v", "a", 5, 3, None, None, 0.0),
    ("v", "c", 5, 3, 1.0, 1.0, None),
]
NAMES = ("user", "item", "time", "slate", "label", "label_buy", "label_share")


def opened(rows=ROWS, **how):
    columns = {n: list(c) for n, c in zip(NAMES, zip(*rows, strict=True), strict=True)}
    types = {n: pa.float32() for n in NAMES[4:]} | {"slate": pa.int64()}
    return Log.open(pa.table({n: pa.array(c, types.get(n)) for n, c in columns.items()}), **how)


def test_an_exposure_without_the_first_answer_is_no_behaviour():
    log = opened()
    assert log.histories().item_ids(0) == ["a", "b"]
    assert len(log.histories()) == 1, "v was only shown things"
    assert log.describe()["behaviour"] == 2
    assert log.describe()["goals"] == {
        "label": {"answered": 3, "missing": 2, "positive_rate": pytest.approx(2 / 3)},
        "label_buy": {"answered": 3, "missing": 2, "positive_rate": pytest.approx(2 / 3)},
        "label_share": {"answered": 3, "missing": 2, "positive_rate": pytest.approx(1 / 3)},
    }


def test_goals_ask_what_any_answer_is_known_of():
    asked = opened().questions("goals")
    assert asked.candidates.vocabulary.decode(asked.candidates.items).to_pylist() == ["a", "c", "b", "a", "c"]
    nan = np.nan
    np.testing.assert_array_equal(asked.labels["label"], np.float32([1, 0, nan, nan, 1]))
    np.testing.assert_array_equal(asked.labels["label_buy"], np.float32([0, nan, 1, nan, 1]))
    np.testing.assert_array_equal(asked.labels["label_share"], np.float32([nan, 1, 0, 0, nan]))
    np.testing.assert_array_equal(asked[slice(1, 3)].labels["label_buy"], np.float32([1, nan, 1]))
    assert asked.histories.lengths.tolist() == [2, 2, 0]
    one = opened().questions("slates")
    assert one.label.tolist() == [1, 0, 1]
    assert not one.labels


def test_no_model_reads_an_answer():
    """Not as context of what is asked; and a log whose every event is asked reads past answers as it reads `label`."""
    assert [c.name for c in opened().features().columns if c.name.startswith("label")] == []
    assert not [n for n in opened().questions("slates").context if n.startswith("label")]
    every = [
        (u, i, t, None, y, 1 - y, y) for t, (u, i, y) in enumerate([("u", "a", 1.0), ("u", "b", 0.0), ("v", "a", 1.0)])
    ]
    told = opened(every).features().of("context")
    assert [c.name for c in told if c.name.startswith("label")] == []


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_another_goal_changes_places_with_the_first(engine):
    log = opened(engine=engine)
    bought = log.goal("buy")
    assert bought.questions("slates").label.tolist() == [0, 1, 1]
    assert bought.histories().item_ids(0) == ["a", "b"]
    table = bought.table().sort_by("event")
    assert table.column("label").to_pylist() == log.table().sort_by("event").column("label_buy").to_pylist()
    assert table.column("label_buy").to_pylist() == log.table().sort_by("event").column("label").to_pylist()
    assert log.goal("label_buy") == bought
    assert log.goal("label") is log
    assert bought.fingerprint() != log.fingerprint()


def test_a_part_of_a_split_stays_that_part():
    test = opened().split("temporal", valid_from=3_000_000, test_from=4_000_000).test.goal("buy")
    asked = test.questions("slates")
    assert asked.label.tolist() == [1, 1]
    assert asked.histories.lengths.tolist() == [2, 0], "histories are those of the whole log"


def test_goals_that_are_none():
    with pytest.raises(StepError, match=r"no answers to the goal 'bye'. Did you mean 'buy'"):
        opened().goal("bye").questions("slates")
    words = pa.table({"user": [1, 1], "item": [1, 2], "time": [1, 2], "label": [1.0, 0.0], "label_buy": ["yes", "no"]})
    with pytest.raises(StepError, match="goal 'label_buy' holds words"):
        Log.open(words).questions("goals")
