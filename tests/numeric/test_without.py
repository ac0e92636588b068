"""What a score loses without an event: by hand, with groups."""

from itertools import pairwise

import numpy as np
import pyarrow as pa

from ethogram.log import Candidates, Histories, Log
from ethogram.numeric.without import explain_without, without_each


def test_each_history_lacks_one_event_and_keeps_its_groups():
    rows = {"user": [1] * 4 + [2], "item": [7, 8, 9, 7, 5], "time": [1, 2, 2, 3, 1]}
    histories = Log.open(pa.table(rows)).histories()
    found = without_each(histories, 0)
    assert [found.item_ids(i) for i in range(4)] == [[8, 9, 7], [7, 9, 7], [7, 8, 7], [7, 8, 9]]
    places, ends = found.flat()
    starts = [np.asarray(found.starts)[places[a:b]].tolist() for a, b in pairwise(ends)]
    assert starts == [[True, False, True], [True, True, True], [True, True, True], [True, True, False]]
    assert (found.users == histories.users[0]).all()
    alone = without_each(histories, 1)
    assert len(alone) == 1
    assert alone.lengths.tolist() == [0]


def test_parts_of_a_sum_are_its_terms():
    def score(asked, candidates):
        codes = candidates.vocabulary.decode(candidates.items).to_pylist()
        totals = [sum(asked.item_ids(i)) for i in range(len(asked))]
        assert (asked.users == -1).all(), "asked about as strangers"
        return np.array([[t * c for c in codes] for t in totals], float)

    found = explain_without(score, Histories.of([[3, 1, 4], []]), Candidates.of([2, 5]), 2).to_pylist()
    assert [(r["candidate"], r["item"], round(r["share"], 4), r["rank"]) for r in found] == [
        (2, 4, 0.5, 1), (2, 3, 0.375, 2), (5, 4, 0.5, 1), (5, 3, 0.375, 2),
    ]  # fmt: skip
