"""Where a purchase may come from: the parts of a mixture, each of which can say its probability and be drawn from.

Own       the household's own past, by weights that halve with age: what it took, it takes again
InGroup   a group (department, type ...) as often as the household took it, in it an item by recent popularity
Alike     the past of a household whose past is alike (cosine of inverse-frequency weighted items)
Popular   what everybody took lately, or ever
Uniform   any item of the catalogue
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import scipy.sparse as sp

from ethogram.world.people.past import HALF_LIVES, Past, Record, _weights, picked
from ethogram.world.people.purchases import Purchases

STEADY = HALF_LIVES.index(112.0)
"""Half-life of tastes for groups, and of the past of others."""
RECENT = 28.0
"""Half-life of popularity inside groups, days."""
SELDOM = 1e-3
"""What a purchase counts in popularity however long ago it was."""


class Component(Protocol):
    """A part of the mixture."""

    name: str
    personal: bool
    "Whether it needs a real past."

    def share(self, past: Past, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Probability of each item for each row, of one shape."""
        ...

    def draw(self, past: Past, rows: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """An item for each row from numbers float64[n, 2]."""
        ...


class Own:
    """The household's own past, what a simulation added included."""

    personal = True

    def __init__(self, h: int):
        self.h, self.half_life = h, HALF_LIVES[h]
        self.name = f"own past, half-life {self.half_life:g} days"

    def share(self, past: Past, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        return past.share(self.h, rows, items)

    def draw(self, past: Past, rows: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        return past.draw(self.h, rows, uniform[:, 0])


class InGroup:
    """Taste for groups, fixed at the fit; inside a group items go by weights that are the same for all."""

    personal = True

    def __init__(self, name: str, record: Record, group: np.ndarray, weight: np.ndarray):
        self.name, self.record, self.group = name, record, group
        n = int(group.max()) + 1
        self.order = np.argsort(group, kind="stable")
        self.offsets = np.searchsorted(group[self.order], np.arange(n + 1))
        self.inside = weight / np.maximum(np.bincount(group, weight, n), 1e-300)[group]
        self.ends = np.concatenate([[0.0], np.cumsum(self.inside[self.order])])
        who = record.keys // record.catalogue
        households = len(record.offsets) - 1
        counts = np.bincount(who * n + group[record.keys % record.catalogue], record.held[STEADY], households * n)
        total = np.maximum(record.total[STEADY], 1e-300)
        self.taste = (counts.reshape(households, n) / total[:, None]).astype(np.float32)

    def share(self, past: Past, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        return np.asarray(self.taste[past.who[rows], self.group[items]] * self.inside[items])

    def draw(self, past: Past, rows: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        one = self.record.draw(STEADY, past.who[rows], uniform[:, 0])
        return picked(self.ends, self.offsets, self.order, self.group[one], uniform[:, 1])


class Alike:
    """What households with a similar past took."""

    name, personal = "past of households alike", True

    def __init__(self, record: Record, neighbours: int):
        self.record = record
        self.near, self.weight = alike(record, neighbours)
        self.ends = np.cumsum(self.weight, 1)

    def share(self, past: Past, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        shape, who = items.shape, np.broadcast_to(past.who[rows], items.shape).ravel()
        flat, made = items.ravel(), np.zeros(items.size)
        for k in range(self.near.shape[1]):
            made += self.weight[who, k] * self.record.share(STEADY, self.near[who, k], flat)
        return made.reshape(shape)

    def draw(self, past: Past, rows: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        who = past.who[rows]
        place = (self.ends[who] <= uniform[:, :1] * self.ends[who, -1:]).sum(1)
        one = self.near[who, np.minimum(place, self.near.shape[1] - 1)]
        return self.record.draw(STEADY, one, uniform[:, 1])


class Popular:
    """What everybody took."""

    personal = False

    def __init__(self, name: str, weight: np.ndarray):
        self.name, self.chance = name, weight / weight.sum()
        self.ends = np.cumsum(self.chance)

    def share(self, past: Past, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        return np.asarray(self.chance[items])

    def draw(self, past: Past, rows: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        at = np.searchsorted(self.ends, uniform[:, 0] * self.ends[-1], "right")
        return np.minimum(at, len(self.ends) - 1)


def parts(past: Purchases, record: Record, neighbours: int) -> list[Component]:
    """All components as of the end of `past`."""
    recent, ever = popularity(past)
    made: list[Component] = [Own(h) for h in range(len(HALF_LIVES))]
    for name, group in past.groups.items():
        made.append(InGroup(f"taste by {name}", record, group, recent))
    if past.groups:
        name, group = list(past.groups.items())[-1]
        made.append(InGroup(f"any item of a {name} taken", record, group, np.ones(past.catalogue)))
    if neighbours:
        made.append(Alike(record, neighbours))
    made += [Popular("popular lately", recent), Popular("popular ever", ever)]
    return [*made, Popular("any item", np.ones(past.catalogue))]


def popularity(past: Purchases) -> tuple[np.ndarray, np.ndarray]:
    """(recent, ever): weights float64[I] of all items; those never taken have almost none."""
    recent = np.bincount(past.item, _weights(past.day - past.days, (RECENT,))[0], past.catalogue)
    ever = np.bincount(past.item, minlength=past.catalogue).astype(float)
    return recent + SELDOM * ever + 1e-9, ever + 1e-9


def alike(record: Record, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """(places int64[U, k], weights float64[U, k] of sum 1): the nearest by cosine of log counts times log(U / holders).

    A household without a past has neighbours of weight 0.
    """
    households, k = len(record.offsets) - 1, min(neighbours, len(record.offsets) - 2)
    who, item = np.divmod(record.keys, record.catalogue)
    holders = np.bincount(item, minlength=record.catalogue)
    value = np.log1p(record.held[-1]) * np.log(households / np.maximum(holders, 1))[item]
    norm = np.sqrt(np.bincount(who, value**2, households))
    table = sp.csr_matrix((value / np.maximum(norm[who], 1e-300), (who, item)), (households, record.catalogue))
    near, weight = np.zeros((households, max(k, 1)), np.int64), np.zeros((households, max(k, 1)))
    if k < 1:
        return near, weight
    other = table.T.tocsr()
    for at in range(0, households, 1024):
        rows = np.arange(at, min(at + 1024, households))
        close = (table[rows] @ other).toarray()
        close[np.arange(len(rows)), rows] = 0.0
        best = np.argpartition(-close, k - 1, 1)[:, :k]
        near[rows], weight[rows] = best, np.take_along_axis(close, best, 1)
    return near, weight / np.maximum(weight.sum(1, keepdims=True), 1e-300)
