"""Sentence vectors: their meaning, that they are kept, and that they depend on their text alone."""

import asyncio

import numpy as np
import pytest
from aiohttp import web
from tests.lm.faulty import Faulty

from ethogram.errors import BadReply, CapabilityError, OptionError, UnknownName
from ethogram.lm import LM, Broker, Capabilities, ScriptedLM
from ethogram.lm import embed as encoding
from ethogram.lm.embed import embed, tokenizer

TEXTS = ["a man plays the guitar", "somebody is playing music", "the price of copper fell", "a man plays the guitar"]


def test_meaning_is_near():
    vectors = embed(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (4, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    near = vectors @ vectors.T
    assert near[0, 1] > 0.4 > 0.2 > near[0, 2]
    np.testing.assert_array_equal(vectors[0], vectors[3])


def test_a_vector_depends_on_its_text_alone():
    alone = embed(TEXTS[:1], keep=False)
    np.testing.assert_array_equal(alone[0], embed([*TEXTS[1:3], "x" * 3_000, TEXTS[0]], keep=False)[3])


def test_vectors_are_kept(monkeypatch: pytest.MonkeyPatch):
    first = embed(TEXTS)

    def broken(*_: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(encoding._MiniLM, "encode", broken)
    np.testing.assert_array_equal(embed(TEXTS[::-1]), first[::-1])


def test_odd_texts():
    assert np.isfinite(embed(["", "\0", "\ud800", "日本語", "word " * 2_000], keep=False)).all()
    assert embed([]).shape == (0, 384)
    with pytest.raises(OptionError, match="number 1 is int"):
        embed(["a", 1])
    with pytest.raises(UnknownName, match=r"'minilmm'\. Did you mean 'minilm'"):
        embed(["a"], "minilmm")


def test_word_pieces():
    cut = tokenizer().encode("Unaffable, naïve!")
    assert cut.tokens == ["[CLS]", "una", "##ffa", "##ble", ",", "naive", "!", "[SEP]"]
    assert len(tokenizer().encode("word " * 1_000).ids) == 256


def test_hashed_letters_need_no_model():
    vectors = embed(["red shoes", "a red shoe", "green tea"], "hash")
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_a_model_embeds_by_the_package_or_by_its_endpoint(faulty: Faulty):
    assert asyncio.run(ScriptedLM("x").embed(["a"])).shape == (1, 384)
    with pytest.raises(CapabilityError, match="use encoder='minilm'"):
        ScriptedLM("x").sync.embed(["a"], encoder="endpoint")
    replies = iter([[3.0, 4.0], [0.0, 0.0]])

    async def vectors(request: web.Request, body: dict) -> web.Response:
        return web.json_response({"data": [{"embedding": next(replies)}], "usage": {"prompt_tokens": 1}})

    faulty.embedding = vectors
    lm = LM.connect(faulty.url, model="m", broker=Broker())
    lm._facts = Capabilities("openai", embeddings=True)
    found = lm.sync.embed(["a", "a"], encoder="endpoint")
    np.testing.assert_allclose(found, [[0.6, 0.8]] * 2)
    with pytest.raises(BadReply, match="without a direction"):
        lm.sync.embed(["b"], encoder="endpoint")
