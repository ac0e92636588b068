from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ethogram import data
from ethogram.data.interests import Interests
from ethogram.errors import OptionError


@pytest.fixture(scope="module")
def made() -> Interests:
    return Interests(users=600)


@pytest.fixture(scope="module")
def truth(made: Interests) -> dict[str, dict[str, np.ndarray]]:
    return {name: {c: t[c].to_numpy() for c in t.column_names} for name, t in made.truth().items()}


def affinity(made: Interests, truth) -> np.ndarray:
    found = np.zeros((made.users, made.categories))
    known = truth["interests"]
    found[known["user"], known["category"]] = known["strength"]
    return found


def counts(made: Interests, truth, rows: np.ndarray) -> np.ndarray:
    past = made.world.past
    found = np.zeros((made.users, made.categories))
    np.add.at(found, (past["user"][rows], truth["items"]["category"][past["item"][rows]]), 1)
    return found


def left(made: Interests) -> np.ndarray:
    """Events of the user from each on, 1 for the last."""
    user = made.world.past["user"]
    lengths = np.bincount(user)
    return np.repeat(np.cumsum(lengths), lengths) - np.arange(len(user))


def test_interests_are_3_to_6_and_disjoint(made, truth):
    known = truth["interests"]
    per_user = np.bincount(known["user"], minlength=made.users)
    assert set(per_user) == {3, 4, 5, 6}
    pairs = known["user"] * made.categories + known["category"] // 2
    assert len(np.unique(pairs)) == len(pairs)
    assert known["strength"].min() >= 0.5
    assert known["strength"].max() <= 1.5


def test_probability_is_the_formula(made, truth):
    shown, items = truth["exposures"], truth["items"]
    a = affinity(made, truth)[shown["user"], items["category"][shown["item"]]]
    logit = made.base + made.effect * a + items["appeal"][shown["item"]]
    np.testing.assert_allclose(shown["probability"], 1 / (1 + np.exp(-logit)), rtol=1e-12)
    p = shown["probability"]
    error = (shown["label"] - p).sum() / np.sqrt((p * (1 - p)).sum())
    assert abs(error) < 4
    own = a > 0
    error = (shown["label"] - p)[own].sum() / np.sqrt((p * (1 - p))[own].sum())
    assert abs(error) < 4


def test_pairs_share_the_effect_if_asked():
    made = Interests(users=300, complement=0.5, quality=0.0)
    truth = {name: {c: t[c].to_numpy() for c in t.column_names} for name, t in made.truth().items()}
    a, shown = affinity(made, truth), truth["exposures"]
    category = truth["items"]["category"][shown["item"]]
    expected = np.where(
        a[shown["user"], category] > 0, a[shown["user"], category], 0.5 * a[shown["user"], category ^ 1]
    )
    logit = np.log(shown["probability"] / (1 - shown["probability"]))
    np.testing.assert_allclose(logit, made.base + made.effect * expected, atol=1e-9)
    assert (expected > 0).mean() > 0.3


def test_only_events_older_than_the_last_50_tell(made, truth):
    shown, items = truth["exposures"], truth["items"]
    label, user, category = shown["label"], shown["user"], items["category"][shown["item"]]
    old, recent = (counts(made, truth, rows) for rows in (left(made) > made.recent, left(made) <= made.recent))
    assert (recent.sum(axis=1) == 50).all()

    def auc(score):
        return roc_auc_score(label, score)

    assert 0.75 <= auc(shown["probability"]) <= 0.85
    assert auc((old / np.maximum(old.sum(axis=1, keepdims=True), 1))[user, category]) > 0.72
    # what a user looked at lately against what users look at lately: no more than chance
    share = recent.mean(axis=0)
    assert abs(auc((recent - share)[user, category]) - 0.5) < 0.03
    assert not made.world.past["own"][left(made) <= made.recent].any()
    assert made.world.past["own"][left(made) > made.recent].mean() == pytest.approx(made.old_share, abs=0.01)


def test_without_effect_only_appeal_matters():
    made = Interests(users=600, effect=0.0)
    truth = {name: {c: t[c].to_numpy() for c in t.column_names} for name, t in made.truth().items()}
    shown = truth["exposures"]
    appeal = truth["items"]["appeal"][shown["item"]]
    np.testing.assert_allclose(shown["probability"], 1 / (1 + np.exp(-made.base - appeal)), rtol=1e-12)
    old = counts(made, truth, left(made) > made.recent)
    score = old[shown["user"], truth["items"]["category"][shown["item"]]]
    # against the rate of the category, which may differ by the appeal of its items
    category = truth["items"]["category"][shown["item"]]
    rest = shown["label"] - (np.bincount(category, shown["label"]) / np.maximum(np.bincount(category), 1))[category]
    assert abs(np.corrcoef(score > 0, rest)[0, 1]) < 4 / np.sqrt(len(rest))


def test_popularity_follows_power_laws(made):
    popularity = np.sort(made.world.popularity)[::-1]
    np.testing.assert_allclose(popularity[0] / popularity[[1, 3, 9]], [2, 4, 10])
    recent = left(made) <= made.recent
    seen = np.bincount(made.world.category[made.world.past["item"][recent]], minlength=made.categories)
    expected = made.world.popularity * recent.sum()
    assert (((seen - expected) ** 2) / expected).sum() < made.categories + 6 * np.sqrt(2 * made.categories)
    assert (np.bincount(made.world.category, minlength=made.categories) >= 1).all()


def test_lengths_and_times(made):
    past, shown = made.world.past, made.world.shown
    lengths = np.bincount(past["user"])
    assert lengths.min() >= 60
    assert lengths.max() <= 400
    assert lengths.max() > 380
    assert np.median(lengths) == pytest.approx(np.sqrt(60 * 400), rel=0.15)
    assert past["time"].max() < shown["time"].min()
    same = past["user"][1:] == past["user"][:-1]
    assert (np.diff(past["time"])[same] >= 0).all()


def test_a_seed_is_a_world():
    one, again, other = (Interests(users=30, seed=s).read().events for s in (3, 3, 4))
    assert one.equals(again)
    assert not one.equals(other)
    # parts have numbers of their own: another effect, the same people with the same past
    weak = Interests(users=30, seed=3, effect=1.0)
    np.testing.assert_array_equal(weak.world.past["item"], Interests(users=30, seed=3).world.past["item"])


def test_the_log_asks_slates_and_does_not_know_the_answer(made, truth):
    log = data.load("interests", users=600)
    assert log.describe()["quarantined"] == 0
    asked = log.questions("slates")
    assert len(asked) == made.users * made.slates
    np.testing.assert_array_equal(asked.histories.lengths, np.bincount(made.world.past["user"]).repeat(made.slates))
    assert asked.label.sum() == truth["exposures"]["label"].sum()
    assert not asked.context
    assert log.table().column_names == [
        *("event", "user", "user_code", "item", "item_code", "time", "kind", "label", "slate")
    ]
    assert log.items.column_names == ["item", "category"]
    assert [c.name for c in log.features().columns] == ["item", "category"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"users": 0},
        {"categories": 7},
        {"items": 50},
        {"interests": (3, 60)},
        {"interests": (5, 4)},
        {"length": (40, 400)},
        {"own_share": 1.5},
    ],
)
def test_impossible_worlds_are_refused(wrong):
    with pytest.raises(OptionError, match="interests"):
        Interests(**wrong)
