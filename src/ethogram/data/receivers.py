"""The receivers of generated messages: words, topics and hooks, and what six kinds of people make of them.

What people feel about a message of account a (audience g, channel c) on topic t with hook word w, sent at hour h and
shown in place p, on the scale of the logit:

    own_a  +  taste[g, t]  +  sense_c hook_w  +  swing cos(2 pi (h - peak_g) / 24)  -  slope p

Accounts are called after their audience, so that a reader who has never met one knows whom it speaks to. Accounts that
people like anyway use strong hooks more often (`confounding`): the hook word of a message tells of its account, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

CHANNELS = ("letter", "feed", "board")
AUDIENCES = ("parents", "students", "runners", "cooks", "gamers", "pensioners")
TOPICS = {
    "food": "bread soup garlic oven recipe butter noodles pepper cheese salad kitchen flour",
    "football": "goal striker match referee stadium penalty keeper league coach derby header fans",
    "travel": "train island hostel passport beach border luggage ferry mountain hotel map airport",
    "money": "savings rent tax loan pension salary budget bank shares invoice interest wallet",
    "health": "sleep knee vitamin doctor stretching heart allergy breathing posture vaccine diet pulse",
    "music": "guitar album concert drums chorus vinyl singer melody piano tour band festival",
    "garden": "tomato seeds compost roses pruning lawn bees greenhouse tulips weeds hedge shovel",
    "phones": "battery screen camera charger update app signal tablet headset keyboard storage password",
}  # fmt: skip
HOOKS = (
    "secret", "shocking", "free", "proven", "instant", "boring", "official", "rare", "urgent", "honest",
    "tiny", "forbidden", "simple", "annual", "exclusive", "ordinary",
)  # fmt: skip
FILLERS = (
    "with", "for", "and", "the", "your", "about", "from", "this", "how", "we", "when", "more", "before",
    "after", "every", "home", "week", "good", "new", "people", "time", "day", "together", "again", "little",
    "still",
)  # fmt: skip
FORMS = {
    "list": ("ten", "ranked", "several"), "story": ("once", "remember", "happened"),
    "guide": ("step", "learn", "easily"), "offer": ("sale", "discount", "today"),
}  # fmt: skip
NOUNS = {topic: tuple(words.split()) for topic, words in TOPICS.items()}
NAMES = tuple(TOPICS)
DAY, HOUR = 86_400_000_000, 3_600_000_000
START = int(np.datetime64("2024-01-01", "us").astype(np.int64))


@dataclass(frozen=True)
class Receivers:
    """People and accounts, drawn once; `per_channel` accounts speak on each of three channels."""

    per_channel: int = 20
    seed: int = 0
    confounding: float = 0.5
    swing: float = 0.35
    slope: float = 0.2

    @cached_property
    def taste(self) -> np.ndarray:
        """float64[audiences, topics]."""
        drawn = np.random.default_rng([self.seed, 1]).normal(0, 0.6, (len(AUDIENCES), len(NAMES)))
        return np.asarray(drawn - drawn.mean(1, keepdims=True))

    @cached_property
    def hook(self) -> np.ndarray:
        """float64[hooks + 1]; the last stands for a message without one."""
        drawn = np.random.default_rng([self.seed, 2]).normal(0, 0.5, len(HOOKS))
        return np.append(drawn - drawn.mean(), 0.0)

    @cached_property
    def sense(self) -> np.ndarray:
        """How much a hook moves people on each channel."""
        return np.array([1.0, 0.7, 1.3])

    @cached_property
    def level(self) -> np.ndarray:
        """Logit of an average message on each channel."""
        return np.array([-2.2, -1.8, -1.5])

    @cached_property
    def peak(self) -> np.ndarray:
        """Hour at which each audience is most willing."""
        return np.random.default_rng([self.seed, 3]).permutation(len(AUDIENCES)) * 4.0

    @property
    def accounts(self) -> int:
        return self.per_channel * len(CHANNELS)

    @cached_property
    def audience(self) -> np.ndarray:
        """The kind of people that each account speaks to, int64[accounts]."""
        return np.arange(self.accounts) % len(AUDIENCES)

    @cached_property
    def own(self) -> np.ndarray:
        """How much each account is liked anyway, float64[accounts]."""
        return np.random.default_rng([self.seed, 4]).normal(0, 0.3, self.accounts)

    @cached_property
    def followers(self) -> np.ndarray:
        """float64[accounts]; well-liked accounts have more."""
        own = np.random.default_rng([self.seed, 5]).normal(0, 0.4, self.accounts)
        return np.round(10 ** (4.0 + 0.8 * self.own + own))

    def channel(self, account: np.ndarray) -> np.ndarray:
        return np.asarray(account) // self.per_channel

    def names(self) -> list[str]:
        return [f"{AUDIENCES[self.audience[a]]} {a + 1:02d}" for a in range(self.accounts)]

    def hooks(self, account: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A hook for a message of each account, int64; accounts that are liked choose strong ones."""
        push = self.confounding * self.own[account] / 0.3
        weight = np.exp(push[:, None] * self.hook)
        weight[:, -1] = weight[:, :-1].sum(1) * 0.2
        share = np.cumsum(weight, 1) / weight.sum(1, keepdims=True)
        return np.asarray((rng.random(len(account))[:, None] > share).sum(1))

    def by_hour(self, account: np.ndarray, hour: np.ndarray) -> np.ndarray:
        return self.swing * np.cos(2 * np.pi * (hour - self.peak[self.audience[account]]) / 24)

    def times(self, count: int, days: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """(ascending microseconds, hour of the day) of `count` messages."""
        hour = rng.integers(6, 24, count)
        time = START + rng.integers(0, days, count) * DAY + hour * HOUR + rng.integers(0, HOUR, count)
        order = np.argsort(time, kind="stable")
        return time[order], hour[order]
