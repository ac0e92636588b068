"""A light population: people who say what they like and react to what they are shown, thousands at once.

    P(active at a tick)    = rate_i                                     heavy-tailed over people
    P(write | active)      = writes_i                                   else: read the feed
    P(react to post p)     ~ exp(affinity <taste_i, topic_p>)           against exp(ignore) for none of them
    what is done to it       like, reply, repost, quote by style_i      and perhaps its author is followed

Nobody looks at counts: popular posts draw more only because feeds show them more. What is far from a person's taste may
be disliked, reported, its author muted; an author followed whose posts displease is unfollowed; an empty feed makes
people search.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from ethogram.errors import WorldError
from ethogram.world.acts import NOTHING, Acts
from ethogram.world.choosing import drawn
from ethogram.world.draws import Luck
from ethogram.world.social import relations
from ethogram.world.social.feeds import Source
from ethogram.world.state import Frozen

REACTIONS = ("like", "reply", "repost", "quote")


@njit(cache=True, nogil=True)
def _agreement(taste, rows, topic, shown, out):  # type: ignore[no-untyped-def]
    for i in range(len(rows)):
        for k in range(shown.shape[1]):
            p, value = shown[i, k], np.float32(0)
            if p < 0:
                out[i, k] = -np.inf
                continue
            for d in range(topic.shape[1]):
                value += taste[rows[i], d] * topic[p, d]
            out[i, k] = value


def agreement(seen: Frozen, rows: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """How well posts int32[rows, k] agree with each reader's taste, float32, -inf in empty places."""
    out = np.empty(shown.shape, np.float32)
    _agreement(seen["taste"], np.asarray(rows, np.int64), seen["post.topic"], shown, out)
    return out


def traits(
    people: int, seed: int, *, dimensions: int = 8, groups: int = 6, spread: float = 0.5, rate: float = 0.3,
    tail: float = 1.0, writes: float = 0.15,
) -> dict[str, Any]:  # fmt: skip
    """Columns of a drawn population: `taste` around the centres of groups, `rate`, `writes`, `style`.

    Parameters
    ----------
    spread : distance of tastes from their group's centre. rate : mean share of ticks at which somebody is active; its
        logarithm has standard deviation `tail`, and so has that of `writes`, the mean share of acts that are posts.
    """
    rng = np.random.default_rng([seed, 7])
    centres = rng.normal(size=(groups, dimensions))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    taste = centres[rng.integers(0, groups, people)] + spread * rng.normal(size=(people, dimensions)) / dimensions**0.5
    heavy = rng.lognormal(-(tail**2) / 2, tail, (2, people))
    style = rng.dirichlet((6.0, 2.0, 1.5, 0.5), people)
    return {
        "taste": (taste / np.linalg.norm(taste, axis=1, keepdims=True)).astype(np.float32),
        "rate": np.clip(rate * heavy[0], 0.005, 1.0).astype(np.float32),
        "writes": np.clip(writes * heavy[1], 0.005, 0.9).astype(np.float32),
        "style": style.astype(np.float32),
    }


@dataclass(frozen=True)
class Crowd:
    """A vector policy over the columns of `traits`; see the module.

    Attributes
    ----------
    affinity : how much tastes decide; 0: any shown post is as good as another. ignore : utility of reacting to nothing.
    follow, unfollow : chance of following an author one reacts to, of leaving a followed one whose post displeases.
    displeased : agreement below which a post displeases. protest : chance that it is then disliked, reported, muted.
    """

    feed: Source
    affinity: float = 4.0
    ignore: float = 2.0
    follow: float = 0.1
    unfollow: float = 0.05
    displeased: float = -0.3
    protest: tuple[float, float, float] = (0.05, 0.01, 0.02)

    def __post_init__(self) -> None:
        chances = (self.follow, self.unfollow, *self.protest)
        if not all(0 <= c <= 1 for c in chances) or sum(self.protest) > 1:
            raise WorldError(f"crowd: chances {chances} must lie in [0, 1], and those of protest sum to 1 at most.")

    def act(self, rows: np.ndarray, seen: Frozen, luck: Luck) -> list[Acts]:
        writing = luck.chance("write", seen["writes"][rows])
        acts = [Acts("post", rows[writing])]
        readers, mine = rows[~writing], luck[~writing]
        if not len(readers):
            return acts
        shown = self.feed.posts(readers, seen, mine, getattr(self.feed, "size", 10))
        agree = agreement(seen, readers, shown)
        empty = (shown < 0).all(1)
        acts.append(Acts("search", readers[empty], value=seen["taste"][readers[empty]].argmax(1)))
        # an empty place stays without a chance where tastes do not count either
        utility = np.where(shown < 0, -np.inf, self.affinity * np.where(shown < 0, 0, agree))
        choice = drawn(np.c_[np.full(len(readers), self.ignore), utility], mine, "choice")
        reacts = choice > 0
        who, at = readers[reacts], shown[reacts, choice[reacts] - 1]
        how = mine[reacts].among("reaction", seen["style"][who]) if len(who) else choice[:0]
        for code, verb in enumerate(REACTIONS):
            acts.append(Acts(verb, who[how == code], object=at[how == code]))
        acts += self._tie(seen, who, at, mine[reacts])
        rest = ~reacts & ~empty
        acts += self._protest(seen, readers[rest], shown[rest], agree[rest], mine[rest])
        return [a for a in acts if len(a)]

    def wait(self, rows: np.ndarray, seen: Frozen, luck: Luck) -> np.ndarray:
        """Ticks until each is active again: geometric with the person's rate."""
        rate = np.minimum(seen["rate"][rows].astype(np.float64), 1 - 1e-9)
        return 1 + np.floor(np.log(luck.uniform("wait")[:, 0]) / np.log1p(-rate)).astype(np.int64)

    def _tie(self, seen: Frozen, who: np.ndarray, at: np.ndarray, luck: Luck) -> list[Acts]:
        if not len(who):
            return []
        author = seen["post.author"][at]
        new = luck.chance("follow", self.follow) & ~relations.tied(seen, relations.FOLLOWS, who, author)
        return [Acts("follow", who[new], object=author[new])]

    def _protest(self, seen: Frozen, who: np.ndarray, shown: np.ndarray, agree: np.ndarray, luck: Luck) -> list[Acts]:
        """What those do who reacted to nothing: perhaps the worst post they were shown bothers them."""
        if not len(who):
            return []
        worst = np.where(shown < 0, np.inf, agree).argmin(1)
        at = np.arange(len(who))
        bothered = agree[at, worst] < self.displeased
        post = shown[at, worst]
        author = seen["post.author"][post]
        acts = []
        edge, u = 0.0, luck.uniform("protest")[:, 0]
        done = np.zeros(len(who), bool)
        for verb, chance in zip(("dislike", "report", "mute"), self.protest, strict=True):
            now = bothered & (u >= edge) & (u < edge + chance)
            acts.append(Acts(verb, who[now], object=(author if verb == "mute" else post)[now]))
            edge += chance
            done |= now
        leaves = bothered & ~done & luck.chance("leave", self.unfollow)
        leaves &= relations.tied(seen, relations.FOLLOWS, who, author)
        acts.append(Acts("unfollow", who[leaves], object=author[leaves]))
        acts.append(Acts(NOTHING, who[~done & ~leaves]))
        return acts
