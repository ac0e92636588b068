"""What accounts do: days, pages, sizes, and the words they add, delete and comment with."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.data.returning_accounts.names import words as made_up
from ethogram.data.returning_accounts.people import DAY, NEUTRAL, PAGES, SITTING, TEMPLATES, TOPICS, People
from ethogram.text.tone_words import CATEGORIES

TOPIC_WORDS = 30
TOPICAL = 0.10
"""Share of the words added that are of the topic."""
HOT = 7_919
"""A prime: pages in the news lie this far apart, so in all topics."""
NEWS, STORIES = 40 * DAY, 5
"""How long pages stay in the news, and how many are at a time."""
FUNCTION = ("the", "of", "and", "a", "in", "to", "is", "was", "for", "on", "as", "by", "with", "that", "it", "from")
NAMESPACES = ("", "Talk:", "User:", "User talk:")
VERBS = ("fixed", "added", "updated", "removed", "corrected", "changed", "cleaned up", "expanded", "rewrote")
OBJECTS = ("a typo", "the lead", "details", "a date", "punctuation", "names", "numbers", "the list")


class Book:
    """Words and pages of a made-up encyclopaedia, the same for every account."""

    def __init__(self, seed: int):
        rng = np.random.default_rng([seed, 23])
        topical = made_up(TOPICS * TOPIC_WORDS, rng, 3)
        neutral = made_up(NEUTRAL, rng, 2)
        lists = [sorted(CATEGORIES[c]) for c in ("swear", "opinion", "positive", "negative")]
        # a word of two lists would plant what nobody planted
        told = [w for c in CATEGORIES.values() for w in c]
        lists = [[w for w in words if told.count(w) == 1] for words in lists]
        parts = [topical, neutral, list(FUNCTION), *lists]
        self.start = np.concatenate([[0], np.cumsum([len(p) for p in parts])])
        flat = [w for p in parts for w in p]
        self.words = pa.array([*flat, *(f"{w}." for w in flat)])
        "Every word, then every word at the end of a sentence."
        pair = rng.integers(0, TOPIC_WORDS, (TOPICS * PAGES, 2))
        topic = np.repeat(np.arange(TOPICS), PAGES) * TOPIC_WORDS
        self.titles = [
            f"{topical[a].capitalize()} {topical[b]} {i % PAGES}"
            for i, (a, b) in enumerate(zip(topic + pair[:, 0], topic + pair[:, 1], strict=True))
        ]
        stock = [f"{v} {o}" for o in OBJECTS for v in VERBS]
        self.comments = pa.array([stock[i] for i in rng.permutation(len(stock))[:TEMPLATES]])

    def size(self, part: int) -> int:
        return int(self.start[part + 1] - self.start[part])


def edits(people: People, book: Book, seed: int) -> dict[str, np.ndarray | pa.Array]:
    """All edits, by account and time: account, time (seconds), page, ns, words (int: added, deleted), flags, texts."""
    rng = np.random.default_rng([seed, 24])
    account, time = _clock(people, rng)
    n = len(account)
    first = np.r_[True, account[1:] != account[:-1]]
    page = _pages(people, account, time, first, rng)
    talk = rng.random(n) < people.rates["talk"][account]
    ns = np.where(talk, 1 + 2 * (rng.random(n) < 0.4), np.where(rng.random(n) < 0.05, 2, 0)).astype(np.int64)
    revert = rng.random(n) < people.rates["revert"][account]
    added = 1 + rng.poisson(people.rates["words"][account])
    deleted = np.where(rng.random(n) < people.rates["deletes"][account], 1 + rng.poisson(5, n), 0)
    return {
        "account": account, "time": time, "page": page, "ns": ns, "revert": revert,
        "minor": rng.random(n) < people.rates["minor"][account],
        "text": _texts(people, book, account, page, added, rng), "deleted": _removed(book, page, deleted, rng),
        "comment": _comments(people, book, account, revert, rng),
    }  # fmt: skip


def _clock(people: People, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(account, time) of every edit. A day has one sitting, which begins near the person's hour; edits follow within
    minutes. The day of creation always has one."""
    n = len(people)
    open_days = np.where(np.isnan(people.banned), 20 * DAY, people.banned - people.created) / DAY
    possible = np.minimum(open_days.astype(np.int64), 60)
    account = np.repeat(np.arange(n), 1 + possible)
    day = np.arange(len(account)) - np.repeat(np.cumsum(1 + possible) - 1 - possible, 1 + possible)
    comes = (day == 0) | (rng.random(len(account)) < people.rates["activity"][account])
    account, day = account[comes], day[comes]
    first = day == 0
    midnight = np.floor(people.created / DAY) * DAY
    hour = (people.peak[account] + rng.normal(0, SITTING, len(account))) % 24
    lead = np.minimum(rng.exponential(300, len(account)), 1_200)
    start = np.where(first, people.created[account] + lead, midnight[account] + day * DAY + hour * 3600)
    sitting = np.repeat(np.arange(len(account)), 2 + rng.geometric(0.22, len(account)))
    gap = np.exp(rng.normal(np.log(420), 0.9, len(sitting)))
    opens = np.r_[True, sitting[1:] != sitting[:-1]]
    gap[opens] = 0
    total = np.cumsum(gap)
    time = start[sitting] + total - total[np.flatnonzero(opens)][np.cumsum(opens) - 1]
    account = account[sitting]
    kept = np.isnan(people.banned[account]) | (time < people.banned[account])
    account, time = account[kept], time[kept]
    order = np.lexsort([time, account])
    return account[order], time[order]


