"""Rules: patterns, policies, planted probabilities, and the same calls as any model has."""

import asyncio
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest

from ethogram.errors import CapabilityError, LMError, OptionError
from ethogram.lm import LM, Message, ScriptedLM, Tool, ToolCall
from ethogram.lm.scripted import Drawn


@dataclass
class City:
    name: str
    people: int


def test_patterns_are_tried_in_order():
    lm = ScriptedLM({"colour": "blue", ".": "what?"})
    assert [lm.sync.chat(q).text for q in ("Which COLOUR?", "and?")] == ["blue", "what?"]
    assert lm.asked[0] == (Message("user", "Which COLOUR?"),)
    with pytest.raises(LMError, match="no rule matches: 'b'; known: a"):
        ScriptedLM({"a": "1"}).sync.chat("b")


def test_values_are_typed_answers():
    lm = ScriptedLM({"where": {"name": "Turin", "people": 860_000}, "red": "red", "how many": 3})
    assert lm.sync.answer("where?", City).value == City("Turin", 860_000)
    assert lm.sync.answer("red or blue?", Literal["red", "blue"]).value == "red"
    assert lm.sync.answer("how many?", int).value == 3


def test_a_policy_draws_by_the_question_alone():
    def policy(messages, rng):
        return rng.choice("abcdefgh")

    lm, same = ScriptedLM(policy), ScriptedLM(policy)
    questions = [f"question {i}" for i in range(40)]
    first = [lm.sync.chat(q).text for q in questions]
    assert first == [same.sync.chat(q).text for q in reversed(questions)][::-1]
    assert len(set(first)) > 3
    assert first != [ScriptedLM(policy, seed=1).sync.chat(q).text for q in questions]


def test_a_planted_probability_is_recovered():
    lm = ScriptedLM(lambda m, rng: Drawn(yes=0.7, no=0.3))
    drawn = [lm.sync.chat(f"{i}?").text for i in range(1_000)]
    share = drawn.count("yes") / 1_000
    assert abs(share - 0.7) < 3 * (0.7 * 0.3 / 1_000) ** 0.5
    choice = lm.sync.choose("?", ["yes", "no"], draws=200)
    assert choice.method == "constrained"
    assert abs(choice.probabilities[0] - 0.7) < 3 * (0.7 * 0.3 / 200) ** 0.5


def test_a_rater_scores_continuations():
    lm = ScriptedLM("", rater=lambda prompt, texts: [-float(len(t)) for t in texts])
    scores = lm.sync.logprob("say", ["a", "bcd"])
    np.testing.assert_array_equal(scores.logprob, [-1, -3])
    choice = lm.sync.choose("which?", ["no", "yes!"])
    np.testing.assert_allclose(choice.probabilities, np.exp([-2, -4]) / np.exp([-2, -4]).sum())
    assert choice.method == "prompt_logprobs"
    with pytest.raises(CapabilityError, match="no rater"):
        ScriptedLM("").sync.logprob("say", "a")


def test_tools_are_called():
    tool = Tool("weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
    lm = ScriptedLM(lambda m, rng: ToolCall("weather", {"city": "Oslo"}))
    reply = lm.sync.chat("Oslo?", tools=[tool])
    assert reply.finish == "tool_calls"
    assert reply.calls[0].arguments == {"city": "Oslo"}


def test_names(tmp_path):
    assert LM.connect("scripted:yes").sync.chat("?").text == "yes"
    assert LM.connect("scripted:echo").sync.chat("hello").text == "hello"
    rules = tmp_path / "rules.json"
    rules.write_text('{"a": "1", ".": "2"}')
    assert LM.connect(f"scripted:{rules}").sync.chat("b").text == "2"
    with pytest.raises(OptionError, match="cannot be read as rules"):
        LM.connect("scripted:none.json")
    with pytest.raises(OptionError, match=r"is not where a model is\. A file of weights is 'local:PATH\.gguf'"):
        LM.connect("model.gguf")


def test_asynchronous_and_blocking_calls_agree():
    lm = ScriptedLM("yes")

    async def both():
        return (await lm.chat("?")).text, [p async for p in lm.stream("?")]

    assert asyncio.run(both()) == ("yes", ["yes"])
    assert list(lm.sync.stream("?")) == ["yes"]
