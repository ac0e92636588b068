"""A small grammar of everyday people, for widening a handful of seeds.

A rule is a list of alternatives; a name in braces is replaced by an alternative of that rule. Fields of a persona
(`attributes`, `goals`, `style`, `first`, `last`) are rules; whoever has better knowledge of a population gives its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from ethogram.errors import OptionError, unknown

Grammar = Mapping[str, Sequence[str]]

_FIRST = (
    "Ada Amir Bea Boris Carla Chen Dana Diego Elif Emil Fatima Felix Grace Hana Hugo Ines Ivan Jana Kofi Lena Luca "
    "Maya Mei Nadia Noah Omar Paula Priya Rosa Ravi Sara Samir Tara Tomas Uma Viktor Wanda Yusuf Zoe"
)
_LAST = (
    "Adler Bauer Costa Diaz Evans Fischer Gupta Haas Ito Jensen Kaya Lopez Moreau Novak Okoye Park Quist Rossi Silva "
    "Tanaka Usman Varga Weber Xu Young Zeman"
)
EVERYDAY: Grammar = {
    "first": _FIRST.split(),
    "last": _LAST.split(),
    "attributes": [
        "{often} {activity}", "used to {do} as a child", "is saving for {thing}", "knows a lot about {topic}",
        "never forgets {occasion}", "shares a flat with {company}", "commutes by {transport}",
        "is proud of {possession}",
        "learnt {skill} from {relative}", "{often} helps {relative}",
    ],
    "goals": [
        "wants to learn {skill}", "wants to travel to {place}", "wants to save for {thing}", "hopes to meet {company}",
        "plans to {do} more often", "wants to spend more time with {relative}",
    ],
    "style": [
        "short and dry", "warm and chatty", "precise, with numbers", "asks many questions", "jokes a lot",
        "polite and careful", "blunt", "tells stories", "thinks aloud", "uses few words",
    ],
    "often": ["rarely", "on weekends", "every evening", "twice a week", "once a month"],
    "activity": [
        "bakes bread", "rides a bicycle", "repairs radios", "paints landscapes", "plays chess", "sings in a choir",
        "swims", "grows tomatoes", "reads detective stories", "writes letters", "goes bird watching", "knits",
        "cooks for friends", "plays football", "visits museums", "watches old films",
    ],
    "do": [
        "collect stamps", "climb trees", "draw maps", "play the piano", "build models", "fish", "dance", "write poems",
        "go hiking", "take photographs", "play cards", "sail",
    ],
    "thing": ["a garden", "a boat", "a new kitchen", "a long journey", "a good camera", "a workshop", "a piano"],
    "topic": ["trains", "wine", "medieval history", "mushrooms", "jazz", "software", "insects", "football", "poetry"],
    "occasion": ["a birthday", "an insult", "a debt", "a promise", "a face", "a recipe"],
    "company": ["two students", "an old friend", "a cousin", "a musician", "three cats", "a large dog"],
    "transport": ["tram", "bicycle", "bus", "car", "train", "ferry"],
    "possession": ["a large library", "a vintage car", "a tidy garden", "a collection of records", "good handwriting"],
    "skill": ["Spanish", "carpentry", "bookkeeping", "juggling", "programming", "pottery", "first aid", "chess"],
    "relative": ["an aunt", "a grandfather", "the neighbours", "a nephew", "old schoolmates"],
    "place": ["Iceland", "Japan", "Peru", "Morocco", "Norway", "Kenya", "Greece"],
}  # fmt: skip


def phrase(grammar: Grammar, rule: str, rng: np.random.Generator, depth: int = 0) -> str:
    """A sentence of a rule.

    Raises
    ------
    OptionError
        A name in braces that is no rule, or rules that never end.
    """
    if rule not in grammar or not grammar[rule]:
        raise OptionError("grammar: " + unknown("rule", rule, grammar))
    if depth > 16:
        raise OptionError(f"grammar: the rule '{rule}' never ends.")
    listed = grammar[rule]
    chosen = listed[int(rng.integers(len(listed)))]
    return re.sub(r"\{(\w+)\}", lambda m: phrase(grammar, m[1], rng, depth + 1), chosen)
