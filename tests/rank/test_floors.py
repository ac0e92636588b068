"""The rank floors: probabilities of the full task, no answer that predicts itself, every way of being asked."""

from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from tests.rank.known_rates import CATEGORIES, DAY, ITEMS, known_rates

import ethogram
from ethogram.errors import OptionError, StepError
from ethogram.evaluate.classification import auc
from ethogram.log import Candidates, Histories, Log

FAST = {
    "smoothed_rates": {},
    "hashed_regression": {"buckets": 2**14},
    "boosted_aggregates": {"steps": 60, "min_leaf": 30},
    "mean_pooled": {
        "dim": 8,
        "side": 4,
        "cross": "product",
        "activation": "prelu",
        "dropout": 0.0,
        "lr": 3e-3,
        "epochs": 6,
        "batch": 256,
    },
}
FLOORS = sorted(FAST)


@cache
def task():
    return known_rates()


@cache
def parts():
    return task().log.split("by-user", valid=0.15, test=0.25)


@cache
def fitted(key):
    if key == "mean_pooled":
        pytest.importorskip("torch")
    return ethogram.system(key, **FAST[key]).fit(parts().train, parts().valid, seed=1)


@cache
def asked():
    return parts().test.questions("slates")


@cache
def scored(key):
    return fitted(key).score(asked().histories, asked().candidates, asked().context)


@pytest.mark.parametrize("key", FLOORS)
def test_scores_are_probabilities_of_the_full_task(key):
    p, truth, weight = scored(key), task().truth(asked()), asked().weight
    assert 0.03 < np.average(truth, weights=weight) < 0.15, "while a third of the sampled rows is positive"
    assert np.average(p, weights=weight) == pytest.approx(np.average(truth, weights=weight), rel=0.12)
    # not only on average: also where the model is sure and where it is not
    for rows in np.array_split(np.argsort(p), 4):
        assert np.average(p[rows], weights=weight[rows]) == pytest.approx(
            np.average(truth[rows], weights=weight[rows]), rel=0.4
        )


@pytest.mark.parametrize("key", FLOORS)
def test_they_come_near_the_best_that_can_be_done(key):
    best = auc(asked().label, task().truth(asked()), asked().weight)
    assert auc(asked().label, scored(key), asked().weight) > best - 0.06


@pytest.mark.parametrize("key", FLOORS)
def test_a_stranger_is_known_by_the_history(key):
    """Lists of ids of somebody who was never seen: items of the category of the list are more probable."""
    catalogue = [f"i{i:02}" for i in range(ITEMS)]
    lists = [[i for i in catalogue if int(i[1:]) % CATEGORIES == c] for c in range(CATEGORIES)]
    p = fitted(key).score(Histories.of(lists), Candidates.of(catalogue))
    own = np.array([[int(i[1:]) % CATEGORIES == c for i in catalogue] for c in range(CATEGORIES)])
    # the same items, asked by people who do and who do not keep to their category
    for i in range(ITEMS):
        assert p[own[:, i], i] > 1.5 * p[~own[:, i], i].mean()


@pytest.mark.parametrize("key", FLOORS)
def test_context_as_a_table_or_beside_the_candidates(key):
    some = asked()[slice(0, 5)]
    codes = some.context["place"][some.candidates.offsets[:-1]]
    names = some.histories.vocabularies["place"].decode(codes)
    table = pa.table({"place": names})
    beside = fitted(key).score(some.histories, some.candidates, some.context)
    np.testing.assert_allclose(fitted(key).score(some.histories, some.candidates, table), beside, rtol=1e-5)


@cache
def noise():
    """Answers by chance, about items of which each is shown a few times: whoever reads answers shines in training."""
    rng = np.random.default_rng(5)
    n = 6_000
    item, user = rng.integers(0, 1_500, n), rng.integers(0, 300, n)
    rows = {"user": user, "item": item, "time": np.arange(n), "label": (rng.random(n) < 0.3).astype(float)}
    items = {"item": np.arange(1_500), "brand": [f"b{i % 400}" for i in range(1_500)]}
    return Log.open(pa.table(rows), items=pa.table(items))


