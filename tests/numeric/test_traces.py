"""How much past events still count."""

import numpy as np
import pyarrow as pa

from ethogram.log import Histories, Log, Vocabulary
from ethogram.numeric.traces import FAINT, decayed


def test_decay_counts_groups_from_the_end():
    log = Log.open(pa.table({"user": [1] * 5 + [2], "item": [1, 2, 3, 3, 4, 2], "order": [1, 2, 2, 2, 7, 1]}))
    t = decayed(log.histories(), log.vocabulary("item"), 0.5)
    assert t.weights.tolist() == [0.25, 0.5, 0.5, 0.5, 1, 1]
    assert t.offsets.tolist() == [0, 5, 6]
    assert np.asarray(log.histories().item)[t.rows].tolist() == t.items.tolist()


def test_a_history_cut_inside_a_group_begins_with_it():
    log = Log.open(pa.table({"user": [1] * 5, "item": [1, 2, 3, 4, 5], "order": [1, 1, 1, 1, 2]}))
    t = decayed(log.histories().last(2), log.vocabulary("item"), 0.5)
    assert t.weights.tolist() == [1]
    cut = Histories(**{**vars(log.histories()), "start": np.array([2])})
    assert decayed(cut, log.vocabulary("item"), 0.5).weights.tolist() == [0.5, 0.5, 1]


def test_items_are_told_by_id():
    t = decayed(Histories.of([["b", "?"], ["a"]]), Vocabulary(["a", "b"]))
    assert t.items.tolist() == [1, -1, 0]
    assert t.weights.tolist() == [1, 1, 1]


def test_an_endless_history_falls_silent():
    t = decayed(Histories.of([list(range(500))]), Vocabulary(list(range(500))), 0.8)
    heard = t.weights > 0
    assert t.weights[heard].min() >= FAINT
    assert heard.sum() == np.floor(np.log(FAINT) / np.log(0.8)) + 1
    assert not heard[: 500 - heard.sum()].any()
