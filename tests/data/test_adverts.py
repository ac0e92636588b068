"""The generator of adverts keeps its truth; the inventory is scored as published."""

from __future__ import annotations

import numpy as np
import pytest

from ethogram import data
from ethogram.data.adverts import CTR, Adverts, between
from ethogram.data.big_five import BFI10, TRAITS, score_bfi10
from ethogram.errors import OptionError

BIG = {"users": 4_000, "categories": 6, "per_category": 3, "seed": 2}


def test_the_inventory_by_hand():
    # reserved 2, trusting 1, lazy -2, relaxed 0, few artistic interests 1, outgoing -1, finds fault 2, thorough 2,
    # nervous 1, imagination 0
    told = [2, 1, -2, 0, 1, -1, 2, 2, 1, 0]
    found = dict(zip(TRAITS, score_bfi10(told)[0].tolist(), strict=True))
    assert found == {"openness": -1, "conscientiousness": 4, "extraversion": -3, "agreeableness": -1, "neuroticism": 1}
    likert = score_bfi10(np.array(told) + 3, "likert")
    np.testing.assert_allclose(likert, (score_bfi10(told) / 2 + 3))
    assert np.isnan(score_bfi10([np.nan, *told[1:]])[0]).tolist() == [False, False, True, False, False]
    assert sorted(t for t, _ in BFI10) == sorted([*TRAITS, *TRAITS])


@pytest.mark.parametrize(
    ("answers", "scale", "told"),
    [
        ([3] + [0] * 9, "centred", "answer 3 of person 0 to question 1"),
        ([0.5] + [0] * 9, "centred", "whole number from -2 to 2"),
        ([0] * 10, "likert", "from 1 to 5"),
        ([0] * 9, "centred", "ten of each person"),
        ([0] * 10, "stars", "neither centred"),
    ],
)
def test_wrong_answers_are_refused(answers, scale, told):
    with pytest.raises(OptionError, match=told):
        score_bfi10(answers, scale)


def test_traits_are_correlated_as_said_and_measured_with_error():
    made = Adverts(**BIG)
    np.testing.assert_allclose(np.corrcoef(made.people.T), between(), atol=0.06)
    people = made.read().users
    for j, trait in enumerate(TRAITS):
        measured = people[trait].to_numpy()
        assert set(np.unique(measured)) <= set(range(-4, 5))
        assert 0.8 < np.corrcoef(measured, made.people[:, j])[0, 1] < 0.97


def test_ratings_follow_the_loadings():
    made = Adverts(**BIG, strength=0.5, cells=0.3)
    truth = made.truth()["loadings"].to_pylist()
    assert sum(row["tied"] for row in truth) == round(0.3 * 30)
    mean = made.ratings.reshape(4_000, 6, 3).mean(2)
    slopes = np.linalg.lstsq(np.column_stack([np.ones(4_000), made.people]), mean, rcond=None)[0][1:]
    expected = np.array([row["loading"] for row in truth]).reshape(5, 6)
    # clipped at 1 and 5, an effect reaches the ratings with somewhat less than its size
    np.testing.assert_allclose(slopes, 0.88 * expected, atol=0.07)
    assert set(np.abs(expected).ravel().round(6)) == {0.0, 0.45}
    nothing = Adverts(**BIG, strength=0.0)
    mean = nothing.ratings.reshape(4_000, 6, 3).mean(2)
    assert np.abs(np.corrcoef(nothing.people.T, mean.T)[:5, 5:]).max() < 0.06


def test_the_log_is_dense_and_what_it_says():
    log = data.load("adverts", users=5, categories=4, per_category=3, favourites=2, pictures=3)
    table = log.table().to_pandas()
    assert len(table) == 5 * 12
    assert table.groupby("user")["item"].nunique().eq(12).all()
    assert ((table["value"] >= 4) == (table["label"] == 1)).all()
    assert set(log.items["format"].to_pylist()) <= {"rich media", "image", "text"}
    people = log.users.to_pandas()
    assert people.filter(like="prefers_").sum(axis=1).eq(2).all()
    assert {f"{p}_{j}" for p in ("liked", "disliked") for j in range(3)} <= set(people)
    bare = data.load("adverts", users=5, categories=4, per_category=3, favourites=0, pictures=0)
    assert not [n for n in bare.users.column_names if n.startswith(("prefers", "liked", "disliked"))]


def test_clicks_by_chance_follow_the_curve():
    events = Adverts(**BIG, click="curve").read().events
    value, label = events["value"].to_numpy(), events["label"].to_numpy()
    for stars, chance in enumerate(CTR, 1):
        some = label[value == stars]
        assert some.mean() == pytest.approx(chance, abs=4 * np.sqrt(chance / len(some)))


def test_pictures_tell_traits():
    made = Adverts(**BIG)
    people = made.read().users
    liked = np.column_stack([people[f"liked_{j}"].to_numpy() for j in range(8)])
    disliked = np.column_stack([people[f"disliked_{j}"].to_numpy() for j in range(8)])
    x = np.column_stack([np.ones(4_000), liked, disliked])
    said = x @ np.linalg.lstsq(x, made.people, rcond=None)[0]
    explained = 1 - ((made.people - said) ** 2).mean(0) / made.people.var(0)
    assert (explained > 0.25).all()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"users": 0}, "1 or more"),
        ({"cells": 1.5}, "not a share"),
        ({"noise": -1.0}, "0 or more"),
        ({"liked": 6}, "from 2 to 5"),
        ({"favourites": 21}, "of 20 categories"),
        ({"level": 9.0}, "from 1 to 5"),
        ({"click": "never"}, "one of threshold, curve"),
    ],
)
def test_options_out_of_range(wrong, told):
    with pytest.raises(OptionError, match=told):
        Adverts(**wrong)
