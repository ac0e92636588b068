"""ReLoop2: its equations from the written errors, what it may know and when, and what changes when the world does."""

from functools import cache

import numpy as np
import pytest

import ethogram
from ethogram import data
from ethogram.errors import NotFitted, OptionError, StepError
from ethogram.evaluate import run
from ethogram.evaluate.classification import auc
from ethogram.log import Candidates, Histories, Questions
from ethogram.numeric.calibrated import apply, learn
from ethogram.system import load

BASE = {"epochs": 2, "dim": 4, "side": 4, "hidden": (8,), "last": 10}


@cache
def stream():
    log = data.load("drifting_clicks", impressions=4_000, users=80, items=40, categories=4, segments=3, seed=5)
    return log.split("stream", windows=5, test=0.1, valid=0.1)


@cache
def fitted_base(key="smoothed_rates"):
    options = BASE if key == "mean_pooled" else {}
    return ethogram.system(key, **options).fit(stream().parts[0].train, stream().parts[0].valid, seed=0)


def made(base="smoothed_rates", **options):
    own = ethogram.system("reloop2", base=fitted_base(base), refit=False, **options)
    return own.fit(stream().parts[0].train, stream().parts[0].valid, seed=0)


def asked(block=1):
    return stream().parts[block].test.questions("slates")


def test_an_item_memory_by_hand():
    """err = s / (n + n0) over all answers of the item since validation; p' = p + lambda err; no half-life."""
    for on in ("probability", "logit"):
        system = made(memory="item", half_life=None, prior=2.0, strength=0.5, on=on)
        system.update(stream().reveals[0])
        held, now = (stream().parts[0].valid.questions("slates"), asked(0)), asked(1)
        p = fitted_base().score(now.histories, now.candidates)
        n, s, v = (np.zeros(len(now.candidates.vocabulary)) for _ in range(3))
        for part in held:
            was = fitted_base().score(part.histories, part.candidates)
            np.add.at(n, part.candidates.items, 1)
            np.add.at(s, part.candidates.items, part.label - was)
            np.add.at(v, part.candidates.items, was * (1 - was))
        item = now.candidates.items
        if on == "probability":
            expected = np.clip(p + 0.5 * s[item] / (n[item] + 2), 1e-6, 1 - 1e-6)
        else:
            expected = 1 / (1 + np.exp(-(np.log(p / (1 - p)) + 0.5 * s[item] / (v[item] + 0.5))))
        np.testing.assert_allclose(system.score(now.histories, now.candidates), expected, rtol=1e-9)
        told = system.errors(now.histories, now.candidates)
        np.testing.assert_allclose(told["support"].to_numpy(), n[item])
        np.testing.assert_allclose(told["base"].to_numpy(), p)
        assert told["candidate"].to_pylist() == now.candidates.vocabulary.decode(item).to_pylist()


def test_a_half_life_in_answers_and_one_in_time():
    held = stream().parts[0].valid.questions("slates")
    time = np.asarray(held.histories.time)
    was = fitted_base().score(held.histories, held.candidates)
    order = np.argsort(time)
    count = np.empty(len(time))
    count[order] = np.arange(1, len(time) + 1)
    now = asked(0)
    for half, age in (
        ("50", lambda t: np.broadcast_to(len(time) - count, (len(t), len(count)))),
        ("12h", lambda t: (t[:, None] - time) / 3_600e6),
    ):
        system = made(memory="item", half_life=half, prior=1.0, strength=1.0)
        fade = 2.0 ** (-age(np.asarray(now.histories.time)) / (50 if half == "50" else 12))
        same = now.candidates.items[:, None] == held.candidates.items
        n, s = (same * fade).sum(1), (same * fade) @ (held.label - was)
        told = system.errors(now.histories, now.candidates)
        np.testing.assert_allclose(told["error"].to_numpy(), s / (n + 1), rtol=1e-6, atol=1e-9)


def test_weights_of_answers_count_as_answers():
    log = stream().log
    rows = log.table().to_pandas()
    shown = rows[rows["kind"] == "shown"]
    one = ethogram.Log.open(shown.assign(weight=2.0), items=log.items, users=log.users)
    two = ethogram.Log.open(shown, items=log.items, users=log.users)
    base = ethogram.system("smoothed_rates").fit(two.split("temporal").train)
    now = asked(4)

    def error(revealed, times):
        system = ethogram.system("reloop2", base=base, refit=False, memory="item", half_life=None, prior=4.0)
        system.fit(two.split("temporal").train)
        for _ in range(times):
            system.update(revealed.until("2024-01-02"))
        return system.errors(now.histories, now.candidates)["error"].to_numpy()

    weighted = error(one, 1)
    assert np.abs(weighted).max() > 0.01
    plain = error(two, 1)
    assert np.abs(weighted).sum() > np.abs(plain).sum(), "twice the answers are drawn less to 0"


def test_a_prediction_never_reads_its_own_label():
    """Other labels in a block leave its predictions as they are, and move those of the next."""
    said = []
    for flip in (False, True):
        system = made(strength=1.0)
        block = asked(0)
        labels = abs(block.label - flip)
        first = system.fitted.reveal(Questions(block.histories, block.candidates, labels, block.weight))
        said.append((first, system.score(asked(1).histories, asked(1).candidates)))
    assert np.array_equal(said[0][0], said[1][0])
    assert np.abs(said[0][1] - said[1][1]).mean() > 0.02


