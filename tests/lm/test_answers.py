"""Typed answers: validated after decoding, asked for again, and honest about what held the decoder."""

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
from aiohttp import web
from pydantic import BaseModel, Field
from tests.lm.faulty import Faulty, said, then

from ethogram.errors import AnswerError, CapabilityError, ContextExceeded, OptionError, SchemaError
from ethogram.lm import LM, Broker, Capabilities, ScriptedLM
from ethogram.lm.schemas import Invalid, shape, unsatisfiable


class Visit(BaseModel):
    place: str = Field(description="where")
    rating: Annotated[int, Field(ge=1, le=5)]


@dataclass
class Trip:
    visits: list[Visit]
    mode: Literal["train", "car"] = "train"


ENDLESS = {"$ref": "#/$defs/t", "$defs": {"t": {"properties": {"t": {"$ref": "#/$defs/t"}}, "required": ["t"]}}}


def test_shapes_of_types():
    assert shape(Visit).json == {
        "type": "object",
        "properties": {
            "place": {"type": "string", "description": "where"},
            "rating": {"type": "integer", "minimum": 1, "maximum": 5},
        },
        "required": ["place", "rating"],
        "additionalProperties": False,
    }
    assert shape(Visit).closed
    assert not shape(Trip).closed  # mode may be left out
    assert shape(Trip).read('{"visits": [{"place": "Rome", "rating": 5}]}') == Trip([Visit(place="Rome", rating=5)])
    assert shape(Literal["a", "b"]).read('{"value": "b"}') == "b"
    assert shape(list[int]).read("[1, 2]") == [1, 2]
    assert shape({"type": "integer"}).read('{"value": 4}') == 4


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"place": "Rome", "rating": 9}', "rating: Input should be less than or equal to 5"),
        ('{"rating": 3}', "place: Field required"),
        ("no idea", "not JSON"),
        ('{"place": "Ro', "not JSON"),
        ("7", "the answer"),
    ],
)
def test_what_is_wrong_is_said(text: str, where: str):
    with pytest.raises(Invalid, match=where):
        shape(Visit).read(text)


def test_json_is_found_among_words():
    assert shape(Visit).read('Sure! {"place": "Rome", "rating": 3} Hope it helps.').rating == 3


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"enum": []}, "an empty enum at value"),
        ({"type": "object", "properties": {"a": {"minLength": 3, "maxLength": 2}}, "required": ["a"]}, "minLength 3"),
        ({"type": "object", "required": ["b"], "properties": {}, "additionalProperties": False}, "field b is required"),
        (ENDLESS, "without end"),
        ({"type": "array", "minItems": 1, "items": False}, r"false at value\[\]"),
        ({"anyOf": [{"enum": []}, False]}, "an empty enum"),
        ({"type": "intger"}, "not a JSON schema"),
        (object(), "cannot be read as a schema"),
    ],
)  # fmt: skip
def test_what_no_text_satisfies_is_refused_before_it_is_asked(schema, where: str):
    lm = ScriptedLM("x")
    with pytest.raises(SchemaError, match=where):
        lm.sync.answer("?", schema)
    assert lm.asked == []


def test_what_can_be_satisfied_is_not_refused():
    tree = {"$ref": "#/$defs/t", "$defs": {"t": {"properties": {"t": {"$ref": "#/$defs/t"}}}}}
    for schema in (tree, {"anyOf": [{"enum": []}, {"type": "string"}]}, {"minimum": 2, "maximum": 2}, True):
        assert unsatisfiable(schema) == ""


def test_a_wrong_answer_is_told_why_and_asked_again():
    replies = iter(['{"place": "Rome", "rating": 9}', '{"place": "Rome", "rating": 5}'])
    lm = ScriptedLM(lambda m, rng: next(replies))
    answer = lm.sync.answer("?", Visit)
    assert (answer.value.rating, answer.attempts, answer.constrained) == (5, 2, True)
    second = lm.asked[1]
    assert [m.role for m in second] == ["user", "assistant", "user"]
    assert second[1].text == '{"place": "Rome", "rating": 9}'
    assert "rating: Input should be less than or equal to 5" in second[2].text


def test_attempts_end():
    lm = ScriptedLM("never JSON")
    with pytest.raises(AnswerError, match=r"no valid answer in 2 attempts \(json_schema\): the answer is not JSON"):
        lm.sync.answer("?", Visit, attempts=2)


def known(lm: LM, **facts) -> LM:
    lm._facts = Capabilities("openai", **facts)
    return lm


def test_the_decoder_is_held_where_it_can_be(faulty: Faulty):
    async def answers(request, body):
        return web.json_response(said('{"place": "Rome", "rating": 2}'))

    faulty.handler = answers
    lm = LM.connect(faulty.url, model="m", broker=Broker.bare())
    held = known(lm, json_schema=True).sync.answer("?", Visit)
    assert (held.constrained, held.reply.constrained, held.method) == (True, True, "json_schema")
    sent = faulty.seen[-1]["response_format"]["json_schema"]
    assert (sent["strict"], sent["schema"]) == (True, shape(Visit).json)
    loose = known(lm, json_object=True).sync.answer("?", Visit)
    assert (loose.constrained, loose.method) == (False, "json_object")
    assert faulty.seen[-1]["response_format"] == {"type": "json_object"}
    free = known(lm).sync.answer("?", Visit)
    assert (free.constrained, free.reply.constrained, free.method) == (False, False, "prompted")
    assert "response_format" not in faulty.seen[-1]
    assert '"rating"' in faulty.seen[-1]["messages"][-1]["content"]


