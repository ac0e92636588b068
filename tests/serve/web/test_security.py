"""Who may ask what, how often, and from where; how keys are kept."""

from __future__ import annotations

import json
import os
import stat

import pytest
from tests.serve.web.conftest import event

from ethogram.cli import main
from ethogram.errors import KeyMissing, OptionError, StateError
from ethogram.serve import keys as keeping
from ethogram.serve.keys import KeyFact, KeyFile, Keyring
from ethogram.serve.limits import Limits, Rate

RANK = {"candidates": ["1"]}


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.fixture
def ring(tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "LOOK_AGAIN", 0.0)
    return Keyring(KeyFile(tmp_path / "keys.json"))


def test_scopes_decide(serving, ring):
    made = {scope: ring.make(scope, [scope])[0] for scope in ("read", "write", "admin")}
    allowed = {
        ("post", "/v1/rank"): {"read", "admin"},
        ("post", "/v1/recommend"): {"read", "admin"},
        ("get", "/v1/users/u1"): {"read", "admin"},
        ("get", "/v1/models"): {"read", "admin"},
        ("get", "/metrics"): {"read", "admin"},
        ("post", "/v1/events"): {"write", "admin"},
        ("delete", "/v1/users/u1"): {"admin"},
        ("post", "/v1/models/rank/activate"): {"admin"},
        ("post", "/v1/models/rank/rollback"): {"admin"},
    }
    bodies = {"/v1/rank": RANK, "/v1/recommend": {}, "/v1/events": {"events": [event(1)]}}
    with serving(keys=ring) as one:
        for (method, path), scopes in allowed.items():
            more = {"json": bodies[path]} if path in bodies else {}
            for scope, key in made.items():
                answer = one.http.request(method, path, headers=bearer(key), **more)
                assert (answer.status_code == 403) == (scope not in scopes), (method, path, scope)
            for wrong in ({}, bearer("eth_00000000_x"), bearer(made["admin"] + "x"), {"authorization": "Basic x"}):
                answer = one.http.request(method, path, headers=wrong, **more)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/healthz", "/readyz", "/docs", "/openapi.json"):
            assert one.http.get(path).status_code == 200
        assert one.http.get("/v1/models%2f..%2f..", headers=bearer(made["read"])).status_code == 404


def test_a_wrong_key_is_told_before_the_body_is_read(serving, ring):
    ring.make("a", ["write"])
    with serving(keys=ring) as one:
        assert one.http.post("/v1/events", content=b"x" * 2_000_000).status_code == 401


def test_keys_are_kept_as_hashes_in_a_private_file(ring, tmp_path):
    text, kept = ring.make("shop", ["read"])
    file = tmp_path / "keys.json"
    assert text.rpartition("_")[2] not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ring.find(text) == kept
    file.chmod(0o644)
    with pytest.raises(KeyMissing, match="chmod 600"):
        Keyring(KeyFile(file)).find(text)
    file.chmod(0o600)
    file.write_text("[{]")
    with pytest.raises(StateError, match="damaged"):
        Keyring(KeyFile(file)).find(text)


def test_rotation_lets_the_old_key_end_later_and_revoking_ends_it_now(serving, ring):
    old, kept = ring.make("shop", ["read"])
    new, successor = ring.rotate(kept.id, hours=1)
    assert (successor.name, successor.scopes) == ("shop", ["read"])
    assert ring.find(old) is not None
    held = {k.id: k for k in ring.all()}
    assert not held[kept.id].live(held[kept.id].made + 2 * 3_600)
    assert ring.find(old, now=held[kept.id].made + 2 * 3_600) is None
    with serving(keys=ring) as one:
        assert one.http.post("/v1/rank", json=RANK, headers=bearer(new)).status_code == 200
        Keyring(ring.place).revoke(successor.id)  # by another process
        assert one.http.post("/v1/rank", json=RANK, headers=bearer(new)).status_code == 401
        assert one.http.post("/v1/rank", json=RANK, headers=bearer(old)).status_code == 200


def test_keys_in_the_store_and_from_the_environment(serving):
    with serving() as one:
        place = KeyFact(one.service.store.fact, one.service.store.settle)
        text, _ = Keyring(place).make("shop", ["read"])
        found = Keyring(place, given="from the environment")
        assert found.find(text).name == "shop"
        assert found.find("from the environment").scopes == ["admin"]
        assert found.find("another") is None
        assert len(found) == 2


def test_without_keys_only_this_machine_may_ask(running):
    assert running.http.get("/v1/models", headers={"host": "127.0.0.1:8000"}).status_code == 200
    elsewhere = running.http.get("/v1/models", headers={"host": "rebound.example.com"})
    assert (elsewhere.status_code, elsewhere.json()["where"]) == (403, "header Host")
    page = running.http.post("/v1/events", json={"events": [event(1)]}, headers={"origin": "https://evil.example"})
    assert (page.status_code, page.json()["where"]) == (403, "header Origin")
    assert running.http.get("/v1/users/u1").json()["count"] == 0


