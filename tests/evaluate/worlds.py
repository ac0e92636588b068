"""Small logs and systems that the evaluation tests share."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pyarrow as pa

from ethogram.log import Log


def listens(users=40, items=25, seed=0, repeats=0.0):
    """Users with 4 to 9 events one hour apart, all in one week; about `repeats` of them repeat an earlier item."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        own = []
        for at in range(rng.integers(4, 10)):
            fresh = [i for i in range(items) if i not in own]
            again = own and rng.random() < repeats
            own.append(int(rng.choice(own if again else fresh, p=None if again else _skewed(len(fresh)))))
            rows.append((f"u{user:02}", f"i{own[-1]:02}", 1_700_000_000 + 3600 * at))
    user, item, time = zip(*rows, strict=True)
    return pa.table({"user": user, "item": item, "time": np.array(time) * 1_000_000})


def _skewed(n):
    p = 1 / np.arange(1, n + 1)
    return p / p.sum()


def open_listens(**options):
    return Log.open(listens(**options), time="time")


@dataclass(kw_only=True)
class Counting:
    """Scores an item by its training events to a power."""

    power: float = 1.0
    "Exponent of the count."
    names: tuple[str, ...] = ()
    "Kept with the record."

    info = SimpleNamespace(key="counting", area="recommend")
    fitted = None
    fits = 0

    def fit(self, train, valid=None, *, seed=0, watch=None):
        type(self).fits += 1
        events = train.sequences()
        self.fitted = np.bincount(events.columns["item"], minlength=len(events.vocabularies["item"]))
        return self

    def score(self, histories, candidates, context=None):
        codes, _ = candidates.flat(len(histories))
        return candidates.shape((self.fitted[codes].astype(np.float32)) ** self.power, len(histories))


@dataclass(kw_only=True)
class Random:
    """Scores at random, by the seed and the item."""

    info = SimpleNamespace(key="random", area="recommend")
    fitted = None

    def fit(self, train, valid=None, *, seed=0, watch=None):
        self.fitted = np.random.default_rng(seed).random(len(train.vocabulary("item")))
        return self

    def score(self, histories, candidates, context=None):
        codes, _ = candidates.flat(len(histories))
        return candidates.shape(self.fitted[codes], len(histories))


@dataclass(kw_only=True)
class Failing:
    """Fails to learn."""

    info = SimpleNamespace(key="failing", area="recommend")
    broken: bool = True
    "Whether fit fails."

    def fit(self, train, valid=None, *, seed=0, watch=None):
        if self.broken:
            raise RuntimeError("no convergence\nafter 3 steps")
        return self

    def score(self, histories, candidates, context=None):
        return np.zeros((len(histories), len(candidates.items)), np.float32)
