"""Perplexity, meanings and agreement, against values worked out by hand and on planted models."""

import numpy as np
import pytest

from ethogram.errors import OptionError
from ethogram.lm import ScriptedLM, blocking
from ethogram.lm.replies import Reply, TokenScore
from ethogram.lm.uncertainty import meanings, perplexity, unsure


def ask(lm, **options):
    return blocking.run(unsure(lm, "Where is the river?", **options))


def drawing(shares):
    return ScriptedLM(lambda messages, rng: rng.choices(list(shares), list(shares.values()))[0])


def equal(texts):
    return np.array([[float(a == b) for b in texts] for a in texts])


def test_one_half_likeness_by_hand():
    # W = [[1, a], [a, 1]]: I - W / (1 + a) has the eigenvalues 0 and 2a / (1 + a)
    for a in (0.0, 0.25, 0.5, 1.0):
        assert meanings(np.array([[1, a], [a, 1]])) == pytest.approx(1 + (1 - a) / (1 + a))


def test_a_sure_and_an_unsure_model():
    sure = ask(ScriptedLM("In the hills."), likeness=equal)
    assert (sure.answer, sure.agreement, sure.meanings, sure.perplexity) == ("In the hills.", 1.0, 1.0, None)
    torn = ask(drawing({"north": 0.5, "south": 0.3, "east": 0.2}), draws=40, likeness=equal)
    assert torn.meanings == pytest.approx(len(set(torn.draws))) == 3
    assert torn.answer == "north"
    assert torn.agreement == torn.draws.count("north") / 40
    assert (
        ask(drawing({"north": 0.5, "south": 0.5}), draws=6).draws
        == ask(drawing({"north": 0.5, "south": 0.5}), draws=6).draws
    ), "the seeds make the draws"


def test_the_packaged_encoder_sees_what_is_said_in_other_words():
    pytest.importorskip("onnxruntime")
    alike = ask(drawing({"The cat sleeps.": 0.5, "The cat is sleeping.": 0.5}), draws=8)
    apart = ask(drawing({"The cat sleeps.": 0.5, "Interest rates rose by two points.": 0.5}), draws=8)
    assert 1 <= alike.meanings < apart.meanings - 0.3


def test_perplexity_is_that_of_the_tokens():
    reply = Reply("ab", tokens=(TokenScore("a", np.log(0.5)), TokenScore("b", np.log(0.125))))
    assert perplexity(reply) == pytest.approx(4.0)
    assert perplexity(Reply("ab")) is None


def test_bad_input_is_told():
    for wrong in ({"draws": 1}, {"temperature": 0.0}):
        with pytest.raises(OptionError, match="two or more draws"):
            ask(ScriptedLM("x"), **wrong)
    for matrix, told in ((np.ones((2, 3)), "symmetric square"), (2 * np.eye(2), "in \\[0, 1\\]")):
        with pytest.raises(OptionError, match=told):
            meanings(matrix)
