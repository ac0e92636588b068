"""What a designer writes down: a community's goal, its rules, and a handful of people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from ethogram.errors import OptionError, nearest
from ethogram.world.people.persona import Persona

ACTS = ("share", "agree", "answer", "ask", "joke", "attack", "derail", "promote")
"""What a post or a reply does."""
BREAKS: Mapping[str, str] = {
    "promote": r"promot|advert|\bsell|spam|\bads?\b|marketing",
    "attack": r"attack|insult|hostil|harass|rude|hate|personal|bully|troll",
    "derail": r"off.topic|derail|unrelated|stay on|on topic",
    "joke": r"joke|meme|humou?r|low.effort",
}
"""Act -> words of a rule that forbids it. A rule with none of them is broken in words only, by those told to."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """A community as it is designed.

    Attributes
    ----------
    goal : what it is for, in a sentence. topics : what is talked about; taken from the goal's words where empty.
    encouraged, discouraged : rules. seed_personas : about ten people.
    n_members, n_threads : how many. troll_rate : share of members who are told to break a rule.
    """

    name: str
    goal: str
    topics: tuple[str, ...] = ()
    encouraged: tuple[str, ...] = ()
    discouraged: tuple[str, ...] = ()
    seed_personas: tuple[Persona, ...] = ()
    n_members: int = 100
    n_threads: int = 20
    troll_rate: float = 0.05

    def __post_init__(self) -> None:
        for name in ("topics", "encouraged", "discouraged", "seed_personas"):
            value = getattr(self, name)
            if isinstance(value, str):
                raise OptionError(f"design '{self.name}': {name} must be a list, not one text.")
            object.__setattr__(self, name, tuple(value))
        if not self.name.strip() or not self.goal.strip():
            raise OptionError("design: a community needs a name and a goal.")
        if not self.seed_personas:
            raise OptionError(f"design '{self.name}': give seed_personas, about ten people.")
        if self.n_members < 2 or self.n_threads < 1 or not 0 <= self.troll_rate <= 1:
            raise OptionError(
                f"design '{self.name}': n_members = {self.n_members} (2 or more), n_threads = {self.n_threads} (1 or "
                f"more), troll_rate = {self.troll_rate} (0 to 1)."
            )
        if not self.topics:
            words = [w for w in re.findall(r"[a-z]{5,}", self.goal.lower()) if w not in _EMPTY]
            object.__setattr__(self, "topics", tuple(dict.fromkeys(words)) or (self.name.lower(),))

    def forbids(self, act: str) -> tuple[str, ...]:
        """The rules that an act breaks."""
        pattern = BREAKS.get(act)
        return tuple(r for r in self.discouraged if pattern and re.search(pattern, r.lower()))

    def told(self, *, rules: bool = True) -> str:
        """Goal and rules in tagged blocks, for a prompt."""
        lines = [f"<community>{self.name}</community>", f"<goal>{self.goal}</goal>"]
        if rules:
            lines += [f"<encouraged>{r}</encouraged>" for r in self.encouraged]
            lines += [f"<discouraged>{r}</discouraged>" for r in self.discouraged]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        made = {f.name: getattr(self, f.name) for f in fields(self)}
        made = {k: list(v) if isinstance(v, tuple) else v for k, v in made.items()}
        return {**made, "seed_personas": [p.to_json() for p in self.seed_personas]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """A design from an object; a field that does not exist is refused.

        Raises
        ------
        OptionError, PersonaError
            A field is unknown, absent or wrong; it is named.
        """
        names = [f.name for f in fields(cls)]
        for key in value:
            if key not in names:
                raise OptionError(f"design: unknown field '{key}'.{nearest(key, names)} Fields: {', '.join(names)}.")
        if lacking := [k for k in ("name", "goal") if k not in value]:
            raise OptionError(f"design: '{lacking[0]}' is missing.")
        people = [
            Persona.from_json(p, f"seed_personas {i}") for i, p in enumerate(value.get("seed_personas", ()), 1)
        ]  # fmt: skip
        return cls(**{**value, "seed_personas": people})


_EMPTY = {
    "about",
    "where",
    "people",
    "their",
    "other",
    "others",
    "place",
    "share",
    "sharing",
    "discuss",
    "which",
    "every",
}
