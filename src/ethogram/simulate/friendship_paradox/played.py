"""The light population with some of its people played by a model: who they are comes from ready personas."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any

from ethogram.errors import OptionError
from ethogram.lm import LM, ScriptedLM
from ethogram.lm.messages import Message
from ethogram.lm.scripted import options_of
from ethogram.simulate.friendship_paradox.population import HOUR, Shown, populated
from ethogram.simulate.friendship_paradox.wording import Wording
from ethogram.world import World
from ethogram.world.people.expand import expand
from ethogram.world.people.prefab import PEOPLE
from ethogram.world.social.members import Member

_ABOUT = re.compile(r"Interested in ([^.]*)\.")


def played(
    people: int, minds: int, lm: LM | None, seed: int, shown: Shown, *, minutes: int = HOUR, rest: int = 3
) -> World:
    """A world of light agents; the first `minds` of them are played by `lm` (by rule, if None).

    minutes : of a tick. rest : ticks between two decisions of theirs. Their taste is that of their interests; what
    the others have said they read in words of its topic (`wording`), which nobody else sees.
    """
    if not 0 < minds <= people:
        raise OptionError(f"friendship_paradox: {minds} minds among {people} people; give 1 to {people}.")
    own = expand(PEOPLE, minds, seed=seed).people if minds > len(PEOPLE) else list(PEOPLE[:minds])
    platform, how = populated(people, seed, shown, None, minutes)
    wording = Wording((i for p in PEOPLE for i in p.interests), platform.taste.shape[1])
    for row, person in enumerate(own):  # what they are shown is to be what they are interested in
        platform.taste[row] = wording.taste(person.interests)
    world = platform.world(
        **how, lm=lm or ScriptedLM(chatter, name="chatter", seed=seed), fallback="crowd",
        minds={"member": lambda persona: Member(persona, platform, every=rest, brief=True, wording=wording)},
    )  # fmt: skip
    for uid, person in enumerate(own):
        world.promote(uid, "member", {"name": person.name, "about": person.text()})
    return world


def chatter(messages: Sequence[Message], luck: random.Random) -> Any:
    """A member by rule: takes any option, and writes about an interest."""
    asked = messages[-1].text
    if found := options_of(asked):
        return luck.choice([o for o in found if o != "do nothing"] or ["do nothing"])
    about = _ABOUT.search(messages[0].text)
    topic = luck.choice(about.group(1).split(", ")) if about else "the weather"
    told = ("I keep coming back to {}.", "Who else thinks about {} today?", "A good day for {}.", "More {}, please.")
    return luck.choice(told).format(topic)
