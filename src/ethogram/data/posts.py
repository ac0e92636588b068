"""Short posts of accounts on three channels, what receivers did and said, and why: a generator of known law.

The chance of a click on post i, with the terms of `ethogram.data.receivers`:

    logit p_i = level_c + own_a + taste[g, t] + sense_c hook_w + hour(g, h) - slope place + noise
    views_i ~ followers_a 10^(-1 + 0.2 Normal)    clicks_i ~ Binomial(views_i, p_i)    ctr_i = 100 clicks_i / views_i

Below most posts stands a comment: its sentiment says whether the post did better than its account does on its channel,
its reason is the term that did most in that direction (topic, hook, hour, place); a share `careless` of the reasons is
drawn at random. Better or worse is read from the clicks, so that a reader needs both post and response to name it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import expit

from ethogram.data.receivers import CHANNELS, FILLERS, FORMS, HOOKS, NAMES, NOUNS, Receivers
from ethogram.data.registry import Reading, data_set
from ethogram.errors import OptionError

REASONS = ("topic", "hook", "hour", "place")
PLACES = 5
PATTERNS = ("{hook} {a} {f} {b}", "{a} {f} {hook} {b}", "{f} {a} {g} {hook} {b}", "{hook} {f} {a} {g} {b}")
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(15)


@data_set(
    "posts",
    what="generated: 20,000 posts of 60 accounts on 3 channels with clicks, views, comments and their causes",
    licence="none needed: generated here",
    origin="a generator; seeded, truth known",
    get="nothing to get",
    version=2,
)
@dataclass(frozen=True, kw_only=True)
class Posts:
    """A log of messages (see `ethogram.log.messages`): title, body, followers, place in the feed, ``label_views``,
    ``label_ctr`` (percent), comment, and what the content is about (topic, form)."""

    items: int = 20_000
    "Posts."
    accounts: int = 20
    "Accounts on each channel."
    days: int = 365
    "Days over which they are sent."
    noise: float = 0.35
    "What nobody can predict of a post, on the scale of the logit."
    comments: float = 0.7
    "Share of posts with a comment."
    careless: float = 0.1
    "Share of comments whose reason is drawn at random."
    confounding: float = 0.5
    "How much more often accounts that are liked anyway use strong hooks."
    seed: int = 0
    "Of everything that is drawn."

    def __post_init__(self) -> None:
        for wrong, text in (
            (min(self.items, self.accounts, self.days) < 1, "items, accounts, days: 1 or more"),
            (self.noise < 0, f"noise = {self.noise}; give 0 or more"),
            (not (0 <= self.comments <= 1 and 0 <= self.careless <= 1), "comments and careless are shares in [0, 1]"),
        ):
            if wrong:
                raise OptionError(f"posts: {text}.")

    def files(self) -> tuple[Path, ...]:
        return ()

    @cached_property
    def receivers(self) -> Receivers:
        return Receivers(self.accounts, self.seed, self.confounding)

    @cached_property
    def drawn(self) -> dict[str, np.ndarray]:
        """Account, topic, form, hook, pattern, place, time, hour, and numbers of words, by post."""
        people, rng = self.receivers, np.random.default_rng([self.seed, 11])
        time, hour = people.times(self.items, self.days, rng)
        account = rng.integers(0, people.accounts, self.items)
        return {
            "time": time, "hour": hour, "account": account, "topic": rng.integers(0, len(NAMES), self.items),
            "form": rng.integers(0, len(FORMS), self.items), "hook": people.hooks(account, rng),
            "pattern": rng.integers(0, len(PATTERNS), self.items), "place": rng.integers(0, PLACES, self.items),
            "words": rng.integers(0, 2**31, (self.items, 12)), "noise": rng.normal(0, self.noise, self.items),
        }  # fmt: skip

    @cached_property
    def terms(self) -> dict[str, np.ndarray]:
        """What each term of the law adds, by post: level, account, topic, hook, hour, place."""
        people, d = self.receivers, self.drawn
        account, channel = d["account"], people.channel(d["account"])
        return {
            "level": people.level[channel], "account": people.own[account],
            "topic": people.taste[people.audience[account], d["topic"]],
            "hook": people.sense[channel] * people.hook[d["hook"]], "hour": people.by_hour(account, d["hour"]),
            "place": people.slope * ((PLACES - 1) / 2 - d["place"]),
        }  # fmt: skip

    @cached_property
    def outcome(self) -> dict[str, np.ndarray]:
        """Views, ctr, sentiment (1 better, 0 worse), reason (place in `REASONS`; the true one, and the one told)."""
        rng, terms = np.random.default_rng([self.seed, 12]), self.terms
        logit = sum(terms.values()) + self.drawn["noise"]
        reach = 10 ** (-1 + rng.normal(0, 0.2, self.items))
        views = np.maximum(np.round(self.receivers.followers[self.drawn["account"]] * reach), 20).astype(np.int64)
        clicks = rng.binomial(views, expit(logit))
        better = clicks >= views * expit(terms["level"] + terms["account"])
        parts = np.stack([terms[r] for r in REASONS], 1)
        true = np.where(better, parts.argmax(1), parts.argmin(1))
        random = rng.random(self.items) < self.careless
        told = np.where(random, rng.integers(0, len(REASONS), self.items), true)
        said = rng.random(self.items) < self.comments
        return {"views": views, "ctr": 100 * clicks / views, "better": better, "true": true, "told": told, "said": said}

    def title(self, post: int, hook: int, pattern: int) -> str:
        """The title of a post with this hook and pattern."""
        nouns, w = NOUNS[NAMES[self.drawn["topic"][post]]], self.drawn["words"][post]
        parts = {
            "hook": HOOKS[hook] if hook < len(HOOKS) else "", "a": nouns[w[0] % 12], "b": nouns[w[1] % 12],
            "f": FILLERS[w[2] % len(FILLERS)], "g": FILLERS[w[3] % len(FILLERS)],
        }  # fmt: skip
        return " ".join(PATTERNS[pattern].format(**parts).split())

    def body(self, post: int) -> str:
        nouns, w = NOUNS[NAMES[self.drawn["topic"][post]]], self.drawn["words"][post]
        form = tuple(FORMS.values())[self.drawn["form"][post]]
        return " ".join([form[w[8] % 3], nouns[w[9] % 12], FILLERS[w[4] % len(FILLERS)], nouns[w[10] % 12]])

    def messages(self) -> Any:
        """The posts as `ethogram.log.messages.Messages`."""
        from ethogram.log.messages import Messages

        people, d, out = self.receivers, self.drawn, self.outcome
        names, forms = people.names(), tuple(FORMS)
        channel = people.channel(d["account"])
        comment = [
            {"sentiment": "positive" if b else "negative", "reason": REASONS[r]} if s else {}
            for b, r, s in zip(out["better"], out["told"], out["said"], strict=True)
        ]
        return Messages(
            [f"p{i:05d}" for i in range(self.items)], [names[a] for a in d["account"]], [CHANNELS[c] for c in channel],
            d["time"], people.followers[d["account"]], d["place"].astype(np.float64),
            [self.title(i, d["hook"][i], d["pattern"][i]) for i in range(self.items)],
            [self.body(i) for i in range(self.items)], [[] for _ in range(self.items)],
            [np.zeros(0)] * self.items, {"ctr": out["ctr"], "views": out["views"].astype(np.float64)}, comment,
            [{"topic": NAMES[t], "form": forms[f]} for t, f in zip(d["topic"], d["form"], strict=True)],
        )  # fmt: skip

    def read(self) -> Reading:
        from ethogram.log.messages import roles

        table = self.messages().table()
        return Reading(table, roles(table.column_names))

    def variants(self, posts: Sequence[int], count: int = 8) -> tuple[list[list[str]], np.ndarray]:
        """Other titles for some posts, and what they truly do.

        Returns
        -------
        titles : `count` different ones for each post, that differ in hook and pattern. expected : float64[n, count],
            the expected ctr in percent, noise averaged out.
        """
        people, titles, true = self.receivers, [], np.zeros((len(posts), count))
        for row, post in enumerate(posts):
            rng = np.random.default_rng([self.seed, 13, int(post)])
            hooks = rng.permutation(len(HOOKS) + 1)[:count]
            titles.append([self.title(post, h, p) for h, p in zip(hooks, rng.integers(0, 4, count), strict=True)])
            rest = sum(v[post] for k, v in self.terms.items() if k != "hook")
            sense = people.sense[people.channel(self.drawn["account"][post])]
            z = rest + sense * people.hook[hooks]
            spread = expit(z[:, None] + self.noise * _NODES)
            true[row] = 100 * (spread * _WEIGHTS).sum(1) / _WEIGHTS.sum()
        return titles, true

    def truth(self) -> dict[str, pa.Table]:
        """What only the generator knows.

        Returns
        -------
        dict of tables
            ``terms``: item, each term of the law, noise, and the reason that did most. ``hooks``: word, effect.
        """
        item = [f"p{i:05d}" for i in range(self.items)]
        terms = {"item": item, **self.terms, "noise": self.drawn["noise"]}
        terms["reason"] = [REASONS[r] for r in self.outcome["true"]]
        hooks = {"word": list(HOOKS), "effect": self.receivers.hook[:-1]}
        return {"terms": pa.table(terms), "hooks": pa.table(hooks)}
