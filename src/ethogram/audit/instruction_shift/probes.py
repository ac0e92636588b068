"""What an instruction-tuned model is asked: prompts with a marked instruction, and how it is seen to be followed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ethogram.errors import OptionError, nearest, unknown

PLACES = ("start", "middle", "end")


@dataclass(frozen=True)
class Check:
    """What an answer must be; what is not given is not asked. It is stripped of white space first.

    Attributes
    ----------
    equals : the answer itself. contains : texts that it must hold, in any case of letters. matches : a regular
    expression for the whole of it. words : fewest and most words.
    """

    equals: str | None = None
    contains: tuple[str, ...] = ()
    matches: str | None = None
    words: tuple[int, int] | None = None

    def __call__(self, answer: str) -> bool:
        said = answer.strip()
        return (
            (self.equals is None or said == self.equals)
            and all(t.lower() in said.lower() for t in self.contains)
            and (self.matches is None or re.fullmatch(self.matches, said, re.DOTALL) is not None)
            and (self.words is None or self.words[0] <= len(said.split()) <= self.words[1])
        )

    @property
    def empty(self) -> bool:
        return self == Check()


@dataclass(frozen=True)
class Probe:
    """A prompt.

    Attributes
    ----------
    parts : its sentences, joined by a space. asked : which of them is the instruction. place : where that stands; ""
        tells it from `asked`. check : what an answer must be. answer : an answer that was given, to be explained in
        place of the model's own. rating : what a person gave that answer, 1 (not followed) to 4.
    """

    parts: tuple[str, ...]
    asked: int
    place: str = ""
    check: Check = field(default_factory=Check)
    answer: str | None = None
    rating: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.asked < len(self.parts) or not all(p.strip() for p in self.parts):
            raise OptionError(f"a probe of {len(self.parts)} parts: none may be empty, and `asked` is one of them.")
        if self.place and self.place not in PLACES:
            raise OptionError(unknown("place", self.place, PLACES))
        if self.rating is not None and (self.rating not in (1, 2, 3, 4) or self.answer is None):
            raise OptionError(f"a rating is 1, 2, 3 or 4 and belongs to an answer; here {self.rating}.")

    @property
    def prompt(self) -> str:
        return " ".join(self.parts)

    @property
    def span(self) -> tuple[int, int]:
        """Where the instruction starts and ends in the prompt, in characters."""
        start = sum(len(p) + 1 for p in self.parts[: self.asked])
        return start, start + len(self.parts[self.asked])

    @property
    def where(self) -> str:
        """The third of the prompt in which the instruction stands."""
        if self.place:
            return self.place
        return "start" if self.asked == 0 else "end" if self.asked == len(self.parts) - 1 else "middle"


@dataclass(frozen=True)
class Probes:
    """A set of prompts, with the verbs to look for in the heads and the words that tell of a task.

    Attributes
    ----------
    verbs : verbs that instructions are made of. controls : other verbs as common. lexica : task -> its words.
    """

    name: str
    prompts: tuple[Probe, ...]
    verbs: tuple[str, ...]
    controls: tuple[str, ...]
    lexica: Mapping[str, tuple[str, ...]]

    @classmethod
    def read(cls, path: Path) -> Probes:
        """From a JSON file with `prompts` and, each optional, `verbs`, `controls` and `lexica`.

        Raises
        ------
        OptionError
            It is no such file; which prompt is wrong, and how.
        """
        try:
            told = json.loads(path.read_text("utf-8"))
            rows = told["prompts"]
            given = {n: tuple(map(str, told.get(n, ()))) for n in ("verbs", "controls")}
            lexica = {str(n): tuple(map(str, w)) for n, w in told.get("lexica", {}).items()}
        except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise OptionError(f"{path}: probes are a JSON object with 'prompts': {error}.") from None
        if not isinstance(rows, list) or not rows:
            raise OptionError(f"{path}: 'prompts' must list one or more.")
        prompts = tuple(_probe(r, f"{path}, prompt {i}") for i, r in enumerate(rows))
        return cls(path.stem, prompts, **given, lexica=lexica)


def _probe(row: Any, where: str) -> Probe:
    known = ("parts", "asked", "place", "check", "answer", "rating")
    if not isinstance(row, Mapping) or "parts" not in row or "asked" not in row:
        raise OptionError(f"{where}: a prompt holds parts and asked.")
    if odd := [n for n in row if n not in known]:
        raise OptionError(f"{where}: '{odd[0]}' is nothing that a prompt holds.{nearest(str(odd[0]), known)}")
    try:
        check = dict(row.get("check", {}))
        if "matches" in check:
            re.compile(check["matches"])
        check |= {n: tuple(check[n]) for n in ("contains", "words") if n in check}
        made = Check(**check)
        rest = {n: row[n] for n in ("place", "answer", "rating") if n in row}
        return Probe(tuple(map(str, row["parts"])), int(row["asked"]), check=made, **rest)
    except OptionError as error:
        raise OptionError(f"{where}: {error}") from None
    except (TypeError, ValueError, re.error) as error:
        raise OptionError(f"{where}: {error}.") from None


def lessons(n: int, draw: int) -> Probes:
    """Instructions in the made-up language of `ethogram.lm.invented`, with right answers."""
    from ethogram.lm import invented as made

    found = [Probe(x.parts, x.asked, x.place, Check(equals=x.answer)) for x in made.lessons(n, draw)]
    lexica = {"instructions": made.VERBS, "other verbs": made.CONTROLS}
    return Probes("lessons", tuple(found), made.VERBS, made.CONTROLS, lexica)


def everyday(n: int, draw: int) -> Probes:
    """Short English instructions about short texts, whose form can be checked; the instruction's place takes turns."""
    from ethogram.audit.instruction_shift import everyday as made

    found = []
    for i in range(min(n, len(made.ASKED) * len(made.TEXTS))):
        # every instruction comes once before any comes again, and then with another text at another place
        again, which = divmod(i, len(made.ASKED))
        instruction, check = made.ASKED[(which + draw) % len(made.ASKED)]
        first, second = made.TEXTS[(which + again + draw) % len(made.TEXTS)]
        at = (which + again) % 3
        parts = [first, second]
        parts.insert(at, instruction)
        found.append(Probe(tuple(parts), at, PLACES[at], Check(**check)))
    return Probes("everyday", tuple(found), made.VERBS, made.CONTROLS, made.LEXICA)


def find(name: str, n: int, draw: int) -> Probes:
    """Those called everyday or lessons, or a .json file; the first `n` prompts of it.

    Raises
    ------
    OptionError
        It is none of these.
    """
    if name in READY:
        return READY[name](n, draw)
    path = Path(name).expanduser()
    if path.suffix != ".json" or not path.is_file():
        raise OptionError(f"'{name}' are no probes.{nearest(name, READY)} Known: {', '.join(READY)}, or a .json file.")
    made = Probes.read(path)
    return Probes(made.name, made.prompts[:n], made.verbs, made.controls, made.lexica)


READY: Mapping[str, Any] = {"everyday": everyday, "lessons": lessons}
"""Ready probes: (how many, which draw) -> probes."""
__all__: Sequence[str] = ["Check", "Probe", "Probes", "find"]
