"""What is wrong gets a clear answer, nothing of it is stored, and the service goes on."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from tests.serve.web.conftest import event

from ethogram.serve.limits import Limits


def many(n: int) -> bytes:
    return json.dumps({"candidates": list(map(str, range(n)))}).encode()


def posted(*events: object) -> bytes:
    return json.dumps({"events": events}).encode()


DEEP = {"note": json.loads("[" * 40 + "]" * 40)}
BAD = {
    # name: (path, body, status, where, a word of what is said)
    "malformed": ("/v1/events", b'{"events": [', 400, "body", "JSON"),
    "empty body": ("/v1/events", b"", 400, "body", "empty"),
    "not utf-8": ("/v1/rank", b'{"candidates": ["\xff"]}', 400, "body", "read"),
    "nested without end": ("/v1/events", b'{"events":' + b"[" * 100_000, 400, "body", "nested"),
    "a list": ("/v1/rank", b"[1]", 422, "$", "a list"),
    "no events": ("/v1/events", b"{}", 422, "$.events", "missing"),
    "events are text": ("/v1/events", b'{"events": "e1"}', 422, "$.events", "list"),
    "no event in it": ("/v1/events", posted(), 422, "$.events", "no events"),
    "a stray field": ("/v1/events", b'{"events": [], "evnts": 1}', 422, "$", "evnts"),
    "an event is a number": ("/v1/events", posted(event(1), 5), 422, "$.events[1]", "whole number"),
    "a user is a number": ("/v1/events", posted(event(1), event(2, user_id=7)), 422, "$.events[1].user_id", "text"),
    "a kind is missing": (
        "/v1/events", posted({k: v for k, v in event(1).items() if k != "kind"}), 422, "$.events[0]", "'kind'"
    ),
    "a user of 10,000 characters": (
        "/v1/events", posted(event(1, user_id="u" * 10_000)), 422, "$.events[0].user_id", "256"
    ),
    "an empty id": ("/v1/events", posted(event(1, event_id="")), 422, "$.events[0].event_id", "length"),
    "NUL in an id": ("/v1/events", posted(event(1, user_id="u\0x")), 422, "$.events[0].user_id", "control character"),
    "a line end behind an id": ("/v1/events", posted(event(1, item_id="i\n")), 422, "$.events[0].item_id", "control"),
    "half a pair of UTF-16": (
        "/v1/events", b'{"events": [{"event_id": "\\ud83d, and nothing behind it"}]}', 400, "body", "surrogate"
    ),
    "a future time": (
        "/v1/events", posted(event(1, time=time.time() + 86_400)), 422, "$.events[0].time", "in the future"
    ),
    "a time without a zone": (
        "/v1/events", posted(event(1, time="2026-01-01T00:00:00")), 422, "$.events[0].time", "zone"
    ),
    "no time": ("/v1/events", posted(event(1, time="soon")), 422, "$.events[0].time", "no time"),
    "a month too many": (
        "/v1/events", posted(event(1, time="2026-13-01T00:00:00Z")), 422, "$.events[0].time", "no time"
    ),
    "a time before time": ("/v1/events", posted(event(1, time=-5)), 422, "$.events[0].time", ">= 0"),
    "a time beyond calendars": ("/v1/events", posted(event(1, time=1e300)), 422, "$.events[0].time", "<="),
    "the service's own kind": ("/v1/events", posted(event(1, kind="decision")), 422, "$.events[0].kind", "own"),
    "two contents in one batch": (
        "/v1/events", posted(event(1), event(1, item_id="9")), 409, "$.events[1].event_id", "two contents"
    ),
    "too many events": ("/v1/events", posted(*map(event, range(1_001))), 413, "$.events", "1,001"),
    "an event too large": ("/v1/events", posted(event(1, note="x" * 20_000)), 413, "$.events[0]", "bytes"),
    "an event too deep": ("/v1/events", posted(event(1, **DEEP)), 422, "$.events[0]", "deep"),
    "10 MB": ("/v1/events", b'{"events": "' + b"x" * 10_000_000 + b'"}', 413, "body", "longer"),
    "100,000 candidates": ("/v1/rank", many(100_000), 413, "$.candidates", "100,000"),
    "no candidates": ("/v1/rank", b'{"candidates": []}', 422, "$.candidates", "length"),
    "candidates of candidates": ("/v1/rank", b'{"candidates": [["a"]]}', 422, "$.candidates[0]", "a list"),
    "a misspelt field": ("/v1/rank", b'{"candidates": ["1"], "usr": "u"}', 422, "$", "'usr'"),
    "a path for a model": ("/v1/rank", b'{"candidates": ["1"], "model": "../../etc/passwd"}', 422, "$.model", "names"),
    "no such model": ("/v1/rank", b'{"candidates": ["1"], "model": "nobody"}', 404, "$.model", "no model"),
    "a model that cannot": ("/v1/recommend", b'{"model": "rank"}', 422, "$.model", "cannot recommend"),
    "k below 1": ("/v1/recommend", b'{"k": 0}', 422, "$.k", ">= 1"),
    "k of a million": ("/v1/recommend", b'{"k": 1000000}', 422, "$.k", "1,000,000"),
    "a past without a zone": (
        "/v1/rank", b'{"candidates": ["1"], "history": [{"item_id": "1", "time": "2026-01-01"}]}', 422,
        "$.history[0].time", "zone",
    ),
    "context in layers": (
        "/v1/rank", b'{"candidates": ["1"], "context": {"hour": {"a": 1}}}', 422, "$.context.hour", "single value"
    ),
    "a misspelt past": (
        "/v1/rank", b'{"candidates": ["1"], "history": [{"item_id": "1", "knid": "x"}]}', 422, "$.history[0]", "knid"
    ),
    "a user of NUL": ("/v1/recommend", b'{"user_id": "\\u0000"}', 422, "$.user_id", "control"),
    "a version that is a path": ("/v1/models/rank/activate", b'{"version": "../find"}', 422, "$.version", "names"),
    "a version that is not there": ("/v1/models/rank/activate", b'{"version": "v9"}', 404, "$.version", "no such"),
    "a model out of the folder": ("/v1/models/..%2F..%2Fetc/activate", b"", 404, "path", "path"),
}  # fmt: skip


@pytest.fixture(scope="module")
def service(fitted, tmp_path_factory):
    from starlette.testclient import TestClient

    from ethogram.serve.app import build
    from ethogram.serve.opening import open_store
    from ethogram.serve.service import Service
    from ethogram.serve.shelf import Shelf

    store = open_store(f"lmdb:{tmp_path_factory.mktemp('bad')}/state")
    shelf = Shelf(store, {"rank": fitted / "rank", "find": fitted / "find"})
    made: Any = build(Service(store, shelf, limits=Limits()))
    with TestClient(made, "http://127.0.0.1", raise_server_exceptions=False) as http:
        yield http, store
    store.close()


@pytest.mark.parametrize("name", BAD)
def test_it_is_told_and_nothing_is_stored(service, name):
    http, store = service
    path, body, status, where, said = BAD[name]
    before = store.watermark()
    answer = http.post(path, content=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["where"] == where, problem
    assert said in f"{problem['detail']} {problem.get('right', '')}"
    assert len(answer.content) < 1_000  # what was sent is not sent back
    assert store.watermark() == before
    assert http.get("/readyz").status_code == 200


@pytest.mark.parametrize("path", ["/v1/users/a%00b", "/v1/users/" + "u" * 10_000, "/v1/users/", "/v1/users/u?limit=x"])
def test_users_who_cannot_be(service, path):
    http, _ = service
    assert http.get(path).status_code == 422
    if "limit" not in path:
        assert http.delete(path).status_code == 422


def test_what_only_looks_wrong_is_taken(running):
    odd = event("🎈", user_id="an emoji 🎈/and a slash?", item_id="日本", note={"a": [1, None, "é"]}, time=0)
    assert running.events(odd).json()["accepted"] == 1
    found = running.http.get("/v1/users/an%20emoji%20🎈%2Fand%20a%20slash%3F").json()
    assert found["recent_events"] == [{**odd, "time": "1970-01-01T00:00:00Z"}]


def test_a_failure_inside_shows_nothing_of_the_inside(running, monkeypatch):
    def fails(*_):
        raise RuntimeError("secret of /etc/passwd")

    monkeypatch.setattr(running.service.scoring, "work", fails)
    answer = running.http.post("/v1/rank", json={"candidates": ["1"]})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert running.http.get("/healthz").status_code == 200


def test_a_context_that_the_model_cannot_read_is_told_by_its_place(running, monkeypatch):
    def fails(questions):
        if any(q.context for q in questions):
            raise ValueError("could not convert string to float: 'warm'")
        return [[0.5] for _ in questions]

    monkeypatch.setattr(running.service.shelf.place("rank").active.scorer, "score", fails)
    answer = running.http.post("/v1/rank", json={"candidates": ["1"], "context": {"temperature": "warm"}})
    assert (answer.status_code, answer.json()["where"]) == (422, "$.context")
    assert "convert" not in answer.text


def test_one_bad_question_does_not_fail_those_beside_it():
    from ethogram.serve.lane import Lane

    def work(group):
        if "bad" in group:
            raise ValueError("bad")
        return [g.upper() for g in group]

    async def ask():
        import asyncio

        lane = Lane("test", work, waiting=10)
        found = await asyncio.gather(*map(lane.ask, ["a", "bad", "b"]), return_exceptions=True)
        lane.close()
        return found

    import asyncio

    a, bad, b = asyncio.run(ask())
    assert (a, b) == ("A", "B")
    assert isinstance(bad, ValueError)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_line_end_behind_a_user_in_a_path_is_no_other_user(service, method):
    http, store = service
    http.post("/v1/events", content=posted(event("end", user_id="kept")))
    answer = http.request(method, "/v1/users/kept%0A")
    assert (answer.status_code, answer.json()["where"]) == (422, "path")
    assert http.request(method, "/v1/users/ke%0Apt").status_code == 422
    assert store.user("kept").count == 1
