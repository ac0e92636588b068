"""DESMIL: learns, keeps interests apart, explains exactly; bad input."""

import numpy as np
import pyarrow as pa
import pytest
from tests.recommend.test_sasrec import chain

from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories, Log
from ethogram.system import load, system

torch = pytest.importorskip("torch")
SMALL = {"dim": 16, "hidden": 8, "length": 10, "batch": 256, "epochs": 6, "lr": 2e-2, "dropout": 0.0, "interests": 3}


@pytest.fixture(scope="module")
def fitted():
    return system("desmil", **SMALL).fit(chain(), seed=1)


def test_learns_what_follows_and_measures_itself(fitted):
    best = fitted.recommend(Histories.of([[101, 102], [110, 111, 112], [119]]), k=3)
    hits = [t in best.column("item").to_pylist()[3 * q : 3 * q + 3] for q, t in enumerate((103, 113, 100))]
    assert all(hits)
    told = fitted.dependence().to_pylist()
    assert [r["epoch"] for r in told] == [1, 2, 3, 4, 5, 6]
    for row in told:
        assert row["weighted"] < row["dependence"]
        assert 0.4 < row["effective"] < 1
        assert sum(row["usage"]) == pytest.approx(1.0)
        assert max(row["usage"]) < 0.98, "interests of which all but one are dead"


def test_without_weights_nothing_is_learned_about_them():
    built = system("desmil", stable=False, **SMALL).fit(chain(), seed=1)
    assert all(r["effective"] == 1.0 and r["weighted"] == r["dependence"] for r in built.dependence().to_pylist())


def test_scores_are_the_largest_of_the_interests(fitted):
    asked, wanted = Histories.of([[101, 102, 117], [104]]), Candidates.of([103, 110, 118])
    states, there = fitted.fitted.model.states(asked)
    assert states.shape == (2, 3, 16)
    assert there.all()
    rows = fitted.fitted.model.known.rows_in(wanted.vocabulary)[wanted.items]
    expected = (states @ fitted.fitted.model.vectors[rows].T).max(1)
    np.testing.assert_allclose(fitted.score(asked, wanted), expected, rtol=1e-5)
    ragged = Candidates.of([[103, 110, 118], [118]])
    np.testing.assert_allclose(fitted.score(asked, ragged), [*expected[0], expected[1, 2]], rtol=1e-5)


def test_reasons_add_up_to_the_score(fitted):
    asked, wanted = Histories.of([[101, 999, 102, 117, 101]]), Candidates.of([103, 118, 999])
    found = fitted.explain(asked, wanted, k=9).to_pylist()
    score = fitted.score(asked, wanted)[0]
    from ethogram.recommend.desmil import _attention

    at, row, weight = _attention(fitted.fitted.model, asked)
    assert at.tolist() == [0, 2, 3, 4]
    vectors = fitted.fitted.model.vectors
    for c, item in enumerate((103, 118)):
        mine = [r for r in found if r["candidate"] == item]
        interest = mine[0]["interest"]
        code = fitted.fitted.model.known.rows[fitted.fitted.model.known.items.encode([item])[0]]
        parts = weight[:, interest] * (vectors[row] @ vectors[code])
        assert parts.sum() == pytest.approx(score[c], rel=1e-4)
        assert sum(r["share"] for r in mine) == pytest.approx(parts.sum() / np.abs(parts).sum(), rel=1e-4)
    assert not [r for r in found if r["candidate"] == 999]


def test_saved_and_loaded(tmp_path, fitted):
    fitted.save(tmp_path / "model")
    back, asked, every = load(tmp_path / "model"), chain(seed=9).histories(), Candidates.of(list(range(100, 120)))
    assert fitted.score(asked, every).tobytes() == back.score(asked, every).tobytes()
    assert back.dependence().column("dependence").equals(fitted.dependence().column("dependence"))


@pytest.mark.parametrize("options", [{"interests": 0}, {"features": 0}, {"dims": 0}, {"inner": 0}, {"penalty": -1.0}])
def test_options_outside_their_range(options):
    with pytest.raises(OptionError, match=f"desmil: {next(iter(options))}"):
        system("desmil", **options).fit(chain())


def test_odd_logs(fitted):
    one = Log.open(pa.table({"user": [1, 1, 1, 2], "item": [5, 5, 5, 5], "order": [0, 1, 2, 0]}))
    built = system("desmil", **SMALL).fit(one)  # a catalogue of one item, a user with one event
    assert built.recommend(Histories.of([[5], []]), 3, exclude_seen=False).column("item").to_pylist() == [5, 5]
    level = Log.open(pa.table({"user": [1, 1, 2, 2], "item": [5, 6, 5, 7], "order": [0, 0, 0, 0]}))
    with pytest.raises(OptionError, match="nothing to learn from"):
        system("desmil", **SMALL).fit(level)
    items = [100 + i % 20 for i in range(300)]
    said = fitted.score(Histories.of([items, items[-10:]]), Candidates.of([100, 105, 999]))
    np.testing.assert_array_equal(said[0], said[1], err_msg="only the last `length` events are read")
    assert fitted.recommend(Histories.of([[100]]), 3, among=Candidates.of([])).num_rows == 0