@pytest.mark.parametrize("statistics", ["people", "past"])
@pytest.mark.parametrize("key", ["smoothed_rates", "boosted_aggregates"])
def test_no_answer_predicts_itself(key, statistics):
    """Statistics that held a row's own answer would be trusted, and fail on new answers."""
    cut = noise().split("temporal", valid=0.1, test=0.3)
    options = {**FAST[key], "statistics": statistics}
    if key == "boosted_aggregates":
        options |= {"steps": 5, "learning_rate": 0.3}
    model = ethogram.system(key, **options).fit(cut.train, seed=0)
    test = cut.test.questions("slates")
    p = model.score(test.histories, test.candidates)
    rate = test.label.mean()
    loss = -np.mean(np.where(test.label > 0, np.log(p), np.log1p(-p)))
    chance = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    assert loss < chance + 0.02
    assert np.std(p) < 0.1


def test_the_whole_history_tells_more_than_its_end():
    """Taste lies in old events; the ten before the slates are of no category in particular."""
    rng = np.random.default_rng(3)
    minute = 60 * np.tile(np.arange(10), 400)
    late = {
        "user": np.repeat([f"u{u}" for u in range(400)], 10),
        "item": [f"i{i:02}" for i in rng.integers(0, ITEMS, 4_000)],
        "time": pa.array((15 * DAY + minute) * 1_000_000).cast(pa.timestamp("us", "UTC")),
    }
    early = task().log.table().drop_columns(["event", "user_code", "item_code"])
    whole = pa.concat_tables([early, pa.table(late)], promote_options="default")
    cut = Log.open(whole, items=task().log.items).split("by-user", valid=0.15, test=0.25)
    test = cut.test.questions("slates")

    def reached(last):
        model = ethogram.system("boosted_aggregates", **FAST["boosted_aggregates"], last=last)
        model.fit(cut.train, cut.valid)
        return auc(test.label, model.score(test.histories, test.candidates, test.context), test.weight)

    assert reached(None) > reached(10) + 0.03


def test_labels_that_teach_nothing_are_refused():
    table = pa.table({"user": [1, 1, 2], "item": ["a", "b", "a"], "time": [1, 2, 3], "label": [1.0, 1.0, 1.0]})
    with pytest.raises(StepError, match="needs both answers"):
        ethogram.system("smoothed_rates").fit(Log.open(table))
    stars = table.set_column(3, "label", pa.array([1.0, 4.0, 0.0]))
    with pytest.raises(StepError, match="a label is 4;"):
        ethogram.system("boosted_aggregates").fit(Log.open(stars))


@pytest.mark.parametrize(
    ("key", "wrong", "told"),
    [
        ("smoothed_rates", {"strength": -1.0}, "above 0"),
        ("smoothed_rates", {"folds": 1}, "at least 2"),
        ("hashed_regression", {"buckets": 1}, "at least 2"),
        ("boosted_aggregates", {"column_share": 0.0}, "share in"),
        ("boosted_aggregates", {"statistics": "future"}, "one of auto, people, past"),
    ],
)
def test_options_out_of_range(key, wrong, told):
    with pytest.raises(OptionError, match=told):
        ethogram.system(key, **wrong)


def test_a_category_that_does_not_exist():
    with pytest.raises(OptionError, match="Did you mean 'kindred'"):
        ethogram.system("smoothed_rates", category="kindrd").fit(parts().train)


def test_the_category_with_a_taste_is_chosen():
    assert fitted("smoothed_rates").fitted.category == "kindred"


def test_a_sample_of_the_questions_is_enough_and_follows_the_seed():
    def weights(seed, n):
        return ethogram.system("smoothed_rates", max_questions=n).fit(parts().train, seed=seed).fitted.weights

    np.testing.assert_array_equal(weights(3, 200), weights(3, 200))
    assert (weights(3, 200) != weights(4, 200)).any()
    np.testing.assert_allclose(weights(0, 1_000), weights(0, None), atol=0.6)
