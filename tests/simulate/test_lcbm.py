"""The corpus of both directions, what the decoder, the heads and a prompted model say, and the command line."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from ethogram import data
from ethogram.cli import main
from ethogram.errors import AnswerError, NotFitted, OptionError, RolesError
from ethogram.lm import ScriptedLM
from ethogram.log import Log
from ethogram.log.messages import Messages, of_records
from ethogram.simulate.lcbm.corpus import Language
from ethogram.simulate.lcbm.judging import curve, judged
from ethogram.simulate.lcbm.prompted import verbalised
from ethogram.simulate.lcbm.tuned import Told, hidden
from ethogram.system import load, system
from ethogram.testing import check
from ethogram.testing.anticipating import sent
from ethogram.text.rouge import rouge_l


@pytest.fixture(scope="module")
def read():
    return Messages.of(sent())


@pytest.fixture(scope="module")
def language(read):
    return Language.of(read, words=100, bins=4, sees="all")


def words(language, tokens):
    """Tokens in words: marks in <>, bins as name=code."""
    mark = {v: f"<{k}>" for k, v in language.mark.items()}
    bins = {language.start[n] + i: f"{n}={i}" for n, b in language.bins.items() for i in range(len(b))}
    return [mark.get(t) or bins.get(t) or language.lexicon.names[t] for t in tokens]


def test_a_forward_row_reads_content_and_learns_behaviour(read, language):
    m = language.coded(read)[read.item.index("m03")]
    tokens, learned = language.forward(m, np.random.default_rng(0))
    told = words(language, tokens)
    assert told[:3] == ["<begin>", "<sender>", "shop"]
    assert "<title>" in told
    assert [w for w, own in zip(told, learned, strict=True) if not own][-1].startswith("<said")
    said = {w.split("=")[0] for w, own in zip(told, learned, strict=True) if own}
    assert said == {"clicks", "views", "positive", "hook"}
    firsts = {words(language, language.forward(m, np.random.default_rng(s))[0])[-8] for s in range(20)}
    assert firsts == {"<did clicks>", "<did views>"}  # each is asked first in some rows


def test_masks_of_scenes_ask_what_they_hide(read, language):
    """Every masked replay is asked once, behind all that is read; the told ones stand in their places."""
    m = language.coded(read)[read.item.index("m01")]
    counts = set()
    for seed in range(150):
        tokens, learned = language.forward(m, np.random.default_rng(seed))
        told = words(language, tokens)
        asked = told.count("<asked>")
        counts.add(asked)
        answers = [w for w, own in zip(told, learned, strict=True) if own and w.startswith("replay=")]
        assert len(answers) == asked
        place = [i for i, w in enumerate(told) if w.startswith("<scene ")]
        assert len(place) == 6 + asked
    assert {1, 3, 5, 6} <= counts


def test_a_reverse_row_learns_the_gap_only(read, language):
    m = language.coded(read)[read.item.index("m01")]
    tokens, learned = language.reverse(m, np.random.default_rng(1))
    told = words(language, tokens)
    assert told.count("<hidden>") == 3  # half of six scenes
    gap = learned.index(True) - 1
    assert told[gap].startswith("<scene ")
    assert [w for w in told[:gap] if w.startswith("clicks=")]
    assert told[-1] == "<end>"
    twin = words(language, language.reverse(m, np.random.default_rng(1), behaviour=False)[0])
    assert not [w for w in twin if "=" in w and not w.startswith("audience=")]
    post = language.coded(read)[read.item.index("m03")]
    told = words(language, language.reverse(post, np.random.default_rng(1))[0])
    assert told[told.index("<title>") + 1] == "<hidden>"
    assert told[-6:] == ["<title>", "free", "bread", "number", "3", "<end>"]


def test_a_bin_is_near_its_neighbours(language):
    others, weights = language.near(0.25, 4.0)
    first = language.start["clicks"]
    np.testing.assert_allclose(weights.sum(1)[[0, first, first + 1]], [1, 4, 4], rtol=1e-6)
    assert len(language.bins["clicks"]) == 4  # so that the deviation is one bin
    held = dict.fromkeys(range(first, first + len(language.bins["clicks"])), 0.0)
    for token, weight in zip(others[first], weights[first], strict=True):
        held[int(token)] += float(weight)
    curve = np.exp(-0.5 * np.arange(len(held)) ** 2)
    curve[np.arange(len(held)) > 3] = 0
    np.testing.assert_allclose(list(held.values()), 4 * curve / curve.sum(), rtol=1e-5)
    plain = language.near(0.0, 1.0)
    assert plain[0].shape[1] == 1
    assert (plain[1] == 1).all()


def test_what_is_not_seen_is_not_written(read):
    for sees, kept, gone in (("content", "<title>", "<sender>"), ("metadata", "<sender>", "<title>")):
        language = Language.of(read, words=100, bins=4, sees=sees)
        told = words(language, language.begin(language.coded(read)[0]))
        assert kept in told
        assert gone not in told


@pytest.fixture(scope="module")
def fitted():
    return system("lcbm", size="tiny", reading=2, epochs=60, batch=16, lr=0.01, bins=6, blur=0.05).fit(sent(), seed=1)


def test_it_learns_what_earns_clicks_and_replays(fitted, read):
    rows = fitted.judge(sent()).to_pylist()
    found = {r["behaviour"]: r["r2"] for r in rows}
    assert found["clicks"] > 0.9
    assert found["replay"] > 0.5
    assert [r["floor"] for r in rows if r["behaviour"] == "clicks"] == [pytest.approx(read.behaviour["clicks"].std())]
    reasons = fitted.reasons(sent()).to_pylist()
    told = {r["item"]: r["value"] for r in reasons if r["about"] == "sentiment" and r["rank"] == 1}
    assert np.mean([told[i] == c["sentiment"] for i, c in zip(read.item, read.comment, strict=True)]) > 0.9


def test_replays_tell_which_scenes_were_hidden(fitted, read):
    """Replays of 70 are those of `free` scenes; both options are of the same words."""
    rows = [i for i, s in enumerate(read.scenes) if s]
    part = read.take(rows)
    gap = hidden(part, [[2, 3]] * len(part))
    options = {}
    for item, scenes in zip(part.item, part.scenes, strict=True):
        swapped = [t.replace("free", "x").replace("plain", "free").replace("x", "plain") for t in scenes[2:4]]
        options[item] = [swapped, scenes[2:4]]
    found = fitted.recognise(gap.log(), options).to_pylist()
    assert np.mean([r["option"] == 1 for r in found if r["rank"] == 1]) > 0.8


@pytest.fixture(scope="module")
def bakery():
    """Twenty letters; the word `free` earns 9 percent, `plain` none."""
    return [
        {"communicator": "a", "message": f"m{i}", "time": f"2024-05-{1 + i:02d}",
         "title": ("free" if i % 2 else "plain") + " bread", "behaviour": {"ctr": 9.0 * (i % 2)},
         "comment": {"sentiment": ("positive" if i % 2 else "negative")}}
        for i in range(20)
    ]  # fmt: skip


def test_scenes_beyond_those_of_training_cannot_be_recognised(fitted):
    scenes = [{"text": t} for t in ("a", "b", "c", "d", "e", "f", "g", "")]
    long = of_records([{"communicator": "shop 1", "message": "x", "title": "t", "scenes": scenes}])
    with pytest.raises(OptionError, match="hides scene 7; training met 6 at most"):
        fitted.recognise(long, {"x": [["y"]]})


def test_titles_are_written_for_a_wished_response(bakery):
    log = of_records(bakery)
    made = system("lcbm", size="tiny", epochs=40, batch=4, lr=0.01, reverse=0.5).fit(log)
    for ctr, title in ((9.0, "free bread"), (0.0, "plain bread")):
        wished = replace(
            Messages.of(log).take([0, 1, 2]), title=["", "ignored", ""], behaviour={"ctr": np.full(3, ctr)}
        )
        titles = made.write(wished.log()).column("title").to_pylist()
        assert titles == [title] * 3
        assert rouge_l(titles, ["free bread"] * 3).tolist() == [1.0 if ctr else 0.5] * 3
        assert made.write(wished.log(), most=1).column("title").to_pylist() == [title.split()[0]] * 3
    for built, most in ((made, 0), (system("lcbm", reader="heads", encoder="hash").fit(sent()), 3)):
        with pytest.raises(OptionError, match="one word or more"):
            built.write(sent(), most=most)


def test_titles_are_ordered_by_what_they_should_do(fitted, read):
    titles = {"m00": ["plain bread number 1", "free bread number 1"], "m02": ["free bread number 2"]}
    found = fitted.optimise(sent(), titles, "clicks").to_pylist()
    assert [(r["item"], r["option"], r["rank"]) for r in found] == [("m00", 1, 1), ("m00", 0, 2), ("m02", 0, 1)]
    assert found[0]["gain"] == pytest.approx((found[0]["predicted"] - found[1]["predicted"]) / 2)
    for wrong, said in (
        ({"m00": []}, "one or more titles"), ({"m00": "free"}, "one or more titles"), ({"m00": [""]}, "none of them"),
        ({"m99": ["x"]}, "unknown message 'm99'"), ([["x"]], "give a mapping"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=said):
            fitted.optimise(sent(), wrong, "clicks")
    with pytest.raises(OptionError, match="Did you mean 'clicks'"):
        fitted.optimise(sent(), titles, "click")


def test_facts_perplexity_and_adaptation(fitted, read):
    assert fitted.about(sent())[0] == {"topic": {"food": 1.0}}
    before = fitted.perplexity(sent())
    assert 1 < before < 20
    other = of_records(
        [
            {"communicator": "shop 9", "message": f"n{i}", "title": f"{'plain' if i % 2 else 'free'} tea",
             "time": f"2024-05-0{1 + i}", "behaviour": {"clicks": 30.0 * (i % 2), "views": 100.0}}
            for i in range(8)
        ]
    )  # fmt: skip
    turned = fitted.adapt(other, epochs=40, lr=0.01)
    worse, better = (m.judge(other).to_pylist() for m in (fitted, turned))
    assert better[0]["rmse"] < worse[0]["rmse"]
    assert fitted.perplexity(sent()) == before, "the first model was changed"


def test_heads_learn_the_same_laws():
    for head in ("ridge", "boosting"):
        made = system("lcbm", reader="heads", head=head, encoder="hash").fit(sent())
        found = {r["behaviour"]: r["r2"] for r in made.judge(sent()).to_pylist()}
        assert found["clicks"] > 0.8
        assert found["replay"] > 0.8
        titles = made.optimise(sent(), {"m00": ["plain bread number 1", "free bread number 1"]}, "clicks")
        assert titles.column("option").to_pylist() == [1, 0]
        assert made.reasons(sent()).num_rows == 0
        with pytest.raises(OptionError, match="decoder"):
            made.about(sent())
    with pytest.raises(NotFitted):
        system("lcbm").perplexity(sent())


@pytest.mark.parametrize("head", ["ridge", "boosting"])
def test_heads_keep_the_promises_of_the_verb(head):
    check("lcbm", reader="heads", encoder="hash", head=head)


def test_a_prompted_model_reads_examples_and_keeps_to_the_numbers(read, tmp_path):
    """By rule: 33 where the asked title says free, else 2; the examples of training stand before the question."""

    def rule(messages, rng):
        asked = messages[-1].text.split("Now this message:")[-1]
        if "views: which" in asked:
            return {"value": 120}
        return {"value": 33 if "free" in asked.split("Sent by")[0] else 2}

    made = system("lcbm", reader="prompted", shots=3, lm=ScriptedLM(rule, rater=_likes)).fit(sent(), seed=2)
    part = read.take([read.item.index("m02"), read.item.index("m03")])
    rows = made.anticipate(part.log()).to_pylist()
    assert {r["item"]: r["predicted"] for r in rows if r["behaviour"] == "clicks"} == {"m02": 2, "m03": 33}
    question = made.lm.wire.asked[0][-1].text
    assert question.count("Example:") == 3
    assert "clicks: " in question
    told = made.reasons(part.log()).to_pylist()
    assert [r["value"] for r in told if r["about"] == "sentiment" and r["rank"] == 1] == ["positive", "positive"]
    gap = hidden(part)
    found = made.recognise(gap.log(), {"m02": ["plain", "free"], "m03": ["plain", "free"]}).to_pylist()
    assert [r["option"] for r in found if r["rank"] == 1] == [1, 1]
    back = system("lcbm", reader="prompted", shots=3, lm=made.lm).restore(made.state())
    assert back.anticipate(part.log()).equals(made.anticipate(part.log()))
    outside = system("lcbm", reader="prompted", shots=1, lm=ScriptedLM({"": '{"value": 900}'})).fit(sent())
    with pytest.raises(AnswerError):
        outside.anticipate(part.log())
    with pytest.raises(OptionError, match="set shots"):
        system("lcbm", reader="prompted").fit(sent())


def _likes(prompt, texts):
    return [-0.1 if "positive" in t or "free" in t else -3.0 for t in texts]


def test_the_real_model_answers_in_the_range(local, read):
    """It need not be right; what it says is a number that training knows."""
    made = system("lcbm", reader="prompted", shots=2, lm=local).fit(sent())
    rows = made.anticipate(replace(read.take([2]), behaviour={"clicks": np.array([np.nan])}).log()).to_pylist()
    assert all(0 <= r["predicted"] <= 140 for r in rows)
    assert {r["behaviour"] for r in rows} == {"clicks", "views"}


def test_messages_are_told_in_words(read):
    told = verbalised(read, read.item.index("m01"), behaviour=["clicks"])
    assert told.splitlines()[0] == 'Title: "free bread number 1".'
    assert "Scene 1: free scene 0. Replays: 70." in told.splitlines()
    assert told.splitlines()[-2] == "Sent by shop 1 with 2000 followers on feed, on Friday at 07:00."
    assert "Replays: 70" not in verbalised(read, read.item.index("m01"), replays=False)


def test_judging_by_hand():
    log = of_records(
        [
            {"communicator": "a", "message": f"m{i}", "title": "t", "behaviour": {"ctr": float(v)}}
            for i, v in enumerate([1, 3])
        ]
    )
    said = pa.table(
        {"item": ["m0", "m1"], "scene": pa.array([None, None], pa.int64()), "behaviour": ["ctr", "ctr"],
         "predicted": [1.0, 2.0], "low": [0.0, 0.0], "high": [2.0, 2.0]}
    )  # fmt: skip
    row = judged(Messages.of(log), said).to_pylist()[0]
    assert row == {
        "behaviour": "ctr", "rmse": pytest.approx(0.5**0.5), "floor": 1.0, "r2": 0.5, "right": 0.5, "covered": 0.5,
        "n": 2,
    }  # fmt: skip
    np.testing.assert_allclose(curve(np.array([1.0, 2, 3, 4]), np.array([4.0, 3, 2, 1]), 2), [[1.5, 3.5], [3.5, 1.5]])
    one = Told(0, None, "ctr", np.array([1.0, 5.0, 9.0]), np.array([0.2, 0.5, 0.3]))
    assert one.mean == pytest.approx(5.4)
    assert (one.quantile(0.1), one.quantile(0.2), one.quantile(0.9)) == (1.0, 1.0, 9.0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"reverse": 1.5}, "shares"), ({"bins": 1}, "bins"), ({"epochs": 0}, "epochs"),
        ({"behaviour": False, "reverse": 0.0}, "twin"),
    ],
)  # fmt: skip
def test_wrong_options_are_told(options, said):
    with pytest.raises(OptionError, match=said):
        system("lcbm", size="tiny", **options).fit(sent())


def test_logs_without_messages_or_behaviour_are_told(read):
    with pytest.raises(OptionError, match="no message of the log has a behaviour"):
        system("lcbm", size="tiny").fit(of_records([{"communicator": "a", "message": "m", "title": "t"}]))
    with pytest.raises(RolesError, match="titles"):
        system("lcbm", size="tiny").fit(Log.open(pa.table({"user": ["a"], "item": ["m"], "time": [1]})))
    long, built = (
        of_records([{"communicator": "a", "message": "m", "title": "t " * 400}]),
        system("lcbm", size="tiny", epochs=1),
    )
    built.fit(sent())
    with pytest.raises(OptionError, match="words and marks; the decoder reads"):
        built.anticipate(long)


def test_the_command_line(tmp_path, capsys, monkeypatch, bakery):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sent.jsonl").write_text("\n".join(map(json.dumps, bakery)))
    (tmp_path / "titles.jsonl").write_text(json.dumps({"message": "m0", "titles": ["plain bread", "free bread"]}))
    options = ["--size", "tiny", "--epochs", "40", "--batch", "4", "--lr", "0.01"]
    assert main(["fit", "lcbm", "sent.jsonl", "--out", "model", *options]) == 0
    assert main(["anticipate", "model", "sent.jsonl", "--json", "a.json", "--out", "a.csv"]) == 0
    assert len(json.loads((tmp_path / "a.json").read_text())) == 20
    assert main(["anticipate", "model", "sent.jsonl", "--judge", "--json", "b.json"]) == 0
    assert json.loads((tmp_path / "b.json").read_text())[0]["r2"] > 0.8
    assert main(["anticipate", "model", "sent.jsonl", "--why"]) == 0
    capsys.readouterr()
    assert (
        main(
            ["anticipate", "model", "sent.jsonl", "--titles", "titles.jsonl", "--behaviour", "ctr", "--json", "c.json"]
        )
        == 0
    )
    assert "experiment" in capsys.readouterr().out
    assert [r["title"] for r in json.loads((tmp_path / "c.json").read_text())] == ["free bread", "plain bread"]
    assert load("model").info.key == "lcbm"
    assert main(["fit", "lcbm", "sent.jsonl", "--out", "model", "--user", "communicator"]) == 2
    assert "leave out --user" in capsys.readouterr().err
    (tmp_path / "wrong.jsonl").write_text('["plain bread"]')
    for tokens, said in (
        (["--why", "--judge"], "give one of"), (["--titles", "titles.jsonl"], "go together"),
        (["--titles", "nowhere", "--behaviour", "ctr"], "cannot be read"),
        (["--titles", "wrong.jsonl", "--behaviour", "ctr"], "line 1"),
        (["--titles", "titles.jsonl", "--behaviour", "clicks"], "unknown behaviour"),
    ):  # fmt: skip
        assert main(["anticipate", "model", "sent.jsonl", *tokens]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1


def test_posts_are_learned_from_by_name():
    log = data.load("posts", items=300)
    cut = log.split("temporal", valid=0.1, test=0.2)
    made = system("lcbm", size="tiny", epochs=1, reading=1).fit(cut.train)
    rows = made.judge(cut.test).to_pylist()
    assert {r["behaviour"] for r in rows} == {"ctr", "views"}
    assert sum(r["n"] for r in rows) == 2 * cut.test.table().num_rows