def _pages(
    people: People, account: np.ndarray, time: np.ndarray, first: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    n = len(account)
    which = np.minimum((rng.exponential(0.8, n)).astype(np.int64), 2)
    rank = np.minimum(rng.zipf(1.3, n) - 1, PAGES * 50) % PAGES
    topical = people.topics[account, which] * PAGES + rank
    loved = people.favourites[account, rng.integers(0, people.favourites.shape[1], n)]
    how = rng.random(n)
    story = np.floor(time / NEWS).astype(np.int64) * STORIES + np.minimum(rng.geometric(0.25, n) - 1, STORIES - 1)
    hot = HOT * story % (TOPICS * PAGES)
    focus = people.focus[account]
    page = np.where(
        how < focus, loved, np.where(how < focus + 0.6 * (1 - focus), topical, rng.integers(0, TOPICS * PAGES, n))
    )
    page = np.where(rng.random(n) < people.rates["news"][account], hot, page)
    stays = (rng.random(n) < people.rates["revisits"][account]) & ~first
    return page[np.maximum.accumulate(np.where(stays, 0, np.arange(n)))]


def _texts(
    people: People, book: Book, account: np.ndarray, page: np.ndarray, count: np.ndarray, rng: np.random.Generator
) -> pa.Array:
    edit = np.repeat(np.arange(len(account)), count)
    who, where = account[edit], page[edit]
    n = len(edit)
    rates = [people.rates[r] for r in ("swear", "opinion", "positive", "negative")]
    edges = np.cumsum([*rates, np.full(len(people), 0.30), np.full(len(people), TOPICAL)], 0)
    u = rng.random(n)
    drawn = sum((u >= edge[who]).astype(np.int64) for edge in edges)
    word = np.empty(n, np.int64)
    for cls, part in enumerate((3, 4, 5, 6, 2)):
        at = drawn == cls
        word[at] = book.start[part] + rng.integers(0, book.size(part), int(at.sum()))
    at = drawn == 5
    word[at] = _topical(where[at], rng)
    at = drawn == 6
    m = int(at.sum())
    own = people.style[who[at], rng.integers(0, people.style.shape[1], m)]
    word[at] = book.start[1] + np.where(rng.random(m) < 0.6, own, rng.integers(0, NEUTRAL, m))
    return _joined(book, word, count, rng)


def _topical(page: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Words of a page's topic, half of them of the page itself."""
    own = (page * 7 + rng.integers(0, 6, len(page))) % TOPIC_WORDS
    any_ = rng.integers(0, TOPIC_WORDS, len(page))
    return page // PAGES * TOPIC_WORDS + np.where(rng.random(len(page)) < 0.5, own, any_)


def _removed(book: Book, page: np.ndarray, count: np.ndarray, rng: np.random.Generator) -> pa.Array:
    where = np.repeat(page, count)
    plain = book.start[2] + rng.integers(0, len(FUNCTION), len(where))
    return _joined(book, np.where(rng.random(len(where)) < 0.25, _topical(where, rng), plain), count, rng)


def _joined(book: Book, word: np.ndarray, count: np.ndarray, rng: np.random.Generator) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(count)])
    ends = rng.random(len(word)) < 0.1
    ends[offsets[1:][count > 0] - 1] = True
    flat = book.words.take(pa.array(word + ends * (len(book.words) // 2)))
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat), " ")


def _comments(
    people: People, book: Book, account: np.ndarray, revert: np.ndarray, rng: np.random.Generator
) -> pa.Array:
    n = len(account)
    own = people.comments[account, rng.integers(0, people.comments.shape[1], n)]
    said = book.comments.take(pa.array(np.where(rng.random(n) < 0.7, own, rng.integers(0, TEMPLATES, n))))
    silent = rng.random(n) >= people.rates["comment"][account]
    undone = pc.binary_join_element_wise(
        "Undid revision", pa.array(rng.integers(10**6, 10**7, n)).cast(pa.string()), " "
    )
    return pc.if_else(pa.array(revert), undone, pc.if_else(pa.array(silent), "", said))