def test_an_answer_that_was_cut_gets_more_room(faulty: Faulty):
    async def cut(request, body):
        return web.json_response(said('{"place": "Ro', finish_reason="length"))

    async def whole(request, body):
        return web.json_response(said('{"place": "Rome", "rating": 2}'))

    faulty.handler = then(cut, whole)
    lm = known(LM.connect(faulty.url, model="m", broker=Broker.bare()), json_schema=True)
    assert lm.sync.answer("?", Visit, max_tokens=10).attempts == 2
    assert [b["max_tokens"] for b in faulty.seen] == [10, 20]
    faulty.handler = cut
    with pytest.raises(ContextExceeded, match="no more fit"):
        known(lm, json_schema=True, context=64).sync.answer("?", Visit, max_tokens=32)


def test_choices_by_letters(faulty: Faulty):
    async def letters(request, body):
        order = body["messages"][-1]["content"]
        best = "A" if order.index("tea") < order.index("coffee") else "B"
        top = [{"token": best, "logprob": -0.105}, {"token": " " + ("B" if best == "A" else "A"), "logprob": -3.0}]
        return web.json_response(
            said(best, logprobs={"content": [{"token": best, "logprob": -0.1, "top_logprobs": top}]})
        )

    faulty.handler = letters
    lm = known(LM.connect(faulty.url, model="m", broker=Broker.bare()), top_logprobs=20)
    choice = lm.sync.choose("Which?", ["tea", "coffee"])
    assert (choice.option, choice.method, choice.constrained) == ("tea", "first_token", True)
    assert choice.probabilities == pytest.approx([0.9 / 0.95, 0.05 / 0.95], abs=2e-3)
    assert choice.mass == pytest.approx(0.95, abs=1e-3)
    both = lm.sync.choose("Which?", ["tea", "coffee"], permutations=2)
    assert both.option == "tea"  # the content decides, the place does not
    assert len(faulty.seen) == 3


def test_rotations_cancel_a_preference_for_the_first_place():
    lm = ScriptedLM(
        "",
        rater=lambda prompt, texts: [
            -1.0 if prompt.rfind(t) == min(prompt.rfind(u) for u in texts) else -3.0 for t in texts
        ],
    )
    assert lm.sync.choose("Which?", ["x1", "x2", "x3"]).probabilities.max() > 0.7
    even = lm.sync.choose("Which?", ["x1", "x2", "x3"], permutations=3)
    assert even.probabilities == pytest.approx([1 / 3] * 3)


def test_choices_that_are_read(faulty: Faulty):
    texts = iter(["I would say Tea.", "tea", "coffee or tea", "COFFEE", "nothing"])

    async def words(request, body):
        return web.json_response(said(next(texts)))

    faulty.handler = words
    lm = known(LM.connect(faulty.url, model="m", broker=Broker.bare()))
    choice = lm.sync.choose("Which?", ["tea", "coffee"])
    assert (choice.method, choice.constrained, choice.mass) == ("parsed", False, 0.6)
    assert choice.probabilities == pytest.approx([2 / 3, 1 / 3])


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ([{"content": "hi"}], "a message has a role, one of system, user, assistant, tool"),
        ([{"role": "bot", "content": "hi"}], "a message has a role"),
        (["hi"], "a message has a role"),
        ([{"role": "user", "content": [{"type": "text"}]}], "content is a text, not list"),
    ],
)
def test_what_is_no_message(said, told):
    with pytest.raises(OptionError, match=told):
        ScriptedLM("x").sync.chat(said)


@pytest.mark.parametrize("wrong", [{"temperature": -1.0}, {"top_p": 0.0}, {"max_tokens": 0}])
def test_sampling_that_makes_no_sense(wrong):
    with pytest.raises(OptionError, match="must be 0 or more"):
        ScriptedLM("x").sync.chat("hi", **wrong)


def test_options_of_a_connection():
    with pytest.raises(OptionError, match=r"unknown option of 'http' 'lane'\. Did you mean 'lanes'\?"):
        LM.connect("http://127.0.0.1:9/v1", lane=3)
    with pytest.raises(OptionError, match=r"'contxt'\. Did you mean 'context'\?"):
        LM.connect("local", contxt=64)
    with pytest.raises(OptionError, match="slots 0 must be 1 or more"):
        LM.connect("local", slots=0)


def test_bad_questions():
    lm = ScriptedLM("x")
    for options in ([], ["a"], ["a", "a"], ["a", " "]):
        with pytest.raises(OptionError, match="two or more different"):
            lm.sync.choose("?", options)
    with pytest.raises(OptionError, match=r"unknown method 'first'\. Did you mean 'first_token'"):
        lm.sync.choose("?", ["a", "b"], method="first")
    with pytest.raises(CapabilityError, match="it can by constrained, parsed"):
        lm.sync.choose("?", ["a", "b"], method="prompt_logprobs")
