"""The typed client: what it sends, when it tries again, what it raises."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import httpx
import pytest

import ethogram
from ethogram.errors import EventConflict, KeyRefused, OptionError, ServiceBusy, ServiceDown, ServiceRefused
from ethogram.serve import calls

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def client(running, monkeypatch):
    """A client whose requests reach the service of this process."""
    monkeypatch.setattr(calls, "FIRST_WAIT", 0.001)
    fails: list = []

    def handle(request: httpx.Request) -> httpx.Response:
        if fails and isinstance(fails[0], Exception):
            raise fails.pop(0)
        before = fails.pop(0) if fails else None
        if before is not None and before < 0:  # answered, and the answer is lost
            running.http.request(request.method, request.url.raw_path.decode(), content=request.content)
            return httpx.Response(-before, headers={"retry-after": "0"})
        if before is not None:
            return httpx.Response(before, headers={"retry-after": "0"})
        found = running.http.request(request.method, request.url.raw_path.decode(), content=request.content)
        return httpx.Response(found.status_code, content=found.content, headers=dict(found.headers))

    made = ethogram.Client("http://localhost", transport=httpx.MockTransport(handle), retries=3)
    made.fails = fails
    return made


def test_every_call_and_its_type(client):
    sent = client.send([
        {"user_id": 7, "item_id": "3", "kind": "view"},
        {"event_id": "mine", "user_id": "7", "item_id": 4, "kind": "buy", "time": NEW_YEAR, "price": 2.5},
    ])  # fmt: skip
    assert (sent.accepted, sent.outcomes[1].event_id) == (2, "mine")
    found = client.user(7)
    assert (found.count, found.counters) == (2, {"view": 1, "buy": 1})
    assert found.recent_events[0]["price"] == 2.5
    ranked = client.rank(["1", 2], user=7, k=1)
    assert (len(ranked.items), ranked.read) == (1, "store")
    assert client.recommend(history=["3", {"item_id": "4", "time": NEW_YEAR}], k=3).items
    assert client.activate("rank", "v1").version == "v1"
    assert client.roll_back("rank").version == "v2"
    assert [m.name for m in client.models().models] == ["rank", "find", "vectors"]
    assert client.ready().status == "ok"
    assert client.forget("7").forgotten == 2
    assert client.user("a/b ü?").count == 0


def test_an_answer_that_was_lost_is_asked_again_and_nothing_is_stored_twice(client):
    client.fails[:] = [httpx.ConnectError("refused"), -502, 503]
    sent = client.send([{"user_id": "u", "item_id": "3", "kind": "view"}])
    assert (sent.accepted, sent.duplicate) == (0, 1)
    assert client.user("u").count == 1


def test_it_gives_up_and_says_why(client):
    client.fails[:] = [503] * 9
    with pytest.raises(ServiceDown):  # the answers are not the service's own
        client.models()
    assert len(client.fails) == 5
    client.fails[:] = [httpx.ReadTimeout("too slow")] * 9
    with pytest.raises(ServiceDown, match="GET http://localhost/v1/models: no answer"):
        client.models()


def test_what_is_wrong_is_raised_at_once(client):
    client.fails[:] = []
    with pytest.raises(ServiceRefused, match="no model of that name") as told:
        client.rank(["1"], model="nobody")
    assert (told.value.status, told.value.where) == (404, "$.model")
    assert "rank" in told.value.right
    event = {"event_id": "e", "user_id": "u", "kind": "view", "time": 1}
    client.send([event])
    with pytest.raises(EventConflict) as conflict:
        client.send([{**event, "kind": "buy"}, {**event, "event_id": "f"}])
    assert conflict.value.outcomes == (("e", "conflict"), ("f", "accepted"))
    with pytest.raises(OptionError, match="zone"):
        client.send([{**event, "time": datetime(2026, 1, 1)}])
    with pytest.raises(OptionError, match="no events"):
        client.send([])
    with pytest.raises(OptionError, match="http"):
        ethogram.Client("localhost:8000")


@pytest.mark.parametrize(
    ("status", "kind"), [(401, KeyRefused), (403, KeyRefused), (429, ServiceBusy), (500, ServiceDown)]
)
def test_problems_by_kind(status, kind, monkeypatch):
    monkeypatch.setenv("ETHOGRAM_API_KEY", "eth_1_secret")
    seen = []

    def handle(request):
        seen.append(request.headers["authorization"])
        problem = {"type": "t", "title": "t", "status": status, "detail": "So it is."}
        return httpx.Response(status, json=problem, headers={"retry-after": "0"})

    with ethogram.Client(transport=httpx.MockTransport(handle), retries=2) as client:
        with pytest.raises(kind, match="So it is") as told:
            client.models()
        assert "secret" not in repr(client) + str(told.value)
    assert seen == ["Bearer eth_1_secret"] * (3 if status == 429 else 1)


def test_coroutines(running):
    def handle(request):
        body = json.loads(request.content or b"{}")
        found = running.http.request(request.method, request.url.raw_path.decode(), json=body)
        return httpx.Response(found.status_code, content=found.content)

    async def ask():
        async with ethogram.AsyncClient("http://localhost", transport=httpx.MockTransport(handle)) as client:
            await client.send([{"user_id": "u", "item_id": "3", "kind": "view"}])
            return await asyncio.gather(client.user("u"), client.rank(["1", "2"], user="u"))

    person, ranked = asyncio.run(ask())
    assert (person.count, ranked.read) == (1, "store")
