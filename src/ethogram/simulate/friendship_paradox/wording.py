"""What people without a mind have said, for those with one: words by topic, found when a post is read.

A half axis of the space of tastes (dimension and sign) stands for some interests. A post speaks of one on the half axis
on which its topic lies most, in a form of its kind; both are drawn by numbers counted by author and tick. Nothing of it
is kept or logged: what the light population does, and its laws, stay as they are without.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ethogram.world.social import posts
from ethogram.world.state import Frozen

FORMS = {
    posts.POST: ("Spent the evening with {}.", "Anybody else here for {}?", "{}: I could talk about it for hours.",
                 "A good day for {}.", "New to {}, where does one begin?"),
    posts.REPLY: ("It is the same with {}, I think.", "Yes, and {} even more.", "Not for me, I prefer {}."),
    posts.QUOTE: ("Worth reading if you like {}.", "This, and {}.", "Reminds me of {}."),
}  # fmt: skip


class Wording:
    """Words for posts on a platform with `dimensions` of taste; interests are dealt to half axes in their order."""

    def __init__(self, interests: Iterable[str], dimensions: int):
        told = sorted(set(interests))
        self.dimensions = dimensions
        self.halves = [told[k :: 2 * dimensions] or [told[k % len(told)]] for k in range(2 * dimensions)]

    def taste(self, interests: Mapping[str, float]) -> np.ndarray:
        """Where somebody's taste lies, float32[dimensions] of length 1: the weights of interests on their half axes."""
        made = np.zeros(self.dimensions, np.float32)
        for k, half in enumerate(self.halves):
            weight = sum(interests.get(one, 0.0) for one in half)
            made[k // 2] += weight * (1 - 2 * (k % 2))
        return made / max(float(np.linalg.norm(made)), 1e-9)

    def __call__(self, seen: Frozen, post: int) -> str:
        """The words of a post that has none."""
        topic = seen["post.topic"][post]
        d = int(np.abs(topic).argmax())
        half = self.halves[2 * d + int(topic[d] < 0)]
        author = seen["uid"][seen["post.author"][post]]
        # a reply and a post of one person and tick are told apart by their kind
        kind = int(seen["post.kind"][post])
        drawn = seen.draws.uniform(f"wording {kind}", [author], int(seen["post.tick"][post]), 2)[0]
        forms = FORMS.get(kind, FORMS[posts.POST])
        told = forms[int(drawn[0] * len(forms))].format(half[int(drawn[1] * len(half))])
        return told[:1].upper() + told[1:]
