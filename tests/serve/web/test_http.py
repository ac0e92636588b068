"""The service answers as its description says, on the stored behaviour of a moment ago."""

from __future__ import annotations

import time

import numpy as np
import pytest
from tests.serve.web.conftest import event

from ethogram.serve.experiments import Experiment
from ethogram.serve.limits import Limits
from ethogram.serve.shelf import Shelf
from ethogram.system import load
from ethogram.verbs import Candidates, Histories

ITEMS = ["1", "2", "3", "44", "5"]


def test_events_are_idempotent_and_told_one_by_one(running):
    assert running.events(event(1), event(2)).json()["accepted"] == 2
    again = running.events(event(2), event(3), event(3)).json()
    assert [o["status"] for o in again["outcomes"]] == ["duplicate", "accepted", "duplicate"]
    found = running.http.get("/v1/users/u1?limit=2").json()
    assert found["count"] == 3
    assert found["counters"] == {"view": 3}
    assert found["recent_events"][-1] == event(3, time="2023-11-14T22:13:20Z")


def test_one_id_with_two_contents_is_a_conflict_and_the_rest_is_told(running):
    running.events(event(1))
    refused = running.events(event(1, item_id="other"), event(2))
    assert refused.status_code == 409
    assert [o["status"] for o in refused.json()["outcomes"]] == ["conflict", "accepted"]
    assert refused.json()["where"] == "$.events[0].event_id"
    held = running.http.get("/v1/users/u1").json()
    assert [e["item_id"] for e in held["recent_events"]] == ["3", "3"]


def test_times_of_any_scale_are_one_instant_and_late_events_take_their_place(running):
    same = ["2023-11-14T23:13:20+01:00", 1_700_000_000, 1_700_000_000_000, 1_700_000_000_000_000]
    running.events(event("late", time=1_700_000_001), *(event(n, time=t) for n, t in enumerate(same)))
    running.events(event("early", time=1_600_000_000))
    times = [e["time"] for e in running.http.get("/v1/users/u1").json()["recent_events"]]
    assert times == ["2020-09-13T12:26:40Z", *["2023-11-14T22:13:20Z"] * 4, "2023-11-14T22:13:21Z"]


def test_rank_is_the_systems_score_of_the_stored_history(running, fitted):
    done = ["7", "9", "11"]
    running.events(*(event(n, item_id=i, time=1_700_000_000 + n) for n, i in enumerate(done)))
    answer = running.http.post("/v1/rank", json={"user_id": "u1", "candidates": ITEMS}).json()
    assert (answer["model"], answer["version"], answer["read"], answer["events"]) == ("rank", "v2", "store", 3)
    system = load(fitted / "rank" / "v2")
    expected = system.score(Histories.of([done], users=["u1"]), Candidates.of(ITEMS))[0]
    found = {i["item_id"]: i["score"] for i in answer["items"]}
    np.testing.assert_allclose([found[i] for i in ITEMS], expected, rtol=1e-5)
    assert [i["score"] for i in answer["items"]] == sorted(found.values(), reverse=True)


def test_strangers_are_served_from_the_history_in_the_request(running, fitted):
    asked = {"history": ["7", 9, {"item_id": "11", "kind": "view"}], "candidates": ITEMS, "k": 2}
    answer = running.http.post("/v1/rank", json=asked).json()
    assert (answer["read"], len(answer["items"])) == ("request", 2)
    expected = load(fitted / "rank" / "v2").score(Histories.of([["7", "9", "11"]]), Candidates.of(ITEMS))[0]
    assert answer["items"][0]["item_id"] == ITEMS[int(np.argmax(expected))]
    nobody = running.http.post("/v1/rank", json={"candidates": ITEMS}).json()
    assert (nobody["read"], nobody["events"]) == ("nothing", 0)


def test_recommend_is_the_systems_own_and_events_change_the_next_answer(running, fitted):
    asked = {"user_id": "u1", "k": 4}
    before = running.http.post("/v1/recommend", json=asked).json()
    running.events(event(1, item_id="7"))
    after = running.http.post("/v1/recommend", json=asked).json()
    assert before["items"] != after["items"]
    own = load(fitted / "find").recommend(Histories.of([["7"]]), 4).column("item").to_pylist()
    assert [i["item_id"] for i in after["items"]] == [str(i) for i in own]


