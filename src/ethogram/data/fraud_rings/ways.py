"""How people move through a shop before they pay: pages, which leads to which, and how long each is looked at."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SECTIONS = ("electronics", "fashion", "furniture", "beauty", "toys", "grocery", "gift_cards", "sports")
POPULAR = np.array([0.2, 0.2, 0.12, 0.12, 0.1, 0.12, 0.06, 0.08])
"""Share of sessions whose main section each is."""
END = "checkout"
LONGEST = 40
LEADS: dict[str, dict[str, float]] = {
    "home": {"search": 0.35, "category": 0.3, "item": 0.1, "login": 0.1, "account": 0.05, "coupon": 0.05, "help": 0.05},
    "search": {"item": 0.6, "search": 0.2, "category": 0.1, "cart": 0.1},
    "category": {"item": 0.6, "category": 0.2, "search": 0.1, "home": 0.1},
    "item": {"cart": 0.3, "reviews": 0.25, "item": 0.2, "search": 0.1, "category": 0.1, "help": 0.05},
    "reviews": {"item": 0.5, "cart": 0.3, "category": 0.1, "search": 0.1},
    "cart": {
        "login": 0.3, "address": 0.2, "item": 0.15, "coupon": 0.15, "shipping": 0.1, "register": 0.05, "payment": 0.05
    },
    "coupon": {"cart": 0.4, "address": 0.2, "payment": 0.2, "item": 0.2},
    "login": {"address": 0.3, "payment": 0.3, "account": 0.2, "cart": 0.2},
    "register": {"address": 0.6, "home": 0.2, "cart": 0.2},
    "account": {"home": 0.4, "cart": 0.3, "payment": 0.3},
    "help": {"home": 0.4, "item": 0.3, "cart": 0.3},
    "address": {"shipping": 0.7, "payment": 0.3},
    "shipping": {"payment": 0.8, "address": 0.1, "coupon": 0.1},
    "payment": {END: 0.75, "coupon": 0.1, "address": 0.15},
}  # fmt: skip
TYPES = (*LEADS, END)
SECTIONED = ("search", "category", "item", "reviews")
SECONDS = dict(zip(LEADS, (7, 10, 12, 27, 33, 13, 9, 10, 37, 12, 30, 25, 12, 27), strict=True))
"""Median seconds on each type of page."""
START = {"home": 0.4, "search": 0.25, "category": 0.1, "item": 0.2, "account": 0.05}


def _pages() -> tuple[list[str], np.ndarray, np.ndarray]:
    names, types, at = [], [], np.zeros((len(TYPES), len(SECTIONS)), np.int64)
    for t, kind in enumerate(TYPES):
        for s, section in enumerate(SECTIONS):
            if kind in SECTIONED or s == 0:
                names.append(f"{kind}/{section}" if kind in SECTIONED else kind)
                types.append(t)
            at[t, s] = len(names) - 1
    return names, np.array(types), at


PAGES, TYPE_OF, PAGE_AT = _pages()
"""Names of the pages; type of each page; page of (type, section), int64[types, sections]."""
LOG_SECONDS = np.log([*SECONDS.values(), 1.0])[TYPE_OF]
"""Mean of the log of seconds on each page."""


class Walks(NamedTuple):
    """Page views of n sessions one after another: page and log of seconds, offsets int64[n + 1]."""

    page: np.ndarray
    seconds: np.ndarray
    offsets: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)

    @classmethod
    def joined(cls, parts: list[Walks]) -> Walks:
        lengths = np.concatenate([[0], *(p.lengths for p in parts)])
        return cls(
            np.concatenate([p.page for p in parts]), np.concatenate([p.seconds for p in parts]), np.cumsum(lengths)
        )


def habits(count: int, rng: np.random.Generator) -> np.ndarray:
    """Ways of leading from type to type, each a variation of `LEADS`, float64[count, types, types]."""
    base = np.zeros((len(TYPES), len(TYPES)))
    for kind, leads in LEADS.items():
        for other, p in leads.items():
            base[TYPES.index(kind), TYPES.index(other)] = p
    base[-1, -1] = 1.0
    found = base * rng.gamma(2.0, 0.5, (count, *base.shape))
    return np.asarray(found / found.sum(2, keepdims=True))


def walk(n: int, ways: np.ndarray, rng: np.random.Generator) -> Walks:
    """Sessions of people with habits, up to and without the checkout; who has not paid after `LONGEST` pages pays."""
    habit, section = rng.integers(0, len(ways), n), rng.choice(len(SECTIONS), n, p=POPULAR)
    steps = np.cumsum(ways, 2)
    begin = np.cumsum([START.get(k, 0.0) for k in TYPES])
    state = np.searchsorted(begin, rng.random(n))
    path = np.empty((n, LONGEST), np.int64)
    for at in range(LONGEST):
        path[:, at] = state
        # rounding may leave the last border just below 1
        state = np.minimum((steps[habit, state] < rng.random((n, 1))).sum(1), len(TYPES) - 1)
    path[:, -1] = np.where(path[:, -1] == len(TYPES) - 1, path[:, -1], TYPES.index("payment"))
    there = path < len(TYPES) - 1
    owner = np.repeat(np.arange(n), there.sum(1))
    elsewhere = rng.random(len(owner)) < 0.2
    where = np.where(elsewhere, rng.integers(0, len(SECTIONS), len(owner)), section[owner])
    page = PAGE_AT[path[there], where]
    pace = rng.normal(0, 0.3, n)[owner]
    seconds = LOG_SECONDS[page] + pace + rng.normal(0, 0.7, len(page))
    return Walks(page, seconds, np.concatenate([[0], np.cumsum(there.sum(1))]))


def script(ways: np.ndarray, shortest: int, longest: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A path that people could take, of so many pages, and the log of seconds that its ring spends on each."""
    while True:
        made = walk(64, ways, rng)
        fits = np.flatnonzero((made.lengths >= shortest) & (made.lengths <= longest))
        if len(fits):
            page = made.page[made.offsets[fits[0]] : made.offsets[fits[0] + 1]]
            return page, pattern(page, rng)


