"""The prompt router: flags and their costs, readers against independent solutions, the decision, the command line."""

import itertools
import json

import numpy as np
import pyarrow as pa
import pytest

from ethogram.act.tryage import flags as wishes
from ethogram.act.tryage import matrix
from ethogram.act.tryage.readers import Setting, Transformer, objective
from ethogram.cli import main
from ethogram.errors import LMError, OptionError, RolesError
from ethogram.lm import LM, ScriptedLM
from ethogram.lm.blocking import run
from ethogram.lm.routed import Routed, picker
from ethogram.lm.trial import Case, bits, trial
from ethogram.log import Log
from ethogram.system import load, system
from ethogram.testing.routing import runs

LIBRARY = pa.table(
    {
        "item": ["a", "b", "c"],
        "size": [0, 9, 99],
        "released": ["2022-06-01", "2024-01-01", None],
        "licence": ["MIT", "other", "mit"],
        "security": [True, False, True],
    }
)


def test_costs_are_scaled_over_the_library():
    """By hand: log(1 + x) is 0, log 10, 2 log 10; June 2022 to January 2024; what is not told is the worst."""
    np.testing.assert_allclose(wishes.costs(LIBRARY, wishes.parse("smallest model")), [0, 0.5, 1])
    np.testing.assert_allclose(wishes.costs(LIBRARY, wishes.parse("largest model")), [1, 0.5, 0])
    np.testing.assert_allclose(wishes.costs(LIBRARY, wishes.parse("newest")), [1, 0, 1])
    np.testing.assert_allclose(wishes.costs(LIBRARY, wishes.parse("secure")), [0, 1, 0])
    alike = LIBRARY.set_column(1, "size", pa.array([5, 5, None]))
    np.testing.assert_allclose(wishes.costs(alike, wishes.parse("low size")), [0, 0, 1])


@pytest.mark.parametrize(
    ("flag", "kept"),
    [
        ("size <= 9", [1, 1, 0]), ("size>9", [0, 0, 1]), ("released >= 2024", [0, 1, 0]),
        ("released < 2024-01-01", [1, 0, 0]), ("licence = mit", [1, 0, 1]), ("licence != MIT", [0, 1, 0]),
        ("security = 1", [1, 0, 1]),
    ],
)  # fmt: skip
def test_constraints_remove_models(flag, kept):
    assert wishes.keeps(LIBRARY, wishes.parse(flag)).tolist() == [bool(k) for k in kept]


def test_flags_are_read_from_prompts():
    text, found = wishes.read("Sum [flag:Smallest Model 0.5] it up. [Flag: size <= 1e9]")
    assert text == "Sum it up."
    asked, constraints = wishes.settle(found, 0.3)
    assert [(w.column, w.more, w.weight) for w in asked] == [("size", False, 0.5)]
    assert [str(c) for c in constraints] == ["size <= 1e9"]
    assert wishes.read("Keep  this [ok]\nas it is") == ("Keep  this [ok]\nas it is", [])
    assert wishes.settle(["smallest", "largest model"], 0.3)[0][0].more, "the last wish about a column holds"


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("smalest model", "Did you mean 'smallest model'"), ("low prise", "unknown column"),
        ("licence > 3", "no numbers or dates"), ("size < tiny", "'tiny' is no number"), ("", "unknown flag"),
        ("size > 1e6", "no model of the library keeps"),
    ],
)  # fmt: skip
def test_wrong_flags_are_told(flag, said):
    router = system("tryage", reader="mean").fit(_log(LIBRARY))
    with pytest.raises(OptionError, match=said):
        router.route(["x"], flags=[flag])


def _log(library, losses=None):
    models = library.column(0).to_pylist()
    losses = np.array([[0.1, 0.2, 0.3], [0.5, 0.1, 0.2]]) if losses is None else losses
    rows = [(f"p{i}", m, losses[i][k], f"prompt {i}") for i in range(len(losses)) for k, m in enumerate(models)]
    rows = [r for r in rows if not np.isnan(r[2])]
    columns = dict(zip(("user", "item", "value", "text"), map(list, zip(*rows, strict=True)), strict=True))
    return Log.open(pa.table({**columns, "order": list(range(len(rows)))}), items=library)


def test_the_matrix_has_gaps_where_a_model_was_not_asked():
    prompts, losses, library = matrix(_log(LIBRARY, np.array([[0.1, np.nan, 0.3], [0.5, 0.1, np.nan]])))
    assert prompts == ["prompt 0", "prompt 1"]
    np.testing.assert_array_equal(losses, [[0.1, np.nan, 0.3], [0.5, 0.1, np.nan]])
    assert library.column_names == LIBRARY.column_names


