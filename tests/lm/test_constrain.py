"""Decoding under a language, on a random decoder: it would write noise, so that only the mask keeps form."""

import json
import re

import numpy as np
import pytest

from ethogram.errors import OptionError, SchemaError

pytest.importorskip("llguidance")
pytest.importorskip("transformers")

from ethogram.lm import LM
from ethogram.lm.broker import Broker
from ethogram.lm.constrain import Guide, Language, masking, write
from ethogram.lm.tiny import decoder, saved, tokenizer

SCHEMA = {
    "type": "object",
    "properties": {
        "verdict": {"enum": ["buy", "wait"]},
        "stars": {"type": "integer", "minimum": 1, "maximum": 5},
        "why": {"type": "string", "maxLength": 8},
    },
    "required": ["verdict", "stars", "why"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def face(tmp_path_factory):
    words = tokenizer()
    return saved(decoder(len(words), layers=1, width=16), words, tmp_path_factory.mktemp("tiny"))


@pytest.mark.parametrize("seed", range(6))
def test_json_of_a_schema_is_whole_and_in_order(face, seed):
    made = write(face, "a", Language.schema(SCHEMA), temperature=1.0, seed=seed, max_tokens=200)
    assert made.whole
    value = json.loads(made.text)
    assert list(value) == ["verdict", "stars", "why"]
    assert value["verdict"] in ("buy", "wait")
    assert 1 <= value["stars"] <= 5
    assert len(value["why"]) <= 8
    assert 0 < made.mass < 1


def test_free_writing_keeps_no_form(face):
    ids, _, _ = face.write(face.ids("a"), max_tokens=60, temperature=1.0, seed=0)
    with pytest.raises(ValueError):
        json.loads(face.model_and_tokenizer[1].decode(ids))


@pytest.mark.parametrize(
    ("language", "form"),
    [
        (Language.regex("[A-C]{2}-[0-9]{3}"), "[A-C]{2}-[0-9]{3}"),
        (Language.choices(["yes", "no", "don't know (yet)"]), r"yes|no|don't know \(yet\)"),
        (Language.lark('start: "(" start ")" | "x"\n'), r"\(*x\)*"),
        (Language.regex("[äöü東]{3}"), "[äöü東]{3}"),
    ],
)
def test_patterns_choices_and_grammars(face, language, form):
    texts = {write(face, "a", language, temperature=1.5, seed=s, max_tokens=40).text for s in range(5)}
    whole = [t for t in texts if re.fullmatch(form, t)]
    assert len(whole) == len([t for t in texts if len(t.encode()) < 40])
    assert len(texts) > 1


def test_allowed_tokens_are_exactly_the_prefixes(face):
    """Byte tokens can be tried one by one: allowed is what some text of the language begins with."""
    texts = ["cat", "cart", "dog"]
    guide, words = Guide(face, Language.choices(texts)), face.model_and_tokenizer[1]
    written = ""
    for letter in "cart":
        allowed = {words.decode([int(i)]) for i in np.flatnonzero(guide.allowed())}
        assert allowed == {t[len(written)] for t in texts if t.startswith(written) and len(t) > len(written)}
        assert not guide.whole
        guide.take(face.ids(letter)[0])
        written += letter
    assert guide.whole
    assert np.flatnonzero(guide.allowed()).tolist() == [guide.end]
    with pytest.raises(OptionError, match="not allowed"):
        guide.take(face.ids("z")[0])


def test_log_probability_is_that_of_the_free_model(face):
    made = write(face, "a", Language.choices(["dog"]), max_tokens=10)
    assert made.text == "dog"
    free = sum(face.score(face.ids("a"), [face.ids("dog")])[0])
    assert made.logprob == pytest.approx(free, abs=1e-4)


def test_a_cut_text_is_not_called_whole(face):
    assert not write(face, "a", Language.regex("x{50}"), max_tokens=10).whole


def test_a_connection_in_torch_holds_typed_answers(face):
    lm = LM(type(face)(str(face.path), masking=masking), Broker.bare())
    assert lm.sync.capabilities().json_schema
    found = lm.sync.answer("Buy?", SCHEMA, max_tokens=200)
    assert found.constrained
    assert found.value["verdict"] in ("buy", "wait")
    reply = lm.sync.chat("Buy?", extra={"regex": "[0-9]{3}"}, max_tokens=20)
    assert re.fullmatch("[0-9]{3}", reply.text)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Language.regex("(unclosed"),
        lambda: Language.schema({"type": "no such type"}),
        lambda: Language.schema({"enum": []}),
        lambda: Language.lark("start: missing_rule"),
    ],
)
def test_what_no_text_satisfies_is_refused(make):
    with pytest.raises(SchemaError, match="cannot be decoded under"):
        make()


def test_an_empty_choice_is_refused():
    with pytest.raises(OptionError, match="non-empty"):
        Language.choices(["a", ""])
