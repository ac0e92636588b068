"""What is home and what a trip: by kind, by town, by nothing."""

import numpy as np
import pyarrow as pa

from ethogram.log import Histories, Log
from ethogram.numeric.trips import Travel

ROWS = [  # user, item, day, kind
    ("a", "h1", 1, "home"), ("a", "h2", 2, "home"), ("a", "x1", 3, "trip"), ("a", "x2", 3, "trip"),
    ("a", "h3", 3, "home"), ("a", "x1", 4, "trip"), ("a", "y1", 9, "trip"),
    ("b", "x1", 1, "trip"), ("b", "h1", 2, "home"),
    ("c", "x1", 1, "home"), ("c", "x2", 2, "home"), ("c", "h1", 3, "trip"),
    ("d", "h1", 1, "home"),
]  # fmt: skip
TOWN = {"h1": "H", "h2": "H", "h3": "H", "x1": "X", "x2": "X", "y1": "Y"}


def log(kinds=True, towns=True, homes=None):
    columns = dict(zip(("user", "item", "time", "kind"), map(list, zip(*ROWS, strict=True)), strict=True))
    columns["time"] = [10**9 + 86_400 * d for d in columns["time"]]
    if not kinds:
        del columns["kind"]
    items = pa.table({"item": list(TOWN), **({"town": list(TOWN.values())} if towns else {})})
    users = None if homes is None else pa.table({"user": list(homes), "home": list(homes.values())})
    return Log.open(pa.table(columns), items=items, users=users)


def told(given):
    histories = given.histories()
    travel = Travel.of(histories, "town", "trip")
    trips = travel.trips(histories)
    items = histories.vocabularies["item"]
    names = histories.vocabularies["user"].decode(trips.before.users).to_pylist()
    towns = travel.towns.decode(trips.town).to_pylist()
    ends = trips.offsets
    found = {
        (names[i], towns[i]): (trips.before.item_ids(i), items.decode(trips.items[ends[i] : ends[i + 1]]).to_pylist())
        for i in range(len(trips))
    }
    return travel, trips, found


def test_by_kind():
    travel, trips, found = told(log())
    assert travel.how == "kind"
    assert found == {
        ("a", "X"): (["h1", "h2"], ["x1", "x2", "x1"]),  # h3 is of the same moment, so not before
        ("a", "Y"): (["h1", "h2", "h3"], ["y1"]),
        ("c", "H"): (["x1", "x2"], ["h1"]),
    }
    assert trips.without == 1, "nothing is known of b before"


def test_by_town():
    travel, _, found = told(log(kinds=False))
    assert travel.how == "town"
    # a has as many events in H as in X: the first name wins; b likewise
    assert found == {
        ("a", "X"): (["h1", "h2"], ["x1", "x2", "x1"]),
        ("a", "Y"): (["h1", "h2", "h3"], ["y1"]),
        ("c", "H"): (["x1", "x2"], ["h1"]),
    }
    _, trips, found = told(log(kinds=False, homes={"a": "X", "b": "X", "c": "H", "d": "H"}))
    assert found == {("a", "Y"): (["x1", "x2", "x1"], ["y1"]), ("b", "H"): (["x1"], ["h1"])}
    assert trips.without == 2


def test_by_nothing_the_last_group_stands_for_the_trip():
    travel, _, found = told(log(kinds=False, towns=False))
    assert travel.how == "last"
    assert {u: v for (u, _), v in found.items()} == {
        "a": (["h1", "h2", "h3", "x1", "x2", "x1"], ["y1"]),
        "b": (["x1"], ["h1"]),
        "c": (["x1", "x2"], ["h1"]),
    }
    away, _ = travel.away(log(kinds=False, towns=False).histories())
    assert not away.any(), "what is asked about is never in the history"


def test_histories_of_plain_lists_are_read_by_town():
    travel, _, _ = told(log())
    asked = Histories.of([["h1", "x1", "h2", "unheard of"], [], ["x1"]])
    kept = travel.at_home(asked)
    assert [kept.item_ids(i) for i in range(3)] == [["h1", "h2", "unheard of"], [], ["x1"]]
    assert np.array_equal(kept.time, asked.time)
