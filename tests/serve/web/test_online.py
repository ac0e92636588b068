"""A world changes while the service runs: through HTTP alone, the error memory is right again and the frozen model not.

ETHOGRAM_FULL=1 python -m pytest tests/serve/web/test_online.py -s      the claim's world, 10,000 impressions
"""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from starlette.testclient import TestClient

import ethogram
from ethogram import data
from ethogram.serve.app import build
from ethogram.serve.limits import Limits
from ethogram.serve.opening import open_store
from ethogram.serve.questions import Question
from ethogram.serve.service import Service
from ethogram.serve.shelf import Shelf
from ethogram.system import load

FULL = bool(os.environ.get("ETHOGRAM_FULL"))
SIZES = ((3_000, 60, 40), (20_000, 300, 200))
WORLD = dict(zip(("impressions", "users", "items"), SIZES[FULL], strict=True))
BASE = {"epochs": 20, "dim": 8, "side": 8, "lr": 5e-3, "batch": 256, "patience": 2, "last": 20}
SHOWN, LONGEST = 50, None if FULL else 900


def auc(score: np.ndarray, label: np.ndarray) -> float:
    order = score.argsort().argsort() + 1
    yes = label > 0
    return float((order[yes].sum() - yes.sum() * (yes.sum() + 1) / 2) / (yes.sum() * (~yes).sum()))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Folders of `reloop2` and of the same without a memory, fitted before the shift, and the impressions behind it."""
    folder = tmp_path_factory.mktemp("online")
    log = data.load("drifting_clicks", **WORLD, seed=1)
    shift = int(data.find("drifting_clicks")(**WORLD, seed=1).instants[0])
    train = log.until(shift)
    split = train.split("temporal", test=0.02, valid=0.1)
    base = ethogram.system("mean_pooled", **BASE).fit(split.train, split.valid, seed=0)
    base.save(folder / "frozen")
    loop = ethogram.system("reloop2", base=load(folder / "frozen"), refit=False)
    loop.fit(split.train, split.valid).save(folder / "loop")
    asked = log.questions("slates")
    late = np.flatnonzero(np.asarray(asked.histories.time) >= shift)
    users = asked.histories.vocabularies["user"].decode(asked.histories.users).to_pylist()
    codes, _ = asked.candidates.flat(len(asked))
    items = asked.candidates.vocabulary.decode(codes).to_pylist()
    return folder, [(str(users[i]), str(items[i]), float(asked.label[i])) for i in late[:LONGEST]]


def test_after_a_shift_the_service_is_right_again(world, tmp_path):
    folder, stream = world
    store = open_store(f"lmdb:{tmp_path}/state")
    shelf = Shelf(store, {"loop": folder / "loop", "frozen": folder / "frozen"}, window=3_600)
    found: dict[str, list[float]] = {"loop": [], "frozen": []}
    labels = np.array([label for _, _, label in stream])
    with TestClient(build(Service(store, shelf, limits=Limits(rate=1e9))), "http://127.0.0.1") as http:
        frozen = shelf.place("frozen").active.scorer
        for at in range(0, len(stream), SHOWN):
            events = []
            for n, (user, item, label) in enumerate(stream[at : at + SHOWN], at):
                asked = {"model": "loop", "user_id": user, "candidates": [item], "record": True}
                answer = http.post("/v1/rank", json=asked).json()
                found["loop"].append(answer["items"][0]["score"])
                ring = [k.entry for k in store.user(user, frozen.last).ring]
                now = time.time_ns() // 1_000
                found["frozen"].append(float(frozen.score([Question(user, ring, [item], {}, now)])[0][0]))
                event = {"user_id": user, "item_id": item, "time": time.time()}
                told = {"label": label, "decision_id": answer["decision_id"]}
                events.append({**event, "event_id": f"answer {n}", "kind": "shown", **told})
                if label:
                    events.append({**event, "event_id": f"click {n}", "kind": "click"})
            assert http.post("/v1/events", json={"events": events}).status_code == 200
            until = time.monotonic() + 30
            memory = shelf.place("loop").active.online
            while memory.place < store.watermark() and time.monotonic() < until:
                time.sleep(0.005)  # the memory reads within a second; the stream here is faster than any
        assert memory.loop.revealed >= len(stream) - SHOWN
    store.close()
    half = len(stream) // 2
    late = {model: auc(np.array(s)[half:], labels[half:]) for model, s in found.items()}
    early = {model: auc(np.array(s)[: half // 4], labels[: half // 4]) for model, s in found.items()}
    print(f"\nAUC right after the shift {early}, in the second half {late}")
    assert late["loop"] - late["frozen"] > 0.03
    loss = {
        model: float(-np.log(np.where(labels[half:] > 0, s, 1 - s)).mean())
        for model, s in ((m, np.array(v)[half:]) for m, v in found.items())
    }
    assert loss["loop"] < loss["frozen"]