def test_a_ranker_orders_what_a_recommender_finds(running, fitted):
    answer = running.http.post("/v1/recommend", json={"history": ["7"], "k": 3, "ranker": "rank"}).json()
    assert answer["model"] == "rank"
    found = load(fitted / "find") >> load(fitted / "rank" / "v2")
    own = found.recommend(Histories.of([["7"]]), 3).to_pydict()
    assert [i["item_id"] for i in answer["items"]] == [str(i) for i in own["item"]]
    np.testing.assert_allclose([i["score"] for i in answer["items"]], own["score"], rtol=1e-5)


def test_choosing_among_some_items(running):
    asked = {"history": ["7"], "k": 5, "among": ["3", "4", "strange"], "model": "vectors"}
    answer = running.http.post("/v1/recommend", json=asked).json()
    assert {i["item_id"] for i in answer["items"]} <= {"3", "4", "strange"}


def test_reasons_on_demand(running):
    asked = {"history": ["7", "9"], "k": 2, "explain": True}
    answer = running.http.post("/v1/recommend", json=asked).json()
    assert {r["item_id"] for i in answer["items"] for r in i["because"]} <= {"7", "9"}
    assert answer["items"][0]["because"]
    answer = running.http.post("/v1/rank", json={"candidates": ITEMS, "explain": True}).json()
    assert answer["note"] == "mean_pooled cannot say why"


def test_unknown_items_are_answered_and_said_to_be_unknown(running):
    running.events(event(1, item_id="never seen"))
    answer = running.http.post("/v1/rank", json={"user_id": "u1", "candidates": ["3", "unheard of", "🎈"]}).json()
    status = {i["item_id"]: i["status"] for i in answer["items"]}
    assert status == {"3": "known", "unheard of": "unknown", "🎈": "unknown"}


def test_shown_items_without_an_answer_are_no_behaviour(running):
    running.events(event(1, item_id="7"), event(2, item_id="9", kind="shown", label=0))
    answer = running.http.post("/v1/rank", json={"user_id": "u1", "candidates": ITEMS}).json()
    assert answer["events"] == 1


def test_forgetting_is_obeyed_at_once_and_a_late_retry_brings_nothing_back(running):
    running.events(event(1), event(2))
    gone = running.http.delete("/v1/users/u1").json()
    assert gone["forgotten"] == 2
    assert gone["bytes_gone_within_seconds"] == 600
    assert {m["model"] for m in gone["not_forgotten"]} == {"rank", "find", "vectors"}
    assert running.http.get("/v1/users/u1").json()["recent_events"] == []
    assert running.http.post("/v1/rank", json={"user_id": "u1", "candidates": ITEMS}).json()["read"] == "nothing"
    assert running.events(event(1)).json()["forgotten"] == 1
    assert running.http.get("/v1/users/u1").json()["count"] == 0


def test_a_version_is_activated_and_rolled_back_and_survives_the_server(serving):
    asked = {"candidates": ITEMS}
    with serving() as one:
        newer = one.http.post("/v1/rank", json=asked).json()
        assert one.http.post("/v1/models/rank/rollback").status_code == 409
        switched = one.http.post("/v1/models/rank/activate", json={"version": "v1"})
        assert (switched.status_code, switched.json()["version"], switched.json()["previous"]) == (200, "v1", "v2")
        older = one.http.post("/v1/rank", json=asked).json()
        assert older["version"] == "v1"
        assert older["items"] != newer["items"]
        assert one.http.post("/v1/models/rank/rollback").json()["version"] == "v2"
        one.http.post("/v1/models/rank/activate", json={"version": "v1"})
    with serving() as two:
        assert two.http.post("/v1/rank", json=asked).json()["version"] == "v1"
        assert two.http.post("/v1/models/rank/rollback").json()["version"] == "v2"


def test_a_version_that_does_not_load_is_told_and_the_old_one_goes_on(running, fitted, tmp_path):
    broken = fitted / "rank" / "v0"
    broken.mkdir()
    try:
        (broken / "state.json").write_text("{}")
        refused = running.http.post("/v1/models/rank/activate", json={"version": "v0"})
        assert refused.status_code == 409
        assert str(tmp_path) not in refused.text
        assert str(fitted) not in refused.text
        assert running.http.post("/v1/rank", json={"candidates": ITEMS}).json()["version"] == "v2"
    finally:
        (broken / "state.json").unlink()
        broken.rmdir()


def test_the_bytes_of_a_forgotten_user_go_within_the_stated_time(serving):
    with serving(limits=Limits(compact=0.5)) as one:
        one.events(event(1), event(2, user_id="other"))
        assert one.http.delete("/v1/users/u1").json()["bytes_gone_within_seconds"] == 0.5
        time.sleep(0.25 + 0.5 + 1.0)  # half of it, a look of the keeper, and a busy machine
        assert one.service.store.compact() == 0  # nothing is left to remove
        assert one.http.get("/v1/users/other").json()["count"] == 1


