"""Questions whose answers stand in a small world of texts, and a model that only babbles."""

from __future__ import annotations

from typing import Any
from zlib import crc32

from ethogram.world.reading import Texts

FACTS = (
    ("Amber tea", "grown", "Orlan valley", "It is picked in spring and dried on stone."),
    ("Blue silk", "woven", "Kasmir town", "Four looms make a cloth in a week."),
    ("The Tide lamp", "built", "Port Selby", "Its glass is blown by hand."),
    ("Red barley", "milled", "Dunmoor", "The mill turns with the river."),
    ("The Heron boat", "launched", "Lake Ossa", "It carries twelve people."),
    ("White salt", "dug", "Carrow pit", "The pit is two hundred years old."),
    ("Green glass", "melted", "Brenta works", "Sand comes by train."),
    ("The Owl clock", "repaired", "Tollen square", "It strikes only at noon."),
    ("Black honey", "gathered", "Pine ridge", "Bees fly there in July."),
    ("The Fox bridge", "opened", "River Lann", "Carts may not cross it."),
    ("Grey wool", "shorn", "Hallow farm", "The sheep are small."),
    ("The Star oven", "fired", "Mellin yard", "It burns birch."),
    ("Sweet cider", "pressed", "Apple court", "Children help with it."),
    ("The Moss book", "printed", "Verity house", "Only ninety were made."),
    ("Gold thread", "spun", "Isle Marn", "It is thin as hair."),
    ("The Wren drum", "tuned", "Sable hall", "A goat gave its skin."),
)
QUESTIONS = tuple((f"Where is {name} {verb}?", place) for name, verb, place, _ in FACTS)


def world() -> Texts:
    return Texts({name: f"{name} is {verb} in {place}. {more}" for name, verb, place, more in FACTS})


def babbler() -> Any:
    """Random words, and now and then a marker: it knows nothing of formats."""
    from ethogram.act.ltl_agent import READY
    from ethogram.lm.scripted import ScriptedLM

    marks = [s.opens for s in READY["reflexion"].stages] + ["tea", "silk", "search", "perhaps", "\n"]

    def policy(messages: Any, random: Any) -> str:
        return " ".join(random.choice(marks) for _ in range(random.randint(0, 12)))

    def rate(prompt: str, texts: Any) -> list[float]:
        return [-float(1 + crc32((prompt + t).encode()) % 9) for t in texts]

    return ScriptedLM(policy, rater=rate)
