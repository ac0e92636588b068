"""Prompts with named slots that can be present or absent, and choosers whose use of the slots is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import Formatter
from typing import Any

import numpy as np

from ethogram.errors import OptionError, unknown


@dataclass(frozen=True)
class Slot:
    """A part of a prompt. `present` and `absent` are its two texts; ``{name}`` in them is a drawn value.

    `informative` says whether a reasonable chooser may be moved by it.
    """

    name: str
    present: str
    absent: str = ""
    informative: bool = True


@dataclass(frozen=True)
class Template:
    """A prompt of slots.

    Attributes
    ----------
    text : with ``{slot}`` where each slot stands. options : what can be chosen.
    numbers : name -> (least, most), whole numbers drawn for each variant. family : templates of one family are frames
        of the same case and share their draws.

    Raises
    ------
    OptionError
        A slot that the text lacks or has twice, a ``{name}`` that is no slot, fewer than two options.
    """

    name: str
    text: str
    slots: tuple[Slot, ...]
    options: tuple[str, ...]
    numbers: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    family: str = ""

    def __post_init__(self) -> None:
        named = [n for _, n, _, _ in Formatter().parse(self.text) if n is not None]
        known = [s.name for s in self.slots]
        if sorted(named) != sorted(set(known)) or len(known) != len(set(known)) or not known:
            odd = next((n for n in named if n not in known), next((n for n in known if n not in named), known[:1]))
            raise OptionError(f"template {self.name}: each slot stands once in its text; see '{odd}'.")
        for slot in self.slots:
            for _, name, _, _ in Formatter().parse(slot.present + slot.absent):
                if name is not None and name not in self.numbers:
                    raise OptionError(f"slot {slot.name}: " + unknown("number", name, self.numbers))
        if len(set(self.options)) < 2:
            raise OptionError(f"template {self.name}: give two or more different options.")

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Template:
        """From JSON."""
        try:
            slots = tuple(Slot(**s) for s in row["slots"])
            numbers = {n: (int(a), int(b)) for n, (a, b) in row.get("numbers", {}).items()}
            return cls(row["name"], row["text"], slots, tuple(row["options"]), numbers, row.get("family", ""))
        except (KeyError, TypeError, ValueError) as error:
            raise OptionError(f"a template holds name, text, slots and options: {error}.") from None

    def draw(self, variants: int, seed: int) -> list[dict[str, int]]:
        """Numbers of each variant; frames of one family get the same."""
        rng = np.random.default_rng(seed)
        return [{n: int(rng.integers(a, b + 1)) for n, (a, b) in self.numbers.items()} for _ in range(max(1, variants))]

    def write(self, present: np.ndarray, values: Mapping[str, int]) -> str:
        """The prompt with these slots present, bool[n]; runs of spaces closed up."""
        told = {
            s.name: (s.present if here else s.absent).format(**values)
            for s, here in zip(self.slots, present, strict=True)
        }
        return "\n".join(" ".join(line.split()) for line in self.text.format(**told).splitlines())

    def weights(self, noise: float) -> dict[str, float]:
        """Weights of a planted chooser of the first option: informative slots alternate in sign and fall in size,
        uninformative ones share `noise` of the whole."""
        useful = [s.name for s in self.slots if s.informative]
        other = [s.name for s in self.slots if not s.informative]
        size = np.array([(-1.0) ** i / (1 + i) for i in range(len(useful))])
        size *= 0.4 * (1 - noise) / np.abs(size).sum()
        found = dict(zip(useful, size.tolist(), strict=True))
        return {s.name: found.get(s.name, 0.4 * noise / max(1, len(other))) for s in self.slots}


def planted_lm(templates: Sequence[Template], weights: Mapping[str, Mapping[str, float]]) -> Any:
    """A chooser with ``P(first option) = 1/2 + sum of the weights of the slots that are present``.

    A slot is seen where the fixed words of its present text stand in the prompt.
    """
    from ethogram.lm.scripted import ScriptedLM

    def rate(prompt: str, texts: Sequence[str]) -> list[float]:
        made = max(templates, key=lambda t: sum(_seen(s, prompt) for s in t.slots))
        p = 0.5 + sum(weights[made.name][s.name] for s in made.slots if _seen(s, prompt))
        rest = (1 - p) / (len(made.options) - 1)
        return [float(np.log(p if t == made.options[0] else rest)) for t in texts]

    return ScriptedLM(made_of(templates), rater=rate)


def made_of(templates: Sequence[Template]) -> str:
    """What a chooser says that is only asked for probabilities: its first option."""
    return templates[0].options[0]


def _seen(slot: Slot, prompt: str) -> bool:
    fixed = [" ".join(t.split()) for t, _, _, _ in Formatter().parse(slot.present)]
    return all(t in prompt for t in fixed if t)


_FLIGHT = Template(
    "flights",
    "{intro} {greeting}\nFlight A: {price_a} {time_a}\nFlight B: {price_b} {time_b}\n{city} {request}",
    (
        Slot("intro", "The following flights are available.", informative=False),
        Slot("greeting", "I hope you are well today.", informative=False),
        Slot("price_a", "it costs {price_a} dollars and", "it is on offer and"),
        Slot("time_a", "takes {time_a} hours.", "goes there."),
        Slot("price_b", "the fare is {price_b} dollars and", "it is open and"),
        Slot("time_b", "lasts {time_b} hours.", "flies there."),
        Slot("city", "Both fly from one airport.", informative=False),
        Slot("request", "Please take your time to decide.", informative=False),
    ),
    ("Flight A", "Flight B"),
    {"price_a": (150, 500), "price_b": (150, 500), "time_a": (2, 12), "time_b": (2, 12)},
)
_SHARED = (
    Slot("setting", "A town of {town} people expects an illness.", "There is a case to decide."),
    Slot("filler", "Two programs have been proposed by the office.", informative=False),
)
_ENDING = (Slot("plea", "Think about it in your own way.", informative=False),)


def _framed(name: str, sure: str, risky: str) -> Template:
    return Template(
        name,
        "{setting} {filler}\nProgram A: {sure}\nProgram B: {risky}\n{plea}",
        (*_SHARED, Slot("sure", sure, "one outcome."), Slot("risky", risky, "two outcomes."), *_ENDING),
        ("Program A", "Program B"),
        {"town": (600, 6000), "third": (150, 250)},
        "framing",
    )


READY: dict[str, tuple[Template, ...]] = {
    "flights": (_FLIGHT,),
    "framing": (
        _framed("gain", "{third} people will surely be saved.", "a chance of one third that all will be saved."),
        _framed("loss", "all but {third} people will surely die.", "a chance of two thirds that all will die."),
    ),
}
"""Ready templates: two flights; one outcome told as gain and as loss."""
