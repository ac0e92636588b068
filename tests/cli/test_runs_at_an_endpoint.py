"""Runs whose people are played by a model behind a real HTTP server: what goes wrong there, and the replay without."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from aiohttp import web
from tests.lm.faulty import Faulty, said

import ethogram
from ethogram.lm import Retries
from ethogram.lm.transcript import Recording

RUN = ("simulate", "friendship_paradox", "--people", 30, "--minds", 1, "--minutes", 10, "--rest", 1, "--seed", 3)


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("ETHOGRAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("ethogram.lm.broker.Retries", lambda: Retries(first=0.001))
    monkeypatch.setenv("ETHOGRAM_KEYS", str(tmp_path / "keys.toml"))
    made = Faulty()
    made.handler = Talker()
    yield made
    if made.port:
        made.stop()


class Talker:
    """As servers with constrained decoding: an option of the schema, or words; ever others, so that no prompt recurs.

    The calls of the first decision after `at` calls are answered by `how`.
    """

    def __init__(self, at=10**9, how=None):
        self.at, self.how, self.calls, self.failing = at, how, 0, None

    async def __call__(self, request, body):
        self.calls += 1
        asked = body["messages"][-1]["content"]
        if self.calls >= self.at and self.failing is None and "In your feed" in asked and body.get("seed") == 1:
            self.failing = asked
        if self.failing == asked:
            return await self.how(request, body)
        shape = (body.get("response_format") or {}).get("json_schema", {}).get("schema", {})
        if "choice" in shape.get("properties", {}):
            options = shape["properties"]["choice"]["enum"]
            return web.json_response(said(json.dumps({"choice": options[self.calls // 5 % len(options)]})))
        return web.json_response(said('{"n": 7}' if shape else f"A good day, number {self.calls}."))


def counted(said):
    return {s: said.json["asked"]["sources"].get(s, 0) for s in ("model", "cache", "fallback")}


def test_an_answer_outside_the_schema_in_the_middle_is_counted_and_the_run_goes_on(call, server, folder):
    async def nonsense(request, body):
        return web.json_response(said("I would rather not say."))

    server.handler = Talker(170, nonsense)
    run = call(*RUN, "--until", 60, "--lm", server.url, "--out", "run", "--json", "-")
    assert run.code == 0
    assert run.json["ticks"] == 60
    found = counted(run)
    assert found["fallback"] == 1
    assert found["model"] + found["cache"] == 59
    # what it was, and where, stands in the log
    log = call("simulate", "run", "--until", 61, "--log", "log")
    assert log.code == 0
    rows = ethogram.Log.open(folder / "log").table().to_pylist()
    fell = [r for r in rows if r["actor"].startswith("fallback")]
    played = [r["time"] for r in rows if r["actor"] == "model:member"]
    assert min(played) < fell[0]["time"] < max(played)
    assert "AnswerError" in fell[0]["payload"]
    sent = len(server.seen)
    server.stop()
    server.port = 0
    shown = call("replay", "run", "--verify")
    assert "decided anew from the recorded answers: the same, to the last bit" in shown.out
    assert len(server.seen) == sent
    assert "nothing answers at" in call("simulate", "run", "--until", 200).err


def test_errors_timeouts_and_half_replies_fall_back_and_are_replayed(call, server):
    async def llama(request, body):  # as llama.cpp says it
        told = {"code": 400, "type": "exceed_context_size_error", "message": "the request exceeds the context size"}
        return web.json_response({"error": told}, status=400)

    async def hangs(request, body):
        await asyncio.sleep(5)
        return web.json_response(said())

    async def half(request, body):
        return web.Response(body=b'{"choices": [{"index": 0, "mess', content_type="application/json")

    for name, how, kind in (("a", llama, "ContextExceeded"), ("b", hangs, "EndpointDown"), ("c", half, "BadReply")):
        server.handler = Talker(50, how)
        run = call(*RUN, "--until", 12, "--lm", server.url, "--out", name, "--timeout", 0.2, "--json", "-")
        assert counted(run)["fallback"] == 1, (name, run.err)
        assert re.search(r"[1-9]\d* failed", run.err)
        assert "the same, to the last bit" in call("replay", name, "--verify").out, kind


def test_a_spent_budget_goes_on_with_the_embedded_model_and_is_replayed_without_either(call, server):
    pytest.importorskip("xllamacpp")
    server.handler = Talker()
    run = call(*RUN, "--until", 3, "--lm", f"{server.url},local", "--out", "run", "--budget", "calls=7,money=1e6",
               "--prices", 2, "--json", "-")  # fmt: skip
    assert run.code == 0
    assert counted(run)["fallback"] == 0, run.err
    sent = {name.partition(":")[0]: n for name, n in run.json["calls"]["models"].items()}
    assert sent["http"] == 7
    assert sent["gguf"] > 0
    kept = Recording(Path("run/calls.lmrun"), must=True)
    money = {name.partition(":")[0]: m for name, _, _, m in kept.models()}
    kept.close()
    assert money["http"] > money["gguf"] == 0
    server.stop()
    server.port = 0
    assert "the same, to the last bit" in call("replay", "run", "--verify").out


def test_what_is_wrong_from_the_beginning_begins_nothing(call, refused, server):
    assert "nothing answers at http://127.0.0.1:9/v1" in refused(*RUN, "--lm", "http://127.0.0.1:9/v1", "--out", "run")
    server.models = ["m", "n"]
    assert "has several models" in refused(*RUN, "--lm", server.url, "--out", "run")
    assert "Did you mean" in refused(*RUN, "--lm", f"{server.url}#mm", "--out", "run")
    assert "404" in refused(*RUN, "--lm", f"{server.url}/v2", "--out", "run")
    assert "--timeout 0" in refused(*RUN, "--timeout", 0)
    assert call(*RUN, "--lm", f"{server.url}#n", "--until", 1).code == 0
