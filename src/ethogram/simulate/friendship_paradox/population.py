"""The populations: thousands of light agents, or a few that a language model plays, on one platform.

Controls: "without popular" deals the places of popular posts to topical ones; "strangers" shows posts of people drawn
uniformly, and tastes do not count, so that every partner is as likely as any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ethogram.errors import OptionError
from ethogram.numeric.graphs import Graph
from ethogram.simulate.friendship_paradox.profiles import Profile
from ethogram.world import World
from ethogram.world.social import Answers, Crowd, Followed, Mix, Platform, Popular, Strangers, Topical, traits

Shown = Literal["mixed", "without popular", "strangers"]
WINDOW, BEST = 200, 10
START, HOUR = "2024-01-01", 60
FOLLOWED = 3
"""Whom each person follows at the beginning, drawn uniformly."""


def feed_of(shown: Shown) -> Mix:
    """Ten places: answers to what one wrote, those one follows, what fits, and five for what is popular."""
    if shown == "strangers":
        return Mix((Strangers(), 10))
    popular = 5 if shown == "mixed" else 0
    return Mix(
        (Answers(), 2), (Followed(), 2), (Topical(window=WINDOW), 6 - popular), (Popular(WINDOW, BEST), popular)
    )  # fmt: skip


def crowd(
    people: int, seed: int, shown: Shown = "mixed", follows: Graph | None = None, *, minutes: int = HOUR, **options: Any
) -> World:
    """A world of light agents.

    Parameters
    ----------
    follows : who follows whom at the beginning; drawn uniformly if None. minutes : of a tick. options : of `World`.
    """
    platform, how = populated(people, seed, shown, follows, minutes)
    return platform.world(**{**how, **options})


def populated(
    people: int, seed: int, shown: Shown, follows: Graph | None, minutes: int = HOUR
) -> tuple[Platform, dict[str, Any]]:
    """(platform, what else `Platform.world` is to be given) of the light population."""
    if people < 2:
        raise OptionError(f"friendship_paradox: people = {people}; 2 or more can act on each other.")
    own = traits(people, seed)
    if minutes != HOUR:  # as active in an hour, however many ticks it has
        own["rate"] = np.minimum(own["rate"] * np.float32(minutes / HOUR), np.float32(1))
    feed = feed_of(shown)
    platform = Platform(own.pop("taste"), follows=follows or _follows(people, seed), feed=feed)
    policy = Crowd(feed, affinity=0.0 if shown == "strangers" else 4.0)
    how = {"seed": seed, "start": START, "length": f"{minutes}m", "run": f"{shown}, seed {seed}"}
    return platform, {**how, "columns": own, "policies": {"crowd": policy}}


def members(profiles: Sequence[Profile], lm: Any, seed: int, **options: Any) -> World:
    """A world of people played by a language model; each first says what they once wrote.

    Parameters
    ----------
    profiles : who they are, taken from real posts (`profiles.profiles`).
    """
    from ethogram.world.social.members import Member

    if len(profiles) < 2:
        raise OptionError(f"friendship_paradox: {len(profiles)} profiles; 2 or more can act on each other.")
    taste = np.stack([p.taste for p in profiles])
    feed = Mix((Answers(), 1), (Followed(), 2), (Topical(window=100), 1), (Popular(100, 10), 1))
    platform = Platform(taste, follows=_follows(len(profiles), seed), feed=feed)
    opening = _Opening([p.posts for p in profiles])
    how = {"seed": seed, "start": START, "length": f"{HOUR}m", "run": f"members, seed {seed}", **options}
    names = [p.name for p in profiles]
    world = platform.world(
        names, policies={"opening": opening}, lm=lm, fallback="opening",
        minds={"member": lambda persona: Member(persona, platform)}, **how,
    )  # fmt: skip
    for uid, profile in enumerate(profiles):
        world.promote(uid, "member", profile.persona(), at=1)
    return world


class _Opening:
    """At the first tick everybody says what they really wrote; later, where the model gave no answer, nothing."""

    def __init__(self, said: Sequence[Sequence[str]]):
        self.said = [list(s) for s in said]

    def act(self, rows: np.ndarray, seen: Any, luck: Any) -> Any:
        from ethogram.world import NOTHING, Acts

        if seen.tick:
            return Acts(NOTHING, rows, via="fallback")
        at = luck.integers("opening", np.array([len(self.said[r]) for r in rows]))[:, 0]
        return Acts("post", rows, text={i: self.said[r][a] for i, (r, a) in enumerate(zip(rows, at, strict=True))})


def _follows(people: int, seed: int) -> Graph:
    rng = np.random.default_rng([seed, 8])
    source = np.repeat(np.arange(people), FOLLOWED)
    return Graph.of(source, rng.integers(0, people, len(source)), people)
