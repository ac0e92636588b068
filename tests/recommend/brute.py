"""The floors written a second time, in dictionaries and loops: slow, and easy to check."""

from collections import Counter, defaultdict
from itertools import combinations

import numpy as np
import pyarrow as pa

from ethogram.log import Log


def log_of(people, *, start=1_600_000_000):
    """A log from user -> list of groups, a group being a list of items at one time."""
    rows = [
        (user, item, start + 60 * place)
        for user, groups in people.items()
        for place, group in enumerate(groups)
        for item in group
    ]
    user, item, time = zip(*rows, strict=True)
    return Log.open(pa.table({"user": user, "item": item, "time": time}))


def random_people(seed, users=12, items=9, groups=7, size=3):
    rng = np.random.default_rng(seed)
    return {
        f"u{u}": [
            [f"i{i}" for i in rng.integers(0, items, rng.integers(1, size + 1))]
            for _ in range(rng.integers(1, groups + 1))
        ]
        for u in range(users)
    }


def counts(people):
    return Counter(item for groups in people.values() for group in groups for item in group)


def cosine(people):
    """C[a, b] as in item_knn."""
    d, users = counts(people), defaultdict(set)
    for user, groups in people.items():
        for group in groups:
            for item in group:
                users[item].add(user)
    c = {}
    for a, b in combinations(users, 2):
        if shared := len(users[a] & users[b]):
            c[a, b] = c[b, a] = shared / np.sqrt(d[a] * d[b])
    return c


def count_cosine(people):
    """C[a, b] as in item_knn with `often`."""
    met = defaultdict(lambda: defaultdict(int))
    for user, groups in people.items():
        for group in groups:
            for item in group:
                met[item][user] += 1
    length = {item: np.sqrt(sum(n * n for n in by.values())) for item, by in met.items()}
    return {
        (a, b): sum(n * met[b].get(user, 0) for user, n in met[a].items()) / (length[a] * length[b])
        for a in met
        for b in met
        if set(met[a]) & set(met[b])
    }


def kernel(people, gap=3, reverse=0.5):
    """P[a, b] as in transition_kernel."""
    d, t = counts(people), defaultdict(float)
    for groups in people.values():
        for i, earlier in enumerate(groups):
            for j in range(i + 1, min(i + gap, len(groups) - 1) + 1):
                for a in earlier:
                    for b in groups[j]:
                        t[a, b] += 1 / (j - i)
    return {
        (a, b): (t.get((a, b), 0) + reverse * t.get((b, a), 0)) / np.sqrt(d[a] * d[b])
        for a, b in {*t, *((b, a) for a, b in t)}
        if t.get((a, b), 0) + reverse * t.get((b, a), 0) > 0
    }


def scores(groups, catalogue, weight, prior, decay):
    """Sum over the history's events of decay^(groups behind) * weight[event's item, b] + prior[b]."""
    return np.array(
        [
            sum(
                decay ** (len(groups) - 1 - g) * weight.get((item, b), 0.0)
                for g, group in enumerate(groups)
                for item in group
            )
            + prior.get(b, 0)
            for b in catalogue
        ]
    )
