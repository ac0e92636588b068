"""What was served becomes training data: a log with roles, whatever the export was cut into."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import ethogram
from ethogram.errors import OptionError, StateError
from ethogram.log import Log
from ethogram.serve import export as exporting
from ethogram.serve.export import MOST, export
from ethogram.serve.state import Entry, Store

HOUR = 3_600_000_000
START = 1_700_000_000_000_000


def decide(store: Store, id: str, user: str, time: int, items: list[str], **content: object) -> None:
    told = {"candidates": items, "model": "home", "version": "v1", "propensity": 0.5, **content}
    store.append([Entry(id, user, None, "decision", START + time, told)], ring=False)


def act(store: Store, id: str, user: str, item: str | None, time: int, kind: str = "click", **content: object) -> None:
    store.append([Entry(id, user, item, kind, START + time, content)])


def fill(store: Store, users: int = 6, decisions: int = 80) -> None:
    """People who take the even items that they are shown."""
    rng = np.random.default_rng(0)
    for n in range(decisions):
        user, items = f"u{n % users}", [f"i{i}" for i in rng.choice(20, 4, replace=False)]
        act(store, f"v{n}", user, items[0], n * HOUR, "view", value=float(n % 3))
        scores = rng.random(4).tolist()
        decide(store, f"d{n}", user, n * HOUR + 10, items, scores=scores, context={"page": "home", "hour": n % 24})
        for item in items:
            if int(item[1:]) % 2 == 0:
                act(store, f"c{n}{item}", user, item, n * HOUR + 20, decision_id=f"d{n}")
    act(store, "end", "nobody", None, 10_000 * HOUR, "search", text="tea")


def test_rows_roles_and_labels(store: Store, tmp_path: Path) -> None:
    act(store, "e0", "ann", "i1", 0, "view", value=2, session="s", colour="red", price=3.5)
    decide(store, "d1", "ann", 10, ["i1", "i2", "i3"], scores=[0.25, 0.5, 0.1], context={"page": "home"})
    act(store, "c1", "ann", "i2", 20, decision_id="d1", label=1)
    act(store, "c2", "ann", "i1", 20, "skip", label=0)
    decide(store, "d2", "", 30, ["i1"])
    act(store, "e1", "bob", "i9", 30, label=1)
    found = export(store, tmp_path / "log", window=HOUR, columns={"price": "number", "page": "text"})
    assert (found.events, found.slates, found.place, found.open, found.aside) == (3, 0, 5, 2, {})
    act(store, "e2", "bob", None, 2 * HOUR, "search", text="tea")
    found = export(store, tmp_path / "log", window=HOUR, columns={"price": "number", "page": "text"})
    assert (found.events, found.slates, found.place, found.open, found.aside) == (1, 1, 6, 0, {})
    rows = Log.open(tmp_path / "log").table().to_pylist()
    assert [(r["user"], r["item"], r["kind"], r["label"]) for r in rows] == [
        ("ann", "i1", "view", None), ("ann", "i1", "shown", 0), ("ann", "i2", "shown", 1), ("ann", "i3", "shown", 0),
        ("ann", "i2", "click", None),
        ("bob", "i9", "click", 1), ("bob", None, "search", None),
    ]  # fmt: skip
    view, no, yes, _, click, _, search = rows
    assert (view["value"], view["session"], view["payload"], view["price"]) == (2, "s", '{"colour": "red"}', 3.5)
    assert (no["slate"], no["position"], no["propensity"], no["actor"], no["page"]) == ("d1", 0, 0.5, "home@v1", "home")
    assert (yes["position"], yes["event"], '"score": 0.5' in yes["payload"]) == (1, MOST + 1, True)
    assert click["cause"] == yes["event"]
    assert search["text"] == "tea"
    asked = Log.open(tmp_path / "log").questions("slates")
    assert len(asked) == 2
    assert asked.label.tolist() == [0, 1, 0, 1]
    assert asked.histories.lengths.tolist() == [1, 0]


def test_in_pieces_as_in_one(open_new: Callable[..., Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_new(keep=100)
    fill(store, decisions=40)
    whole = export(store, tmp_path / "whole", window=HOUR)
    monkeypatch.setattr(exporting, "ROWS", 50)
    rng, place, events, slates = np.random.default_rng(1), -1, 0, 0
    while place < store.watermark():
        found = export(store, tmp_path / "parts", window=HOUR, until=place + int(rng.integers(1, 60)))
        place, events, slates = found.place, events + found.events, slates + found.slates
        if rng.random() < 0.3:  # killed before the place was written
            kept = (tmp_path / "parts" / "served.json").read_text()
            export(store, tmp_path / "parts", window=HOUR, until=place + 20)
            (tmp_path / "parts" / "served.json").write_text(kept)
    assert (events, slates) == (whole.events, whole.slates)
    assert whole.slates == 40
    one, other = (Log.open(tmp_path / name).table().sort_by("event") for name in ("whole", "parts"))
    names = [n for n in other.column_names if not n.endswith("_code")]  # codes are in the order of arrival
    assert one.select(names).to_pylist() == other.select(names).to_pylist()


def test_a_ranker_learns_from_what_was_served(store: Store, tmp_path: Path) -> None:
    fill(store)
    export(store, tmp_path / "log", window=HOUR)
    split = Log.open(tmp_path / "log").split("temporal")
    system = ethogram.system("smoothed_rates").fit(split.train, split.valid)
    asked = split.test.questions("slates")
    scores = system.score(asked.histories, asked.candidates)
    assert scores[asked.label > 0].min() > scores[asked.label == 0].max()


def test_the_forgotten_are_left_out(store: Store, tmp_path: Path) -> None:
    fill(store, decisions=30)
    store.forget("u1")
    export(store, tmp_path / "log", window=HOUR, until=60)
    store.forget("u2")
    found = export(store, tmp_path / "log", window=HOUR)
    rows = Log.open(tmp_path / "log").table().to_pylist()
    assert "u1" not in {r["user"] for r in rows}
    assert {r["user"] for r in rows if r["event"] > 60 * MOST} == {"u0", "u3", "u4", "u5", "nobody"}
    assert found.open == 0


def test_what_does_not_go_on_is_refused(open_new: Callable[..., Store], tmp_path: Path) -> None:
    store, log = open_new(), tmp_path / "log"
    assert export(store, log, window=HOUR).place == -1
    assert not log.exists()
    act(store, "e0", "ann", "i1", 0)
    export(store, log, window=HOUR)
    with pytest.raises(OptionError, match="window was"):
        export(store, log, window=2 * HOUR)
    with pytest.raises(OptionError, match="kinds was"):
        export(store, log, window=HOUR, kinds=["buy"])
    with pytest.raises(OptionError, match="no role"):
        export(store, log, window=HOUR, columns={"label": "number"})
    with pytest.raises(StateError, match="another store"):
        export(open_new(), log, window=HOUR)
    (log / "served.json").write_text("{")
    with pytest.raises(StateError, match="new folder"):
        export(store, log, window=HOUR)
    (log / "served.json").unlink()
    assert export(store, log, window=HOUR).events == 1
    assert len(Log.open(log).table()) == 1
