"""OneRec: lists of what exists, scores that are probabilities, alignment, the judge, bad input; the feeds' worth."""

import numpy as np
import pyarrow as pa
import pytest

from ethogram import data
from ethogram.data.feeds import Feeds
from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories, Log
from ethogram.system import load, system

torch = pytest.importorskip("torch")
WORLD = {"users": 80, "items": 60, "topics": 6, "feeds": 8}
SMALL = {"letters": 8, "levels": 2, "dim": 16, "epochs": 3, "rounds": 1, "lists": 6, "steps": 5, "share": 0.05,
         "judge_epochs": 2, "decoder": 1, "experts": 4, "length": 10}  # fmt: skip


@pytest.fixture(scope="module")
def world():
    log = data.load("feeds", **WORLD)
    cut = log.split("temporal", valid=0.1, test=0.2)
    return log, cut, system("onerec", **SMALL).fit(cut.train, cut.valid, seed=1)


def test_the_worth_of_a_feed():
    made = Feeds(**WORLD)
    feed = np.array([[0, 6, 1, 12, -1]])  # topics 0, 0, 1, 0, none
    got = made.worth(np.array([3]), feed)[0]
    r = made.relevance[3]
    np.testing.assert_allclose(got, [r[0], r[6] * 0.4, r[1] + 0.25, r[12] * 0.16, 0])
    assert abs(made.shown["value"].mean() - made.worth(made.shown["user"], made.shown["feed"]).mean()) < 0.02
    assert (np.sort(made.shown["feed"], 1)[:, 1:] != np.sort(made.shown["feed"], 1)[:, :-1]).all(), "none twice"
    for wrong in ({"tired": 2.0}, {"items": 3}, {"noise": -1.0}):
        with pytest.raises(OptionError, match="feeds"):
            Feeds(**wrong)


def test_lists_hold_existing_items_once_and_scores_are_probabilities(world):
    log, cut, built = world
    asked = cut.test.questions("next").histories
    table = built.recommend(asked, 5, exclude_seen=False).to_pandas()
    assert table["listed"].all()
    assert table.groupby("question")["item"].nunique().eq(5).all()
    assert set(table["item"]) <= set(log.vocabulary("item").ids.to_pylist())
    scores = built.score(asked, Candidates.every(built.fitted.known.items))
    np.testing.assert_allclose(np.exp(scores.astype(float)).sum(1), 1, rtol=1e-4)
    first = table[table["rank"] == 1]
    mine = scores[first["question"], built.fitted.known.items.encode(first["item"].tolist())]
    np.testing.assert_allclose(mine, first["score"], rtol=1e-4, atol=1e-4)


def test_among_and_seen_hold_inside_the_list(world):
    _, cut, built = world
    asked = cut.test.questions("next").histories[:20]
    few = [3, 4, 5, 6, 7, 8, 9]
    found = built.recommend(asked, 5, among=Candidates.of(few), exclude_seen=True).to_pandas()
    for question, rows in found.groupby("question"):
        left = set(few) - set(asked.item_ids(question))
        assert set(rows["item"]) <= left
        assert len(rows) == min(5, len(left))
    longer = built.recommend(asked, 9, exclude_seen=False).to_pandas()
    assert longer.groupby("question")["item"].nunique().eq(9).all()
    assert longer.groupby("question")["listed"].sum().eq(5).all()
    assert (
        longer["score"].to_numpy()[1:][longer["rank"][1:] > 1]
        <= longer["score"].to_numpy()[:-1][longer["rank"][1:] > 1]
    ).all()


def test_the_judge_tells_good_lists_from_bad(world):
    _, cut, built = world
    made, fitted = Feeds(**WORLD), built.fitted
    from ethogram.recommend.onerec.past import Shown
    from ethogram.recommend.onerec.reward import learn

    done = cut.train.histories()
    shown = Shown.of(done, fitted.known.rows, 5, 20.0, 0)
    assert (shown.items >= 0).all()
    vectors = np.random.default_rng(0).standard_normal((fitted.known.trained, 16)).astype(np.float32)
    judge = learn(vectors, shown, length=10, epochs=25, lr=3e-3, seed=0)
    said = judge.judge(shown.past, shown.items[:, None], 10)[:, 0, 0]
    assert np.corrcoef(said, shown.value.sum(1))[0, 1] > 0.5
    assert made.worth(made.shown["user"], made.shown["feed"]).sum(1).std() > 0.1