def pattern(page: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A rhythm of its own: some pages rushed through, others left open."""
    return np.asarray(LOG_SECONDS[page] - 0.4 + rng.normal(0, 0.9, len(page)))


def follow(
    n: int, page: np.ndarray, seconds: np.ndarray, noise: float, jitter: float, rng: np.random.Generator
) -> Walks:  # fmt: skip
    """Sessions that follow a script: a share `noise` of pages is another one, left out, or followed by a detour.

    Each of the three happens to a third of the share; `jitter` is the spread of the log of seconds.
    """
    owner, place = np.repeat(np.arange(n), len(page)), np.tile(np.arange(len(page)), n)
    chance = rng.random(len(owner))
    strange = rng.integers(0, len(PAGES) - 1, len(owner))  # any page but the checkout, which stands last
    other = chance < noise / 3
    gone = (chance >= noise / 3) & (chance < 2 * noise / 3) & (place > 0)  # nobody's session is left empty
    more = (chance >= 2 * noise / 3) & (chance < noise)
    shown = np.where(other, strange, page[place])
    spent = np.where(other, LOG_SECONDS[strange], seconds[place])
    at = np.repeat(np.arange(len(owner)), np.where(gone, 0, 1 + more))
    detour = np.r_[False, at[1:] == at[:-1]]
    view = np.where(detour, strange[at], shown[at])
    spent = np.where(detour, LOG_SECONDS[strange[at]], spent[at])
    spread = np.where(detour | other[at], 0.7, jitter)
    lengths = np.bincount(owner[at], minlength=n)
    return Walks(view, spent + spread * rng.standard_normal(len(at)), np.concatenate([[0], np.cumsum(lengths)]))
