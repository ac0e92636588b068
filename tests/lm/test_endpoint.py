"""What an endpoint can do wrong, and the one line that is said of it."""

import asyncio
import time

import pytest
from tests.lm.faulty import Faulty, delta, events, raw, refusing, said, then

from ethogram.errors import (
    BadReply,
    ContextExceeded,
    EndpointBusy,
    EndpointDown,
    EndpointRefused,
    LMError,
    OptionError,
    UnknownName,
)
from ethogram.lm import LM, Broker, Limits, Retries

QUICK = Retries(tries=3, first=0.001)


def lm(server: Faulty, **options) -> LM:
    return LM.connect(server.url, model="m", broker=Broker.bare(retries=QUICK, **options))


def fails(model: LM, kind: type[LMError]) -> str:
    with pytest.raises(kind) as caught:
        model.sync.chat("hi")
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)
    return str(caught.value)


def test_down():
    model = LM.connect("http://127.0.0.1:9/v1", model="m", broker=Broker.bare(retries=QUICK))
    assert "nothing answers at http://127.0.0.1:9/v1" in fails(model, EndpointDown)


def test_401_says_where_a_key_goes(faulty: Faulty):
    faulty.handler = refusing(401, "Incorrect API key")
    told = fails(lm(faulty), EndpointRefused)
    assert "a key is needed" in told
    assert f"ETHOGRAM_KEY_127_0_0_1_{faulty.port}" in told
    assert len(faulty.seen) == 1  # asking again would not help


def test_429_waits_as_long_as_it_was_told(faulty: Faulty):
    faulty.handler = then(refusing(429, "slow down", **{"Retry-After": "0.3"}), faulty.hello)
    began = time.perf_counter()
    reply = lm(faulty).sync.chat("hi")
    assert reply.text == "hello"
    assert reply.tries == 2
    assert 0.3 <= time.perf_counter() - began < 20


def test_retry_after_holds_back_the_other_calls_too(faulty: Faulty):
    faulty.handler = then(refusing(429, "slow", **{"Retry-After": "0.3"}), faulty.hello)
    model = lm(faulty)

    async def both():
        first = asyncio.create_task(model.chat("one"))
        while not faulty.seen:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        began = time.perf_counter()
        await model.chat("two")
        await first
        return time.perf_counter() - began

    assert asyncio.run(both()) >= 0.2


def test_a_demand_beyond_patience_ends_the_call(faulty: Faulty):
    faulty.handler = refusing(429, "tomorrow", **{"Retry-After": "86400"})
    assert "answered 429: tomorrow" in fails(lm(faulty), EndpointBusy)
    assert len(faulty.seen) == 1


def test_a_storm_of_500_is_ridden_out_or_reported(faulty: Faulty):
    faulty.handler = then(refusing(500), refusing(503), faulty.hello)
    assert lm(faulty).sync.chat("hi").tries == 3
    faulty.handler = refusing(500, "overloaded")
    assert "answered 500: overloaded" in fails(lm(faulty), EndpointBusy)


@pytest.mark.parametrize("payload", [b'{"choices": [{"mess', b"<html>gateway</html>", b"", b'{"choices": []}', b"[1]"])
def test_half_a_reply(faulty: Faulty, payload: bytes):
    faulty.handler = raw(payload)
    fails(lm(faulty), BadReply)


def test_half_a_reply_is_asked_for_again(faulty: Faulty):
    faulty.handler = then(raw(b'{"choices": [{"mess'), faulty.hello)
    assert lm(faulty).sync.chat("hi").text == "hello"


def test_a_silent_endpoint(faulty: Faulty):
    async def silent(request, body):
        await asyncio.sleep(5)

    faulty.handler = silent
    model = LM.connect(faulty.url, model="m", broker=Broker.bare(retries=Retries(tries=1), timeout=0.2))
    assert "did not answer within 0.2 s" in fails(model, EndpointDown)


