"""Every ranking system: weights of rows are heeded in training, and scores can be calibrated on the validation part."""

from functools import cache

import numpy as np
import pyarrow as pa
import pytest

import ethogram
from ethogram.catalogue import index
from ethogram.errors import OptionError, StepError
from ethogram.evaluate import run
from ethogram.evaluate.calibration import ece
from ethogram.log import Log
from ethogram.numeric.calibrated import apply, learn
from ethogram.system import find, load

KEYS = sorted(k for k, s in index().items() if s.area == "rank" and "score" in s.verbs)
MAPPED = [k for k in KEYS if k != "reloop2"]
"""Systems whose map comes from their scores of the validation part as they are after training."""
QUICK = {
    "dim": 4, "side": 4, "hidden": (8,), "epochs": 6, "lr": 2e-2, "batch": 256, "decay": 0.0, "dropout": 0.0,
    "steps": 20, "last": 5, "buckets": 2**12,
}  # fmt: skip


def made(key, **more):
    known = set(find(key).__dataclass_fields__)
    if key == "reloop2":
        more["base"] = "smoothed_rates"
    return ethogram.system(key, **{n: v for n, v in QUICK.items() if n in known}, **more)


@cache
def world(weighted=True, rate=(0.3, 0.3), seed=0):
    """Impressions of items of two categories, alone or two at a time; people's clicks are their behaviour.

    Weights, where there are any: positives of the first category 4, its negatives 1, of the second 1 and 3 by turns.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for slate in range(1_600):
        user, clock = f"u{slate % 80}", 1_700_000_000 + 600 * slate
        rows.append((user, int(rng.integers(20)), clock - 30, None, None, None))
        for item in rng.choice(20, 1 + slate % 2, replace=False).tolist():
            label = float(rng.random() < rate[item % 2])
            weight = (4.0 if label else 1.0) if item % 2 == 0 else 1.0 + 2.0 * (slate % 4 < 2)
            rows.append((user, item, clock, label, slate, weight if weighted else 1.0))
    columns = zip(*rows, strict=True)
    names = ("user", "item", "time", "label", "slate", "weight")
    items = pa.table({"item": np.arange(20), "category": [f"c{i % 2}" for i in range(20)]})
    return Log.open(pa.table(dict(zip(names, map(list, columns), strict=True))), items=items)


@cache
def parts(**how):
    return world(**how).split("temporal", valid=0.2, test=0.2)


@pytest.mark.parametrize("key", KEYS)
def test_a_row_counts_as_often_as_its_weight_says(key):
    """Both categories are clicked alike; weighted, the first is at 4 * .3 / (4 * .3 + .7) = .63, the second at .3."""
    asked = parts().test.questions("slates")
    even = asked.candidates.items % 2 == 0
    p = made(key).fit(parts().train, parts().valid, seed=1).score(asked.histories, asked.candidates)
    assert np.mean(p[even]) == pytest.approx(1.2 / 1.9, abs=0.09)
    assert np.mean(p[~even]) == pytest.approx(0.3, abs=0.09)


@pytest.mark.parametrize("key", MAPPED)
@pytest.mark.parametrize("kind", ["platt", "isotonic"])
def test_calibration_is_learned_on_the_validation_part_alone_and_saved(key, kind, tmp_path):
    cut = parts(rate=(0.6, 0.1))
    plain = made(key).fit(cut.train, cut.valid, seed=1)
    held, asked = (part.questions("slates") for part in (cut.valid, cut.test))
    raw = [np.asarray(plain.score(q.histories, q.candidates)) for q in (held, asked)]
    told = made(key, calibrate=kind).fit(cut.train, cut.valid, seed=1)
    said = told.score(asked.histories, asked.candidates)
    # the map that validation gives, whatever the test part holds
    expected = apply(learn(kind, held.label, raw[0], held.weight), raw[1])
    np.testing.assert_allclose(said, expected, rtol=1e-6)
    assert 0 < said.min() <= said.max() < 1
    assert (np.diff(said[np.argsort(raw[1], kind="stable")]) >= -1e-12).all(), "the map does not fall"
    told.save(tmp_path / "model")
    assert np.array_equal(load(tmp_path / "model").score(asked.histories, asked.candidates), said)


@pytest.mark.parametrize("key", MAPPED)
def test_calibration_without_validation_is_refused_before_training(key):
    seen = []
    with pytest.raises(OptionError, match=r"calibrate = platt is learned on a validation part"):
        made(key, calibrate="platt").fit(parts().train, watch=seen.append)
    with pytest.raises(StepError, match=r"labels of the training slates are equal|carries a label"):
        made(key, calibrate="platt").fit(parts().train, parts().valid.where("label == 1"), watch=seen.append)
    assert not seen


def test_maps_against_values_from_elsewhere():
    from scipy.optimize import minimize
    from sklearn.isotonic import IsotonicRegression

    rng = np.random.default_rng(3)
    score, weight = rng.uniform(0.02, 0.98, 400), rng.integers(0, 4, 400).astype(float)
    label = (rng.random(400) < score**2).astype(float)
    z = np.log(score / (1 - score))
    scaled = weight / weight.mean()
    yes, no = (scaled * label).sum(), (scaled * (1 - label)).sum()
    target = np.where(label > 0, (yes + 1) / (yes + 2), 1 / (no + 2))

    def loss(at):
        return (scaled * (np.logaddexp(0, at[0] * z + at[1]) - target * (at[0] * z + at[1]))).sum()

    best = minimize(loss, [1.0, 0.0], tol=1e-10).x
    np.testing.assert_allclose(learn("platt", label, score, weight).x, best, rtol=1e-4)
    # a row of weight 3 is three rows, one of weight 0 none
    rows = np.repeat(np.arange(400), weight.astype(int))
    again = IsotonicRegression().fit(score[rows], target[rows]).predict(np.sort(score)[20:-20])
    np.testing.assert_allclose(apply(learn("isotonic", label, score, weight), np.sort(score)[20:-20]), again, atol=1e-9)


def test_too_sure_scores_come_nearer_the_truth():
    """Scores whose log odds are three times too large: both maps take most of the error away on other rows."""
    rng = np.random.default_rng(4)
    logit = rng.normal(-1, 1, 8_000)
    label, score = (rng.random(8_000) < 1 / (1 + np.exp(-logit))).astype(float), 1 / (1 + np.exp(-3 * logit))
    ones, first, last = np.ones(4_000), slice(0, 4_000), slice(4_000, 8_000)
    before = ece(label[last], score[last])
    assert before > 0.1
    for kind in ("platt", "isotonic"):
        after = ece(label[last], apply(learn(kind, label[first], score[first], ones), score[last]))
        assert after < 0.25 * before


def test_the_record_holds_the_calibration_and_its_error():
    log = world(weighted=False, rate=(0.6, 0.1))
    plain, told = (
        run(made("smoothed_rates", calibrate=kind), log, "temporal", split={"valid": 0.2, "test": 0.2}, bootstrap=20)
        for kind in ("none", "platt")
    )
    assert told.key != plain.key
    assert told.options["calibrate"] == "platt"
    assert {"ece", "logloss", "brier"} <= set(told.metrics)
    assert told.metrics["auc"] == pytest.approx(plain.metrics["auc"])