def test_alignment_moves_towards_what_the_judge_likes(world):
    _, cut, built = world
    told = built.fitted.told["rounds"]
    assert len(told) == 1
    assert told[0]["best"] > told[0]["mean"] > told[0]["worst"]
    more = system("onerec", **{**SMALL, "rounds": 3, "steps": 15, "share": 0.2, "align_lr": 2e-3, "dpo_weight": 4.0})
    rounds = more.fit(cut.train, cut.valid, seed=1).fitted.told["rounds"]
    assert rounds[-1]["mean"] > rounds[0]["mean"]
    assert rounds[-1]["kl"] > 0


def test_without_worth_nothing_is_aligned_and_it_saves(tmp_path, world):
    _, cut, _ = world
    plain = Log.open(cut.train.frame().collect().to_arrow().select(["user", "item", "time"]))
    built = system("onerec", **SMALL).fit(plain)
    assert built.fitted.judge is None
    built.save(tmp_path / "model")
    asked = plain.histories()[:7]
    one, other = (b.recommend(asked, 8, exclude_seen=False) for b in (built, load(tmp_path / "model")))
    assert one.equals(other)


def test_reasons(world):
    _, cut, built = world
    asked = cut.test.questions("next").histories[:3]
    table = built.explain(asked, Candidates.of([1, 2, 9_999]), k=3).to_pylist()
    assert {r["candidate"] for r in table} == {1, 2}
    whole = built.score(asked, Candidates.of([1]))[0, 0]
    ids = asked.item_ids(0)
    without = built.score(Histories.of([ids[:-1]]), Candidates.of([1]))[0, 0]
    best = built.explain(asked[:1], Candidates.of([1]), k=20).to_pylist()
    signed = [r["share"] for r in best if r["item"] == ids[-1]]
    assert np.sign(whole - without) in {np.sign(s) for s in signed}


def test_items_are_alike_by_the_letters_of_their_words(world):
    _, _, built = world
    words, known = built.fitted.words, built.fitted.known
    made = sum(words.centres[level][words.codes[:, level]] for level in range(2)).astype(np.float64)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    ids, counts = known.items.decode(np.flatnonzero(known.counts)).to_pylist(), known.counts[known.counts > 0]
    for row in (0, 7):
        got = built.similar_items([ids[row]], len(ids)).to_pylist()
        place = [ids.index(r["item"]) for r in got]
        np.testing.assert_allclose([r["similarity"] for r in got], made[place] @ made[row], atol=2e-5)
        twins = [p for p in place if (words.codes[p] == words.codes[row]).all()]
        assert place[: len(twins)] == twins, "things of the same word come first"
        assert (np.diff(counts[twins]) <= 0).all(), "the commonest before the rare"
    codes = words.codes[:, 0]
    same = [made[a] @ made[b] for a in range(20) for b in range(a) if codes[a] == codes[b]]
    other = [made[a] @ made[b] for a in range(20) for b in range(a) if codes[a] != codes[b]]
    assert np.mean(same) > np.mean(other) + 0.2


def test_bad_input(world):
    _, _, built = world
    for wrong in ({"levels": 1}, {"share": 2.0}, {"session": 0}, {"heads": 3}):
        with pytest.raises(OptionError):
            system("onerec", **{**SMALL, **wrong}).fit(data.load("feeds", **WORLD))
    one = Log.open(pa.table({"user": [1, 1, 2], "item": [5, 5, 5], "time": [0, 10**6, 0]}))
    small = system("onerec", **SMALL).fit(one)
    assert small.recommend(Histories.of([[5], []]), 3, exclude_seen=False).column("item").to_pylist() == [5, 5]
    assert built.recommend(Histories.of([[1]]), 3, among=Candidates.of([])).num_rows == 0
    same = Log.open(pa.table({"user": [1] * 9, "item": list(range(9)), "time": [10**9] * 9}))
    assert system("onerec", **SMALL).fit(same).recommend(Histories.of([[1, 2]]), 4).num_rows == 4
    long = Histories.of([[i % 60 for i in range(500)], [], [12_345]])
    table = built.recommend(long, 3, exclude_seen=False)
    assert table.column("status").to_pylist() == ["warm"] * 3 + ["cold"] * 3 + ["warm"] * 3