@pytest.mark.parametrize("most", [4096, 10])
def test_the_linear_reader_is_a_ridge_regression(most, monkeypatch):
    """Against scikit-learn on the same features, with models that were asked different prompts, few and many."""
    monkeypatch.setattr("ethogram.act.tryage.readers.MOST_KERNEL", most)
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["tea", "silk", "river", "return x", "def f"], 6)) for _ in range(60)]
    losses = rng.normal(size=(60, 3))
    losses[:20, 1] = np.nan
    library = pa.table({"item": ["a", "b", "c"]})
    rows = [(f"p{i:02d}", "abc"[k], losses[i, k], texts[i]) for i in range(60) for k in range(3)]
    rows = [r for r in rows if not np.isnan(r[2])]
    columns = dict(zip(("user", "item", "value", "text"), map(list, zip(*rows, strict=True)), strict=True))
    router = system("tryage", ridge=0.7, buckets=512).fit(
        Log.open(pa.table({**columns, "order": list(range(len(rows)))}), items=library)
    )
    reader, setting = router.fitted.reader, router._setting(library, 0)
    x = reader._features(texts, setting).toarray()
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1)
    for k in range(3):
        known = ~np.isnan(losses[:, k])
        made = Ridge(alpha=0.7).fit(x[known], losses[known, k])
        np.testing.assert_allclose(router.predict(texts)[:, k], made.predict(x), atol=1e-9 if most > 60 else 1e-5)


def test_the_decision_is_the_least_sum():
    """Against the definition: argmin of predicted loss + lambda C, for a row of lambdas."""
    router = system("tryage").fit(runs())
    prompts = ["def g(x): return 2", "The town lies at a river.", "x"]
    predicted, cost = router.predict(prompts), np.array([0.0, 1.0])
    for weight in (0.0, 0.05, 0.3, 0.9, 5.0):
        table = router.route(prompts, flags=[f"smallest model {weight}"]).to_pylist()
        chosen = [r["model"] for r in table if r["rank"] == 1]
        assert chosen == [router.models[k] for k in (predicted + weight * cost).argmin(1)]
    front = router.front(prompts, "smallest model").to_pylist()
    assert all(a["loss"] <= b["loss"] and a["cost"] >= b["cost"] for a, b in itertools.pairwise(front))
    assert front[-1]["cost"] == 0
    assert [r["model"] for r in router.route(["def g(x): return 2"]).to_pylist()] == ["coder", "writer"]


def test_judging_by_hand():
    """Losses as in `_log`; the model that was best in training is b (0.15 against 0.3 and 0.25)."""
    router = system("tryage", reader="mean").fit(_log(LIBRARY))
    found = {r["way"]: r for r in router.judge(_log(LIBRARY)).to_pylist()}
    assert found["routed"]["loss"] == pytest.approx(0.15)
    assert found["routed"]["top1"] == 0.5
    assert found["routed"]["regret"] == pytest.approx(0.05)
    assert found["oracle"]["closed"] == pytest.approx(1)
    assert found["always b"]["closed"] == pytest.approx(0)
    with pytest.raises(OptionError, match="the router knows a, b, c"):
        router.judge(runs())


def test_the_ranking_term_by_hand():
    import torch

    said, true = torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    there = torch.ones(1, 2, dtype=torch.bool)
    assert objective(said, true, there, 0.0).item() == pytest.approx(1.0)
    # the better model is predicted worse by 1: log(1 + e)
    assert objective(said, true, there, 2.0).item() == pytest.approx(1 + 2 * np.log1p(np.e))
    one = torch.tensor([[True, False]])
    assert objective(said, true, one, 2.0).item() == pytest.approx(1.0), "what is not known does not count"


@pytest.mark.parametrize("reader", ["transformer", "vectors"])
def test_networks_learn_the_two_kinds(reader):
    how = {"encoder": "hash", "letters": 64, "width": 16, "epochs": 30, "lr": 0.01}
    router = system("tryage", reader=reader, **how).fit(runs(), seed=1)
    table = router.judge(runs()).to_pylist()
    assert table[0]["way"] == "routed"
    assert table[0]["top1"] > 0.9


def test_padding_says_nothing():
    """A prompt in a batch with a longer one is told the same as alone."""
    import torch

    options = system("tryage", letters=64, width=16)
    reader, setting = Transformer(), Setting(("a", "b"), ("", ""), options)
    network = reader._network(setting).eval()
    x = torch.from_numpy(reader._inputs(["short", "a much longer prompt than the other one"], setting))
    with torch.inference_mode():
        torch.testing.assert_close(network(x)[0], network(x[:1])[0])