def test_a_replica_follows_what_another_one_activated(serving, fitted):
    with serving() as one:
        other = Shelf(one.service.store, {"rank": fitted / "rank"})
        assert other.place("rank").active.version == "v2"
        one.http.post("/v1/models/rank/activate", json={"version": "v1"})
        other.follow()
        until = time.monotonic() + 30
        while other.place("rank").active.version != "v1" and time.monotonic() < until:
            time.sleep(0.01)
        assert other.place("rank").active.version == "v1"
        other.follow()  # changes nothing
        assert other.place("rank").preparing is None


def test_experiments_assign_by_user_and_record_what_was_shown(serving):
    tried = Experiment.parse("home=find:3,vectors:1", ["find", "vectors"])
    with serving(experiments=(tried,)) as one:
        shown = {}
        for user in map(str, range(60)):
            asked = {"user_id": user, "history": ["7"], "k": 2, "experiment": "home"}
            answer = one.http.post("/v1/recommend", json=asked).json()
            assert (answer["arm"], answer["propensity"]) == tried.assign(user)
            assert answer["model"] == answer["arm"]
            shown[answer["decision_id"]] = answer
        assert {a["arm"] for a in shown.values()} == {"find", "vectors"}
        kept = {k.entry.id: k.entry for k in one.service.store.entries() if k.entry.kind == "decision"}
        assert set(kept) == set(shown)
        for number, answer in shown.items():
            content = kept[number].content
            assert content["candidates"] == [i["item_id"] for i in answer["items"]]
            assert content["scores"] == [i["score"] for i in answer["items"]]
            assert content["positions"] == [1, 2]
            assert (content["arm"], content["propensity"]) == (answer["arm"], answer["propensity"])
        assert one.http.get("/v1/users/0").json()["count"] == 0  # a decision is no behaviour
        assert one.http.get("/v1/models").json()["experiments"] == {"home": {"find": 0.75, "vectors": 0.25}}
        nobody = one.http.post("/v1/recommend", json={"experiment": "home"})
        assert (nobody.status_code, nobody.json()["where"]) == (422, "$.user_id")
        assert one.http.post("/v1/recommend", json={"user_id": "u", "experiment": "no"}).status_code == 404


def test_shares_of_an_experiment_are_met():
    tried = Experiment.parse("home=a:1,b:3", "ab")
    share = np.mean([tried.assign(f"user {n}")[0] == "b" for n in range(4_000)])
    assert share == pytest.approx(0.75, abs=0.03)
    other = Experiment.parse("other=a:1,b:3", "ab")
    both = np.mean([tried.assign(str(n))[0] == "b" and other.assign(str(n))[0] == "b" for n in range(4_000)])
    assert both == pytest.approx(0.75**2, abs=0.03)  # arms of two experiments are independent


def test_health_metrics_and_the_page(running):
    assert running.http.get("/healthz").json()["status"] == "ok"
    assert running.http.get("/readyz").json()["status"] == "ok"
    running.events(event(1))
    running.http.post("/v1/rank", json={"candidates": ITEMS})
    told = running.http.get("/metrics").text
    assert 'ethogram_events_total{outcome="accepted"} 1.0' in told
    assert 'ethogram_items_judged_total{model="rank"} 5.0' in told
    assert 'ethogram_requests_total{path="/v1/rank",status="200"} 1.0' in told
    page = running.http.get("/docs").text
    assert "POST</b> /v1/events" in page
    assert "http" not in page.replace("http://127.0.0.1:8000", "")  # nothing is loaded from elsewhere


def test_the_graph_finds_among_which_the_systems_own_scores_decide(fitted):
    pytest.importorskip("faiss")
    from tests.serve.web.asking import question

    from ethogram.serve.retrieving import Finder

    system = load(fitted / "vectors")
    asked = [question(["7", "9"], user="a"), question(["3"], user="b"), question(["11", "5", "2"])]
    exact, graph = Finder(system, "exact"), Finder(system, "graph")
    assert graph.approximate
    assert not exact.approximate
    for one, other in zip(exact.find(asked, 5), graph.find(asked, 5), strict=True):
        scores = dict(one)
        common = [(i, s) for i, s in other if i in scores]
        assert len(common) >= 4  # a few that it did not find
        assert all(s == pytest.approx(scores[i], rel=1e-5) for i, s in common)
