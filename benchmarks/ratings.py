"""MovieLens-100K as a table of click questions: would this person give this film four stars or more?

A row is a rating; its label is 1 from four stars, a second one, `love`, at five. Its history is what the person liked
before, the last 50 or as many as told, in the stored order of equal times; a row without any is left out. A person's
last row is
the test, the one before it the validation. Columns: person, film, the film's first genre, the person's age, gender and
occupation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.data.ml_100k import ML100K
from ethogram.log import Log

LENGTH = 50
KINDS = {"liked": "click_history", "neutral": "neutral_history", "disliked": "disliked_history"}
"""What somebody did before, from four stars, three, and below: kind of the log and column of the table."""
PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class Ratings:
    """The table, once as plain columns for whoever reads files, once as a log.

    Attributes
    ----------
    rows : user_id, item_id, genre, age, gender, occupation (text), click_history (list of text; with `kinds` those of
        all `KINDS`), label, love (int).
    part : int8[N], place in `PARTS`. log : the same as exposures (with a label) and likes (without one).
    """

    rows: pa.Table
    part: np.ndarray
    log: Log

    def of(self, part: str) -> pa.Table:
        """The rows of a part."""
        return self.rows.filter(pa.array(self.part == PARTS.index(part)))


def ratings(*, several: bool = False, length: int = LENGTH, kinds: bool = False) -> Ratings:
    """Read the files; raises MissingData where they are not on this machine.

    `several`: the log has both labels. `length`: of a history at most. `kinds`: three histories by `KINDS`, of which
    those but the first may be empty.
    """
    read = ML100K().read()
    assert read.items is not None
    assert read.users is not None
    stars = read.events.sort_by([("user_id", "ascending"), ("timestamp", "ascending")])  # stable: ties as stored
    user, film = (stars[c].to_numpy() for c in ("user_id", "item_id"))
    label = stars["liked"].to_numpy().astype(np.int8)
    love = (stars["rating"].to_numpy() >= 5).astype(np.int8)
    first = np.r_[True, user[1:] != user[:-1]]
    start = np.maximum.accumulate(np.where(first, np.arange(len(user)), 0))
    rating = stars["rating"].to_numpy()
    sets = {"liked": label == 1, "neutral": (rating >= 3) & (label == 0), "disliked": rating < 3}
    found = {kind: _before(sets[kind], start, length) for kind in (KINDS if kinds else ("liked",))}
    _, begin, stop = found["liked"]
    asked = np.flatnonzero(stop > begin)
    back = np.searchsorted(user[asked], user[asked], "right") - 1 - np.arange(len(asked))
    part = np.select([back == 0, back == 1], [2, 1], 0).astype(np.int8)

    genre = pc.list_element(pc.if_else(_empty(read.items["genres"]), pa.scalar([""]), read.items["genres"]), 0)
    film_row = pc.index_in(stars["item_id"], read.items["item"]).to_numpy()
    user_row = pc.index_in(stars["user_id"], read.users["user"]).to_numpy()
    age = pc.cast(pc.cast(read.users["age"], pa.int32()), pa.string())
    told = {
        "user_id": pc.cast(stars["user_id"], pa.string()),
        "item_id": pc.cast(stars["item_id"], pa.string()),
        "genre": genre.take(pa.array(film_row)),
        "age": age.take(pa.array(user_row)),
        "gender": read.users["gender"].take(pa.array(user_row)),
        "occupation": read.users["occupation"].take(pa.array(user_row)),
    }
    rows = pa.table({k: v.take(pa.array(asked)) for k, v in told.items()})
    for kind, (where, first_, last_) in found.items():
        spans = np.concatenate([[0], np.cumsum((last_ - first_)[asked])])
        past = where[np.repeat(first_[asked] - spans[:-1], np.diff(spans)) + np.arange(spans[-1])]
        ids = pc.cast(pa.array(film[past]), pa.string())
        rows = rows.append_column(KINDS[kind], pa.ListArray.from_arrays(pa.array(spans, pa.int32()), ids))
    rows = rows.append_column("label", pa.array(label[asked]))
    rows = rows.append_column("love", pa.array(love[asked]))
    labels = {"label": label, "label_love": love} if several else {"label": label}
    done = np.sort(np.concatenate([where for where, _, _ in found.values()]))
    kind = np.select([sets["liked"], sets["neutral"]], ["liked", "neutral"], "disliked") if kinds else None
    return Ratings(rows, part, _log(told, asked, done, labels, kind, read.users["user"], age, read.users))


def _before(some: np.ndarray, start: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(ratings of a set, for each row the first and the one behind the last of those in its history)."""
    before = np.concatenate([[0], np.cumsum(some)])
    stop = before[:-1]  # those that come before each row, in all; those before its person's first row are others'
    return np.flatnonzero(some), np.maximum(before[start], stop - length), stop


def _empty(lists: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.equal(pc.list_value_length(lists), 0)


def _log(told: dict, asked: np.ndarray, done: np.ndarray, labels: dict[str, np.ndarray], kind: np.ndarray | None,
         ids: pa.ChunkedArray, age: pa.ChunkedArray, people: pa.Table) -> Log:  # fmt: skip
    """Exposures with a label, and what was done without one; the clock is the order of the rows."""
    both = np.concatenate([asked, done])
    none = np.arange(len(both)) >= len(asked)
    events = pa.table(
        {
            "user": told["user_id"].take(pa.array(both)),
            "item": told["item_id"].take(pa.array(both)),
            "order": both,
            **{name: pa.array(values[both].astype(np.float32), mask=none) for name, values in labels.items()},
            **({} if kind is None else {"kind": pc.if_else(pa.array(none), pa.array(kind[both]), pa.scalar("asked"))}),
            "genre": pc.if_else(pa.array(none), pa.scalar(None, pa.string()), told["genre"].take(pa.array(both))),
        }
    )
    name = pc.cast(ids, pa.string())
    sides = {"user": name, "person": name, "age": age, "gender": people["gender"], "occupation": people["occupation"]}
    roles = {"user": "user", "item": "item", "order": "order", "label": "label"}
    roles |= {} if kind is None else {"kind": "kind"}
    return Log.open(events, users=pa.table(sides), strict=True, **roles)