def test_cards_and_a_model_that_is_asked_are_rows_of_the_same_table():
    cards = system("tryage", reader="cards", encoder="hash").fit(runs())
    assert cards.route(["program code"]).to_pylist()[0]["model"] == "coder"

    def rate(prompt, texts):
        assert "writes program code" in prompt, "the cards are shown"
        return [-0.1 if (t == "coder") == ("<data" in prompt and "def" in prompt) else -3.0 for t in texts]

    asked = system("tryage", reader="asked", lm=ScriptedLM("coder", rater=rate)).fit(runs())
    found = asked.route(["def g(): pass", "A town."]).to_pylist()
    assert [r["model"] for r in found if r["rank"] == 1] == ["coder", "writer"]
    assert found[0]["predicted"] == pytest.approx(1 - 1 / (1 + np.exp(-2.9)))


def _untold():
    rows = {"user": ["p", "p"], "item": ["a", "b"], "value": [0.1, None], "text": ["x", "x"], "order": [0, 1]}
    return Log.open(pa.table(rows))


@pytest.mark.parametrize(
    ("made", "error", "said"),
    [
        (lambda: system("tryage", reader="cards").fit(_log(LIBRARY)), OptionError, "column 'card'"),
        (lambda: system("tryage", reader="cardz"), OptionError, "cards"),
        (lambda: system("tryage", ridge=0.0).fit(runs()), OptionError, "ridge above 0"),
        (lambda: system("tryage").fit(_log(LIBRARY.slice(0, 1))), OptionError, "two models or more"),
        (lambda: system("tryage").fit(_log(LIBRARY, np.array([[0.1, np.nan, 0.2]]))), OptionError, "'b' of the lib"),
        (lambda: system("tryage").fit(_untold()), OptionError, "no finite number"),
        (lambda: system("tryage").fit(Log.open(pa.table({"user": [1], "item": [2], "time": [3]}))), RolesError, "val"),
        (lambda: system("tryage").fit(runs()).route("one prompt"), OptionError, "list of prompts"),
        (lambda: system("tryage").fit(runs()).front(["x"], "size <= 3"), OptionError, "needs a wish"),
        (lambda: system("tryage").fit(runs()).front([], "smallest model"), OptionError, "at least one prompt"),
    ],
)  # fmt: skip
def test_bad_input_is_told(made, error, said):
    with pytest.raises(error, match=said):
        made()


def test_a_routed_model_sends_each_prompt_to_one():
    small, large = ScriptedLM("small"), ScriptedLM("large")
    lm = Routed({"coder": small, "writer": large}, picker(system("tryage").fit(runs())))
    assert lm.sync.chat("def g(x): return 3").text == "small"
    assert lm.sync.chat("The town lies at a river.").text == "large"
    said = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "A town. [Flag: smallest model 9]"}]
    assert lm.sync.chat(said).text == "small"
    assert small.asked[-1][-1].text == "A town.", "the flag is not sent on"
    assert "".join(lm.sync.stream("The town lies at a river.")) == "large"
    with pytest.raises(OptionError, match="no message of a user"):
        lm.sync.chat([{"role": "system", "content": "x"}])
    with pytest.raises(OptionError, match="unknown model"):
        Routed({"other": small}, picker(system("tryage").fit(runs()))).sync.chat("x")


CASES = [Case("Capital of France?", "Paris", "q1"), Case("Capital of Peru?", "It is Lima.", "q2")]


def test_a_trial_makes_the_log():
    """Word F1 by hand: 'Paris' whole; 'Lima' of 'It is Lima.' 2 * 1 / (1 + 3)."""
    library = {"knows": ScriptedLM({"France": "Paris", "Peru": "Lima"}), "not": ScriptedLM("The sea is wide. It is.")}
    found = run(trial(library, CASES, facts={"knows": {"size": 10}, "not": {"size": 5}}))
    prompts, losses, items = matrix(found.log)
    assert prompts == ["Capital of France?", "Capital of Peru?"]
    np.testing.assert_allclose(losses, [[0, 1], [0.5, 1 - 2 * 2 / (6 + 3)]])
    assert items.column("size").to_pylist() == [10, 5]
    assert items.column("verbosity").to_pylist() == [1, 6]
    assert found.failed == {"knows": 0, "not": 0}


def test_numbers_count_as_words():
    library = {"six": ScriptedLM("6"), "seven": ScriptedLM("7")}
    losses = matrix(run(trial(library, [Case("2 + 4?", "6", "a")])).log)[1]
    np.testing.assert_array_equal(losses, [[0, 1]])


