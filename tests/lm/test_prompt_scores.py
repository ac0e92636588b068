"""Endpoints that score prompts (`echo`, as vLLM's completions do): a bigram model of words with known probabilities."""

from __future__ import annotations

import asyncio
import itertools
import math
import re
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from tests.lm.faulty import Faulty, Handler

from ethogram.errors import BadReply
from ethogram.lm import LM, Broker
from ethogram.lm.endpoint import Endpoint
from ethogram.lm.probe import _scoring


def probability(before: str, word: str) -> float:
    """Any fixed number of two words will do."""
    return 0.05 + 0.9 * ((31 * len(before) + 17 * sum(map(ord, word))) % 97) / 97


def bigrams(cut: str = r"\s*\S+", broken: bool = False) -> Handler:
    """Tokens are words with the space before them; the first has no probability; one token is written behind."""

    async def handler(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        assert body["echo"] is True
        tokens = re.findall(cut, body["prompt"])
        offsets = np.cumsum([0, *map(len, tokens)]).tolist()
        scores = [None, *(math.log(probability(a, b)) for a, b in itertools.pairwise(tokens))]
        told = {
            "tokens": [*tokens, " written"], "token_logprobs": [*scores, -0.1], "text_offset": offsets,
        }  # fmt: skip
        choice = {"index": 0, "text": body["prompt"] + " written", "logprobs": None if broken else told}
        return web.json_response({"model": "m", "choices": [choice]})

    return handler


@pytest.fixture
def scorer(faulty: Faulty) -> LM:
    faulty.completion = bigrams()
    return LM.connect(faulty.url, model="m", broker=Broker.bare())


def test_the_probe_finds_out(faulty: Faulty) -> None:
    async def found() -> str:
        at = Endpoint(faulty.url, "m")
        try:
            return await _scoring(at, "m", llama=False)
        finally:
            await at.close()

    assert asyncio.run(found()) == "none"
    faulty.completion = bigrams()
    assert asyncio.run(found()) == "echo"
    faulty.completion = bigrams(broken=True)
    assert asyncio.run(found()) == "none"


def test_a_continuation_is_worth_the_sum_of_its_tokens(scorer: LM) -> None:
    found = scorer.sync.logprob("the cat", [" sat", " sat down", " ran"])
    sat, down, ran = (math.log(probability(a, b)) for a, b in ((" cat", " sat"), (" sat", " down"), (" cat", " ran")))
    assert found.method == "echo"
    np.testing.assert_allclose(found.logprob, [sat, sat + down, ran])
    assert found.tokens.tolist() == [1, 2, 1]
    assert [t.token for t in found.by_token[1]] == [" sat", " down"]


def test_a_token_across_the_border_counts(scorer: LM) -> None:
    found = scorer.sync.logprob("the ca", ["t", "r"])
    np.testing.assert_allclose(found.logprob, [math.log(probability("the", w)) for w in (" cat", " car")])


def test_options_are_chosen_by_it(scorer: LM) -> None:
    found = scorer.sync.choose("Which animal? The", ["cat", "horse"])
    assert found.method == "prompt_logprobs"
    assert found.probabilities.sum() == pytest.approx(1)
    assert (found.probabilities > 0).all()


def test_an_endpoint_that_stops_telling_is_told_of(faulty: Faulty, scorer: LM) -> None:
    scorer.sync.logprob("the cat", [" sat"])
    faulty.completion = bigrams(broken=True)
    with pytest.raises(BadReply, match="no log-probabilities of the prompt"):
        scorer.sync.logprob("the cat", [" ran"])
