"""Promises of systems that route prompts to the models of a library."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.log import Log
from ethogram.system import load, options
from ethogram.testing.case import Case, refused

COLUMNS = ("question", "model", "rank", "predicted", "penalty", "score", "why")
PROMPTS = ("def add(a, b): return a + b", "The river rises in the hills.", "", "for x in range(3): print(x)")
SIZES = (1_000, 1_000_000)


@cache
def runs() -> Log:
    """Forty prompts of two kinds, two models that are each good at one of them."""
    rng = np.random.default_rng(0)
    rows: dict[str, list[Any]] = {n: [] for n in ("user", "order", "item", "value", "text")}
    for i in range(40):
        code = bool(i % 2)
        text = f"def f{i}(x): return x + {i}" if code else f"The town number {i} lies at a river."
        for model, good in (("coder", code), ("writer", not code)):
            values = (f"p{i:02d}", len(rows["user"]), model, 0.2 + 0.6 * (not good) + 0.02 * rng.normal(), text)
            for name, value in zip(rows, values, strict=True):
                rows[name].append(value)
    cards = ["writes program code", "writes prose about places"]
    items = pa.table({"item": ["coder", "writer"], "size": list(SIZES), "card": cards})
    return Log.open(pa.table(rows), items=items)


def _fitted(case: Case) -> Any:
    if "routes" not in case._fits:
        case._fits["routes"] = case.make().fit(runs(), seed=3)
    return case._fits["routes"]


def not_fitted(case: Case) -> None:
    """A verb before `fit` raises NotFitted, and so does saving."""
    built = case.make()
    refused({"route": lambda: built.route(list(PROMPTS)), "state": built.state})


def options_stay(case: Case) -> None:
    """`fit` returns the system itself and changes none of its options."""
    built = case.make()
    before = {n: repr(v) for n, v in options(built).items()}
    assert built.fit(runs(), seed=1) is built, "fit did not return the system"
    assert before == {n: repr(v) for n, v in options(built).items()}, "options changed"


def deterministic(case: Case) -> None:
    """The same log, options and seed give the same table; asking twice too."""
    first = _fitted(case).route(list(PROMPTS))
    assert first.equals(_fitted(case).route(list(PROMPTS))), "asking twice differs"
    assert first.equals(case.make().fit(runs(), seed=3).route(list(PROMPTS))), "two fits with one seed differ"


def saved(case: Case) -> None:
    """Saved and loaded, it routes the same, from plain files."""
    built = _fitted(case)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        built.save(path)
        back = load(path)
    assert repr(back) == repr(built), f"options changed: {back!r}"
    assert back.route(list(PROMPTS)).equals(built.route(list(PROMPTS))), "loaded, it routes otherwise"


ALWAYS = (not_fitted, options_stay, deterministic, saved)


def table(case: Case) -> None:
    """A row for each prompt and model, ranked by the score, which is the predicted loss and the penalty."""
    found = _fitted(case).route(list(PROMPTS))
    assert found.column_names == list(COLUMNS), f"columns are {found.column_names}"
    rows = found.to_pylist()
    assert [r["question"] for r in rows] == sorted(r["question"] for r in rows)
    for i in range(len(PROMPTS)):
        own = [r for r in rows if r["question"] == i]
        assert {r["model"] for r in own} == {"coder", "writer"}, f"prompt {i} is told {own}"
        assert [r["rank"] for r in own] == [1, 2]
        assert own[0]["score"] <= own[1]["score"], "rank 1 has not the least score"
        assert all(abs(r["predicted"] + r["penalty"] - r["score"]) < 1e-12 for r in own)
    assert _fitted(case).route([]).num_rows == 0


def alone(case: Case) -> None:
    """What a prompt is told does not hang on the other prompts."""
    whole = _fitted(case).route(list(PROMPTS)).to_pylist()
    for i, prompt in enumerate(PROMPTS):
        single = _fitted(case).route([prompt]).to_pylist()
        for a, b in zip(single, [r for r in whole if r["question"] == i], strict=True):
            assert a["model"] == b["model"], f"{prompt!r}: another order alone"
            assert abs(a["score"] - b["score"]) < 1e-6, f"{prompt!r}: {a['score']} alone, {b['score']} among others"


def wishes(case: Case) -> None:
    """A heavy wish decides, in the call or in the prompt; a constraint removes; an unknown flag is an OptionError."""
    built = _fitted(case)
    for ways in ((["x"], ["smallest model 1000"]), (["x [Flag: smallest model 1000]"], [])):
        assert built.route(ways[0], flags=ways[1]).to_pylist()[0]["model"] == "coder", "the smallest was not taken"
    rows = built.route(["x"], flags=["size >= 10000"]).to_pylist()
    assert [(r["model"], r["rank"]) for r in rows] == [("writer", 1), ("coder", None)], "a removed model is ranked"
    plain, flagged = (built.route([p]).column("predicted").to_pylist() for p in ("a b", "a b [Flag: smallest model 0]"))
    assert sorted(plain) == sorted(flagged), "a flag in the prompt is read as prompt"
    for wrong in (["smalest modle"], ["newest"], ["size > 10000000"]):
        try:
            built.route(["x"], flags=wrong)
        except OptionError:
            continue
        raise AssertionError(f"flag {wrong[0]!r} was taken, though it is unknown, without a column, or leaves nothing")


ROUTES = (table, alone, wishes)