def test_a_trial_goes_on_where_a_model_fails_and_stops_where_it_never_answers():
    def moody(messages, rng):
        return LMError("down") if "Peru" in messages[-1].text else "Paris"

    found = run(trial({"a": ScriptedLM(moody), "b": ScriptedLM("x")}, CASES))
    assert found.failed == {"a": 1, "b": 0}
    assert np.isnan(matrix(found.log)[1]).sum() == 1
    with pytest.raises(LMError, match="always down"):
        run(trial({"a": ScriptedLM(lambda m, r: LMError("always down")), "b": ScriptedLM("x")}, CASES))
    with pytest.raises(OptionError, match="two models or more"):
        run(trial({"a": ScriptedLM("x")}, CASES))


def test_bits_are_per_byte_of_the_reference():
    lm = ScriptedLM("x", rater=lambda prompt, texts: [-np.log(2) * 10 for _ in texts])
    assert run(bits(lm, Case("a", "äb"))) == pytest.approx(10 / 3)


@pytest.fixture
def cases_file(tmp_path):
    path = tmp_path / "cases.jsonl"
    rows = [{"prompt": f"Which colour, {i}?", "reference": "blue"} for i in range(4)]
    rows += [{"prompt": f"How many eggs, {i}?", "reference": "three eggs"} for i in range(4)]
    path.write_text("\n".join(map(json.dumps, rows)))
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps({"painter": {"size": 5}, "cook": {"size": 50}}))
    return path, facts


def test_the_command_line_from_trial_to_route(tmp_path, cases_file, capsys):
    cases, facts = cases_file
    runs_, saved = str(tmp_path / "runs"), str(tmp_path / "router")
    models = ["--model", "painter=scripted:blue", "--model", "cook=scripted:three eggs"]
    assert main(["lm", "trial", str(cases), *models, "--facts", str(facts), "--out", runs_]) == 0
    assert main(["fit", "tryage", runs_, "--out", saved]) == 0
    assert main(["route", saved, "Which colour is it?", "How many eggs?", "--json", str(tmp_path / "a.json")]) == 0
    found = json.loads((tmp_path / "a.json").read_text())["routes"]
    assert [r["model"] for r in found if r["rank"] == 1] == ["painter", "cook"]
    assert main(["route", saved, "--log", runs_, "--json", str(tmp_path / "b.json")]) == 0
    assert json.loads((tmp_path / "b.json").read_text())["judged"][0]["top1"] == 1
    assert main(["route", saved, "How many eggs?", "--front", "smallest model"]) == 0
    assert "efficient" in capsys.readouterr().out
    assert load(saved).models == ["painter", "cook"]


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (["route", "ROUTER"], "give a prompt"),
        (["route", "ROUTER", "x", "--flag", "smallest modle"], "Did you mean 'smallest model'"),
        (["route", "ROUTER", "--texts", "nowhere.txt"], "no such file"),
        (["lm", "trial", "CASES", "--model", "a=scripted:x", "--out", "o"], "two models"),
        (["lm", "trial", "CASES", "--model", "a", "--out", "o"], "write NAME=WHERE"),
        (["lm", "trial", "nowhere.jsonl", "--model", "a=scripted:x", "--out", "o"], "cannot be read"),
    ],
)
def test_wrong_commands_are_one_line_and_exit_code_2(tmp_path, cases_file, capsys, monkeypatch, tokens, said):
    monkeypatch.chdir(tmp_path)
    system("tryage", reader="mean").fit(runs()).save(tmp_path / "router")
    places = {"ROUTER": str(tmp_path / "router"), "CASES": str(cases_file[0])}
    assert main([places.get(t, t) for t in tokens]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "o").exists()


def test_a_broken_line_of_cases_is_told(tmp_path):
    from ethogram.errors import SourceError
    from ethogram.lm.trial import cases

    (tmp_path / "c.jsonl").write_text('{"prompt": "a", "reference": "b"}\n{"prompt": "a"}\n')
    with pytest.raises(SourceError, match="line 2"):
        cases(tmp_path / "c.jsonl")


def test_the_embedded_model_is_one_of_a_library(local):
    """Bits per byte of what it may say, beside a model of which they are known; then it is asked which to take."""
    flat = ScriptedLM("x", rater=lambda prompt, texts: [-np.log(256) * len(t.encode()) for t in texts])
    given = [Case("Say hello.", "Hello! How can I help you today?", "a"), Case("Spell it.", "zqx vvk jjw", "b")]
    found = run(trial({"local": local, "flat": flat}, given, loss="bits", facts={"local": {"card": "a chat model"}}))
    losses = matrix(found.log)[1]
    np.testing.assert_allclose(losses[:, 1], 8)
    assert 0 < losses[0, 0] < losses[1, 0]
    assert losses[0, 0] < 2
    asked = system("tryage", reader="asked", lm=local).fit(found.log)
    table = asked.route(["Say hello."]).to_pylist()
    assert sum(1 - r["predicted"] for r in table) == pytest.approx(1)
    assert isinstance(local, LM)
