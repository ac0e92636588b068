"""Videos of 8 to 12 scenes, how often each scene was replayed, and who liked them: a generator of known law.

Scene s of video i (account a with audience g, topic t_is, hook word w_is or none):

    z_is     = u_i + 0.8 taste[g, t_is] + 1.3 hook_w + 0.9 exp(-s / 1.2) - 0.06 s + e_is
    replay   = round(100 sigmoid(z_is))                        u_i ~ Normal(0, 0.8), e an AR(1) with memory 0.6
    likes_i  = 100 sigmoid(level_c + own_a + 0.5 mean_s z_is + Normal(0, 0.2))

u_i is nowhere in the content: only the replays of other scenes tell it. Terms as in `ethogram.data.receivers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import expit

from ethogram.data.receivers import CHANNELS, FILLERS, HOOKS, NAMES, NOUNS, Receivers
from ethogram.data.registry import Reading, data_set
from ethogram.errors import OptionError

FEWEST, MOST = 8, 12


@data_set(
    "videos",
    what="generated: 20,000 videos of 60 accounts on 3 channels with replays by scene and likes",
    licence="none needed: generated here",
    origin="a generator; seeded, truth known",
    get="nothing to get",
    version=2,
)
@dataclass(frozen=True, kw_only=True)
class Videos:
    """A log of messages (see `ethogram.log.messages`): title, scenes with replays from 0 to 100, followers,
    ``label_views``, ``label_likes`` (percent of views), and what the content is about (topic)."""

    items: int = 20_000
    "Videos."
    accounts: int = 20
    "Accounts on each channel."
    days: int = 365
    "Days over which they are sent."
    noise: float = 0.35
    "What nobody can predict of a scene, on the scale of the logit."
    hidden: float = 0.8
    "Standard deviation of u, how much a video is replayed altogether."
    seed: int = 0
    "Of everything that is drawn."

    def __post_init__(self) -> None:
        if min(self.items, self.accounts, self.days) < 1 or min(self.noise, self.hidden) < 0:
            raise OptionError("videos: items, accounts, days: 1 or more; noise and hidden: 0 or more.")

    def files(self) -> tuple[Path, ...]:
        return ()

    @cached_property
    def receivers(self) -> Receivers:
        return Receivers(self.accounts, self.seed)

    @cached_property
    def drawn(self) -> dict[str, np.ndarray]:
        """Of each video: time, account, topic, scenes; of each of `MOST` scenes: topic, hook, numbers of words."""
        people, rng = self.receivers, np.random.default_rng([self.seed, 21])
        time, hour = people.times(self.items, self.days, rng)
        shape = (self.items, MOST)
        topic = rng.integers(0, len(NAMES), self.items)
        other = rng.random(shape) < 0.25
        hook = rng.integers(0, len(HOOKS), shape)
        return {
            "time": time, "hour": hour, "account": rng.integers(0, people.accounts, self.items), "topic": topic,
            "scenes": rng.integers(FEWEST, MOST + 1, self.items),
            "scene topic": np.where(other, rng.integers(0, len(NAMES), shape), topic[:, None]),
            "hook": np.where(rng.random(shape) < 0.5, hook, len(HOOKS)), "words": rng.integers(0, 2**31, (*shape, 3)),
        }  # fmt: skip

    @cached_property
    def logits(self) -> np.ndarray:
        """z, float64[items, MOST]."""
        people, d, rng = self.receivers, self.drawn, np.random.default_rng([self.seed, 22])
        s = np.arange(MOST)
        shocks = rng.normal(0, self.noise, (self.items, MOST))
        error = np.zeros_like(shocks)
        error[:, 0] = shocks[:, 0]
        for k in range(1, MOST):
            error[:, k] = 0.6 * error[:, k - 1] + 0.8 * shocks[:, k]
        taste = people.taste[people.audience[d["account"]][:, None], d["scene topic"]]
        whole = rng.normal(0, self.hidden, (self.items, 1))
        shape = 0.9 * np.exp(-s / 1.2) - 0.06 * s
        return np.asarray(whole + 0.8 * taste + 1.3 * people.hook[d["hook"]] + shape + error)

    def messages(self) -> Any:
        """The videos as `ethogram.log.messages.Messages`."""
        from ethogram.log.messages import Messages

        people, d, rng = self.receivers, self.drawn, np.random.default_rng([self.seed, 23])
        account, n = d["account"], self.items
        channel = people.channel(account)
        replay = np.round(100 * expit(self.logits))
        there = np.arange(MOST) < d["scenes"][:, None]
        mean = (self.logits * there).sum(1) / d["scenes"]
        likes = 100 * expit(people.level[channel] + people.own[account] + 0.5 * mean + rng.normal(0, 0.2, n))
        views = np.maximum(np.round(people.followers[account] * 10 ** (-1 + rng.normal(0, 0.2, n))), 20)
        names = people.names()
        return Messages(
            [f"v{i:05d}" for i in range(n)], [names[a] for a in account], [CHANNELS[c] for c in channel],
            d["time"], people.followers[account], np.full(n, np.nan), [self._title(i) for i in range(n)], [""] * n,
            [[self._scene(i, s) for s in range(d["scenes"][i])] for i in range(n)],
            [replay[i, : d["scenes"][i]] for i in range(n)], {"likes": likes, "views": views}, [{}] * n,
            [{"topic": NAMES[t]} for t in d["topic"]],
        )  # fmt: skip

    def _title(self, i: int) -> str:
        nouns, w = NOUNS[NAMES[self.drawn["topic"][i]]], self.drawn["words"][i, 0]
        return f"{FILLERS[w[1] % len(FILLERS)]} {nouns[w[0] % 12]} {nouns[w[2] % 12]}"

    def _scene(self, i: int, s: int) -> str:
        nouns, w = NOUNS[NAMES[self.drawn["scene topic"][i, s]]], self.drawn["words"][i, s]
        hook = self.drawn["hook"][i, s]
        middle = HOOKS[hook] if hook < len(HOOKS) else FILLERS[w[1] % len(FILLERS)]
        return f"{nouns[w[0] % 12]} {middle} {nouns[w[2] % 12]}"

    def read(self) -> Reading:
        from ethogram.log.messages import roles

        table = self.messages().table()
        return Reading(table, roles(table.column_names))

    def truth(self) -> dict[str, pa.Table]:
        """What only the generator knows: ``scenes``: item, scene, logit, topic, hook (null without one)."""
        there = np.arange(MOST) < self.drawn["scenes"][:, None]
        video, scene = np.nonzero(there)
        hook = self.drawn["hook"][there]
        table = {
            "item": [f"v{i:05d}" for i in video], "scene": scene, "logit": self.logits[there],
            "topic": [NAMES[t] for t in self.drawn["scene topic"][there]],
            "hook": [HOOKS[h] if h < len(HOOKS) else None for h in hook],
        }  # fmt: skip
        return {"scenes": pa.table(table)}
