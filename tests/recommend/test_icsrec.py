"""ICSRec: without contrast it is SASRec; with it, intents are found; explanations, bad input."""

import numpy as np
import pyarrow as pa
import pytest
from tests.recommend.test_sasrec import chain

from ethogram import data
from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories, Log
from ethogram.system import load, system

torch = pytest.importorskip("torch")
SMALL = {"dim": 16, "hidden": 16, "length": 10, "batch": 256, "epochs": 8, "lr": 1e-2, "dropout": 0.0, "intents": 8}


def test_without_contrast_it_is_prefix_augmentation_and_full_softmax_alone():
    log = chain()
    few = {n: SMALL[n] for n in ("dim", "hidden", "length", "batch", "lr", "dropout")} | {"epochs": 2}
    asked, every = chain(seed=4).histories(), Candidates.of(list(range(100, 120)))
    plain = system("icsrec", coarse=0.0, fine=0.0, **few).fit(log, seed=3).score(asked, every)
    assert plain.tobytes() == system("sasrec", **few).fit(log, seed=3).score(asked, every).tobytes()
    drawn = system("icsrec", **few, intents=4).fit(log, seed=3).score(asked, every)
    assert not np.allclose(plain, drawn)


@pytest.mark.parametrize("encoder", ["transformer", "gru"])
def test_learns_what_follows(encoder):
    built = system("icsrec", encoder=encoder, **{**SMALL, "epochs": 12, "pairs": 32}).fit(chain(users=40), seed=1)
    best = built.recommend(Histories.of([[101, 102], [110, 111, 112], [119]]), k=1)
    assert best.column("item").to_pylist() == [103, 113, 100]
    assert best.column("status").to_pylist() == ["warm"] * 3


def test_one_negative_learns_too():
    built = system("icsrec", coarse=0.0, fine=0.0, loss="negative", **{**SMALL, "epochs": 30}).fit(chain(), seed=1)
    assert built.recommend(Histories.of([[101, 102]]), k=1).column("item").to_pylist() == [103]


@pytest.fixture(scope="module")
def purposes():
    how = {"users": 500, "items": 80, "intents": 4, "goals": 3, "noise": 0.1}
    log = data.load("intents", **how)
    return log, data.truth("intents", **how)["events"], system("icsrec", **{**SMALL, "intents": 4}).fit(log, seed=0)


def test_histories_of_one_purpose_share_an_intent(purposes):
    _, _, built = purposes
    shelves = [[20 * s + i for i in (0, 3, 1)] for s in range(4)]
    found = built.assign(Histories.of([*shelves, [h + 2 for h in shelves[0]], [10**9]])).column("intent").to_pylist()
    assert found[4] == found[0]
    assert len(set(found[:4])) >= 3
    assert found[5] is None
    told = built.describe_intents(3).to_pylist()
    assert len(told) == 12
    assert all(r["rank"] in (1, 2, 3) for r in told)


def test_reasons_name_events_and_the_intent(purposes):
    _, _, built = purposes
    asked, wanted = Histories.of([[3, 60, 1, 2], [61, 62]]), Candidates.of([80, 81, 82])
    found = built.explain(asked, wanted, k=4)
    assert found.column("intent").to_pylist()[0] == built.assign(asked).column("intent")[0].as_py()
    rows = [r for r in found.to_pylist() if r["question"] == 0]
    score = built.score(Histories.of([[3, 60, 1, 2], [3, 1, 2]]), wanted)
    part = {r["item"]: r["share"] for r in rows if r["candidate"] == 80}
    assert np.sign(part[60]) == np.sign(score[0, 0] - score[1, 0])


def test_saved_and_loaded_scores_have_equal_bytes(tmp_path, purposes):
    log, _, built = purposes
    built.save(tmp_path / "model")
    back, asked = load(tmp_path / "model"), log.histories()[:50]
    every = Candidates.of(list(range(80)))
    assert built.score(asked, every).tobytes() == back.score(asked, every).tobytes()
    assert back.assign(asked).equals(built.assign(asked))


@pytest.mark.parametrize(
    "options", [{"coarse": -0.1}, {"fine": -1.0}, {"intents": 0}, {"pairs": 0}, {"temperature": 0.0}]
)
def test_options_outside_their_range(options):
    with pytest.raises(OptionError, match=f"icsrec: {next(iter(options))}"):
        system("icsrec", **options).fit(chain())


def test_odd_logs():
    one = Log.open(pa.table({"user": [1, 1, 1, 2], "item": [5, 5, 5, 5], "order": [0, 1, 2, 0]}))
    built = system("icsrec", **SMALL).fit(one)  # a catalogue of one item, a user with one event
    assert built.recommend(Histories.of([[5], []]), 3, exclude_seen=False).column("item").to_pylist() == [5, 5]
    level = Log.open(pa.table({"user": [1, 1, 2, 2], "item": [5, 6, 5, 7], "order": [0, 0, 0, 0]}))
    with pytest.raises(OptionError, match="nothing to learn from"):
        system("icsrec", **SMALL).fit(level)
    long = chain(users=10, steps=60)
    built = system("icsrec", **{**SMALL, "epochs": 2}).fit(long)
    items = [100 + i % 20 for i in range(300)]
    said = built.score(Histories.of([items, items[-10:]]), Candidates.of([100, 105, 999]))
    np.testing.assert_array_equal(said[0], said[1], err_msg="only the last `length` events are read")
    assert np.isfinite(said).all()
    assert built.recommend(Histories.of([[100]]), 3, among=Candidates.of([])).num_rows == 0
