"""A social network in a world.

    platform = Platform(taste, follows=graph, feed=Mix((Followed(), 4), (Topical(), 3), (Popular(), 3)))
    world = platform.world(columns=traits, policies={"crowd": Crowd(platform.feed)}, seed=1).run(200)
    log = platform.log(world)                    # a behaviour log; its items say whose each post is

People have a taste (a direction), posts a topic in the same space. Verbs: post, reply, repost, quote, like, unlike,
dislike, follow, unfollow, mute, unmute, report, search (and `nothing`). Policies see the frozen state: posts by number
(`post.author`, `post.topic`, `post.likes` ...), ties (`relations.tied(seen, FOLLOWS, rows, whom)`), and feeds
(`platform.shown(seen, rows)`). Minds read texts with `posts.texts(seen, numbers)`.

A recommender becomes a source of the feed through `Recommended`; the light population is `crowd`, people played by a
language model are `members`.
"""

from __future__ import annotations

from ethogram.world.social.crowd import Crowd, traits
from ethogram.world.social.feeds import (
    Answers,
    Anything,
    Followed,
    Hot,
    Mix,
    Popular,
    Source,
    Strangers,
    Topical,
    search,
)  # fmt: skip
from ethogram.world.social.platform import Platform

__all__ = [
    "Answers", "Anything", "Crowd", "Followed", "Hot", "Mix", "Platform", "Popular", "Source", "Strangers", "Topical",
    "search", "traits",
]  # fmt: skip
