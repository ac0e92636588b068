"""Many people from a few: seeds recombined and varied, or continued by a language model; near-duplicates are refused.

Without a model each new person has two parents among the seeds. Numbers are drawn around the parents' (the kernel of
the seeds' spread, so that the margins stay those of the seeds), texts from one of them, statements from the pool of all
seeds and of a grammar. A candidate who contradicts itself, or whose words lie within `near` (cosine) of somebody kept,
is thrown away and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ethogram.errors import OptionError, PersonaError
from ethogram.text.dense import Embed, hashed, unit
from ethogram.world.people.contradictions import contradictions
from ethogram.world.people.grammar import EVERYDAY, Grammar, phrase
from ethogram.world.people.persona import TRAITS, Persona

NEAR = 0.9
BLOCK = 256


@dataclass
class Expanded:
    """New people, and how many candidates were thrown away for what reason."""

    people: list[Persona]
    rejected: dict[str, int] = field(default_factory=dict)


class Crowd:
    """People kept so far and their vectors; takes a candidate in or says why not."""

    def __init__(self, near: float, embed: Embed, most: int):
        if not 0 < near <= 1:
            raise OptionError(f"expand: near = {near} is no cosine; give a number above 0, at most 1.")
        self.near, self.embed, self.most = near, embed, most
        self.people: list[Persona] = []
        self.rejected = {"near-duplicate": 0, "contradiction": 0}
        self._vectors = np.zeros((0, 0), np.float32)

    def add(self, candidates: Sequence[Persona]) -> None:
        """Take in what is new, in order, until there are `most`."""
        sound = [c for c in candidates if not contradictions(c)]
        self.rejected["contradiction"] += len(candidates) - len(sound)
        if not sound:
            return
        vectors = unit(self.embed([words(c) for c in sound]))
        close = np.zeros(len(sound), bool)
        if len(self.people):
            close = (vectors @ self._vectors.T).max(1) > self.near
        among = vectors @ vectors.T > self.near
        kept: list[int] = []
        for i in range(len(sound)):
            if close[i] or among[i, kept].any():
                self.rejected["near-duplicate"] += 1
            elif len(self.people) + len(kept) < self.most:
                kept.append(i)
        self.people += [sound[i] for i in kept]
        held = self._vectors if len(self._vectors) else np.zeros((0, vectors.shape[1]), np.float32)
        self._vectors = np.concatenate([held, vectors[kept]])


def words(persona: Persona) -> str:
    """What somebody is compared by: all but the name, which tells nobody apart."""
    return replace(persona, id="-", demographics={k: v for k, v in persona.demographics.items() if k != "name"}).text()


def expand(
    seeds: Sequence[Persona], n: int, *, grammar: Grammar | None = EVERYDAY, seed: int = 0, near: float = NEAR,
    embed: Embed = hashed, prefix: str = "person", tries: int = 20,
) -> Expanded:  # fmt: skip
    """n new people like the seeds.

    Parameters
    ----------
    grammar : rules that widen statements, names and styles; None keeps to what the seeds say. near : cosine above
        which two are the same. embed : texts to vectors. tries : candidates for each person before giving up.

    Raises
    ------
    OptionError
        No seeds, n below 1, or the seeds and the grammar do not hold so many different people.
    """
    if not seeds or n < 1:
        raise OptionError(f"expand: {len(seeds)} seeds and n = {n}; both must be at least 1.")
    rng = np.random.default_rng(seed)
    crowd = Crowd(near, embed, n)
    drawn = 0
    while len(crowd.people) < n and drawn < tries * n:
        width = min(BLOCK, tries * n - drawn)
        crowd.add([_child(seeds, grammar, rng, f"{prefix}-{drawn + i}") for i in range(width)])
        drawn += width
    if len(crowd.people) < n:
        raise OptionError(
            f"expand: of {drawn:,} candidates only {len(crowd.people):,} differ ({crowd.rejected}); {n:,} were asked "
            "for. Give more seeds, a grammar, or a larger `near`."
        )
    return Expanded([replace(p, id=f"{prefix}-{i}") for i, p in enumerate(crowd.people)], crowd.rejected)


def _child(seeds: Sequence[Persona], grammar: Grammar | None, rng: np.random.Generator, name: str) -> Persona:
    a, b = (seeds[int(i)] for i in rng.integers(len(seeds), size=2))
    told: dict[str, Any] = {}
    for key in dict.fromkeys([*a.demographics, *b.demographics]):
        have = [p.demographics[key] for p in (a, b) if key in p.demographics]
        told[key] = _number(have, [s.demographics.get(key) for s in seeds], rng)
    if "name" in told and grammar is not None:
        told["name"] = f"{phrase(grammar, 'first', rng)} {phrase(grammar, 'last', rng)}"
    topics = [t for p in (a, b) for t in p.interests] or []
    wide = [t for s in seeds for t in s.interests]
    interests = {t: (a.interests.get(t, 0) + b.interests.get(t, 0)) / 2 for t in topics if rng.random() < 0.7}
    if wide:
        other = wide[int(rng.integers(len(wide)))]
        interests.setdefault(other, float(np.mean([s.interests[other] for s in seeds if other in s.interests])))
    traits = {}
    if a.traits and b.traits:
        mean = np.array([(a.traits[t] + b.traits[t]) / 2 for t in TRAITS]) + rng.normal(0, 0.5, len(TRAITS))
        traits = dict(zip(TRAITS, np.round(np.clip(mean, 1, 5), 1).tolist(), strict=True))
    styles = [p.style for p in (a, b) if p.style]
    style = styles[int(rng.integers(len(styles)))] if styles else ""
    if style and grammar is not None and rng.random() < 0.5:
        style = phrase(grammar, "style", rng)
    return Persona(
        id=name, demographics=told, traits=traits, style=style,
        goals=_statements("goals", a, b, seeds, grammar, rng),
        attributes=_statements("attributes", a, b, seeds, grammar, rng),
        constraints=(a if rng.random() < 0.5 else b).constraints,
        interests={t: float(np.round(w * np.exp(rng.normal(0, 0.25)), 3)) or 0.001 for t, w in interests.items()},
        provenance={"by": "recombination", "parents": [a.id, b.id]},
    )  # fmt: skip


def _number(have: Sequence[Any], every: Sequence[Any], rng: np.random.Generator) -> Any:
    """A parent's value; a number varies with the kernel of the seeds' spread, and stays within what they span."""
    chosen = have[int(rng.integers(len(have)))]
    numbers = [v for v in every if isinstance(v, int | float) and not isinstance(v, bool)]
    if isinstance(chosen, bool) or not isinstance(chosen, int | float) or len(numbers) < 2:
        return chosen
    # Silverman's rule of thumb
    width = 1.06 * float(np.std(numbers)) * len(numbers) ** -0.2
    value = float(np.clip(chosen + rng.normal(0, width), min(numbers), max(numbers)))
    return round(value) if isinstance(chosen, int) else round(value, 2)


def _statements(
    field: str, a: Persona, b: Persona, seeds: Sequence[Persona], grammar: Grammar | None, rng: np.random.Generator
) -> tuple[str, ...]:
    mine, pool = [*getattr(a, field), *getattr(b, field)], [t for s in seeds for t in getattr(s, field)]
    if not pool:
        return ()
    size = max(1, len(getattr((a, b)[int(rng.integers(2))], field)))
    made: list[str] = []
    for _ in range(size):
        from_grammar = grammar is not None and field in grammar and rng.random() < 0.5
        listed = mine if mine and rng.random() < 0.7 else pool
        made.append(phrase(grammar, field, rng) if from_grammar and grammar else listed[int(rng.integers(len(listed)))])
    return tuple(dict.fromkeys(made))


async def expand_by(
    lm: Any, seeds: Sequence[Persona], n: int, *, about: str = "", shown: int = 3, seed: int = 0, near: float = NEAR,
    embed: Embed = hashed, prefix: str = "person", tries: int = 3, purpose: str = "people: expansion",
) -> Expanded:  # fmt: skip
    """n new people by a language model, each shown a few of the seeds in turn.

    Parameters
    ----------
    lm : a language model (`ethogram.lm`). about : the community that they belong to. shown : seeds in each prompt,
        drawn anew each time so that the answers spread. tries : prompts for each person before giving up; what was
        found until then is returned, `rejected` says why it is less than n.

    Raises
    ------
    OptionError
        No seeds, or n below 1. LMError: the model could not be reached.
    """
    import asyncio

    from ethogram.errors import AnswerError

    if not seeds or n < 1:
        raise OptionError(f"expand_by: {len(seeds)} seeds and n = {n}; both must be at least 1.")
    rng = np.random.default_rng(seed)
    crowd = Crowd(near, embed, n)
    crowd.rejected["no answer"] = 0
    asked = 0

    async def one(examples: list[Persona], number: int) -> Persona | None:
        question = (
            f"Invent one more person{f' of {about}' if about else ''}, different from those above in what they do and "
            "want. Give name, age, attributes, goals, interests and style."
        )
        try:
            told = await lm.answer(
                question, ASKED, data=[p.text() for p in examples], temperature=1.0, seed=number, max_tokens=256,
                purpose=purpose,
            )  # fmt: skip
            return _invented(told.value, f"{prefix}-{number}", [p.id for p in examples])
        except (AnswerError, PersonaError):
            return None

    while len(crowd.people) < n and asked < tries * n:
        width = min(n - len(crowd.people), tries * n - asked)
        picks = [rng.choice(len(seeds), min(shown, len(seeds)), replace=False) for _ in range(width)]
        made = await asyncio.gather(*(one([seeds[i] for i in p], asked + j) for j, p in enumerate(picks)))
        asked += width
        crowd.rejected["no answer"] += sum(m is None for m in made)
        crowd.add([m for m in made if m is not None])
    return Expanded([replace(p, id=f"{prefix}-{i}") for i, p in enumerate(crowd.people)], crowd.rejected)


_TEXTS = {"type": "array", "items": {"type": "string", "maxLength": 80}, "minItems": 1, "maxItems": 4}
ASKED = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 40}, "age": {"type": "integer", "minimum": 16, "maximum": 95},
        "attributes": _TEXTS, "goals": _TEXTS, "interests": _TEXTS, "style": {"type": "string", "maxLength": 60},
    },
    "required": ["name", "age", "attributes", "goals", "interests", "style"], "additionalProperties": False,
}  # fmt: skip
"""What a model is asked for; interests come in order of weight."""


def _invented(value: Any, name: str, examples: list[str]) -> Persona:
    listed = list(dict.fromkeys(str(t) for t in value["interests"]))
    return Persona(
        id=name, demographics={"name": value["name"], "age": value["age"]}, attributes=value["attributes"],
        goals=value["goals"], interests={t: 1 / (i + 1) for i, t in enumerate(listed)}, style=value["style"],
        provenance={"by": "language model", "examples": examples},
    )  # fmt: skip