def test_it_recovers_after_the_shift_and_counts_nothing_when_the_base_is_right():
    frozen, item, sketch, exact = (
        run(ethogram.system("reloop2", base=ethogram.system("smoothed_rates"), memory=m), stream(), bootstrap=20)
        for m in ("none", "item", "sketch", "exact")
    )
    for told in (item, sketch, exact):
        assert told.metrics["auc"] > frozen.metrics["auc"] + 0.03
        assert told.metrics["logloss"] < frozen.metrics["logloss"]
    still = data.load("drifting_clicks", impressions=4_000, users=80, items=40, categories=4, segments=3, shifts=())
    cut = still.split("stream", windows=3, test=0.1, valid=0.1)
    one, other = (
        run(
            ethogram.system("reloop2", base=ethogram.system("boosted_aggregates", steps=30), memory=m),
            cut,
            bootstrap=20,
        )
        for m in ("none", "sketch")
    )
    assert other.metrics["logloss"] < one.metrics["logloss"] + 0.005


def test_a_network_gives_keys_and_may_go_on_learning(tmp_path):
    base = ethogram.system("mean_pooled", **BASE)
    system = ethogram.system("reloop2", base=base, slow_lr=1e-2).fit(stream().parts[0].train, stream().parts[0].valid)
    now = asked(1)
    before = base.score(now.histories, now.candidates)
    hidden = base.fitted.judged(now.histories, now.candidates, None, system.fitted.frozen)[1]
    assert hidden.shape == (len(before), 8)
    system.update(stream().reveals[0])
    after = base.score(now.histories, now.candidates)
    assert np.abs(after - before).max() > 1e-3, "the base took no step"
    again = base.fitted.judged(now.histories, now.candidates, None, system.fitted.frozen)[1]
    assert np.array_equal(hidden, again), "the space of keys moved"
    system.save(tmp_path / "model")
    back = load(tmp_path / "model")
    assert np.array_equal(back.score(now.histories, now.candidates), system.score(now.histories, now.candidates))


def test_the_network_says_the_same_with_and_without_its_hidden_layer():
    base, now = fitted_base("mean_pooled"), asked(0)
    p, hidden = base.fitted.judged(now.histories, now.candidates)
    assert np.array_equal(p, base.score(now.histories, now.candidates))
    last = base.fitted.network.tower.layers[-1]
    logit = hidden @ last.weight.detach().numpy()[0] + last.bias.detach().numpy()
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-logit)), rtol=1e-4)


def test_calibration_comes_from_what_was_predicted_before_it_was_revealed():
    plain, told = made(strength=1.0), made(strength=1.0, calibrate="platt")
    assert plain.calibration is None
    raw = plain.score(asked(0).histories, asked(0).candidates)
    said = told.score(asked(0).histories, asked(0).candidates)
    np.testing.assert_allclose(said, apply(told.calibration, raw))
    # read after its own answers are written, the memory would be too good
    held = stream().parts[0].valid.questions("slates")
    sure = learn("platt", held.label, plain.score(held.histories, held.candidates), held.weight)
    assert sure.x[0] > told.calibration.x[0]


def test_items_and_people_never_met_are_told_apart():
    system = made(strength=1.0, prior=0.0)
    lists = Histories.of([[1, 2]])
    found = system.errors(lists, Candidates.of(["new a", "new b"]))
    assert np.isfinite(found["score"].to_numpy()).all()
    from ethogram.numeric import identity

    keys = identity.vectors(system.fitted.features, lists, Candidates.of(["new a", "new b"]))
    assert float(keys[0] @ keys[1]) < 0.5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bits": 17}, "bits = 17; a signature has 16 at most"),
        ({"repeats": 0}, "repeats = 0; give 1 or more"),
        ({"temperature": 0.0}, "temperature = 0.0; give a number above 0"),
        ({"strength": -1.0}, "strength = -1.0; give 0 to 10"),
        ({"half_life": "soon"}, "half_life = 'soon' is no number of answers"),
        ({"half_life": "-3"}, "give a number above 0, or none"),
        ({"base": "popularity"}, "base 'popularity' gives no probabilities"),
        ({"base": "dinn"}, "dinn"),
        ({"memory": "sketchy"}, "Did you mean 'sketch'"),
    ],
)
def test_bad_options_get_one_line(options, said):
    with pytest.raises(Exception, match=r".") as error:
        ethogram.system("reloop2", **options)
    assert said in str(error.value)
    assert isinstance(error.value, ethogram.errors.EthogramError)


def test_what_cannot_be_done_is_refused():
    train, valid = stream().parts[0].train, stream().parts[0].valid
    with pytest.raises(NotFitted, match="refit = false, but the base is not fitted"):
        ethogram.system("reloop2", base="smoothed_rates", refit=False).fit(train, valid)
    for options, said in (
        ({"slow_lr": 0.1}, "no network that takes steps"),
        ({"key": "hidden"}, "has no hidden layer"),
    ):
        with pytest.raises(OptionError, match=said):
            made(**options)
    with pytest.raises(OptionError, match="calibrate = platt is learned on a validation part"):
        ethogram.system("reloop2", base=fitted_base(), refit=False, calibrate="platt").fit(train)
    system = made()
    system.update(stream().reveals[1])
    with pytest.raises(StepError, match="earlier than some that were revealed before"):
        system.update(stream().reveals[0])
    with pytest.raises(StepError, match="no event of this part carries a label"):
        system.update(stream().log.where("kind == 'click'"))


def test_the_ranking_is_of_the_compensated():
    system, now = made("mean_pooled"), asked(0)
    p = system.score(now.histories, now.candidates)
    assert 0.5 < auc(now.label, p) <= 1
    assert system.nbytes == system.fitted.memory.nbytes > 0
