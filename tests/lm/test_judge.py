"""The judge: orders, abstention, its own output; and agreement against another library."""

import numpy as np
import pytest

from ethogram.errors import OptionError
from ethogram.evaluate.agreement import kappa
from ethogram.lm.blocking import run
from ethogram.lm.judge import Judge, Preference, against
from ethogram.lm.scripted import ScriptedLM


def planted(worth, bias=0.0):
    """A judge whose log-odds for the first answer are its worth less the other's, plus a bias to the first place."""

    def rate(prompt, texts):
        shown = [next(k for k in worth if f"Answer {i}: {k}" in prompt) for i in (1, 2)]
        odds = worth[shown[0]] - worth[shown[1]] + bias
        return [-np.logaddexp(0, -odds), -np.logaddexp(0, odds)]

    return ScriptedLM("unused", rater=rate)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_both_orders_are_averaged_and_the_bias_is_told():
    made = run(Judge(planted({"good": 2.0, "bad": 0.0}, bias=1.0)).compare("q", "good", "bad"))
    assert made.winner == "a"
    assert made.probability == pytest.approx((sigmoid(3) + 1 - sigmoid(-1)) / 2)
    assert made.first == pytest.approx((sigmoid(3) + sigmoid(-1)) / 2 - 0.5)
    assert made.method == "prompt_logprobs"
    other = run(Judge(planted({"good": 2.0, "bad": 0.0}, bias=1.0)).compare("q", "bad", "good"))
    assert (other.winner, other.probability) == ("b", pytest.approx(1 - made.probability))


def test_a_judge_that_only_sees_places_abstains():
    made = run(Judge(planted({"good": 0.3, "bad": 0.0}, bias=3.0)).compare("q", "good", "bad"))
    assert made.winner is None
    assert made.why == "the orders name different winners"
    near = run(Judge(planted({"good": 0.1, "bad": 0.0}), margin=0.1).compare("q", "good", "bad"))
    assert near.winner is None
    assert "within 0.1" in near.why


def test_it_says_when_it_judges_its_own_output():
    lm = planted({"good": 2.0, "bad": 0.0})
    judge = Judge(lm)
    assert run(judge.compare("q", "good", "bad", authors=[lm.identity, "somebody"])).own
    assert not run(judge.compare("q", "good", "bad", authors=["somebody"])).own
    own = Preference("a", 0.9, 0.0, True, "x")
    assert "2 judged its own output" in str(against([own, own, Preference("b", 0.1, 0.0, False, "x")], ["a", "b", "b"]))


def test_a_model_that_names_neither_is_unread_not_a_vote():
    lm = ScriptedLM("mumble")
    lm._facts = type(run(lm.capabilities()))("scripted")
    made = run(Judge(lm).compare("q", "good", "bad"))
    assert (made.winner, made.method) == (None, "unread")


def test_grades_are_expectations_and_doubt_abstains():
    def rate(prompt, texts):
        if "clear:" in prompt:
            return [np.log(p) for p in (0.1, 0.1, 0.1, 0.3, 0.4)]
        return [0.0] * 5

    lm = ScriptedLM("unused", rater=rate)
    made = run(Judge(lm).grade("q", "an answer", {"clear": "Is it clear?", "true": "Is it true?"}, author=lm.identity))
    assert made.grades["clear"] == pytest.approx(0.1 + 0.2 + 0.3 + 1.2 + 2.0)
    assert made.grades["true"] is None
    assert made.mean == made.grades["clear"]
    assert made.own
    with pytest.raises(OptionError, match="ascending"):
        run(Judge(lm).grade("q", "a", {"x": "y"}, scale=(5, 1)))


def test_kappa_is_that_of_another_library():
    from sklearn.metrics import cohen_kappa_score

    rng = np.random.default_rng(0)
    a = rng.integers(1, 6, 300)
    b = np.where(rng.random(300) < 0.5, a, rng.integers(1, 6, 300))
    for weights in ("none", "linear", "quadratic"):
        theirs = cohen_kappa_score(a, b, weights=None if weights == "none" else weights)
        found = kappa(a.tolist(), b.tolist(), weights=weights)
        assert found.kappa == pytest.approx(theirs)
        assert found.low < found.kappa < found.high


def test_the_interval_covers_the_truth():
    """Two raters who agree by a known mechanism: kappa = 0.6 on balanced categories."""
    inside = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        a = rng.integers(0, 2, 150)
        b = np.where(rng.random(150) < 0.6, a, rng.integers(0, 2, 150))
        found = kappa(a.tolist(), b.tolist(), resamples=300, seed=seed)
        inside += found.low <= 0.6 <= found.high
    assert 52 <= inside <= 60


def test_abstentions_are_counted_and_bad_input_is_told():
    found = kappa(["a", None, "b", "a"], ["a", "a", "b", float("nan")])
    assert (found.answered, found.items, found.kappa) == (2, 4, 1.0)
    assert np.isnan(kappa(["a", "a"], ["a", "a"]).kappa)
    with pytest.raises(OptionError, match="answered by both"):
        kappa([None], ["a"])
    with pytest.raises(OptionError, match="needs numbers"):
        kappa(["a", "b"], ["a", "b"], weights="linear")
    with pytest.raises(OptionError, match="give both"):
        kappa([1], [1, 2])


def test_a_trial_against_people_tells_length_and_place():
    judged = [Preference("a", 0.8, 0.1, False, "x")] * 6 + [Preference(None, 0.5, 0.3, False, "x")] * 2
    found = against(judged, ["a"] * 3 + ["b"] * 5, lengths=[(9, 1)] * 8)
    assert found.answered == 0.75
    assert found.first == pytest.approx(0.15)
    assert found.longer == pytest.approx(0.5)
    assert "6 of 8 items" in str(found)


def test_the_embedded_model_judges_in_form(local):
    made = run(Judge(local).compare("What is two and two?", "Four.", "A yellow bird."))
    assert 0 < made.probability < 1
    assert made.method in ("prompt_logprobs", "first_token")
