"""A small made-up language for teaching decoders: plain text, and instructions whose right answers are known.

*Plain text* are short sentences in which every verb, those that will later be instructions too, is used alike, and
lists of things that are said twice. An *instruction* is a sentence with a verb (three synonyms for each of six tasks)
about a list of words; it stands at the start, in the middle or at the end of a prompt that also holds two sentences
which have nothing to do with it. What the right answer is follows from the verb and the list, so that a decoder can be
taught, tuned, and asked whether it followed, without anybody's judgement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ethogram.errors import OptionError

NOUNS = tuple(
    "apple bread candle castle coin donkey drum feather garden hammer honey island kettle lemon mirror needle onion "  # noqa: SIM905
    "pebble river shovel spoon table violin wagon".split()
)
ADJECTIVES = tuple("blue broken clean cold dusty green heavy narrow old quiet red round small warm wet young".split())  # noqa: SIM905
NAMES = tuple("anna boris clara dmitri elena fatima hugo ines".split())  # noqa: SIM905
TASKS = {
    "copy": ("copy", "repeat", "echo"),
    "reverse": ("reverse", "invert", "flip"),
    "sort": ("sort", "order", "arrange"),
    "count": ("count", "tally", "number"),
    "capitals": ("capitalise", "shout", "enlarge"),
    "translate": ("translate", "render", "convert"),
}
"""Task -> the verbs that ask for it."""
VERBS = tuple(v for verbs in TASKS.values() for v in verbs)
CONTROLS = tuple(
    "carry find hold paint wash bury lift bring push borrow burn hide keep mend sell throw want weigh".split()  # noqa: SIM905
)
"""Verbs that ask for nothing: as common as the others in plain text, and the verbs of the idle sentences."""
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight")
FOREIGN = {noun: noun[::-1].replace("e", "o") + "u" for noun in NOUNS}
"""Translation table: each thing's name in the other language."""
_SENTENCES = (
    "the {a} {n} can {v} the {m} .", "{p} will {v} a {n} .", "did {p} {v} the {a} {n} ?", "please {v} the {n} .",
    "you must {v} the {n} .", "now {v} !", "{p} and {q} {v} the words .", "nobody can {v} this list .",
)  # fmt: skip
_IDLE = ("the {a} {n} can {v} the {m} .", "{p} will {v} a {n} .", "{p} did {v} the {a} {n} .")
_ASKED = ("please {v} !", "now {v} !", "{v} !")
_OTHER = "words : , ! said has yes and in short is".split()  # noqa: SIM905

Place = Literal["start", "middle", "end"]
PLACES: tuple[Place, ...] = ("start", "middle", "end")


@dataclass(frozen=True)
class Lesson:
    """A prompt in parts, which part is the instruction, and the right answer.

    Attributes
    ----------
    parts : the sentences of the prompt. asked : which of them is the instruction. place : where that stands.
    """

    parts: tuple[str, ...]
    asked: int
    place: Place
    task: str
    verb: str
    answer: str

    @property
    def prompt(self) -> str:
        return " ".join(self.parts)


def vocabulary() -> list[str]:
    """Every word of the language, each once."""
    told = [t for s in (*_SENTENCES, *_IDLE, *_ASKED) for t in s.split() if not t.startswith("{")]
    every = [*_OTHER, *told, *NUMBERS, *NAMES, *ADJECTIVES, *VERBS, *CONTROLS, *NOUNS]
    every += [n.upper() for n in NOUNS] + list(FOREIGN.values())
    return list(dict.fromkeys(every))


def right(task: str, words: Sequence[str]) -> str:
    """The answer that a task asks for."""
    ways: dict[str, Callable[[Sequence[str]], Sequence[str]]] = {
        "copy": lambda w: w,
        "reverse": lambda w: w[::-1],
        "sort": sorted,
        "count": lambda w: [NUMBERS[len(w)]],
        "capitals": lambda w: [x.upper() for x in w],
        "translate": lambda w: [FOREIGN[x] for x in w],
    }
    return " ".join(ways[task](list(words)))


def lessons(n: int, seed: int = 0, *, words: tuple[int, int] = (2, 4), place: Place | None = None) -> list[Lesson]:
    """Drawn instructions.

    Parameters
    ----------
    words : fewest and most words of the list. place : where the instruction stands; None draws it.

    Raises
    ------
    OptionError
        `n` is below 1, or `words` is no range within 1 to 8.
    """
    if n < 1 or not 1 <= words[0] <= words[1] < len(NUMBERS):
        raise OptionError(f"lessons: n = {n}, words = {words}; give 1 or more, of 1 to {len(NUMBERS) - 1} words.")
    rng = np.random.default_rng([seed, 1])
    return [_lesson(rng, words, place) for _ in range(n)]


def _lesson(rng: np.random.Generator, words: tuple[int, int], place: Place | None) -> Lesson:
    task = _one(rng, tuple(TASKS))
    verb = _one(rng, TASKS[task])
    listed = [NOUNS[i] for i in rng.permutation(len(NOUNS))[: int(rng.integers(words[0], words[1] + 1))]]
    rest = [_sentence(rng, _IDLE, CONTROLS), _sentence(rng, _IDLE, CONTROLS)]
    rest.insert(int(rng.integers(3)), f"words : {' '.join(listed)} .")
    where = place or PLACES[int(rng.integers(3))]
    at = {"start": 0, "middle": int(rng.integers(1, 3)), "end": 3}[where]
    parts = [*rest[:at], _one(rng, _ASKED).format(v=verb), *rest[at:]]
    return Lesson(tuple(parts), at, where, task, verb, right(task, listed))


def plain(n: int, seed: int = 0) -> list[str]:
    """`n` pieces of plain text, some twenty words each."""
    rng = np.random.default_rng([seed, 2])
    every = (*VERBS, *CONTROLS)
    return [" ".join(_piece(rng, every) for _ in range(2)) for _ in range(n)]


def _piece(rng: np.random.Generator, verbs: Sequence[str]) -> str:
    kind = int(rng.integers(4))
    if kind < 2:
        return _sentence(rng, _SENTENCES, verbs)
    listed = [NOUNS[i] for i in rng.permutation(len(NOUNS))[: int(rng.integers(4, 9))]]
    forms = (listed, [w.upper() for w in listed], [FOREIGN[w] for w in listed])
    told = " ".join(forms[int(rng.choice(3, p=(0.5, 0.25, 0.25)))])
    if kind == 2:
        return f"{_one(rng, NAMES)} has {told} . yes , {told} ."
    return f"words : {told} . {_one(rng, NAMES)} said : {told} ! in short {_one(rng, NUMBERS[2:])} ."


def _sentence(rng: np.random.Generator, forms: Sequence[str], verbs: Sequence[str]) -> str:
    n, m = (NOUNS[i] for i in rng.permutation(len(NOUNS))[:2])
    p, q = (NAMES[i] for i in rng.permutation(len(NAMES))[:2])
    return _one(rng, forms).format(a=_one(rng, ADJECTIVES), n=n, m=m, p=p, q=q, v=_one(rng, verbs))


def _one(rng: np.random.Generator, among: Sequence[Any]) -> Any:
    return among[int(rng.integers(len(among)))]