def test_a_stream_arrives_in_pieces_and_is_kept_whole(faulty: Faulty):
    faulty.handler = events(delta("one "), delta("two"))
    model = LM.connect(faulty.url, model="m")
    assert list(model.sync.stream("count")) == ["one ", "two"]
    assert faulty.seen[0]["stream"] is True
    reply = model.sync.chat("count")
    assert (reply.text, reply.source) == ("one two", "cache")
    assert list(model.sync.stream("count")) == ["one two"]
    assert len(faulty.seen) == 1


def test_a_stream_that_stalls(faulty: Faulty):
    faulty.handler = events(delta("one "), stall=5)
    model = lm(faulty, timeout=0.3)
    pieces = model.sync.stream("count")
    assert next(pieces) == "one "
    with pytest.raises(EndpointDown, match=r"stalled: nothing came for 0\.3 s"):
        next(pieces)


def test_a_stream_that_breaks_off_is_not_an_answer(faulty: Faulty):
    faulty.handler = events(delta("one "), end=False)
    model = LM.connect(faulty.url, model="m")
    with pytest.raises(BadReply, match="ended before its end mark"):
        list(model.sync.stream("count"))
    faulty.handler = faulty.hello
    assert model.sync.chat("count").source == "live"


def test_a_prompt_longer_than_the_context(faulty: Faulty):
    faulty.handler = refusing(400, "This model's maximum context length is 4096 tokens, you asked for 9000")
    assert "longer than the context" in fails(lm(faulty), ContextExceeded)


def test_models(faulty: Faulty):
    faulty.models = ["small", "large"]
    with pytest.raises(UnknownName, match=r"'smal'\. Did you mean 'small'\?"):
        LM.connect(faulty.url, model="smal", broker=Broker.bare()).sync.chat("hi")
    with pytest.raises(OptionError, match="several models, say model=: small, large"):
        LM.connect(faulty.url, broker=Broker.bare()).sync.chat("hi")
    faulty.models = ["only"]
    LM.connect(faulty.url, broker=Broker.bare()).sync.chat("hi")
    assert faulty.seen[-1]["model"] == "only"
    LM.connect(faulty.url, model="only-x", broker=Broker.bare()).sync.chat("hi")
    assert faulty.seen[-1]["model"] == "only-x"


@pytest.mark.parametrize("url", ["http://", "http://user:secret@host/v1"])
def test_urls(url: str):
    with pytest.raises(OptionError) as caught:
        LM.connect(url)
    assert "secret" not in str(caught.value)


def test_what_is_sent(faulty: Faulty):
    async def echo(request, body):
        return_body = said(str(body["max_tokens"]))
        return_body["choices"][0]["logprobs"] = {
            "content": [{"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "b", "logprob": -1.0}]}]
        }
        from aiohttp import web

        return web.json_response(return_body)

    faulty.handler = echo
    reply = lm(faulty).sync.chat(
        [{"role": "user", "content": "q"}], system="s", seed=3, top_p=0.9, stop=["."], max_tokens=7, logprobs=2
    )
    assert faulty.seen == [
        {
            "model": "m",
            "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}],
            "temperature": 0.0,
            "max_tokens": 7,
            "top_p": 0.9,
            "stop": ["."],
            "seed": 3,
            "logprobs": True,
            "top_logprobs": 2,
        }
    ]
    assert (reply.text, reply.usage.total, reply.tokens[0].top) == ("7", 5, (("b", -1.0),))


def test_a_stream_that_is_left_gives_its_place_back(faulty: Faulty):
    faulty.handler = events(delta("one "), delta("two"), stall=0.2)
    model = lm(faulty, limits=Limits(concurrency=1))

    async def leave():
        async for _ in model.stream("count"):
            break
        faulty.handler = faulty.hello
        return await asyncio.wait_for(model.chat("next"), 3)

    assert asyncio.run(leave()).text == "hello"
