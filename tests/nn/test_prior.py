"""Popularity before the question, counted again event by event."""

import numpy as np
import pytest
from tests.nn.slate_log import catalogue, log, random_log

from ethogram.nn.prior import Prior, shares


def test_shares_by_hand():
    np.testing.assert_allclose(shares(np.array([0, 3, 9]), 12, 4), np.log([1 / 4, 4 / 4, 10 / 4]), rtol=1e-6)
    assert shares(np.array([0]), 0, 5)[0] == 0, "of nothing, everything is equally popular"
    assert np.isfinite(shares(np.array([0, 2]), np.array([0, 2]), 0)).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_every_candidate_is_told_what_happened_strictly_before_its_question(seed):
    made = random_log(users=25, items=7, seed=seed)
    features = made.features()
    asked = made.questions("slates")
    batch = features.encode(asked)
    got = Prior(features, made).before(batch)
    table = made.table()
    label = table["label"].to_numpy(zero_copy_only=False)
    done = np.isnan(label.astype(float))
    time = table["time"].to_numpy().astype("datetime64[us]").astype(np.int64)
    item = np.asarray(table["item"].to_pylist())
    known = len(features.items)
    codes, ends = asked.candidates.flat(len(asked))
    named = asked.candidates.vocabulary.decode(codes).to_pylist()
    at = np.repeat(asked.histories.time, np.diff(ends))
    assert done.sum() > 50
    for q in range(len(got)):
        before = done & (time < at[q])
        expected = np.log(((item[before] == named[q]).sum() + 1) / (before.sum() / known + 1))
        assert got[q] == pytest.approx(expected, abs=1e-6)
    assert np.ptp(got) > 0.5


def test_later_questions_are_told_all_of_training_and_new_items_none():
    made = random_log(users=25, items=7)
    features = made.features()
    prior = Prior(features, made)
    codes = features.vocabularies["item"].ids.to_pylist()
    table = made.table()
    done = np.isnan(table["label"].to_numpy(zero_copy_only=False).astype(float))
    item = np.asarray(table["item"].to_pylist())[done]
    for row, known in enumerate(codes, start=2):
        expected = np.log(((item == known).sum() + 1) / (len(item) / len(features.items) + 1))
        assert prior.last[row] == pytest.approx(expected, abs=1e-6)
    assert prior.last[0] == prior.last[1] == pytest.approx(-np.log(len(item) / len(features.items) + 1), abs=1e-6)


def test_answers_are_no_popularity():
    """Slates in which everything is taken leave the popularity of what was done as it is."""
    past = [("a", 1, 1, None, None, None), ("b", 2, 2, None, None, None)]
    shown = [("a", 1, day, 1.0, day, 1.0) for day in range(3, 9)]
    made = log(past + shown, catalogue(3))
    features = made.features()
    got = Prior(features, made).before(features.encode(made.questions("slates")))
    np.testing.assert_allclose(got, np.full(6, np.log((1 + 1) / (2 / len(features.items) + 1))), rtol=1e-6)
