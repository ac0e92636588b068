"""Risks over HTTP: stored history and the request's events as one, reasons, rules, and every kind of bad input."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("lmdb")

from starlette.testclient import TestClient
from tests.risky import DAY, START, GiftRings, LenderShare, payments, visits

from ethogram.log import Log
from ethogram.numeric import rule_sets
from ethogram.numeric.rules import Condition, Rule
from ethogram.serve.app import build
from ethogram.serve.opening import open_store
from ethogram.serve.service import Service
from ethogram.serve.shelf import Shelf

RULES = [
    ("7", Rule((Condition("value", low=500.0), Condition("channel", values=("night",))))),
    ("8", Rule((Condition("device_age", high=2.0),))),
]


@pytest.fixture(scope="module")
def learned():
    return LenderShare().fit(payments(200, seed=3))


@pytest.fixture
def http(learned, tmp_path):
    learned.save(tmp_path / "credit")
    store = open_store(f"lmdb:{tmp_path}/state")
    service = Service(store, Shelf(store, {"credit": tmp_path / "credit"}), rules={"credit": RULES})
    with TestClient(build(service), "http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client
    store.close()


def pay(n: int, item: str = "rent", value: float = 50.0, **more: Any) -> dict[str, Any]:
    return {"item_id": item, "kind": "pay", "value": value, "time": (START + n * DAY) // 1_000_000, **more}


def store(http, user, *events):
    sent = [{"event_id": f"{user} {n}", "user_id": user, **e} for n, e in enumerate(events)]
    assert http.post("/v1/events", json={"events": sent}).json()["accepted"] == len(events)


def expected(learned, *events) -> float:
    table = pa.table(
        {
            "user": ["x"] * len(events),
            "item": [e["item_id"] for e in events],
            "time": [e["time"] for e in events],
            "value": [e["value"] for e in events],
        }
    )
    return learned.assess(Log.open(table))["risk"][0].as_py()


def test_history_and_the_request_are_one(http, learned):
    past, now = [pay(0), pay(1, "grocer"), pay(2, "lender 1", 80.0)], [pay(3, "lender 2", 90.0)]
    store(http, "ann", *past)
    told = http.post("/v1/assess", json={"user_id": "ann"}).json()
    assert told["risk"] == pytest.approx(expected(learned, *past))
    assert (told["read"], told["events"], told["model"]) == ("store", 3, "credit")
    both = http.post("/v1/assess", json={"user_id": "ann", "events": now}).json()
    assert both["risk"] == pytest.approx(expected(learned, *past, *now))
    assert (both["read"], both["events"]) == ("both", 4)
    assert both["risk"] > told["risk"]
    assert sum(abs(r["share"]) for r in both["reasons"]) == pytest.approx(1)
    assert both["reason"].startswith(both["reasons"][0]["what"])
    again = http.post("/v1/assess", json={"user_id": "ann"}).json()
    assert again["risk"] == told["risk"]  # nothing of the request was stored
    stranger = http.post("/v1/assess", json={"events": [*past, *now]}).json()
    assert stranger["risk"] == pytest.approx(both["risk"])
    assert stranger["read"] == "request"


def test_a_stored_event_counts_once_and_later_ones_not_at_all(http, learned):
    past = [pay(0), pay(1, "lender 1"), pay(2, "lender 2")]
    store(http, "bob", *past)
    twice = http.post("/v1/assess", json={"user_id": "bob", "events": [{**past[1], "event_id": "bob 1"}]}).json()
    assert (twice["events"], twice["read"]) == (3, "store")
    early = http.post("/v1/assess", json={"user_id": "bob", "time": pay(2)["time"]}).json()
    assert early["events"] == 2
    assert early["risk"] == pytest.approx(expected(learned, *past[:2]))


def test_a_forgotten_user_is_a_stranger(http):
    store(http, "gone", pay(0), pay(1))
    assert http.request("DELETE", "/v1/users/gone").status_code == 200
    found = http.post("/v1/assess", json={"user_id": "gone"})
    assert found.status_code == 422
    assert found.json()["detail"] == "There is nothing to judge: no event is known."


def test_rules_that_were_exported_apply(http, tmp_path):
    events = [pay(0, channel="day"), pay(1, value=900.0, channel="night"), {**pay(2), "value": None, "device_age": 1}]
    told = http.post("/v1/assess", json={"events": events[:2]}).json()
    assert told["rules"] == [{"cluster": "7", "rule": "value at least 500 and channel is night"}]
    assert [r["cluster"] for r in http.post("/v1/assess", json={"events": events}).json()["rules"]] == ["7", "8"]
    assert http.post("/v1/assess", json={"events": [pay(0)]}).json()["rules"] == []  # what is missing fulfils none
    path = tmp_path / "rules.json"

    path.write_text(json.dumps(rule_sets.written("credit", [("7", "At night.", [RULES[0][1]])])))
    assert rule_sets.read(path) == ("credit", [RULES[0]])


def test_a_client_asks(http, learned):
    from ethogram.serve.calls import answered, assess

    call = assess(user="cy", events=[pay(0), pay(1, "lender 1")], profile={"age": 33})
    found = http.request(call.method, call.path, content=call.body)
    told = answered(call, found.status_code, found.content, found.headers)
    assert told.risk == pytest.approx(expected(learned, pay(0), pay(1, "lender 1")))
    assert told.reasons[0].what
    assert 0 <= told.risk <= 1


BAD = [
    ({}, 422, "$.events", "nothing to judge"),
    ({"user_id": "nobody"}, 422, "$.events", "nothing to judge"),
    ({"events": []}, 422, "$.events", "nothing to judge"),
    ({"events": [pay(0)], "model": "nothing"}, 404, "$.model", "no model"),
    ({"events": [pay(0)], "session": "s1"}, 422, "$.session", "judges whole users"),
    ({"events": [{"item_id": "rent", "kind": "pay"}]}, 422, "$.events", "no column is the value"),
    ({"events": [{**pay(0), "time": "yesterday"}]}, 422, "$.events[0].time", "names no zone"),
    ({"events": [{**pay(0), "time": 4_000_000_000}]}, 422, "$.events[0].time", "in the future"),
    ({"events": [pay(9)], "time": pay(3)["time"]}, 422, "$.events[0].time", "behind the decision"),
    ({"events": [{**pay(0), "kind": "decision"}]}, 422, "$.events[0].kind", "the service's own"),
    ({"events": [{**pay(0), "item_id": "a\nb"}]}, 422, "$.events[0].item_id", "control character"),
    ({"events": [pay(0)], "profile": {"age": [1]}}, 422, "$.profile.age", "layers"),
    ({"events": "none"}, 422, "$.events", "text"),
    ({"user": "ann"}, 422, "$", "no field 'user'"),
]


@pytest.mark.parametrize(("body", "status", "where", "said"), BAD)
def test_bad_input_is_told(http, body, status, where, said):
    found = http.post("/v1/assess", json=body)
    problem = found.json()
    assert (found.status_code, problem["where"]) == (status, where), problem
    assert said in problem["detail"]
    assert found.headers["content-type"] == "application/problem+json"
    assert "Traceback" not in found.text


def test_other_models_cannot(http):
    found = http.post("/v1/rank", json={"candidates": ["a"], "model": "credit"})
    assert found.json()["right"] == "its verbs are assess"
    assert http.post("/v1/recommend", json={}).json()["detail"] == "No model here can recommend."


def test_odd_fields_never_fail(http):
    rng = np.random.default_rng(0)
    odd: list[Any] = [None, True, 3, 2.5, "x", [1], {"a": 1}, "", "nan"]
    for _ in range(40):
        names = rng.choice(["user", "item", "event", "label", "weight", "session", "text", "zzz", "rank", "payload"], 3)
        more = {str(n): odd[rng.integers(len(odd))] for n in names}
        found = http.post("/v1/assess", json={"events": [pay(0, **more), pay(1)]})
        assert found.status_code in (200, 422), (more, found.text)


def test_a_session_is_judged_by_itself_and_by_rules_on_the_systems_columns(tmp_path):
    system = GiftRings().fit(visits())
    system.save(tmp_path / "rings")
    held = open_store(f"lmdb:{tmp_path}/state")
    service = Service(held, Shelf(held, {"rings": tmp_path / "rings"}), rules={"rings": [("0", system.mined()[0][0])]})

    def step(n, session, item, value=None):
        return {"item_id": item, "kind": "view", "time": 1_700_000_000 + n, "session": session, "value": value}

    with TestClient(build(service), "http://127.0.0.1", raise_server_exceptions=False) as http:
        ring = [step(0, "s1", "gift card"), step(1, "s1", "gift card"), step(2, "s1", "checkout", 200.0)]
        store(http, "ann", *ring)
        now = [step(10, "s2", "home"), step(11, "s2", "checkout", 30.0)]
        latest = http.post("/v1/assess", json={"user_id": "ann", "events": now}).json()
        assert (latest["session"], latest["risk"], latest["cluster"]) == ("s2", 0.05, "-1")
        assert latest["rules"] == []
        first = http.post("/v1/assess", json={"user_id": "ann", "events": now, "session": "s1"}).json()
        assert (first["session"], first["risk"], first["reason"]) == ("s1", 0.9, "Like a ring.")
        assert first["rules"] == [{"cluster": "0", "rule": "gifts at least 2 and amount at least 100"}]
        problem = http.post("/v1/assess", json={"user_id": "ann", "session": "s9"}).json()
        assert (problem["where"], problem["right"]) == ("$.session", "one of s1")
    held.close()


def test_answers_do_not_depend_on_who_else_asks(http):
    from concurrent.futures import ThreadPoolExecutor

    bodies = [{"events": [pay(0), pay(1, f"lender {n % 3}", 10.0 * n)]} for n in range(24)]
    alone = [http.post("/v1/assess", json=b).json()["risk"] for b in bodies]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda b: http.post("/v1/assess", json=b).json()["risk"], bodies))
    assert together == alone


def test_a_real_system_answers_as_on_a_log(tmp_path):
    import ethogram
    from ethogram import data

    log = data.load("payments", users=120)
    system = ethogram.system("payment_aggregates").fit(log, seed=0)
    system.save(tmp_path / "credit")
    batch = {r["user"]: r for r in system.assess(log).to_pylist()}
    held = open_store(f"lmdb:{tmp_path}/state")
    with TestClient(build(Service(held, Shelf(held, {"credit": tmp_path / "credit"}))), "http://127.0.0.1") as http:
        for user in (3, 50, 119):
            rows = [r for r in log.table().to_pylist() if r["user"] == user]
            events = [
                {
                    "item_id": str(r["item"]), "kind": "pay", "time": round(r["time"].timestamp() * 1e6),
                    **{c: r[c] for c in ("value", "category", "description", "direction", "channel")},
                }
                for r in rows
            ]  # fmt: skip
            store(http, f"not {user}", *events[:40])  # others must not matter
            body = {"events": events, "time": batch[user]["time"].isoformat()}
            told = http.post("/v1/assess", json=body).json()
            assert told["risk"] == pytest.approx(batch[user]["risk"], abs=1e-9)
            assert told["reason"] == batch[user]["reason"]
    held.close()


@pytest.mark.parametrize(("key", "how"), [("payment_aggregates", {"steps": 20}), ("lbsf", {"epochs": 1, "dim": 8})])
def test_what_waits_together_is_judged_by_one_call(key, how, tmp_path, monkeypatch):
    """The same answers as one by one: several people, strangers, one twice, other columns, and one that cannot be."""
    import ethogram
    from ethogram import data
    from ethogram.serve.assessing import Assessing, Case
    from ethogram.serve.state import Entry

    log = data.load("payments", users=150, payments=(30, 60))
    system = ethogram.system(key, **how).fit(log, seed=0)
    system.save(tmp_path / "credit")
    held = open_store(f"lmdb:{tmp_path}/state")
    rows = [r for r in log.table().to_pylist() if r["user"] < 9]
    columns = ("value", "category", "description", "direction", "channel")
    held.append(
        [
            Entry(f"e{n}", str(r["user"]), str(r["item"]), "pay", round(r["time"].timestamp() * 1e6),
                  {c: r[c] for c in columns})
            for n, r in enumerate(rows) if r["user"] < 8
        ]
    )  # fmt: skip
    served = Shelf(held, {"credit": tmp_path / "credit"}).find(None, "assess")
    end = max(round(r["time"].timestamp() * 1e6) for r in rows) + 1
    extra = [Entry("x", "1", "lender", "pay", end - 5, {"value": 900, "category": "cash loan"})]
    cases = [Case(served, str(u), None, [], end + u) for u in range(6)]
    cases += [
        Case(served, "1", None, extra, end),
        Case(served, None, None, extra, end),
        Case(served, "99", None, [], end),
    ]
    cases += [Case(served, "7", None, [], end, {"age": 40.0}), Case(served, "7", "s1", [], end)]
    judge = Assessing(held)
    alone = [judge([case])[0] for case in cases]
    calls = []
    whole = type(served.system).assess
    monkeypatch.setattr(type(served.system), "assess", lambda self, log: calls.append(log) or whole(self, log))
    together = judge(cases)
    assert len(calls) == 4  # those of the same columns, the two of others, and the one that names a session
    for one, other in zip(alone, together, strict=True):
        if isinstance(one, Exception):
            assert str(one) == str(other)
            continue
        assert other.risk == pytest.approx(one.risk, rel=1e-5)
        assert (other.reason, other.events, other.read) == (one.reason, one.events, one.read)
        assert [r.what for r in other.reasons] == [r.what for r in one.reasons]
    assert [type(a).__name__ for a in alone[-3:]] == ["Refused", "Assessed", "Refused"]
    # a call that fails for several fails for nobody who can be judged
    monkeypatch.setattr(
        type(served.system), "assess", lambda self, log: whole(self, log) if len(log.users) == 1 else 1 / 0
    )
    again = judge(cases)
    assert [getattr(a, "risk", str(a)) for a in again] == [getattr(a, "risk", str(a)) for a in alone]
    held.close()
