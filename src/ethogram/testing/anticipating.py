"""Promises of systems that know messages together with what receivers do."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ethogram.errors import OptionError
from ethogram.log import Log
from ethogram.log.messages import Messages, of_records
from ethogram.system import load, options
from ethogram.testing.case import Case, refused

COLUMNS = ("item", "scene", "behaviour", "predicted", "low", "high")


@cache
def sent() -> Log:
    """Forty messages of two senders, half of them with scenes; the word `free` earns clicks, scene by scene replays."""
    rng, made = np.random.default_rng(0), []
    for i in range(40):
        free, scenes = bool(i % 2), i % 4 < 2
        one: dict[str, Any] = {
            "communicator": f"shop {i % 3}", "message": f"m{i:02d}", "channel": ("letter", "feed")[i % 2],
            "time": f"2024-03-{1 + i // 2:02d}T{6 + i % 12:02d}:00:00Z", "audience": 1000 * (1 + i % 3),
            "title": f"{'free' if free else 'plain'} bread number {i % 5}",
            "behaviour": {"clicks": float(30 * free + rng.integers(0, 5)), "views": float(100 + i)},
            "comment": {"sentiment": "positive" if free else "negative", "reason": "hook"}, "about": {"topic": "food"},
        }  # fmt: skip
        if scenes:
            texts = [("free" if (i + s) % 2 else "plain") + f" scene {s}" for s in range(6)]
            one["scenes"] = [{"text": t, "replay": 70 if t.startswith("free") else 20} for t in texts]
        else:
            one["body"] = "How to bake it at home."
        made.append(one)
    return of_records(made)


def _fitted(case: Case) -> Any:
    if "anticipates" not in case._fits:
        case._fits["anticipates"] = case.make().fit(sent(), seed=3)
    return case._fits["anticipates"]


def _asked() -> tuple[Log, dict[Any, list[Any]]]:
    """Ten messages with a gap each, and three options for each."""
    read = Messages.of(sent()).take(range(10))
    scenes = [["" if s in (2, 3) else t for s, t in enumerate(own)] for own in read.scenes]
    titles = [t if own else "" for t, own in zip(read.title, scenes, strict=True)]
    choices: dict[Any, list[Any]] = {
        item: [["free scene 2", "plain scene 3"], ["plain scene 2", "free scene 3"], ["other", "words"]] if own
        else ["free bread", "plain bread", "something else"]
        for item, own in zip(read.item, scenes, strict=True)
    }  # fmt: skip
    return replace(read, scenes=scenes, title=titles).log(), choices


def _answers(built: Any) -> list[Any]:
    gaps, choices = _asked()
    return [t.to_pylist() for t in (built.anticipate(sent()), built.recognise(gaps, choices), built.reasons(sent()))]


def not_fitted(case: Case) -> None:
    """A verb before `fit` raises NotFitted, and so does saving."""
    built, (gaps, choices) = case.make(), _asked()
    refused(
        {
            "anticipate": lambda: built.anticipate(sent()), "recognise": lambda: built.recognise(gaps, choices),
            "reasons": lambda: built.reasons(sent()), "state": built.state,
        }
    )  # fmt: skip


def options_stay(case: Case) -> None:
    """`fit` returns the system itself, and neither it nor answering changes an option."""
    built = _fitted(case)
    before = {n: repr(v) for n, v in options(case.make()).items()}
    _answers(built)
    assert before == {n: repr(v) for n, v in options(built).items()}, "options changed"


def deterministic(case: Case) -> None:
    """The same log, options and seed give the same answers; asking twice too."""
    made = case.make()
    assert made.fit(sent(), seed=3) is made, "fit did not return the system"
    first = _answers(_fitted(case))
    assert first == _answers(_fitted(case)), "asking twice differs"
    assert first == _answers(made), "two fits with one seed differ"


def saved(case: Case) -> None:
    """Saved and loaded, it answers the same, from plain files."""
    built = _fitted(case)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        built.save(path)
        back = load(path)
    assert repr(back) == repr(built), f"options changed: {back!r}"
    assert _answers(back) == _answers(built), "loaded, it answers otherwise"


ALWAYS = (not_fitted, options_stay, deterministic, saved)


def table(case: Case) -> None:
    """A row for each message and behaviour, its prediction inside its interval."""
    found = _fitted(case).anticipate(sent())
    assert found.column_names == list(COLUMNS), f"columns are {found.column_names}"
    rows = found.to_pylist()
    whole = {(r["item"], r["behaviour"]) for r in rows if r["scene"] is None}
    items = sent().table().column("item").to_pylist()
    assert whole == {(i, b) for i in items for b in ("clicks", "views")}, "a message or a behaviour is left out"
    assert all(r["behaviour"] == "replay" for r in rows if r["scene"] is not None)
    assert all(r["low"] <= r["predicted"] <= r["high"] for r in rows), "a prediction outside its interval"


def behaviour_is_not_read(case: Case) -> None:
    """Without `known`, what receivers did changes no prediction; with it, only what is missing is predicted."""
    read, built = Messages.of(sent()), _fitted(case)
    other = {k: v[::-1].copy() for k, v in read.behaviour.items()}
    turned = replace(read, behaviour=other, replays=[r[::-1].copy() for r in read.replays])
    assert built.anticipate(turned.log()).equals(built.anticipate(read.log())), "behaviour of the log was read"
    clicks = read.behaviour["clicks"].copy()
    clicks[0] = np.nan
    rows = built.anticipate(replace(read, behaviour={**read.behaviour, "clicks": clicks}).log(), known=True).to_pylist()
    assert [(r["item"], r["behaviour"]) for r in rows] == [(read.item[0], "clicks")], "known behaviour is predicted"


def alone(case: Case) -> None:
    """What is said of a message does not hang on the other messages."""
    built, read = _fitted(case), Messages.of(sent())
    whole = built.anticipate(sent()).to_pylist()
    for i in (0, 2, 39):
        single = built.anticipate(read.take([i]).log()).to_pylist()
        own = [r for r in whole if r["item"] == read.item[i]]
        for a, b in zip(single, own, strict=True):
            assert abs(a["predicted"] - b["predicted"]) <= 1e-4 * max(1.0, abs(b["predicted"])), f"{a} alone, {b}"


def gaps_are_filled(case: Case) -> None:
    """Options are ranked from 1 by their scores; an option that does not fit the gap is an OptionError."""
    gaps, choices = _asked()
    built = _fitted(case)
    rows = built.recognise(gaps, choices).to_pylist()
    assert len(rows) == 30, f"{len(rows)} rows for 10 messages of 3 options"
    for at in range(0, 30, 3):
        own = rows[at : at + 3]
        assert [r["rank"] for r in own] == [1, 2, 3]
        assert {r["option"] for r in own} == {0, 1, 2}
        assert own[0]["score"] >= own[1]["score"] >= own[2]["score"]
    first = next(iter(choices))
    for messages, wrong in ((sent(), {first: ["x"]}), (gaps, {"nobody": ["x"]}), (gaps, {first: []})):
        try:
            built.recognise(messages, wrong)
        except OptionError:
            continue
        raise AssertionError("options were taken that fit no gap")


def shares(case: Case) -> None:
    """Reasons have probabilities that sum to 1, the likeliest first."""
    rows = _fitted(case).reasons(sent()).to_pylist()
    cases: dict[tuple[Any, str], list[float]] = {}
    for r in rows:
        cases.setdefault((r["item"], r["about"]), []).append(r["share"])
    for key, own in cases.items():
        assert abs(sum(own) - 1) < 1e-5, f"{key}: shares sum to {sum(own)}"
        assert own == sorted(own, reverse=True), f"{key}: not the likeliest first"


ANTICIPATES = (table, behaviour_is_not_read, alone, gaps_are_filled, shares)