def test_rate_of_a_key(serving, ring):
    fast, slow = ring.make("a", ["read"])[0], ring.make("b", ["read"])[0]
    with serving(keys=ring, limits=Limits(rate=0.5)) as one:
        assert one.http.get("/v1/models", headers=bearer(fast)).status_code == 200
        refused = one.http.get("/v1/models", headers=bearer(fast))
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 2
        assert one.http.get("/v1/models", headers=bearer(slow)).status_code == 200


def test_a_bucket_fills_with_time():
    rate = Rate(10)
    assert [rate.wait("k", 0.0) for _ in range(20)] == [0.0] * 20
    assert rate.wait("k", 0.0) == pytest.approx(0.1)
    assert rate.wait("k", 0.1) == 0.0
    assert rate.wait("k", 0.1) > 0


def test_too_many_waiting_is_told(serving):
    import threading

    with serving(limits=Limits(waiting=2)) as one:
        gate, work = threading.Event(), one.service.scoring.work
        one.service.scoring.work = lambda jobs: (gate.wait(10), work(jobs))[1]
        answers: list = []
        ask = lambda: answers.append(one.http.post("/v1/rank", json=RANK))  # noqa: E731
        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        while sum(a.status_code == 503 for a in answers) < 4:
            pass
        assert one.http.get("/healthz").status_code == 200  # the loop is free
        gate.set()
        for thread in threads:
            thread.join()
        assert sorted(a.status_code for a in answers) == [200, 200, 503, 503, 503, 503]
        refused = next(a for a in answers if a.status_code == 503)
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["type"].endswith("overloaded")


def test_a_body_that_does_not_end_and_a_crowd_are_told(serving):
    import asyncio

    from ethogram.serve.app import build

    with serving(limits=Limits(patience=0.05, flying=3)) as one:
        app = build(one.service)
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/rank",
            "headers": [],
            "query_string": b"",
            "client": None,
        }

        async def ask() -> int:
            said = []

            async def trickle():
                await asyncio.sleep(0.02)
                return {"type": "http.request", "body": b"{", "more_body": True}

            async def send(message):
                said.append(message)

            await app(dict(scope), trickle, send)
            return said[0]["status"]

        async def crowd() -> list[int]:
            return await asyncio.gather(*(ask() for _ in range(5)))

        assert sorted(asyncio.run(crowd())) == [408, 408, 408, 503, 503]
        assert asyncio.run(ask()) == 408


def test_the_commands(tmp_path, capsys):
    file = str(tmp_path / "sub" / "keys.json")
    assert main(["keys", "make", "shop", "--scopes", "read,write", "--days", "3", "--keys", file, "--json", "-"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["scopes"] == ["read", "write"]
    assert main(["keys", "rotate", made["id"], "--keys", file]) == 0
    assert main(["keys", "list", "--keys", file]) == 0
    said = capsys.readouterr().out
    assert made["key"] not in said
    assert main(["keys", "revoke", made["id"], "--keys", file]) == 0
    capsys.readouterr()
    assert main(["keys", "list", "--keys", file, "--json", "-"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 1
    store = f"lmdb:{tmp_path}/state"
    assert main(["keys", "make", "shop", "--keys", store]) == 0
    assert main(["keys", "list", "--keys", store]) == 0
    assert "shop" in capsys.readouterr().out
    for wrong in ("revoke nobody", "make x --scopes root", "make x --scopes ,", "make x --days 0"):
        assert main(["keys", *wrong.split(), "--keys", file]) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a model"),
        (["nowhere"], "no folder 'nowhere'"),
        (["."], "no saved system"),
        (["a b=."], "cannot name a model"),
        (["..=."], "cannot name a model"),
        (["m=.", "m=."], "two models"),
        ([".", "--host", "0.0.0.0", "--no-keys"], "127.0.0.1 only"),
        (["."], "no API key yet"),
        ([".", "--no-keys", "--rate", "0"], "--rate"),
        (["--demo", "."], "either"),
        ([".", "--no-keys", "--store", "sqlite:x"], "none of"),
        ([".", "--no-keys", "--port", "99999"], "cannot listen"),
        ([".", "--no-keys", "--experiment", "x=a"], "SHARE"),
    ],
)
def test_the_server_says_why_it_does_not_start(arguments, said, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ETHOGRAM_SERVE_KEYS", str(tmp_path / "none.json"))
    monkeypatch.delenv("ETHOGRAM_API_KEY", raising=False)
    more = ["--no-keys"] if said == "no saved system" else []
    assert main(["serve", *arguments, *(() if "--port" in arguments else ("--port", "0")), *more]) == 2
    assert said in capsys.readouterr().err
    if said != "no saved system":
        assert not os.listdir(folder)


def test_scopes_and_experiments_are_checked(ring):
    with pytest.raises(OptionError, match="does not exist"):
        ring.make("x", ["root"])  # type: ignore[list-item]
    with pytest.raises(OptionError, match="no key"):
        ring.rotate("nobody")
