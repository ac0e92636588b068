"""ACT-R's memory against its equations in loops."""

import numpy as np
import pyarrow as pa
import pytest

from ethogram.errors import OptionError
from ethogram.log import Histories, Log
from ethogram.numeric.declarative import base_level, recall, spreading, together
from ethogram.numeric.sessions import Sessions
from ethogram.numeric.traces import FRESH, forgotten

MINUTE, HOUR = 60, 3_600


def log(seed=0, users=6, sessions=5, items=12):
    rng = np.random.default_rng(seed)
    rows = [
        (u, i, 10**9 + s * 7 * HOUR + u)
        for u in range(users)
        for s in range(sessions)
        for i in rng.choice(items, rng.integers(1, 5), replace=False)
    ]
    return Log.open(pa.table(dict(zip(("user", "item", "time"), map(list, zip(*rows, strict=True)), strict=True))))


def of(made):
    done = made.histories()
    return done, Sessions.of(done, np.append(np.arange(12), -1))


def test_plays_an_hour_and_four_hours_ago():
    assert base_level(np.array([6.0, 9.0]), 10.0) == pytest.approx(np.log(1 + 0.5))
    assert base_level(np.array([]), 10.0) == -np.inf
    assert base_level(np.array([10.0]), 10.0) == pytest.approx(np.log(FRESH**-0.5)), "no time at all is not infinite"


@pytest.mark.parametrize("decay", [0.5, 0.2])
def test_recall_is_the_softmax_of_base_levels(decay):
    done, sessions = of(log())
    asked = np.arange(len(sessions))
    found = recall(sessions, asked, decay, k=3, size=12)
    owner = np.repeat(np.arange(len(done)), sessions.counts)
    at = 0
    for s in asked:
        uses = {}
        for p in range(sessions.bounds[owner[s]], s + 1):
            for i in sessions.items[sessions.offsets[p] : sessions.offsets[p + 1]]:
                uses.setdefault(int(i), []).append(sessions.hour[p])
        level = {i: np.exp(base_level(np.array(h), sessions.next[s], decay)) for i, h in uses.items()}
        total = sum(level.values())
        mine = sessions.items[sessions.offsets[s] : sessions.offsets[s + 1]]
        np.testing.assert_allclose(found.base[at : at + len(mine)], [level[i] / total for i in mine], rtol=1e-5)
        at += len(mine)
        best = sorted(level, key=lambda i: (-np.float32(level[i] / total), i))[:3]
        assert found.favourites[s][: len(best)].tolist() == best
        np.testing.assert_allclose(found.weights[s][: len(best)], [level[i] / total for i in best], rtol=1e-5)
        assert (found.favourites[s][len(best) :] == -1).all()


def test_spreading_is_the_normed_count_of_common_sessions():
    _, sessions = of(log(1))
    met = np.zeros((len(sessions), 12))
    for s in range(len(sessions)):
        met[s, sessions.items[sessions.offsets[s] : sessions.offsets[s + 1]]] = 1
    count = met.T @ met
    np.fill_diagonal(count, 0)
    root = 1 / np.sqrt(np.maximum(count.sum(1), 1))
    links = root[:, None] * count * root
    wanted = np.concatenate([links[i][:, i].sum(1) for i in (np.flatnonzero(m) for m in met)])
    got = spreading(sessions.items, sessions.offsets, together(sessions, 12, cap=12))
    np.testing.assert_allclose(got, wanted, rtol=1e-5)


def test_a_pause_ends_a_session_and_equal_times_never_part():
    rows = {"user": ["a"] * 5, "item": list("zyxwz"), "time": [0, 0, 10 * MINUTE, 40 * MINUTE, 45 * MINUTE]}
    done = Log.open(pa.table(rows)).histories()
    code = np.append(np.arange(4), -1)

    def cut(pause):
        made = Sessions.of(done, code, pause)
        ids = done.vocabularies["item"].decode(made.items.astype(np.int32)).to_pylist()
        return [ids[a:b] for a, b in zip(made.offsets[:-1], made.offsets[1:], strict=True)]

    assert cut(20) == [["x", "y", "z"], ["w", "z"]]
    assert cut(None) == [["y", "z"], ["x"], ["w"], ["z"]]
    assert cut(60) == [["w", "x", "y", "z"]]
    assert Sessions.of(done, code, 20).entry.tolist()[:2] in ([1, 2], [2, 1])
    with pytest.raises(OptionError, match="pause"):
        cut(-1)


def test_what_is_left_out_and_who_did_nothing():
    done = Histories.of([["a", "b"], [], ["b"]])
    made = Sessions.of(done, np.array([-1, 0, -1]))
    assert made.items.tolist() == [0, 0]
    assert made.bounds.tolist() == [0, 1, 1, 2]
    assert made.entry.tolist() == [-1, 0, 1]
    none = Sessions.of(Histories.of([[], []]), np.array([-1]))
    assert len(none) == 0
    assert recall(none, np.empty(0, np.int64), 0.5, 3, 1).base.shape == (0,)


def test_forgetting_by_hours_or_without_a_clock_by_groups():
    rows = {"user": ["a"] * 3 + ["b"], "item": ["x", "y", "x", "x"], "time": [0, 5 * HOUR, 8 * HOUR, 9 * HOUR]}
    whole = Log.open(pa.table(rows))
    done = whole.histories()
    weights = forgotten(done, done.vocabularies["item"], 0.5).weights
    np.testing.assert_allclose(weights, [9**-0.5, 4**-0.5, 1, 1], err_msg="asked an hour after the last event")
    asked = Log.open(pa.table(rows)).split("leave-last-out").test.questions("next").histories
    np.testing.assert_allclose(forgotten(asked, done.vocabularies["item"], 1.0).weights, [1 / 8, 1 / 3])
    plain = Histories.of([["x", "y", "z"]])
    np.testing.assert_allclose(forgotten(plain, plain.vocabularies["item"], 1.0).weights, [1 / 3, 1 / 2, 1])
