"""The generator of drifting clicks keeps its truth."""

import numpy as np
import pytest

from ethogram import data
from ethogram.data.drifting_clicks import DriftingClicks
from ethogram.errors import OptionError

SMALL = {"impressions": 6_000, "users": 60, "items": 40, "categories": 4, "segments": 3, "seed": 2}


def test_answers_follow_the_probabilities_of_their_regime():
    made = DriftingClicks(**SMALL, shifts=(0.3, 0.6))
    shown = made.shown
    assert np.array_equal(shown["regime"], np.searchsorted(made.instants, shown["time"], side="right"))
    segment, category = made.segment[shown["user"]], made.category[shown["item"]]
    logit = -1 + made.appeal[shown["regime"], shown["item"]] + made.tastes[shown["regime"], segment, category]
    np.testing.assert_allclose(shown["probability"], 1 / (1 + np.exp(-logit)))
    for rows in np.array_split(np.argsort(shown["probability"]), 5):
        assert shown["label"][rows].mean() == pytest.approx(shown["probability"][rows].mean(), abs=0.04)
    # what changes sign keeps its size
    np.testing.assert_allclose(np.abs(made.appeal[0]), np.abs(made.appeal[2]))
    assert 0.3 < (made.appeal[0] != made.appeal[1]).mean() < 0.7
    assert (made.entry == 1).sum() == (made.entry == 2).sum() == 4
    assert (shown["regime"] >= made.entry[shown["item"]]).all(), "shown before it entered"


def test_without_shifts_nothing_changes():
    made = DriftingClicks(**SMALL, shifts=())
    assert len(made.appeal) == len(made.tastes) == 1
    assert not made.entry.any()
    assert data.truth("drifting_clicks", **SMALL, shifts=())["shifts"].num_rows == 0


def test_the_log_holds_impressions_with_answers_and_clicks_without():
    log = data.load("drifting_clicks", **SMALL)
    rows = log.table()
    kind = np.array(rows["kind"].to_pylist())
    label = rows["label"].to_numpy(zero_copy_only=False)
    assert np.isnan(label[kind == "click"]).all()
    assert np.isnan(label[kind == "shown"]).sum() == 0
    assert (kind == "click").sum() == label[kind == "shown"].sum()
    asked = log.questions("slates")
    assert len(asked) == 6_000
    done = log.histories()
    assert done.lengths.sum() == (kind == "click").sum(), "what was shown is no behaviour"
    assert log.users.column_names == ["user", "segment"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"shifts": (0.5, 0.2)}, "not ascending"), ({"shifts": (1.5,)}, "not ascending"), ({"flip": 1.2}, "lie in"),
        ({"items": 3}, "leave some of"), ({"fresh": 0.6, "shifts": (0.2, 0.4)}, "no item at the start"),
        ({"users": 0}, "1 or more"),
    ],
)  # fmt: skip
def test_bad_options_are_refused(wrong, said):
    with pytest.raises(OptionError, match=said):
        DriftingClicks(**wrong)
